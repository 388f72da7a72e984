/* All rows of a panel go on together, a lane each. In float; orders are fixed, and products of groups are the
 * kernels', so the bits are the same everywhere. Compiled as if all numbers were finite, which they are, as
 * int4_group.c is: only so the compiler vectorizes it. */
#include "engine/calibrate/round_panel.h"

#include <float.h>
#include <string.h>

#define GROUP KERNEL_INT4_GROUP
#define LANES KERNEL_PANEL
/* As in int4_group.c. */
#define SCALE_MAX  16
#define WIDER_MOST 1 /* scales beside the one that spans the group */
#define SHIFT_MOST 2 /* and offsets beside its middle, by a quarter of the scale */

/* A weight of each row, or what belongs to it. */
struct lanes {
    float at[LANES];
};

/* A panel at work. */
struct work {
    const struct factor *factor;
    const struct kernel_table *kernels;
    struct lanes *weights, *errors; /* [padded in]: in units of their rows' scales */
    struct lanes *scales, *offsets; /* [groups] */
};

struct group {
    struct lanes target[GROUP]; /* moved by what is behind the group */
    struct lanes m, c;
    struct lanes error; /* the least so far */
};

static float clamped(float value, float least, float most) {
    value = value < least ? least : value;
    return value > most ? most : value;
}

static float rounded(float value) {
    return value + KERNEL_ROUNDING_SHIFT - KERNEL_ROUNDING_SHIFT;
}

static size_t padded(size_t in) {
    return (in + GROUP - 1) / GROUP * GROUP;
}

size_t round_panel_scratch(size_t in) {
    return (2 * padded(in) + 2 * padded(in) / GROUP) * LANES;
}

/* ---- a panel as it lies in memory ---- */

static uint8_t *byte_of(void *panel, size_t k, size_t n) {
    return (uint8_t *)panel + ((k / GROUP * 4 + k % (GROUP / 2) / 4) * LANES + n) * 4 + k % 4;
}

static int8_t *scale_offset_of(void *panel, size_t in, size_t k, size_t n) {
    return (int8_t *)panel + kernel_padded_k(in) / 2 * LANES + (k / GROUP * LANES + n) * 2;
}

static const float *scales_of(const void *panel, size_t in) {
    const char *end = (const char *)panel + kernel_panel_bytes(WEIGHT_TYPE_INT4, in);
    return (const float *)(const void *)end - LANES;
}

static float stored(void *panel, size_t in, size_t k, size_t n) {
    const int q = (*byte_of(panel, k, n) >> (k % GROUP < GROUP / 2 ? 0 : 4) & 15) - 8;
    const int8_t *group = scale_offset_of(panel, in, k, n);
    return (float)(group[0] * q + group[1]);
}

static void store(void *panel, size_t in, size_t k, size_t n, float value) {
    uint8_t *byte = byte_of(panel, k, n);
    const int8_t *group = scale_offset_of(panel, in, k, n);
    const int q = ((int)rounded(value) - group[1]) / group[0] + 8, shift = k % GROUP < GROUP / 2 ? 0 : 4;
    *byte = (uint8_t)((*byte & ~(15 << shift)) | q << shift);
}

/* 0 for a scale that is 0, subnormal, infinite or NaN: by its bits, as no number is infinite or NaN in this file. */
static double inverse_of(float scale) {
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    const uint32_t exponent = bits >> 23 & 255;
    return exponent == 0 || exponent == 255 ? 0 : 1 / (double)scale;
}

/* Weights of a group beyond the last input repeat its first ones, as they do where panels are packed. */
static void read_weights(const struct work *w, const double *rows, size_t count, const double *inverse) {
    const size_t in = w->factor->in;
    for (size_t k = 0; k < padded(in); k++) {
        const size_t first = k / GROUP * GROUP, left = in - first < GROUP ? in - first : GROUP;
        const size_t from = first + (k - first) % left;
        for (size_t n = 0; n < LANES; n++)
            w->weights[k].at[n] =
                n < count && inverse[n] != 0 ? (float)(rows[n * in + from] * inverse[n]) : 0;
    }
}

/* ---- a group ---- */

