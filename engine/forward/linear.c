/* The linears of a step, split into tiles for the workers, and the norms in front of them. */
#include <assert.h>

#include "engine/forward/state.h"

/* A GEMM is split into runs of panels, each by all rows of the step: every panel comes from memory
 * once, and how a tile stays in the caches is the kernel's affair. Tiles are numbered along the panels, so
 * that each worker streams one contiguous part of the weights. Smaller tiles mean less waiting for the
 * slowest worker at the end. */
#define BLOCK_ROWS       64                 /* at least, where rows are split */
#define RUN_BYTES        ((size_t)32 << 10) /* of weights, at least: claiming a tile has a cost */
#define RUN_PANELS       4 /* of low-precision weights: a panel's epilogue overlaps the next */
#define TILES_PER_WORKER 4 /* with fewer tiles, rows are split into more blocks */

struct tiling {
    size_t panels, run_panels, runs, block_rows, tiles;
};

struct tiled_gemm {
    const struct forward *forward;
    const struct packed_linear *linear, *next; /* next: or NULL */
    struct lowp_gemm gemm;                     /* of f32: only the base */
    size_t rows;
    struct tiling tiling, next_tiling;
};

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t higher(size_t a, size_t b) {
    return a > b ? a : b;
}

static struct tiling tiling_of(const struct forward *f, const struct packed_linear *linear, size_t rows) {
    const size_t tiles_min = workers_count(f->workers) * TILES_PER_WORKER;
    struct tiling tiling = {.panels = kernel_panels(linear->out)};
    tiling.run_panels = linear->type == WEIGHT_TYPE_F32
                            ? RUN_BYTES / kernel_panel_bytes(linear->type, linear->in)
                            : RUN_PANELS;
    tiling.run_panels = higher(1, lower(tiling.run_panels, tiling.panels / tiles_min));
    tiling.runs = divide_up(tiling.panels, tiling.run_panels);
    const size_t blocks = higher(1, lower(divide_up(tiles_min, tiling.runs), rows / BLOCK_ROWS));
    tiling.block_rows = divide_up(divide_up(rows, blocks), KERNEL_LANES) * KERNEL_LANES;
    tiling.tiles = tiling.runs * divide_up(rows, tiling.block_rows);
    return tiling;
}

/* The first weights of a tile. */
static const void *tile_weights(const struct packed_linear *linear, const struct tiling *tiling,
                                size_t tile) {
    size_t panel = tile % tiling->runs * tiling->run_panels;
    return (const char *)linear->weights + panel * kernel_panel_bytes(linear->type, linear->in);
}

/* What the worker reads after a tile: the next of its share; behind it, its share of the next GEMM. */
static const void *weights_after(const struct tiled_gemm *p, size_t tile, size_t worker) {
    const struct workers *w = p->forward->workers;
    struct workers_share share = workers_share(w, p->tiling.tiles, worker);
    if (tile >= share.first && tile + 1 < share.end) return tile_weights(p->linear, &p->tiling, tile + 1);
    if (!p->next) return NULL;
    return tile_weights(p->next, &p->next_tiling, workers_share(w, p->next_tiling.tiles, worker).first);
}

static void run_tile(void *context, size_t tile, size_t worker) {
    const struct tiled_gemm *p = context;
    const struct kernel_table *kernels = p->forward->kernels;
    size_t panel = tile % p->tiling.runs * p->tiling.run_panels,
           row = tile / p->tiling.runs * p->tiling.block_rows;
    size_t panels = lower(p->tiling.panels - panel, p->tiling.run_panels);
    size_t rows = lower(p->rows - row, p->tiling.block_rows);
    struct lowp_gemm m = p->gemm;
    m.base.prefetch = weights_after(p, tile, worker);
    if (p->linear->type == WEIGHT_TYPE_F32)
        kernels->gemm_f32(&m.base, row, rows, panel, panels);
    else
        kernels->gemm_lowp[p->linear->type](&m, row, rows, panel, panels);
}

