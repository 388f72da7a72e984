/* The linears of a step, split into tiles for the workers. */
#include <assert.h>

#include "engine/forward/state.h"

/* GEMMs that run together, one or JOINED_MAX, which read the same rows, are split into runs of panels, each by all rows of the
 * step: every panel comes from memory once, and how a tile stays in the caches is the kernel's affair. Tiles are numbered
 * along the panels, so that each worker streams one contiguous part of the weights. Smaller tiles mean less waiting for the
 * slowest worker at the end. Where there are rows enough for each worker to have some of its own, it has these by all panels:
 * it reads rows that it has made itself, and they stay in its cache while the weights pass, which each worker then reads.
 *
 * Runs are as even as whole panels can be, by their bytes, and as many for each worker. With few panels for each worker that
 * is not even enough: runs are then of strips, sixteen columns each, or of some rows of a panel or a strip. Those of the same
 * weights are next to each other in a run, so that neighbours read them, two as a rule. */
#define PANEL_STRIPS     (KERNEL_PANEL / KERNEL_LANES)
#define STRIP_BYTES      (KERNEL_LANES * 4) /* from strip to strip in a panel's first line, whatever the type */
#define BLOCK_ROWS       64                 /* at least, of tiles of panels by blocks of rows */
#define FEW_UNIT_ROWS    4                  /* likewise of some rows of a panel or strip, and */
#define MANY_UNIT_ROWS   16                 /* where there are rows of two blocks or more */
#define READ_ROWS        4                  /* rows whose sums take about as long as reading the weights */
#define RUN_BYTES        ((size_t)32 << 10) /* of weights, at least: claiming a tile has a cost */
#define RUN_PANELS       4  /* of low-precision weights: a panel's epilogue overlaps the next */
#define WIDE_RUN_PANELS  12 /* where BLOCK_ROWS rows or more are read anew by each run, being longer than */
#define WIDE_ROW_BYTES   ((size_t)4 << 10)
#define TILES_PER_WORKER 4                   /* with fewer tiles, rows are split into more blocks */
#define OWN_ROWS         128                 /* of a worker, at least, */
#define OWN_BYTES        ((size_t)768 << 10) /* of such a block at most, if it has more rows */

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t higher(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Of a row that is multiplied, without what stands behind its numbers. */
static size_t row_bytes(const struct packed_linear *linear) {
    static const size_t element[] = {
        [WEIGHT_TYPE_F32] = 4, [WEIGHT_TYPE_BF16] = 2, [WEIGHT_TYPE_INT8] = 1, [WEIGHT_TYPE_INT4] = 1};
    return linear->in * element[linear->type];
}

/* Panels of a run where there are many for each worker. */
static size_t longest_run(const struct packed_linear *linear, size_t rows) {
    if (linear->type != WEIGHT_TYPE_F32)
        return rows >= BLOCK_ROWS && row_bytes(linear) > WIDE_ROW_BYTES ? WIDE_RUN_PANELS : RUN_PANELS;
    return higher(1, RUN_BYTES / kernel_panel_bytes(linear->type, linear->in));
}

static size_t panels_of(const struct packed_linear *const *linear, size_t count) {
    size_t panels = 0;
    for (size_t i = 0; i < count; i++) panels += kernel_panels(linear[i]->out);
    return panels;
}

static size_t strips_of(const struct packed_linear *const *linear, size_t count) {
    size_t strips = 0;
    for (size_t i = 0; i < count; i++) strips += divide_up(linear[i]->out, KERNEL_LANES);
    return strips;
}

/* Else a strip takes as long as its panel. */
static bool may_take_strips(const struct forward *f, const struct packed_linear *const *linear, size_t count,
                            size_t rows) {
    for (size_t i = 0; i < count; i++)
        if (rows > f->kernels->strip_rows[linear[i]->type]) return false;
    return true;
}

/* What runs are made of: `strips` of a panel, all or one, by the rows of one of so many blocks. */
struct unit {
    size_t strips, blocks, rows;
};

/* The smallest block of rows; where a kernel takes more of them at once than that, it has those. */
static size_t least_rows(const struct forward *f, const struct packed_linear *const *linear, size_t count,
                         size_t rows) {
    size_t least = rows < 2 * BLOCK_ROWS ? FEW_UNIT_ROWS : MANY_UNIT_ROWS;
    for (size_t i = 0; i < count; i++) {
        const size_t at_once = f->kernels->tile_rows[linear[i]->type];
        if (at_once > 2 * least) least = at_once;
    }
    return least;
}

/* Relative time of the worker that has most units, of `all` strips. Strips take longer, since they read a third of each
 * line of a panel, and blocks have to save something. */
static size_t slowest(const struct unit *unit, size_t units, size_t all, size_t threads) {
    const size_t own = divide_up(units, threads);
    size_t reads = own / unit->blocks + 2; /* of weights: the first and the last by some of their blocks */
    if (own % unit->blocks == 0) reads = own / unit->blocks;
    if (unit->blocks % own == 0) reads = 1;
    const size_t sums = lower(own * unit->strips, all * unit->blocks) * unit->rows,
                 read = lower(reads * unit->strips, all) * READ_ROWS;
    return (sums + read) * (8 + (unit->strips == 1) + (unit->blocks > 1));
}

/* Those with which the slowest worker is done first. */
static struct unit choose_unit(const struct forward *f, const struct packed_linear *const *linear,
                               size_t count, size_t rows) {
    const size_t panels = panels_of(linear, count), strips = strips_of(linear, count),
                 blocks = divide_up(rows, least_rows(f, linear, count, rows)),
                 block_rows = divide_up(rows, blocks);
    const struct unit choices[] = {
        {PANEL_STRIPS, 1, rows}, {1, 1, rows}, {PANEL_STRIPS, blocks, block_rows}, {1, blocks, block_rows}};
    const size_t kinds = sizeof choices / sizeof *choices;
    size_t best = 0, least = SIZE_MAX;
    for (size_t i = 0; i < kinds; i++) {
        const struct unit *unit = &choices[i];
        if (unit->strips == 1 && !may_take_strips(f, linear, count, rows)) continue;
        const size_t units = (unit->strips == 1 ? strips : panels) * unit->blocks,
                     time = slowest(unit, units, strips, workers_count(f->workers));
        if (time < least) least = time, best = i;
    }
    return choices[best];
}

/* Runs of whole panels, for so many workers that share rows. */
static size_t panel_runs(const struct packed_linear *const *linear, size_t count, size_t rows,
                         size_t threads) {
    const size_t panels = panels_of(linear, count);
    size_t runs = 0;
    for (size_t i = 0; i < count; i++)
        runs += divide_up(kernel_panels(linear[i]->out), threads * longest_run(linear[i], rows)) * threads;
    return lower(panels, higher(runs, threads * TILES_PER_WORKER));
}

/* Runs of smaller units: so many for each worker that a run is worth a panel, if it can. */
static size_t unit_runs(const struct tiling *tiling, size_t threads) {
    const size_t panel = PANEL_STRIPS * lower(tiling->rows, BLOCK_ROWS);
    size_t units = 0;
    for (size_t i = 0; i < tiling->parts; i++) units += tiling->units[i];
    const size_t worth = units * tiling->strips * tiling->unit_rows / (threads * panel);
    return lower(units, threads * lower(TILES_PER_WORKER, higher(1, worth)));
}

/* Bytes of weights that the worker with most units reads, as if of panels: by strips an eighth longer. */
static size_t slowest_bytes(const struct tiling *tiling, const struct unit *unit, size_t threads) {
    const size_t bytes = divide_up(tiling->units[0], threads) * tiling->bytes[0];
    return unit->strips == 1 ? bytes * 9 / 8 : bytes;
}

/* Blocks of rows of which each worker has as many; 0: there are too few rows for that. */
static size_t own_blocks(const struct packed_linear *linear, size_t rows, size_t threads) {
    const size_t bytes = rows * row_bytes(linear), most = rows / (threads * OWN_ROWS);
    return threads * lower(divide_up(bytes, threads * OWN_BYTES), most);
}

/* Of each of so many blocks, or of fewer: whole tiles of rows. */
static size_t rows_of_block(size_t rows, size_t blocks) {
    return divide_up(divide_up(rows, blocks), KERNEL_LANES) * KERNEL_LANES;
}

/* Workers that share a block: one where each has as many blocks as the others, which rounding may leave fewer of. */
static size_t workers_of_block(size_t rows, size_t own, size_t threads) {
    return own && divide_up(rows, rows_of_block(rows, own)) % threads == 0 ? 1 : threads;
}

/* Of panels by all rows, or where there are many by blocks of them. */
static void make_panel_tiles(struct tiling *tiling, size_t runs, size_t own, size_t threads) {
    const size_t wanted = divide_up(threads * TILES_PER_WORKER, runs),
                 many = lower(wanted, tiling->rows / BLOCK_ROWS), blocks = higher(1, higher(many, own));
    tiling->runs = runs;
    tiling->block_rows = rows_of_block(tiling->rows, blocks);
    tiling->tiles = runs * divide_up(tiling->rows, tiling->block_rows);
}

static struct tiling tiling_of(const struct forward *f, const struct packed_linear *const *linear,
                               size_t count, size_t rows) {
    const size_t threads = workers_count(f->workers), own = own_blocks(linear[0], rows, threads),
                 runs = panel_runs(linear, count, rows, workers_of_block(rows, own, threads));
    struct unit unit = {PANEL_STRIPS, 1, rows};
    if (runs * (rows / BLOCK_ROWS) < threads * TILES_PER_WORKER) unit = choose_unit(f, linear, count, rows);
    struct tiling tiling = {.rows = rows,
                            .parts = count,
                            .strips = unit.strips,
                            .blocks = unit.blocks,
                            .unit_rows = unit.rows,
                            .block_rows = rows};
    for (size_t i = 0; i < count; i++) {
        const size_t panels = kernel_panels(linear[i]->out), strips = divide_up(linear[i]->out, KERNEL_LANES);
        tiling.units[i] = (unit.strips == 1 ? strips : panels) * unit.blocks;
        tiling.bytes[i] = kernel_panel_bytes(linear[i]->type, linear[i]->in) * unit.strips / PANEL_STRIPS;
        tiling.all_bytes += tiling.units[i] * tiling.bytes[i];
    }
    if (rows == 1 && count == 1)
        tiling.groups = linear_groups(f, linear[0], slowest_bytes(&tiling, &unit, threads));
    if (tiling.groups)
        tiling.tiles = tiling.runs = linear_groups_tiles(linear[0], tiling.groups);
    else if (unit.strips == PANEL_STRIPS && unit.blocks == 1)
        make_panel_tiles(&tiling, runs, own, threads);
    else
        tiling.tiles = tiling.runs = unit_runs(&tiling, threads);
    return tiling;
}

/* Linears that run together from a place in the order on. */
static size_t parts_at(const struct forward *f, size_t place) {
    if (!f->order[place]) return 0;
    return f->joins[place + 1] ? JOINED_MAX : 1;
}

/* Of so many linears from a place in the order on; NULL of none. It is kept, since most steps have as many rows as the one
 * before, and all threads wait while the caller works it out. */
static const struct tiling *tiling_at(const struct forward *f, size_t place, size_t count, size_t rows) {
    struct tiling *tiling = &f->tilings[place];
    if (count == 0) return NULL;
    if (tiling->rows != rows || tiling->parts != count) *tiling = tiling_of(f, f->order + place, count, rows);
    return tiling;
}

/* The first unit of a part that belongs to a run or to a later one: where that part of all bytes has been passed, rounded. */
static size_t run_start(const struct tiling *tiling, size_t run, size_t part) {
    size_t bytes = (size_t)((uint64_t)tiling->all_bytes * run / tiling->runs);
    for (size_t i = 0; i < part; i++) {
        const size_t before = tiling->units[i] * tiling->bytes[i];
        bytes = bytes < before ? 0 : bytes - before;
    }
    return lower((bytes + tiling->bytes[part] / 2) / tiling->bytes[part], tiling->units[part]);
}

struct tiled_gemm {
    const struct forward *forward;
    const struct packed_linear *const *linears, *const *next_linears; /* of each part */
    const struct tiling *now, *next;                                  /* next: NULL: none */
    struct lowp_gemm gemm[JOINED_MAX]; /* of each part that runs now; of f32: only the base */
};

static const void *strip_weights(const struct packed_linear *linear, size_t strip) {
    return (const char *)linear->weights +
           strip / PANEL_STRIPS * kernel_panel_bytes(linear->type, linear->in) +
           strip % PANEL_STRIPS * STRIP_BYTES;
}

/* The first weights of a tile. */
static const void *tile_weights(const struct packed_linear *const *linear, const struct tiling *tiling,
                                size_t tile) {
    if (tiling->groups) return linear_groups_weights(linear[0], tiling->groups, tile);
    const size_t run = tile % tiling->runs;
    for (size_t i = 0; i < tiling->parts; i++) {
        const size_t first = run_start(tiling, run, i);
        if (first < run_start(tiling, run + 1, i))
            return strip_weights(linear[i], first / tiling->blocks * tiling->strips);
    }
    return NULL;
}

/* What the worker reads after a tile: the next of its share; behind it, its share of the next GEMM. */
static const void *weights_after(const struct tiled_gemm *g, size_t tile, size_t worker) {
    const struct workers *w = g->forward->workers;
    struct workers_share share = workers_share(w, g->now->tiles, worker);
    if (tile >= share.first && tile + 1 < share.end) return tile_weights(g->linears, g->now, tile + 1);
    if (!g->next) return NULL;
    share = workers_share(w, g->next->tiles, worker);
    return share.first < share.end ? tile_weights(g->next_linears, g->next, share.first) : NULL;
}

/* What a tile takes of a linear: strips [first, end), of rows [row, +rows). */
struct gemm_piece {
    const struct packed_linear *linear;
    struct lowp_gemm gemm;
    size_t row, rows, first, end;
};

static void run_panels(const struct forward *f, const struct gemm_piece *p, size_t panel, size_t panels) {
    const enum weight_type type = p->linear->type;
    if (type == WEIGHT_TYPE_F32)
        f->kernels->gemm_f32(&p->gemm.base, p->row, p->rows, panel, panels);
    else
        f->kernels->gemm_lowp[type](&p->gemm, p->row, p->rows, panel, panels);
}

/* As many whole panels as there are, and strips before and behind them, one at a time. prefetch: what is read next. */
static void run_strips(const struct forward *f, struct gemm_piece *p, const void *prefetch) {
    for (size_t strip = p->first, count; strip < p->end; strip += count) {
        const size_t column = strip % PANEL_STRIPS * KERNEL_LANES, panels = (p->end - strip) / PANEL_STRIPS;
        const bool whole = column == 0 && panels > 0;
        count = whole ? panels * PANEL_STRIPS : 1;
        p->gemm.base.columns =
            whole ? (struct panel_columns){0} : (struct panel_columns){column, column + KERNEL_LANES};
        p->gemm.base.prefetch = whole                    ? NULL
                                : strip + count < p->end ? strip_weights(p->linear, strip + count)
                                                         : prefetch;
        run_panels(f, p, strip / PANEL_STRIPS, whole ? panels : 1);
    }
}

static void run_piece(const struct tiled_gemm *g, struct gemm_piece *p, const void *prefetch) {
    if (g->now->strips < PANEL_STRIPS) {
        run_strips(g->forward, p, prefetch);
        return;
    }
    p->gemm.base.prefetch = prefetch;
    run_panels(g->forward, p, p->first / PANEL_STRIPS, (p->end - p->first) / PANEL_STRIPS);
}

/* Units [first, end) of a part, as many as there are by all rows together; before and behind them those of the same weights. */
static void run_units(const struct tiled_gemm *g, size_t part, size_t row, size_t first, size_t end,
                      const void *prefetch) {
    const struct tiling *tiling = g->now;
    const size_t blocks = tiling->blocks;
    for (size_t unit = first, count; unit < end; unit += count) {
        const size_t block = unit % blocks, left = end - unit, strip = unit / blocks * tiling->strips,
                     own_row = row + block * tiling->unit_rows;
        const bool whole = block == 0 && left >= blocks;
        count = whole ? left / blocks * blocks : lower(left, blocks - block);
        const size_t own_rows = whole ? tiling->block_rows : count * tiling->unit_rows;
        struct gemm_piece p = {.linear = g->linears[part],
                               .gemm = g->gemm[part],
                               .row = own_row,
                               .rows = lower(tiling->rows - own_row, own_rows),
                               .first = strip,
                               .end = strip + divide_up(count, blocks) * tiling->strips};
        const void *next = strip_weights(p.linear, (unit + count) / blocks * tiling->strips);
        run_piece(g, &p, unit + count < end ? next : prefetch);
    }
}

static void run_tile(void *context, size_t tile, size_t worker) {
    const struct tiled_gemm *g = context;
    const size_t run = tile % g->now->runs, row = tile / g->now->runs * g->now->block_rows;
    const void *prefetch = weights_after(g, tile, worker);
    for (size_t i = 0; i < g->now->parts; i++)
        run_units(g, i, row, run_start(g->now, run, i), run_start(g->now, run + 1, i), prefetch);
}

static void run_groups(void *context, size_t tile, size_t worker) {
    const struct tiled_gemm *g = context;
    struct lowp_gemm gemm = g->gemm[0];
    gemm.base.prefetch = weights_after(g, tile, worker);
    linear_groups_tile(g->forward, g->linears[0], &gemm, g->now->groups, tile);
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

static void run_own(struct forward *f, const struct linear_call *const *call, size_t count, bool made) {
    const size_t rows = call[0]->rows;
    const size_t place = f->order_at - count;
    struct linear_inputs inputs = {.count = count, .made = made};
    struct tiled_gemm g;
    g.forward = f;
    g.linears = f->order + place;
    g.next_linears = f->order + f->order_at;
    g.now = tiling_at(f, place, count, rows);
    g.next = tiling_at(f, f->order_at, parts_at(f, f->order_at), rows);
    unsigned char *at = (unsigned char *)f->lowp_rows;
    for (size_t i = 0; i < count; i++) {
        const struct packed_linear *linear = call[i]->linear;
        inputs.call[i] = call[i];
        inputs.rows[i] = at;
        g.gemm[i] = (struct lowp_gemm){.base = gemm_of(call[i]), .x = at, .panels = linear->weights};
        at += divide_up(rows * kernel_row_bytes(linear->type, linear->in), KERNEL_ALIGN) * KERNEL_ALIGN;
    }
    inputs_prepare(f, &inputs);
    f->stage = call[0]->stage;
    workers_run(f->workers, g.now->groups ? run_groups : run_tile, &g, g.now->tiles);
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
    const bool own = f->model->matmul == MATMUL_OWN, observed = f->observe && !f->halted;
    if (observed || !own) inputs_make(f, call[0]);
    for (size_t i = 0; i < count; i++) {
        const struct packed_linear *linear = call[i]->linear;
        assert(f->order[f->order_at] == linear);
        assert(!linear->rotates_rows || (call[i]->may_rotate && linear->type != WEIGHT_TYPE_F32));
        f->order_at++;
        if (observed && !f->halted) f->halted = !observe(f, call[i]);
    }
    if (f->halted) {
        f->deferred_count = 0;
        return;
    }
    if (own)
        run_own(f, call, count, observed);
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
