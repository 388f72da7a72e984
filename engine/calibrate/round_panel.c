#include "engine/calibrate/round_panel.h"

#include <assert.h>
#include <string.h>

#include "engine/calibrate/round_work.h"

bool round_panel_rounds(enum weight_type type) {
    return type == WEIGHT_TYPE_INT8 || type == WEIGHT_TYPE_INT4;
}

size_t round_panel_scratch(size_t in) {
    return (2 * round_padded(in) + 2 * round_padded(in) / GROUP) * LANES;
}

static uint32_t exponent_of(float scale) {
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    return bits >> 23 & 255;
}

bool round_is_finite(float scale) {
    return exponent_of(scale) != 255;
}

double round_inverse_of(float scale) {
    return exponent_of(scale) == 0 || !round_is_finite(scale) ? 0 : 1 / (double)scale;
}

void round_move_group(const struct work *w, size_t stretch, size_t at, const struct lanes *residual,
                      struct lanes *out) {
    const struct factor *f = w->factor;
    const size_t first = stretch * f->stretch, behind = at + GROUP;
    if (behind >= f->width || first + behind >= round_padded(f->in)) {
        memcpy(out, residual, GROUP * sizeof *out);
        return;
    }
    const size_t end = round_padded(f->in) - first < f->width ? round_padded(f->in) - first : f->width;
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

static void read_weights(const struct work *w, bool repeats, const double *rows, size_t count,
                         const double *inverse) {
    const size_t in = w->factor->in;
    for (size_t k = 0; k < round_padded(in); k++) {
        const size_t first = k / GROUP * GROUP, left = in - first < GROUP ? in - first : GROUP;
        const size_t from = first + (k - first) % left;
        for (size_t n = 0; n < LANES; n++)
            w->weights[k].at[n] = n < count && inverse[n] != 0 && (repeats || k < in)
                                      ? (float)(rows[n * in + from] * inverse[n])
                                      : 0;
    }
}

/* ---- a panel ---- */

/* What the errors cost each row on the text, ridge apart. */
static void add_cost(const struct work *w, size_t stretch, size_t at, double cost[LANES]) {
    const struct factor *f = w->factor;
    const size_t first = stretch * f->stretch + at;
    const struct lanes *errors = w->errors + first;
    struct lanes moved[GROUP];
    round_move_group(w, stretch, at, errors, moved);
    for (size_t k = 0; k < GROUP && first + k < f->in; k++) {
        const double weight = (double)f->weight[stretch * f->width + at + k], ridge = f->ridge[stretch];
        const struct lanes x = round_moved(w, stretch, at, k, &moved[k], errors);
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

static void fit(const struct work *w, const struct rounding *type) {
    const struct factor *f = w->factor;
    for (size_t s = 0; s < f->stretches; s++)
        for (size_t at = f->width; at > 0; at -= GROUP)
            if (s * f->stretch + at - GROUP < f->in) type->fit(w, s, at - GROUP);
}

size_t round_panel(const struct factor *f, const struct kernel_table *kernels, enum weight_type type,
                   const double *rows, size_t count, void *panel, float *scratch) {
    const size_t all = round_padded(f->in), groups = all / GROUP;
    const struct rounding *rounding = type == WEIGHT_TYPE_INT4 ? &round_int4 : &round_int8;
    struct lanes *lanes = (struct lanes *)scratch;
    const struct work w = {.factor = f,
                           .kernels = kernels,
                           .weights = lanes,
                           .errors = lanes + all,
                           .scales = lanes + 2 * all,
                           .offsets = lanes + 2 * all + groups};
    double inverse[LANES], before[LANES], after[LANES];
    size_t changed = 0;
    assert(round_panel_rounds(type));
    rounding->begin(&w, panel, inverse);
    read_weights(&w, rounding->repeats, rows, count, inverse);
    for (size_t k = 0; k < all; k++)
        for (size_t n = 0; n < LANES; n++)
            w.errors[k].at[n] = inverse[n] != 0 ? w.weights[k].at[n] - rounding->stored(&w, panel, k, n) : 0;
    cost_of(&w, before);
    fit(&w, rounding);
    cost_of(&w, after);
    for (size_t n = 0; n < count; n++) {
        if (inverse[n] == 0 || after[n] >= before[n]) continue;
        rounding->write_row(&w, n, panel);
        changed++;
    }
    return changed;
}
