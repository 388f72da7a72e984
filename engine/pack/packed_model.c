#include "engine/pack/packed_model.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/finite.h"
#include "engine/pack/loud_feedback.h"
#include "engine/pack/pack_rows.h"
#include "engine/pack/smoothing.h"

#define PAGE_BYTES 4096 /* the smallest that a system has */
/* Rows that one tile folds and packs: whole panels. */
#define BLOCK_ROWS KERNEL_PANEL
/* Where rows are rotated: whole panels and whole blocks, so that each row is read once. */
#define ROTATED_BLOCK_ROWS (4 * KERNEL_PANEL)
_Static_assert(ROTATED_BLOCK_ROWS % ROTATION_ORDER_MAX == 0, "of whole blocks of a rotation");
/* Columns of an output projection that one tile prepares. */
#define PREPARE_COLUMNS   2048
#define LAYER_LINEARS_MAX 5
#define END_LINEARS_MAX   3
/* Layers from which on the last one's MLP is finer: it is 1/36 of their weights where an MLP is two thirds of a layer,
 * and less than 1/24 in any. */
#define FINER_MLP_LAYERS 24
/* The part of the head's rows that is finer. */
#define COMMON_PART  16
#define ALIGN_FLOATS (KERNEL_ALIGN / sizeof(float))

/* ---- layout of the one allocation ---- */

/* Hands out aligned pieces of one allocation; without a base it only adds up their sizes. */
struct arena {
    float *base;
    size_t used;
    bool fresh; /* the memory is uninitialised: pieces that packing does not write in full are set to zero */
    enum matmul_kind matmul;
    enum weight_type weights, head;
    size_t quiet; /* channels of the stream */
};