/* What the groups behind leave: errors [from, width of the stretch) by the factor. */
static void move_group(const struct work *w, size_t stretch, size_t at, const struct lanes *residual,
                       struct lanes *out) {
    const struct factor *f = w->factor;
    const size_t first = stretch * f->stretch, behind = at + GROUP;
    if (behind >= f->width || first + behind >= padded(f->in)) {
        memcpy(out, residual, GROUP * sizeof *out);
        return;
    }
    const size_t end = padded(f->in) - first < f->width ? padded(f->in) - first : f->width;
    const struct gemm m = {
        .x = f->feedback + (stretch * f->width + at) * f->width + behind,
        .x_stride = f->width,
        .panels = w->errors[first + behind].at,
        .k = end - behind,
        .n = LANES,
        .residual = residual->at,
        .residual_stride = LANES,
        .out = out->at,
        .out_stride = LANES,
    };
    w->kernels->gemm_f32(&m, 0, GROUP, 0, 1);
}

/* Rounds the group with one scale and offset for each row; errors: of its weights, which is what feedback goes on
 * with; sum: of what they cost. feedback: of the group's own, rows `stride` apart. */
static void round_group(const struct work *w, const struct lanes *weights, const struct group *g,
                        const struct lanes *m, const struct lanes *c, size_t stretch, size_t at,
                        struct lanes *restrict errors, struct lanes *restrict sum) {
    const struct factor *f = w->factor;
    struct lanes inverse;
    for (size_t n = 0; n < LANES; n++) inverse.at[n] = 1 / m->at[n];
    memset(sum, 0, sizeof *sum);
    for (size_t k = GROUP; k-- > 0;) {
        const float *feedback = f->feedback + (stretch * f->width + at + k) * f->width + at;
        const float weight = f->weight[stretch * f->width + at + k];
        struct lanes x = g->target[k];
        for (size_t j = k + 1; j < GROUP; j++)
            for (size_t n = 0; n < LANES; n++) x.at[n] += feedback[j] * errors[j].at[n];
        for (size_t n = 0; n < LANES; n++) {
            const float level = rounded(clamped((x.at[n] - c->at[n]) * inverse.at[n], -8, 7));
            const float value = m->at[n] * level + c->at[n];
            errors[k].at[n] = weights[k].at[n] - value;
            sum->at[n] += weight * ((x.at[n] - value) * (x.at[n] - value));
        }
    }
}

static void range_of(const struct lanes *x, struct lanes *low, struct lanes *high) {
    *low = *high = x[0];
    for (size_t i = 1; i < GROUP; i++)
        for (size_t n = 0; n < LANES; n++) {
            low->at[n] = x[i].at[n] < low->at[n] ? x[i].at[n] : low->at[n];
            high->at[n] = x[i].at[n] > high->at[n] ? x[i].at[n] : high->at[n];
        }
}

/* The candidates of int4_group_fit, as this one moves the range. */
static void set_candidate(const struct lanes *low, const struct lanes *high, int wider, int by,
                          struct lanes *m, struct lanes *c) {
    for (size_t n = 0; n < LANES; n++) {
        const float spanning = rounded(0.95f * (high->at[n] - low->at[n]) / 15);
        const float scale = clamped(spanning + (float)wider, 1, SCALE_MAX);
        const float middle = rounded((low->at[n] + high->at[n] + scale) / 2);
        const float shift = scale < 4 ? 1 : rounded(scale / 4);
        m->at[n] = scale;
        c->at[n] = clamped(middle + shift * (float)by, 8 * scale - 127, 127 - 7 * scale);
    }
}

static void choose(struct group *g, const struct lanes *m, const struct lanes *c, const struct lanes *error) {
    for (size_t n = 0; n < LANES; n++) {
        const bool better = error->at[n] < g->error.at[n];
        g->error.at[n] = better ? error->at[n] : g->error.at[n];
        g->m.at[n] = better ? m->at[n] : g->m.at[n];
        g->c.at[n] = better ? c->at[n] : g->c.at[n];
    }
}

