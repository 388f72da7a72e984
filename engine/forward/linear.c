/* Products of a step, spread over the workers in tiles; and the norms in front of them. */
#include <assert.h>

#include "engine/forward/state.h"

/* A product is cut into blocks of rows whose activations stay in a second level cache beside a few panels,
 * and each block into runs of panels. Tiles go along the panels of a block, so that a worker's share is one
 * stretch of the weights, which it streams; the smaller its tiles, the less one worker waits for another at
 * the end. */
#define BLOCK_BYTES      ((size_t)1 << 20)
#define BLOCK_ROWS       64                 /* at least */
#define RUN_BYTES        ((size_t)32 << 10) /* of weights, at least: to claim a tile costs something too */
#define RUN_PANELS       4                  /* of narrow weights: a panel is finished during the next */
#define TILES_PER_WORKER 4                  /* more blocks of rows, where there are fewer */

struct cut {
    size_t panels, run_panels, runs, block_rows, tiles;
};

struct product {
    const struct forward *forward;
    const struct packed_linear *linear, *next; /* next: or NULL */
    struct narrow_matmul matmul;               /* of f32: only the rest */
    size_t rows;
    struct cut cut, next_cut;
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

static size_t row_bytes(const struct packed_linear *linear) {
    return linear->type == WEIGHT_TYPE_F32 ? linear->in * sizeof(float)
                                           : kernel_row_bytes(linear->type, linear->in);
}

static struct cut cut_of(const struct forward *f, const struct packed_linear *linear, size_t rows) {
    const size_t tiles_min = workers_count(f->workers) * TILES_PER_WORKER;
    struct cut cut = {.panels = kernel_panels(linear->out)};
    cut.run_panels = linear->type == WEIGHT_TYPE_F32
                         ? RUN_BYTES / kernel_panel_bytes(linear->type, linear->in)
                         : RUN_PANELS;
    cut.run_panels = higher(1, lower(cut.run_panels, cut.panels / tiles_min));
    cut.runs = divide_up(cut.panels, cut.run_panels);
    size_t blocks = higher(divide_up(rows * row_bytes(linear), BLOCK_BYTES), divide_up(tiles_min, cut.runs));
    blocks = higher(1, lower(blocks, rows / BLOCK_ROWS));
    cut.block_rows = divide_up(divide_up(rows, blocks), KERNEL_LANES) * KERNEL_LANES;
    cut.tiles = cut.runs * divide_up(rows, cut.block_rows);
    return cut;
}

/* The first weights of a tile. */
static const void *tile_weights(const struct packed_linear *linear, const struct cut *cut, size_t tile) {
    size_t panel = tile % cut->runs * cut->run_panels;
    return (const char *)linear->weights + panel * kernel_panel_bytes(linear->type, linear->in);
}

/* What the worker reads after a tile: the next of its share; behind it, its share of the next product. */
static const void *weights_after(const struct product *p, size_t tile, size_t worker) {
    const struct workers *w = p->forward->workers;
    struct workers_share share = workers_share(w, p->cut.tiles, worker);
    if (tile >= share.first && tile + 1 < share.end) return tile_weights(p->linear, &p->cut, tile + 1);
    if (!p->next) return NULL;
    return tile_weights(p->next, &p->next_cut, workers_share(w, p->next_cut.tiles, worker).first);
}

static void run_tile(void *context, size_t tile, size_t worker) {
    const struct product *p = context;
    const struct kernel_table *kernels = p->forward->kernels;
    size_t panel = tile % p->cut.runs * p->cut.run_panels, row = tile / p->cut.runs * p->cut.block_rows;
    size_t panels = lower(p->cut.panels - panel, p->cut.run_panels);
    size_t rows = lower(p->rows - row, p->cut.block_rows);
    struct narrow_matmul m = p->matmul;
    m.rest.ahead = weights_after(p, tile, worker);
    if (p->linear->type == WEIGHT_TYPE_F32)
        kernels->matmul_f32(&m.rest, row, rows, panel, panels);
    else
        kernels->matmul_narrow[p->linear->type](&m, row, rows, panel, panels);
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

static void run_own(struct forward *f, const struct linear_call *call, const struct packed_linear *next) {
    const struct packed_linear *linear = call->linear;
    struct product p = {
        .forward = f,
        .linear = linear,
        .next = next,
        .rows = call->rows,
        .matmul = {.rest = matmul_of(call), .x = (const unsigned char *)f->narrow, .panels = linear->weights},
        .cut = cut_of(f, linear, call->rows),
    };
    if (next) p.next_cut = cut_of(f, next, call->rows);
    if (linear->type != WEIGHT_TYPE_F32) forward_each_block(f, call->rows, prepare_block, call);
    workers_run(f->workers, run_tile, &p, p.cut.tiles);
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
    f->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)call->rows, (blasint)linear->out,
                   (blasint)linear->in, 1, call->x, (blasint)call->x_stride, linear->weights,
                   (blasint)linear->in, 0, f->sums, (blasint)linear->out);
    forward_each_block(f, call->rows, finish_block, &finish);
}

void linear_run(struct forward *f, const struct linear_call *call) {
    assert(f->order[f->order_at] == call->linear);
    const struct packed_linear *next = f->order[++f->order_at];
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