static float *arena_reserve_unset(struct arena *arena, size_t floats) {
    float *piece = arena->base ? arena->base + arena->used : NULL;
    arena->used += (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return piece;
}

static float *arena_reserve(struct arena *arena, size_t floats) {
    size_t before = arena->used;
    float *piece = arena_reserve_unset(arena, floats);
    if (piece && arena->fresh) memset(piece, 0, (arena->used - before) * sizeof *piece);
    return piece;
}

size_t packed_linear_bytes(const struct packed_linear *l) {
    if (l->matmul == MATMUL_OPENBLAS) return l->out * l->in * sizeof(float);
    return kernel_panels(l->out) * kernel_panel_bytes(l->type, l->in);
}

/* rows: of `from`, that it has. */
static void reserve_rows(struct arena *arena, const struct folded_linear *from, size_t rows,
                         enum weight_type type, struct packed_linear *to) {
    *to = (struct packed_linear){.out = rows,
                                 .in = from->in,
                                 .matmul = arena->matmul,
                                 .type = type,
                                 .rotates_rows = from->rotates_rows};
    to->weights = arena_reserve_unset(arena, packed_linear_bytes(to) / sizeof(float));
    if (folded_linear_has_bias(from)) to->bias = arena_reserve(arena, kernel_panels(rows) * KERNEL_PANEL);
    if (smoothing_is_used(from, type)) to->smoothing = arena_reserve(arena, from->in);
}

static void reserve_linear(struct arena *arena, const struct folded_linear *from, enum weight_type type,
                           struct packed_linear *to) {
    reserve_rows(arena, from, from->out, type, to);
}

/* A head in int4 too raises the perplexity by a quarter more (docs/decisions.md), so it is only asked for. */
struct packed_types packed_types_of(enum weight_type weights, enum head_weights asked) {
    const bool narrowed = weights == WEIGHT_TYPE_INT4 && asked != HEAD_WEIGHTS_INT4;
    return (struct packed_types){.linears = weights, .head = narrowed ? WEIGHT_TYPE_INT8 : weights};
}

/* docs/decisions.md has figures. */
enum weight_type packed_values_type(const struct model_description *d, enum weight_type weights) {
    if (d->heads < 2 * d->kv_heads) return weights;
    return weights == WEIGHT_TYPE_INT8   ? WEIGHT_TYPE_BF16
           : weights == WEIGHT_TYPE_INT4 ? WEIGHT_TYPE_INT8
                                         : weights;
}

enum weight_type packed_mlp_type(const struct model_description *d, enum weight_type weights, size_t layer) {
    const bool finer = weights == WEIGHT_TYPE_INT8 && d->layers >= FINER_MLP_LAYERS && layer + 1 == d->layers;
    return finer ? WEIGHT_TYPE_BF16 : weights;
}

enum weight_type packed_mlp_output_type(const struct folded_model *c, enum weight_type weights,
                                        size_t layer) {
    if (weights == WEIGHT_TYPE_INT8 && c->layers[layer].mlp.massive) return WEIGHT_TYPE_BF16;
    return packed_mlp_type(c->description, weights, layer);
}

size_t packed_common_rows(const struct model_description *d, struct packed_types types) {
    const size_t rows = kernel_panels(d->vocabulary / COMMON_PART) * KERNEL_PANEL;
    return types.linears == WEIGHT_TYPE_INT8 && rows < d->vocabulary / 2 ? rows : 0;
}

/* heads: how many share a norm of one head's width (1 for other norms). */
static void reserve_norm(struct arena *arena, const struct folded_norm *from, size_t heads,
                         struct packed_norm *to) {
    *to = (struct packed_norm){
        .kind = from->kind,
        .folded = from->folded,
        .width = from->width,
        .divisor = (float)from->divisor,
        .eps = (float)from->eps,
        .gain_stride = heads > 1 ? from->width : 0,
    };
    if (from->gain) to->gain = arena_reserve(arena, from->width * heads);
    if (from->shift) to->bias = arena_reserve(arena, from->width * heads);
    if (from->folded && arena->quiet) to->quiet = arena_reserve(arena, arena->quiet);
}

static size_t norm_heads(const struct model_description *d, size_t heads) {
    return d->qk_norm == QK_NORM_PER_HEAD ? heads : 1;
}

static void reserve_sublayer(struct arena *arena, const struct folded_model *c,
                             const struct folded_sublayer *from, enum weight_type type,
                             struct packed_sublayer *to) {
    *to = (struct packed_sublayer){
        .residual_factor = (float)from->residual_factor,
        .rescale = (float)from->rescale,
        .centre_post = from->centre_post,
        .stream_width = from->stream_width,
    };
    reserve_norm(arena, &from->norm, 1, &to->norm);
    reserve_norm(arena, &from->outer_norm, 1, &to->outer_norm);
    reserve_norm(arena, &from->inner_norm, 1, &to->inner_norm);
    reserve_norm(arena, &from->post_norm, 1, &to->post_norm);
    reserve_linear(arena, &from->output, type, &to->output);
    if (from->residual_scale) to->residual_scale = arena_reserve(arena, c->description->width);
}

static void reserve_layer(struct arena *arena, const struct folded_model *c, size_t i,
                          struct packed_layer *to) {
    const struct folded_layer *from = &c->layers[i];
    const enum weight_type mlp = packed_mlp_type(c->description, arena->weights, i);
    reserve_sublayer(arena, c, &from->attention, arena->weights, &to->attention);
    reserve_sublayer(arena, c, &from->mlp, packed_mlp_output_type(c, arena->weights, i), &to->mlp);
    reserve_norm(arena, &from->query_norm, norm_heads(c->description, c->description->heads),
                 &to->query_norm);
    reserve_norm(arena, &from->key_norm, norm_heads(c->description, c->description->kv_heads), &to->key_norm);
    const enum weight_type values = packed_values_type(c->description, arena->weights);
    const size_t apart = values == arena->weights ? 0 : c->description->kv_heads * c->description->head_dim;
    reserve_rows(arena, &from->qkv, from->qkv.out - apart, arena->weights, &to->qkv);
    reserve_linear(arena, &from->up, mlp, &to->up);
    to->values = (struct packed_linear){0};
    if (apart) reserve_rows(arena, &from->qkv, apart, values, &to->values);
}

/* Everything of the model; p->layers may be NULL when only the size matters. */
static void reserve_all(struct arena *arena, const struct folded_model *c, struct packed_model *p) {
    struct packed_layer unused;
    arena->quiet = arena->weights == WEIGHT_TYPE_INT8 ? c->quiet_count : 0;
    for (size_t i = 0; i < c->description->layers; i++)
        reserve_layer(arena, c, i, p->layers ? &p->layers[i] : &unused);
    reserve_norm(arena, &c->final_norm, 1, &p->final_norm);
    if (c->project_out.part_count) reserve_linear(arena, &c->project_out, arena->weights, &p->project_out);
    const size_t common = packed_common_rows(
        c->description, (struct packed_types){.linears = arena->weights, .head = arena->head});
    p->common = (struct packed_linear){0};
    if (common) reserve_rows(arena, &c->head, common, WEIGHT_TYPE_BF16, &p->common);
    reserve_rows(arena, &c->head, c->head.out - common, arena->head, &p->head);
}

size_t packed_model_bytes(const struct folded_model *c, enum matmul_kind matmul, struct packed_types types) {
    struct arena arena = {.matmul = matmul, .weights = types.linears, .head = types.head};
    struct packed_model size_only = {0};
    reserve_all(&arena, c, &size_only);
    return arena.used * sizeof(float);
}

/* ---- the work: every linear, in blocks of rows ---- */

struct job {
    struct folded_linear *from;
    struct packed_linear *to;
    size_t first_row;  /* of `from` */
    size_t first_tile; /* tiles of the jobs before it */
    size_t tile_rows;
    size_t first_prepared; /* tiles of preparing the jobs before it */
};

struct packing {
    const struct packed_model *model;
    struct job *jobs;
    size_t job_count, tile_count, prepare_count;
    struct feedback_block *feedback; /* of the stream's blocks, or NULL */
    double *scratch;                 /* [workers][scratch_stride] */
    size_t scratch_stride;
    atomic_size_t done;
    atomic_size_t not_finite; /* the first job of which something is no finite number; job_count: none */
    pack_progress_fn progress;
    void *context;
};

static void add_job(struct packing *p, struct folded_linear *from, size_t first_row,
                    struct packed_linear *to) {
    size_t rows = from->rotate_out.order ? ROTATED_BLOCK_ROWS : BLOCK_ROWS;
    p->jobs[p->job_count++] = (struct job){.from = from,
                                           .to = to,
                                           .first_row = first_row,
                                           .first_tile = p->tile_count,
                                           .tile_rows = rows,
                                           .first_prepared = p->prepare_count};
    p->tile_count += (to->out + rows - 1) / rows;
    if (from->centre_out) p->prepare_count += (from->in + PREPARE_COLUMNS - 1) / PREPARE_COLUMNS;
}

static const struct job *job_of_tile(const struct packing *p, size_t tile) {
    size_t low = 0, high = p->job_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (p->jobs[middle].first_tile <= tile)
            low = middle;
        else
            high = middle;
    }
    return &p->jobs[low];
}

