/* The linears of a step, split into tiles for the workers, and the norms in front of them. */
#include <assert.h>

#include "engine/forward/state.h"

/* A GEMM is split into runs of panels, each by all rows of the step: every panel comes from memory
 * once, and how a tile stays in the caches is the kernel's affair. Tiles are numbered along the panels, so
 * that each worker streams one contiguous part of the weights. Smaller tiles mean less waiting for the
 * slowest worker at the end. Runs are as even as whole panels can be, and as many for each worker. */
#define BLOCK_ROWS       64                 /* at least, where rows are split */
#define RUN_BYTES        ((size_t)32 << 10) /* of weights, at least: claiming a tile has a cost */
#define RUN_PANELS       4 /* of low-precision weights: a panel's epilogue overlaps the next */
#define TILES_PER_WORKER 4 /* with fewer tiles, rows are split into more blocks */

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t higher(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Panels of a run where there are many for each worker. */
static size_t longest_run(const struct packed_linear *linear) {
    if (linear->type != WEIGHT_TYPE_F32) return RUN_PANELS;
    return higher(1, RUN_BYTES / kernel_panel_bytes(linear->type, linear->in));
}

static struct tiling tiling_of(const struct forward *f, const struct packed_linear *linear, size_t rows) {
    const size_t threads = workers_count(f->workers), tiles_min = threads * TILES_PER_WORKER;
    struct tiling tiling = {.rows = rows,
                            .panels = kernel_panels(linear->out),
                            .panel_bytes = kernel_panel_bytes(linear->type, linear->in)};
    const size_t runs = divide_up(tiling.panels, threads * longest_run(linear)) * threads;
    tiling.runs = lower(tiling.panels, higher(runs, tiles_min));
    const size_t blocks = higher(1, lower(divide_up(tiles_min, tiling.runs), rows / BLOCK_ROWS));
    tiling.block_rows = divide_up(divide_up(rows, blocks), KERNEL_LANES) * KERNEL_LANES;
    tiling.tiles = tiling.runs * divide_up(rows, tiling.block_rows);
    return tiling;
}

/* Of the linear at a place in the order. It is kept, since most steps have as many rows as the one before, and all threads wait
 * while the caller works it out. */
static const struct tiling *tiling_at(const struct forward *f, size_t place, size_t rows) {
    struct tiling *tiling = &f->tilings[place];
    if (tiling->rows != rows) *tiling = tiling_of(f, f->order[place], rows);
    return tiling;
}

/* The first panel of a run, and the end of the last. */
static size_t run_start(const struct tiling *tiling, size_t run) {
    return tiling->panels * run / tiling->runs;
}

/* Linears that run together, one or JOINED_MAX, which read the same rows; all tiles of the first before those of the next. */
#define JOINED_MAX 2
struct gemm_part {
    const struct packed_linear *linear;
    const struct tiling *tiling;
    size_t tile; /* its first */
};

struct gemm_parts {
    struct gemm_part part[JOINED_MAX];
    size_t count, tiles;
};

struct tiled_gemm {
    const struct forward *forward;
    struct gemm_parts now, next;       /* next: perhaps none */
    struct lowp_gemm gemm[JOINED_MAX]; /* of each part that runs now; of f32: only the base */
    size_t rows;
};

/* So many linears from a place in the order on. */
static void set_parts(const struct forward *f, size_t place, size_t count, size_t rows,
                      struct gemm_parts *parts) {
    parts->count = parts->tiles = 0;
    for (; parts->count < count; parts->count++, place++) {
        const struct tiling *tiling = tiling_at(f, place, rows);
        parts->part[parts->count] =
            (struct gemm_part){.linear = f->order[place], .tiling = tiling, .tile = parts->tiles};
        parts->tiles += tiling->tiles;
    }
}

/* Linears that run together from a place in the order on. */
static size_t parts_at(const struct forward *f, size_t place) {
    if (!f->order[place]) return 0;
    return f->joins[place + 1] ? JOINED_MAX : 1;
}

static const struct gemm_part *part_of(const struct gemm_parts *parts, size_t tile) {
    size_t i = parts->count - 1;
    while (parts->part[i].tile > tile) i--;
    return &parts->part[i];
}

/* The first weights of a tile. */
static const void *tile_weights(const struct gemm_parts *parts, size_t tile) {
    const struct gemm_part *p = part_of(parts, tile);
    const size_t panel = run_start(p->tiling, (tile - p->tile) % p->tiling->runs);
    return (const char *)p->linear->weights + panel * p->tiling->panel_bytes;
}

/* What the worker reads after a tile: the next of its share; behind it, its share of the next GEMM. */
static const void *weights_after(const struct tiled_gemm *g, size_t tile, size_t worker) {
    const struct workers *w = g->forward->workers;
    struct workers_share share = workers_share(w, g->now.tiles, worker);
    if (tile >= share.first && tile + 1 < share.end) return tile_weights(&g->now, tile + 1);
    share = workers_share(w, g->next.tiles, worker);
    return share.first < share.end ? tile_weights(&g->next, share.first) : NULL;
}

static void run_tile(void *context, size_t tile, size_t worker) {
    const struct tiled_gemm *g = context;
    const struct kernel_table *kernels = g->forward->kernels;
    const struct gemm_part *p = part_of(&g->now, tile);
    const struct tiling *tiling = p->tiling;
    size_t run = (tile - p->tile) % tiling->runs, panel = run_start(tiling, run),
           panels = run_start(tiling, run + 1) - panel,
           row = (tile - p->tile) / tiling->runs * tiling->block_rows;
    size_t rows = lower(g->rows - row, tiling->block_rows);
    struct lowp_gemm m = g->gemm[p - g->now.part];
    m.base.prefetch = weights_after(g, tile, worker);
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

/* Linears that run together, and where the rows that each reads are. */
struct joined_calls {
    const struct linear_call *call[JOINED_MAX];
    unsigned char *rows[JOINED_MAX];
    size_t count;
};

/* The activations as low-precision weights need them. */
static void convert_call(const struct forward *f, const struct joined_calls *calls, size_t index,
                         size_t first, size_t count) {
    const struct linear_call *call = calls->call[index];
    const struct activation_rows rows = {
        .x = call->x,
        .x_stride = call->x_stride,
        .k = call->linear->in,
        .smoothing = call->linear->smoothing,
        .out = calls->rows[index],
    };
    if (call->linear->type == WEIGHT_TYPE_F32) return;
    /* Row by row: what is rotated is converted out of the nearest cache. */
    for (size_t r = first; r < first + count; r++) {
        if (call->linear->rotates_rows)
            f->kernels->hadamard_rows(call->x + r * call->x_stride, call->x_stride, 1, rows.k);
        f->kernels->convert_activations[call->linear->type](&rows, r, 1);
    }
}

static void convert_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)worker;
    const struct joined_calls *calls = context;
    for (size_t i = 0; i < calls->count; i++) convert_call(f, calls, i, first, count);
}

