#include "engine/calibrate/factor.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/calibrate/cholesky.h"

/* Rows of the transposed factor that are written together. */
#define BLOCK 32

static size_t whole_groups(size_t in) {
    return (in + KERNEL_INT4_GROUP - 1) / KERNEL_INT4_GROUP * KERNEL_INT4_GROUP;
}

static size_t width_max(size_t in_max, size_t stretch_max) {
    return whole_groups(hessian_width_max(in_max, stretch_max));
}

size_t factor_bytes(size_t in_max, size_t stretch_max) {
    const size_t width = width_max(in_max, stretch_max);
    return hessian_stretches_max(in_max, stretch_max) *
           (width * (width + 1) * sizeof(float) + sizeof(double));
}

enum status factor_init(struct factor *f, size_t in_max, size_t stretch_max, struct error *e) {
    const size_t width = width_max(in_max, stretch_max), count = hessian_stretches_max(in_max, stretch_max);
    *f = (struct factor){0};
    f->feedback = memory_aligned_unset(count * width, width * sizeof *f->feedback, "factors of inputs", e);
    f->weight = memory_aligned(count * width, sizeof *f->weight, "factors of inputs", e);
    f->ridge = memory_aligned(count, sizeof *f->ridge, "factors of inputs", e);
    if (f->feedback && f->weight && f->ridge) return STATUS_OK;
    factor_deinit(f);
    return STATUS_NO_MEMORY;
}

void factor_deinit(struct factor *f) {
    free(f->feedback);
    free(f->weight);
    free(f->ridge);
    *f = (struct factor){0};
}

/* A stretch whose inputs are all 0 gets a diagonal of ones: any rounding is as good as another. */
static double add_ridge(double *sums, size_t width) {
    double trace = 0;
    for (size_t i = 0; i < width; i++) trace += sums[i * width + i];
    const double ridge = trace > 0 ? FACTOR_RIDGE * trace / (double)width : 1;
    for (size_t i = 0; i < width; i++) sums[i * width + i] += ridge;
    return ridge;
}

struct transposing {
    const double *sums; /* L [count, count] */
    size_t count, width;
    float *feedback;
};

static void transpose_block(void *context, size_t block, size_t worker) {
    (void)worker;
    const struct transposing *t = context;
    const size_t first = block * BLOCK;
    memset(t->feedback + first * t->width, 0, BLOCK * t->width * sizeof(float));
    for (size_t j = first; j < t->count; j++)
        for (size_t k = first; k < first + BLOCK && k < j; k++)
            t->feedback[k * t->width + j] = (float)(t->sums[j * t->count + k] / t->sums[k * t->count + k]);
}

static bool make_stretch(struct factor *f, struct hessian *h, size_t stretch, struct workers *workers) {
    size_t first;
    double *sums;
    const size_t count = hessian_stretch(h, stretch, &first, &sums);
    f->ridge[stretch] = add_ridge(sums, count);
    if (!cholesky_factor(sums, count, workers)) return false;
    float *weight = f->weight + stretch * f->width;
    for (size_t k = 0; k < f->width; k++)
        weight[k] = k < count ? (float)(sums[k * count + k] * sums[k * count + k]) : 0;
    struct transposing t = {.sums = sums,
                            .count = count,
                            .width = f->width,
                            .feedback = f->feedback + stretch * f->width * f->width};
    workers_run(workers, transpose_block, &t, f->width / BLOCK);
    return true;
}

enum status factor_make(struct factor *f, struct hessian *h, struct workers *workers, struct error *e) {
    f->in = h->in;
    f->stretch = h->stretch;
    f->stretches = h->stretches;
    f->width = whole_groups(h->stretch);
    for (size_t i = 0; i < h->stretches; i++)
        if (!make_stretch(f, h, i, workers))
            return error_set(e, STATUS_MALFORMED, "calibration",
                             "the inputs of a linear are not finite: the model overflows on this text");
    return STATUS_OK;
}