/* A stretch of columns of an output projection. */
static void prepare_tile(void *context, size_t tile, size_t worker) {
    struct packing *p = context;
    const struct job *job = p->jobs;
    (void)worker;
    while (job + 1 < p->jobs + p->job_count && job[1].first_prepared <= tile) job++;
    const size_t column = (tile - job->first_prepared) * PREPARE_COLUMNS, left = job->from->in - column;
    folded_linear_prepare_columns(job->from, column, left < PREPARE_COLUMNS ? left : PREPARE_COLUMNS);
}

static void smooth_job(void *context, size_t job, size_t worker) {
    struct packing *p = context;
    (void)worker;
    if (p->jobs[job].to->smoothing) smoothing_set(p->jobs[job].from, p->jobs[job].to->smoothing);
}

static void keep_first(atomic_size_t *first, size_t job) {
    size_t found = atomic_load_explicit(first, memory_order_relaxed);
    while (job < found && !atomic_compare_exchange_weak_explicit(first, &found, job, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
    }
}

static void pack_tile(void *context, size_t tile, size_t worker) {
    struct packing *p = context;
    const struct job *job = job_of_tile(p, tile);
    size_t first = (tile - job->first_tile) * job->tile_rows;
    size_t count = job->to->out - first < job->tile_rows ? job->to->out - first : job->tile_rows;
    if (!pack_rows(job->from, job->first_row, job->to, first, count, p->feedback,
                   p->scratch + worker * p->scratch_stride))
        keep_first(&p->not_finite, (size_t)(job - p->jobs));
    size_t done = atomic_fetch_add_explicit(&p->done, 1, memory_order_relaxed) + 1;
    if (p->progress && worker == 0) p->progress(p->context, (double)done / (double)p->tile_count);
}

static void round_vector(const double *from, size_t count, float *to) {
    for (size_t i = 0; from && i < count; i++) to[i] = (float)from[i];
}

static void pack_norm(const struct folded_norm *from, size_t heads, const struct packed_norm *to) {
    round_vector(from->gain, from->width * heads, to->gain);
    round_vector(from->shift, from->width * heads, to->bias);
}

static void pack_sublayer_norms(const struct folded_model *c, const struct folded_sublayer *from,
                                const struct packed_sublayer *to) {
    pack_norm(&from->norm, 1, &to->norm);
    quiet_factors_set(c, &from->norm, to->norm.quiet);
    pack_norm(&from->outer_norm, 1, &to->outer_norm);
    pack_norm(&from->inner_norm, 1, &to->inner_norm);
    pack_norm(&from->post_norm, 1, &to->post_norm);
    round_vector(from->residual_scale, c->description->width, to->residual_scale);
}

static void pack_norms(const struct folded_model *c, const struct packed_model *p) {
    const struct model_description *d = c->description;
    for (size_t i = 0; i < d->layers; i++) {
        const struct folded_layer *from = &c->layers[i];
        const struct packed_layer *to = &p->layers[i];
        pack_sublayer_norms(c, &from->attention, &to->attention);
        pack_sublayer_norms(c, &from->mlp, &to->mlp);
        pack_norm(&from->query_norm, norm_heads(d, d->heads), &to->query_norm);
        pack_norm(&from->key_norm, norm_heads(d, d->kv_heads), &to->key_norm);
    }
    pack_norm(&c->final_norm, 1, &p->final_norm);
    quiet_factors_set(c, &c->final_norm, p->final_norm.quiet);
}

static void add_jobs(struct packing *p, struct folded_model *c, struct packed_model *model) {
    for (size_t i = 0; i < c->description->layers; i++) {
        add_job(p, &c->layers[i].qkv, 0, &model->layers[i].qkv);
        if (model->layers[i].values.out)
            add_job(p, &c->layers[i].qkv, model->layers[i].qkv.out, &model->layers[i].values);
        add_job(p, &c->layers[i].attention.output, 0, &model->layers[i].attention.output);
        add_job(p, &c->layers[i].up, 0, &model->layers[i].up);
        add_job(p, &c->layers[i].mlp.output, 0, &model->layers[i].mlp.output);
    }
    if (c->project_out.part_count) add_job(p, &c->project_out, 0, &model->project_out);
    if (model->common.out) add_job(p, &c->head, 0, &model->common);
    add_job(p, &c->head, model->common.out, &model->head);
}

/* The checkpoint's pages are not needed any more; rows of the embedding are read again when they are looked
 * up. */
static void release_checkpoint(const struct folded_model *c) {
    const struct checkpoint *checkpoint = c->views->checkpoint;
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++)
        checkpoint_release(checkpoint, checkpoint_at(checkpoint, i));
}