static void run_own(struct forward *f, const struct linear_call *const *call, size_t count) {
    const size_t rows = call[0]->rows;
    struct joined_calls calls;
    struct tiled_gemm g;
    g.forward = f;
    g.rows = rows;
    calls.count = count;
    set_parts(f, f->order_at - count, count, rows, &g.now);
    set_parts(f, f->order_at, parts_at(f, f->order_at), rows, &g.next);
    unsigned char *at = (unsigned char *)f->lowp_rows;
    bool converts = false;
    for (size_t i = 0; i < count; i++) {
        const struct packed_linear *linear = call[i]->linear;
        calls.call[i] = call[i];
        calls.rows[i] = at;
        g.gemm[i] = (struct lowp_gemm){.base = gemm_of(call[i]), .x = at, .panels = linear->weights};
        at += divide_up(rows * kernel_row_bytes(linear->type, linear->in), KERNEL_ALIGN) * KERNEL_ALIGN;
        converts |= linear->type != WEIGHT_TYPE_F32;
    }
    if (converts) forward_each_block(f, rows, convert_block, &calls);
    workers_run(f->workers, run_tile, &g, g.now.tiles);
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

static void run_joined(struct forward *f, const struct linear_call *const *call, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct packed_linear *linear = call[i]->linear;
        assert(f->order[f->order_at] == linear);
        assert(!linear->rotates_rows || (call[i]->may_rotate && linear->type != WEIGHT_TYPE_F32));
        f->order_at++;
        if (f->observe && !f->halted) f->halted = !observe(f, call[i]);
    }
    if (f->halted) return;
    if (f->model->matmul == MATMUL_OWN)
        run_own(f, call, count);
    else
        for (size_t i = 0; i < count; i++) run_openblas(f, call[i]);
}

void linear_run(struct forward *f, const struct linear_call *call) {
    run_joined(f, &call, 1);
}

void linear_run_joined(struct forward *f, const struct linear_call *first, const struct linear_call *second) {
    assert(first->rows == second->rows);
    if (f->joins[f->order_at + 1]) {
        run_joined(f, (const struct linear_call *[]){first, second}, 2);
        return;
    }
    linear_run(f, first);
    linear_run(f, second);
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
