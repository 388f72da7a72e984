/* Weights of int4: each group's scale and offset are those of some candidates that leave the least error after all that is
 * behind. */
#include <float.h>
#include <string.h>

#include "engine/calibrate/round_work.h"

struct group {
    struct lanes target[GROUP]; /* moved by what is behind the group */
    struct lanes m, c;
    struct lanes error; /* the least so far */
};

/* ---- a panel as it lies in memory ---- */

static uint8_t *byte_of(const void *panel, size_t k, size_t n) {
    return (uint8_t *)(uintptr_t)panel + ((k / GROUP * 4 + k % (GROUP / 2) / 4) * LANES + n) * 4 + k % 4;
}

static int8_t *scale_offset_of(const void *panel, size_t in, size_t k, size_t n) {
    return (int8_t *)(uintptr_t)panel + kernel_padded_k(in) / 2 * LANES + (k / GROUP * LANES + n) * 2;
}

static const float *scales_of(const void *panel, size_t in) {
    const char *end = (const char *)panel + kernel_panel_bytes(WEIGHT_TYPE_INT4, in);
    return (const float *)(const void *)end - LANES;
}

static float stored(const struct work *w, const void *panel, size_t k, size_t n) {
    const int q = (*byte_of(panel, k, n) >> (k % GROUP < GROUP / 2 ? 0 : 4) & 15) - 8;
    const int8_t *group = scale_offset_of(panel, w->factor->in, k, n);
    return (float)(group[0] * q + group[1]);
}

static void store(void *panel, size_t in, size_t k, size_t n, float value) {
    uint8_t *byte = byte_of(panel, k, n);
    const int8_t *group = scale_offset_of(panel, in, k, n);
    const int q = ((int)rounded(value) - group[1]) / group[0] + 8, shift = k % GROUP < GROUP / 2 ? 0 : 4;
    *byte = (uint8_t)((*byte & ~(15 << shift)) | q << shift);
}

static void begin(const struct work *w, const void *panel, double inverse[LANES]) {
    const float *scales = scales_of(panel, w->factor->in);
    for (size_t n = 0; n < LANES; n++) inverse[n] = round_inverse_of(scales[n]);
}

/* ---- a group ---- */

/* Rounds the group with one scale and offset for each row; errors: of its weights, which is what feedback goes on
 * with; sum: of what they cost. */
static void round_group(const struct work *w, const struct lanes *weights, const struct group *g,
                        const struct lanes *m, const struct lanes *c, size_t stretch, size_t at,
                        struct lanes *restrict errors, struct lanes *restrict sum) {
    const struct factor *f = w->factor;
    struct lanes inverse;
    for (size_t n = 0; n < LANES; n++) inverse.at[n] = 1 / m->at[n];
    memset(sum, 0, sizeof *sum);
    for (size_t k = GROUP; k-- > 0;) {
        const float weight = f->weight[stretch * f->width + at + k];
        const struct lanes x = round_moved(w, stretch, at, k, &g->target[k], errors);
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

static void choose(struct group *g, const struct lanes *m, const struct lanes *c, const struct lanes *error) {
    for (size_t n = 0; n < LANES; n++) {
        const bool better = error->at[n] < g->error.at[n];
        g->error.at[n] = better ? error->at[n] : g->error.at[n];
        g->m.at[n] = better ? m->at[n] : g->m.at[n];
        g->c.at[n] = better ? c->at[n] : g->c.at[n];
    }
}

/* Scale and offset of each row, and the errors that they leave. */
static void fit(const struct work *w, size_t stretch, size_t at) {
    const size_t first = stretch * w->factor->stretch + at;
    struct group group, *g = &group;
    struct lanes low, high, m, c, error, errors[GROUP];
    round_move_group(w, stretch, at, w->weights + first, g->target);
    range_of(g->target, &low, &high);
    for (size_t n = 0; n < LANES; n++) g->error.at[n] = FLT_MAX, g->m.at[n] = 1, g->c.at[n] = 0;
    for (int wider = -INT4_WIDER_MOST; wider <= INT4_WIDER_MOST; wider++)
        for (int by = -INT4_SHIFT_MOST; by <= INT4_SHIFT_MOST; by++) {
            for (size_t n = 0; n < LANES; n++)
                int4_candidate(low.at[n], high.at[n], wider, by, &m.at[n], &c.at[n]);
            round_group(w, w->weights + first, g, &m, &c, stretch, at, errors, &error);
            choose(g, &m, &c, &error);
        }
    round_group(w, w->weights + first, g, &g->m, &g->c, stretch, at, w->errors + first, &error);
    w->scales[first / GROUP] = g->m;
    w->offsets[first / GROUP] = g->c;
}

static void write_row(const struct work *w, size_t n, void *panel) {
    const size_t in = w->factor->in;
    for (size_t k = 0; k < round_padded(in); k++) {
        int8_t *group = scale_offset_of(panel, in, k, n);
        group[0] = (int8_t)w->scales[k / GROUP].at[n];
        group[1] = (int8_t)w->offsets[k / GROUP].at[n];
        store(panel, in, k, n, w->weights[k].at[n] - w->errors[k].at[n]);
    }
}

const struct rounding round_int4 = {
    .repeats = true, .begin = begin, .stored = stored, .fit = fit, .write_row = write_row};