/* A worker writes to each page of the panels that it is going to read, so that they lie in the memory of its node: of every
 * linear its share of the panels, which is what a GEMM gives it (engine/forward/linear.c), but for a panel at the ends. */
struct placing {
    const struct packed_model *model;
    const struct workers *workers;
};

struct placing_worker {
    const struct workers *workers;
    size_t worker;
};

static void touch_linear(void *context, const struct packed_linear *l) {
    const struct placing_worker *p = context;
    const size_t bytes = kernel_panel_bytes(l->type, l->in);
    const struct workers_share share = workers_share(p->workers, kernel_panels(l->out), p->worker);
    volatile unsigned char *weights = l->weights;
    for (size_t i = share.first * bytes; i < share.end * bytes; i += PAGE_BYTES) weights[i] = 0;
}

static void touch_own(void *context, size_t tile, size_t worker) {
    const struct placing *p = context;
    struct placing_worker own = {.workers = p->workers, .worker = tile};
    (void)worker;
    packed_model_each_linear(p->model, touch_linear, &own);
}

static void place_weights(const struct packed_model *model, struct workers *workers) {
    struct placing placing = {.model = model, .workers = workers};
    if (workers_nodes(workers) > 1 && model->matmul == MATMUL_OWN)
        workers_run_each(workers, touch_own, &placing);
}

