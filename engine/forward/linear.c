/* Products of a step, spread over the workers in tiles; and the norms in front of them. */
#include <cblas.h>

#include "engine/forward/state.h"

/* Panels that a tile takes: a few, so that one row still has independent chains and weights stream in long
 * runs, but enough tiles that no worker waits for another at the end. */
#define TILE_PANELS_MAX  4
#define TILES_PER_WORKER 4

struct product {
    const struct kernel_table *kernels;
    enum weight_type type;
    struct narrow_matmul matmul; /* of f32: only the rest */
    size_t rows, panels, tile_panels;
};

static void run_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct product *p = context;
    size_t first = tile * p->tile_panels, left = p->panels - first;
    size_t count = left < p->tile_panels ? left : p->tile_panels;
    if (p->type == WEIGHT_TYPE_F32)
        p->kernels->matmul_f32(&p->matmul.rest, 0, p->rows, first, count);
    else
        p->kernels->matmul_narrow[p->type](&p->matmul, 0, p->rows, first, count);
}

static size_t tile_panels(const struct forward *f, size_t panels) {
    size_t share = panels / (workers_count(f->workers) * TILES_PER_WORKER);
    if (share < 1) return 1;
    return share < TILE_PANELS_MAX ? share : TILE_PANELS_MAX;
}

static struct matmul matmul_of(const struct linear_call *call) {
    return (struct matmul){
        .x = call->x,
        .x_stride = call->x_stride,
        .panels = call->linear->weights,
        .k = call->linear->in,
        .n = call->linear->out,
        .row_scale = call->row_scale,
        .bias = call->linear->bias,
        .activation = call->activation,
        .residual = call->residual,
        .residual_stride = call->out_stride,
        .out = call->out,
        .out_stride = call->out_stride,
    };
}

/* The rows that narrow weights read. */
static void prepare_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct linear_call *call = context;
    const struct narrow_rows rows = {
        .x = call->x,
        .x_stride = call->x_stride,
        .k = call->linear->in,
        .factor = call->linear->factor,
        .out = (unsigned char *)f->narrow,
    };
    f->kernels->prepare_rows[call->linear->type](&rows, first, count);
}

static void run_own(struct forward *f, const struct linear_call *call) {
    const struct packed_linear *linear = call->linear;
    struct product p = {
        .kernels = f->kernels,
        .type = linear->type,
        .rows = call->rows,
        .panels = kernel_panels(linear->out),
        .matmul = {.rest = matmul_of(call), .x = (const unsigned char *)f->narrow, .panels = linear->weights},
    };
    if (linear->type != WEIGHT_TYPE_F32) forward_each_block(f, call->rows, prepare_block, call);
    p.tile_panels = tile_panels(f, p.panels);
    workers_run(f->workers, run_tile, &p, (p.panels + p.tile_panels - 1) / p.tile_panels);
}

struct finish_call {
    struct matmul matmul;
    size_t sums_stride;
};

static void finish_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct finish_call *call = context;
    f->kernels->finish_rows(&call->matmul, f->sums, call->sums_stride, first, count);
}

/* The library spreads the product over threads of its own (forward_create sets how many). */
static void run_openblas(struct forward *f, const struct linear_call *call) {
    const struct packed_linear *linear = call->linear;
    struct finish_call finish = {.matmul = matmul_of(call), .sums_stride = linear->out};
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)call->rows, (blasint)linear->out,
                (blasint)linear->in, 1, call->x, (blasint)call->x_stride, linear->weights,
                (blasint)linear->in, 0, f->sums, (blasint)linear->out);
    forward_each_block(f, call->rows, finish_block, &finish);
}

void linear_run(struct forward *f, const struct linear_call *call) {
    if (f->model->matmul == MATMUL_OWN)
        run_own(f, call);
    else
        run_openblas(f, call);
}

struct norm_call {
    const struct packed_norm *norm;
    const float *x;
};

static void scale_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct norm_call *call = context;
    f->kernels->row_scales(call->norm->kind, call->x + first * f->branch_stride, f->branch_stride, count,
                           call->norm->width, call->norm->divisor, call->norm->eps, f->row_scales + first);
}

static void normalize_block(struct forward *f, size_t first, size_t count, const void *context,
                            size_t worker) {
    (void)worker;
    const struct norm_call *call = context;
    const struct packed_norm *norm = call->norm;
    f->kernels->normalize_rows(norm->kind, call->x + first * f->branch_stride, f->branch_stride, count,
                               norm->width, norm->eps, norm->gain, norm->bias,
                               f->normed + first * f->branch_stride, f->branch_stride);
}

struct norm_output norm_run(struct forward *f, const struct packed_norm *norm, const float *x, size_t rows) {
    struct norm_call call = {.norm = norm, .x = x};
    if (!norm->folded) {
        forward_each_block(f, rows, normalize_block, &call);
        return (struct norm_output){.x = f->normed, .stride = f->branch_stride};
    }
    struct norm_output output = {.x = x, .stride = f->branch_stride};
    if (norm->kind == ROW_NORM_NONE) return output;
    forward_each_block(f, rows, scale_block, &call);
    output.row_scale = f->row_scales;
    return output;
}

void norm_rows(const struct forward *f, const struct packed_norm *norm, float *x, size_t rows) {
    f->kernels->normalize_rows(norm->kind, x, f->branch_stride, rows, norm->width, norm->eps, norm->gain,
                               norm->bias, x, f->branch_stride);
}