static struct gemm gemm_of(const struct linear_call *call) {
    return (struct gemm){
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

/* The activations as low-precision weights need them. */
static void convert_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct linear_call *call = context;
    const struct activation_rows rows = {
        .x = call->x,
        .x_stride = call->x_stride,
        .k = call->linear->in,
        .smoothing = call->linear->smoothing,
        .out = (unsigned char *)f->lowp_rows,
    };
    /* Row by row: what is rotated is converted out of the nearest cache. */
    for (size_t r = first; r < first + count; r++) {
        if (call->linear->rotates_rows)
            f->kernels->hadamard_rows(call->x + r * call->x_stride, call->x_stride, 1, rows.k);
        f->kernels->convert_activations[call->linear->type](&rows, r, 1);
    }
}

static void run_own(struct forward *f, const struct linear_call *call, const struct packed_linear *next) {
    const struct packed_linear *linear = call->linear;
    struct tiled_gemm p = {
        .forward = f,
        .linear = linear,
        .next = next,
        .rows = call->rows,
        .gemm = {.base = gemm_of(call), .x = (const unsigned char *)f->lowp_rows, .panels = linear->weights},
        .tiling = tiling_of(f, linear, call->rows),
    };
    if (next) p.next_tiling = tiling_of(f, next, call->rows);
    if (linear->type != WEIGHT_TYPE_F32) forward_each_block(f, call->rows, convert_block, call);
    workers_run(f->workers, run_tile, &p, p.tiling.tiles);
}

struct epilogue_call {
    struct gemm gemm;
    size_t sums_stride;
};

static void epilogue_block(struct forward *f, size_t first, size_t count, const void *context,
                           size_t worker) {
    (void)worker;
    const struct epilogue_call *call = context;
    f->kernels->epilogue_rows(&call->gemm, f->sums, call->sums_stride, first, count);
}

/* OpenBLAS runs the GEMM on its own threads (forward_create sets how many). */
static void run_openblas(struct forward *f, const struct linear_call *call) {
    const struct packed_linear *linear = call->linear;
    struct epilogue_call epilogue = {.gemm = gemm_of(call), .sums_stride = linear->out};
    f->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)call->rows, (blasint)linear->out,
                   (blasint)linear->in, 1, call->x, (blasint)call->x_stride, linear->weights,
                   (blasint)linear->in, 0, f->sums, (blasint)linear->out);
    forward_each_block(f, call->rows, epilogue_block, &epilogue);
}

static bool observe(struct forward *f, const struct linear_call *call) {
    const struct forward_input input = {.linear = call->linear,
                                        .x = call->x,
                                        .stride = call->x_stride,
                                        .rows = call->rows,
                                        .row_scale = call->row_scale};
    return f->observe(f->observe_context, &input);
}

void linear_run(struct forward *f, const struct linear_call *call) {
    assert(f->order[f->order_at] == call->linear);
    assert(!call->linear->rotates_rows || (call->may_rotate && call->linear->type != WEIGHT_TYPE_F32));
    const struct packed_linear *next = f->order[++f->order_at];
    if (f->observe && !f->halted) f->halted = !observe(f, call);
    if (f->halted) return;
    if (f->model->matmul == MATMUL_OWN)
        run_own(f, call, next);
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
    f->kernels->row_scales(call->norm->kind, call->x + first * f->stream_stride, f->stream_stride, count,
                           call->norm->width, call->norm->divisor, call->norm->eps, f->row_scales + first);
}

static void normalize_block(struct forward *f, size_t first, size_t count, const void *context,
                            size_t worker) {
    (void)worker;
    const struct norm_call *call = context;
    const struct packed_norm *norm = call->norm;
    f->kernels->normalize_rows(norm->kind, call->x + first * f->stream_stride, f->stream_stride, count,
                               norm->width, norm->divisor, norm->eps, norm->gain, norm->bias,
                               f->normed + first * f->stream_stride, f->stream_stride);
}

// NOLINTNEXTLINE(readability-non-const-parameter): the linear behind it may rotate it
struct norm_output norm_run(struct forward *f, const struct packed_norm *norm, float *x, size_t rows) {
    struct norm_call call = {.norm = norm, .x = x};
    if (!norm->folded) {
        forward_each_block(f, rows, normalize_block, &call);
        return (struct norm_output){.x = f->normed, .stride = f->stream_stride};
    }
    struct norm_output output = {.x = x, .stride = f->stream_stride};
    if (norm->kind == ROW_NORM_NONE) return output;
    forward_each_block(f, rows, scale_block, &call);
    output.row_scale = f->row_scales;
    return output;
}

void norm_rows(const struct forward *f, const struct packed_norm *norm, float *x, size_t rows) {
    f->kernels->normalize_rows(norm->kind, x, f->stream_stride, rows, norm->width, norm->divisor, norm->eps,
                               norm->gain, norm->bias, x, f->stream_stride);
}