/* By the tensor that has it; where all are finite, something that is folded into them makes them too large. */
static enum status check_finite(const struct packing *p, struct error *e) {
    if (p->not_finite == p->job_count) return STATUS_OK;
    const struct job *job = &p->jobs[p->not_finite];
    for (size_t i = 0; i < job->from->part_count; i++) {
        const enum status status = finite_check_matrix(&job->from->part[i].weight, e);
        if (status != STATUS_OK) return status;
    }
    return error_set(e, STATUS_MALFORMED, job->from->part[0].weight.tensor->name,
                     "is more than %s holds once its norms and scales are folded into it",
                     weight_type_name(job->to->type));
}

static enum status pack_all(struct packed_model *model, struct folded_model *c, struct workers *workers,
                            pack_progress_fn progress, void *context, struct error *e) {
    struct packing p = {.model = model, .progress = progress, .context = context};
    p.scratch_stride = pack_rows_scratch(c);
    p.jobs = memory_aligned(c->description->layers * LAYER_LINEARS_MAX + END_LINEARS_MAX, sizeof *p.jobs,
                            "packing", e);
    p.scratch = memory_aligned(workers_count(workers) * p.scratch_stride, sizeof *p.scratch, "packing", e);
    enum status status = p.jobs && p.scratch ? loud_feedback_create(c, &p.feedback, e) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        place_weights(model, workers);
        add_jobs(&p, c, model);
        pack_norms(c, model);
        workers_run(workers, prepare_tile, &p, p.prepare_count);
        workers_run(workers, smooth_job, &p, p.job_count);
        p.not_finite = p.job_count;
        workers_run(workers, pack_tile, &p, p.tile_count);
        release_checkpoint(c);
        status = check_finite(&p, e);
    }
    free(p.jobs);
    free(p.feedback);
    free(p.scratch);
    return status;
}

static void find_widest(void *context, const struct packed_linear *l) {
    size_t *widest = context;
    if (l->in > *widest) *widest = l->in;
}

static enum status check_types(const struct packed_model *p, struct error *e) {
    bool whole = p->weights == WEIGHT_TYPE_INT8 || p->weights == WEIGHT_TYPE_INT4;
    size_t widest = 0;
    enum status status = matmul_check(p->matmul, p->weights, e);
    if (status != STATUS_OK) return status;
    packed_model_each_linear(p, find_widest, &widest);
    if (whole && widest > KERNEL_INT4_K_MAX)
        return error_set(e, STATUS_OPTION, "weights",
                         "a linear of this model has %zu inputs, at most %d can be summed", widest,
                         KERNEL_INT4_K_MAX);
    return STATUS_OK;
}