/* Scale and offset of each row, and the errors that they leave. */
static void fit_group(const struct work *w, size_t stretch, size_t at, struct group *g) {
    const size_t first = stretch * w->factor->stretch + at;
    struct lanes low, high, m, c, error, errors[GROUP];
    move_group(w, stretch, at, w->weights + first, g->target);
    range_of(g->target, &low, &high);
    for (size_t n = 0; n < LANES; n++) g->error.at[n] = FLT_MAX, g->m.at[n] = 1, g->c.at[n] = 0;
    for (int wider = -WIDER_MOST; wider <= WIDER_MOST; wider++)
        for (int by = -SHIFT_MOST; by <= SHIFT_MOST; by++) {
            set_candidate(&low, &high, wider, by, &m, &c);
            round_group(w, w->weights + first, g, &m, &c, stretch, at, errors, &error);
            choose(g, &m, &c, &error);
        }
    round_group(w, w->weights + first, g, &g->m, &g->c, stretch, at, w->errors + first, &error);
}

/* ---- a panel ---- */

/* What the errors cost each row on the text, ridge apart. */
static void add_cost(const struct work *w, size_t stretch, size_t at, double cost[LANES]) {
    const struct factor *f = w->factor;
    const size_t first = stretch * f->stretch + at;
    const struct lanes *errors = w->errors + first;
    struct lanes moved[GROUP];
    move_group(w, stretch, at, errors, moved);
    for (size_t k = 0; k < GROUP && first + k < f->in; k++) {
        const float *feedback = f->feedback + (stretch * f->width + at + k) * f->width + at;
        const double weight = (double)f->weight[stretch * f->width + at + k], ridge = f->ridge[stretch];
        struct lanes x = moved[k];
        for (size_t j = k + 1; j < GROUP; j++)
            for (size_t n = 0; n < LANES; n++) x.at[n] += feedback[j] * errors[j].at[n];
        for (size_t n = 0; n < LANES; n++) {
            const double y = (double)x.at[n], error = (double)errors[k].at[n];
            cost[n] += weight * (y * y) - ridge * (error * error);
        }
    }
}

static void cost_of(const struct work *w, double cost[LANES]) {
    const struct factor *f = w->factor;
    memset(cost, 0, LANES * sizeof *cost);
    for (size_t s = 0; s < f->stretches; s++)
        for (size_t at = 0; at < f->width && s * f->stretch + at < f->in; at += GROUP)
            add_cost(w, s, at, cost);
}

static void fit(const struct work *w) {
    const struct factor *f = w->factor;
    for (size_t s = 0; s < f->stretches; s++) {
        for (size_t at = f->width; at > 0; at -= GROUP) {
            const size_t first = s * f->stretch + at - GROUP;
            struct group group;
            if (first >= f->in) continue;
            fit_group(w, s, at - GROUP, &group);
            w->scales[first / GROUP] = group.m;
            w->offsets[first / GROUP] = group.c;
        }
    }
}

static void write_row(const struct work *w, size_t n, void *panel) {
    const size_t in = w->factor->in;
    for (size_t k = 0; k < padded(in); k++) {
        int8_t *group = scale_offset_of(panel, in, k, n);
        group[0] = (int8_t)w->scales[k / GROUP].at[n];
        group[1] = (int8_t)w->offsets[k / GROUP].at[n];
        store(panel, in, k, n, w->weights[k].at[n] - w->errors[k].at[n]);
    }
}

size_t round_panel(const struct factor *f, const struct kernel_table *kernels, const double *rows,
                   size_t count, void *panel, float *scratch) {
    const size_t all = padded(f->in), groups = all / GROUP;
    struct lanes *lanes = (struct lanes *)scratch;
    const struct work w = {.factor = f,
                           .kernels = kernels,
                           .weights = lanes,
                           .errors = lanes + all,
                           .scales = lanes + 2 * all,
                           .offsets = lanes + 2 * all + groups};
    double inverse[LANES], before[LANES], after[LANES];
    size_t changed = 0;
    for (size_t n = 0; n < LANES; n++) inverse[n] = inverse_of(scales_of(panel, f->in)[n]);
    read_weights(&w, rows, count, inverse);
    for (size_t k = 0; k < all; k++)
        for (size_t n = 0; n < LANES; n++)
            w.errors[k].at[n] = inverse[n] != 0 ? w.weights[k].at[n] - stored(panel, f->in, k, n) : 0;
    cost_of(&w, before);
    fit(&w);
    cost_of(&w, after);
    for (size_t n = 0; n < count; n++) {
        if (inverse[n] == 0 || after[n] >= before[n]) continue;
        write_row(&w, n, panel);
        changed++;
    }
    return changed;
}