/* Lays everything out in memory, which is written by the caller or was before (not fresh). */
static enum status reserve_model(struct packed_model *p, const struct folded_model *c,
                                 struct packed_types types, bool fresh, struct error *e) {
    struct arena arena = {
        .base = p->memory, .fresh = fresh, .matmul = p->matmul, .weights = types.linears, .head = types.head};
    p->layers = memory_aligned(c->description->layers, sizeof *p->layers, "packed layers", e);
    if (!p->layers) return STATUS_NO_MEMORY;
    reserve_all(&arena, c, p);
    enum status status = quiet_directions_init(&p->quiet, c, e);
    return status == STATUS_OK ? check_types(p, e) : status;
}

enum status packed_model_init(struct packed_model *p, struct folded_model *c, enum matmul_kind matmul,
                              struct packed_types types, struct workers *workers, pack_progress_fn progress,
                              void *context, struct error *e) {
    *p = (struct packed_model){
        .folded = c, .description = c->description, .matmul = matmul, .weights = types.linears};
    p->memory_floats = packed_model_bytes(c, matmul, types) / sizeof(float);
    p->memory = memory_aligned_unset(p->memory_floats, sizeof(float), "packed weights", e);
    if (!p->memory) return STATUS_NO_MEMORY;
    enum status status = reserve_model(p, c, types, true, e);
    return status == STATUS_OK ? pack_all(p, c, workers, progress, context, e) : status;
}

enum status packed_model_map(struct packed_model *p, const struct folded_model *c, struct packed_types types,
                             const void *memory, size_t bytes, struct error *e) {
    *p = (struct packed_model){
        .folded = c, .description = c->description, .weights = types.linears, .borrowed = true};
    size_t expected = packed_model_bytes(c, MATMUL_OWN, types);
    assert((uintptr_t)memory % KERNEL_ALIGN == 0);
    if (bytes != expected)
        return error_set(e, STATUS_MALFORMED, "packed weights",
                         "%zu bytes; a model of this configuration has %zu", bytes, expected);
    p->memory = (float *)(uintptr_t)memory;
    p->memory_floats = bytes / sizeof(float);
    return reserve_model(p, c, types, false, e);
}

void packed_model_each_linear(const struct packed_model *p,
                              void (*each)(void *context, const struct packed_linear *linear),
                              void *context) {
    for (size_t i = 0; i < p->description->layers; i++) {
        const struct packed_layer *layer = &p->layers[i];
        each(context, &layer->qkv);
        if (layer->values.out) each(context, &layer->values);
        each(context, &layer->attention.output);
        each(context, &layer->up);
        each(context, &layer->mlp.output);
    }
    if (p->project_out.out) each(context, &p->project_out);
    if (p->common.out) each(context, &p->common);
    each(context, &p->head);
}

static void run_norm(const struct folded_norm *from, bool run, struct packed_norm *to) {
    if (to->folded) to->kind = run ? from->kind : ROW_NORM_NONE;
}

void packed_model_run_norms(struct packed_model *p, bool run) {
    for (size_t i = 0; i < p->description->layers; i++) {
        run_norm(&p->folded->layers[i].attention.norm, run, &p->layers[i].attention.norm);
        run_norm(&p->folded->layers[i].mlp.norm, run, &p->layers[i].mlp.norm);
    }
    run_norm(&p->folded->final_norm, run, &p->final_norm);
}

void packed_model_deinit(struct packed_model *p) {
    quiet_directions_deinit(&p->quiet);
    free(p->layers);
    if (!p->borrowed) free(p->memory);
    *p = (struct packed_model){0};
}
