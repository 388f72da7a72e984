#include "engine/pack/packed_model.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "engine/base/memory.h"

/* Rows that one tile folds and packs: whole panels, few enough that their doubles stay in the second-level cache. */
#define BLOCK_ROWS KERNEL_PANEL
#define ALIGN_FLOATS (KERNEL_ALIGN / sizeof(float))

/* ---- layout of the one allocation ---- */

/* Hands out aligned pieces; with base NULL it only counts. */
struct carve {
    float *base;
    size_t used;
};

static float *take(struct carve *carve, size_t floats) {
    float *piece = carve->base ? carve->base + carve->used : NULL;
    carve->used += (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return piece;
}

static size_t weight_floats(const struct packed_linear *l) {
    return (l->matmul == MATMUL_OWN ? kernel_panels(l->out) * KERNEL_PANEL : l->out) * l->in;
}

size_t packed_linear_bytes(const struct packed_linear *l) { return weight_floats(l) * sizeof(float); }

static void place_linear(struct carve *carve, const struct converted_linear *from, enum matmul_kind matmul,
                         struct packed_linear *to) {
    *to = (struct packed_linear){.out = from->out, .in = from->in, .matmul = matmul};
    to->weights = take(carve, weight_floats(to));
    if (converted_linear_has_bias(from)) to->bias = take(carve, kernel_panels(from->out) * KERNEL_PANEL);
}

/* heads: how many share a norm of one head's width (1 for other norms). */
static void place_norm(struct carve *carve, const struct converted_norm *from, size_t heads, struct packed_norm *to) {
    *to = (struct packed_norm){
        .kind = from->kind,
        .folded = from->folded,
        .width = from->width,
        .divisor = (float)from->divisor,
        .eps = (float)from->eps,
        .gain_stride = heads > 1 ? from->width : 0,
    };
    if (from->gain) to->gain = take(carve, from->width * heads);
    if (from->shift) to->bias = take(carve, from->width * heads);
}

static size_t norm_heads(const struct model_description *d, size_t heads) {
    return d->qk_norm == QK_NORM_PER_HEAD ? heads : 1;
}

static void place_sublayer(struct carve *carve, const struct converted_model *c, const struct converted_sublayer *from,
                           enum matmul_kind matmul, struct packed_sublayer *to) {
    *to = (struct packed_sublayer){
        .residual_factor = (float)from->residual_factor,
        .rescale = (float)from->rescale,
    };
    place_norm(carve, &from->norm, 1, &to->norm);
    place_norm(carve, &from->inner_norm, 1, &to->inner_norm);
    place_norm(carve, &from->post_norm, 1, &to->post_norm);
    place_linear(carve, &from->exit, matmul, &to->exit);
    if (from->residual_scale) to->residual_scale = take(carve, c->description->width);
}

static void place_layer(struct carve *carve, const struct converted_model *c, size_t i, enum matmul_kind matmul,
                        struct packed_layer *to) {
    const struct converted_layer *from = &c->layers[i];
    place_sublayer(carve, c, &from->attention, matmul, &to->attention);
    place_sublayer(carve, c, &from->mlp, matmul, &to->mlp);
    place_norm(carve, &from->query_norm, norm_heads(c->description, c->description->heads), &to->query_norm);
    place_norm(carve, &from->key_norm, norm_heads(c->description, c->description->kv_heads), &to->key_norm);
    place_linear(carve, &from->qkv, matmul, &to->qkv);
    place_linear(carve, &from->up, matmul, &to->up);
}

/* Everything of the model; p->layers may be NULL when only the size matters. */
static void place_all(struct carve *carve, const struct converted_model *c, struct packed_model *p) {
    struct packed_layer unused;
    for (size_t i = 0; i < c->description->layers; i++)
        place_layer(carve, c, i, p->matmul, p->layers ? &p->layers[i] : &unused);
    place_norm(carve, &c->final_norm, 1, &p->final_norm);
    if (c->project_out.part_count) place_linear(carve, &c->project_out, p->matmul, &p->project_out);
    place_linear(carve, &c->head, p->matmul, &p->head);
}

size_t packed_model_bytes(const struct converted_model *c, enum matmul_kind matmul) {
    struct carve carve = {0};
    struct packed_model size_only = {.matmul = matmul};
    place_all(&carve, c, &size_only);
    return carve.used * sizeof(float);
}

/* ---- the work: every linear, in blocks of rows ---- */

struct job {
    struct converted_linear *from;
    struct packed_linear *to;
    size_t first_tile; /* tiles of the jobs before it */
};

struct packing {
    const struct packed_model *model;
    struct job *jobs;
    size_t job_count, tile_count;
    double *scratch; /* [workers][scratch_stride]: folded rows, then their biases */
    size_t scratch_stride;
    atomic_size_t done;
    pack_progress_fn progress;
    void *context;
};

static void add_job(struct packing *p, struct converted_linear *from, struct packed_linear *to) {
    p->jobs[p->job_count++] = (struct job){.from = from, .to = to, .first_tile = p->tile_count};
    p->tile_count += (from->out + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

static const struct job *job_of_tile(const struct packing *p, size_t tile) {
    size_t low = 0, high = p->job_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (p->jobs[middle].first_tile <= tile) low = middle;
        else high = middle;
    }
    return &p->jobs[low];
}

static void prepare_tile(void *context, size_t tile, size_t worker) {
    struct packing *p = context;
    converted_linear_prepare(p->jobs[tile].from, p->scratch + worker * p->scratch_stride);
}

static void store_rows(const struct packing *p, const struct job *job, size_t first, size_t count, const double *rows) {
    if (p->model->matmul == MATMUL_OWN) {
        kernel_pack_f32(rows, first, count, job->to->in, job->to->weights);
        return;
    }
    float *to = job->to->weights + first * job->to->in;
    for (size_t i = 0; i < count * job->to->in; i++) to[i] = (float)rows[i];
}

static void pack_tile(void *context, size_t tile, size_t worker) {
    struct packing *p = context;
    const struct job *job = job_of_tile(p, tile);
    size_t first = (tile - job->first_tile) * BLOCK_ROWS;
    size_t count = job->to->out - first < BLOCK_ROWS ? job->to->out - first : BLOCK_ROWS;
    double *rows = p->scratch + worker * p->scratch_stride;
    double *bias = rows + p->scratch_stride - BLOCK_ROWS;
    converted_linear_rows(job->from, first, count, rows, bias);
    store_rows(p, job, first, count, rows);
    if (job->to->bias)
        for (size_t i = 0; i < count; i++) job->to->bias[first + i] = (float)bias[i];
    size_t done = atomic_fetch_add_explicit(&p->done, 1, memory_order_relaxed) + 1;
    if (p->progress && worker == 0) p->progress(p->context, (double)done / (double)p->tile_count);
}

static void round_vector(const double *from, size_t count, float *to) {
    for (size_t i = 0; from && i < count; i++) to[i] = (float)from[i];
}

static void pack_norm(const struct converted_norm *from, size_t heads, const struct packed_norm *to) {
    round_vector(from->gain, from->width * heads, to->gain);
    round_vector(from->shift, from->width * heads, to->bias);
}

static void pack_sublayer_norms(const struct converted_model *c, const struct converted_sublayer *from,
                                const struct packed_sublayer *to) {
    pack_norm(&from->norm, 1, &to->norm);
    pack_norm(&from->inner_norm, 1, &to->inner_norm);
    pack_norm(&from->post_norm, 1, &to->post_norm);
    round_vector(from->residual_scale, c->description->width, to->residual_scale);
}

static void pack_norms(const struct converted_model *c, const struct packed_model *p) {
    const struct model_description *d = c->description;
    for (size_t i = 0; i < d->layers; i++) {
        const struct converted_layer *from = &c->layers[i];
        const struct packed_layer *to = &p->layers[i];
        pack_sublayer_norms(c, &from->attention, &to->attention);
        pack_sublayer_norms(c, &from->mlp, &to->mlp);
        pack_norm(&from->query_norm, norm_heads(d, d->heads), &to->query_norm);
        pack_norm(&from->key_norm, norm_heads(d, d->kv_heads), &to->key_norm);
    }
    pack_norm(&c->final_norm, 1, &p->final_norm);
}

static void add_jobs(struct packing *p, struct converted_model *c, struct packed_model *model) {
    for (size_t i = 0; i < c->description->layers; i++) {
        add_job(p, &c->layers[i].qkv, &model->layers[i].qkv);
        add_job(p, &c->layers[i].attention.exit, &model->layers[i].attention.exit);
        add_job(p, &c->layers[i].up, &model->layers[i].up);
        add_job(p, &c->layers[i].mlp.exit, &model->layers[i].mlp.exit);
    }
    if (c->project_out.part_count) add_job(p, &c->project_out, &model->project_out);
    add_job(p, &c->head, &model->head);
}

/* The checkpoint's pages have been read and are not needed again; entry rows fault in when they are looked up. */
static void release_checkpoint(const struct converted_model *c) {
    const struct checkpoint *checkpoint = c->bound->checkpoint;
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) checkpoint_release(checkpoint, checkpoint_at(checkpoint, i));
}

static enum status pack_all(struct packed_model *model, struct converted_model *c, struct workers *workers,
                            pack_progress_fn progress, void *context, struct error *e) {
    struct packing p = {.model = model, .progress = progress, .context = context};
    p.scratch_stride = converted_scratch(c, BLOCK_ROWS) + BLOCK_ROWS;
    p.jobs = memory_aligned(c->description->layers * 4 + 2, sizeof *p.jobs, "packing", e);
    p.scratch = memory_aligned(workers_count(workers) * p.scratch_stride, sizeof *p.scratch, "packing", e);
    enum status status = p.jobs && p.scratch ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        add_jobs(&p, c, model);
        pack_norms(c, model);
        openblas_set_num_threads(1); /* the tiles are the parallelism; a reduction is never threaded */
        workers_run(workers, prepare_tile, &p, p.job_count);
        workers_run(workers, pack_tile, &p, p.tile_count);
        release_checkpoint(c);
    }
    free(p.jobs);
    free(p.scratch);
    return status;
}

enum status packed_model_init(struct packed_model *p, struct converted_model *c, enum matmul_kind matmul,
                              struct workers *workers, pack_progress_fn progress, void *context, struct error *e) {
    *p = (struct packed_model){.converted = c, .description = c->description, .matmul = matmul};
    p->memory_floats = packed_model_bytes(c, matmul) / sizeof(float);
    p->layers = memory_aligned(c->description->layers, sizeof *p->layers, "packed layers", e);
    p->memory = memory_aligned(p->memory_floats, sizeof(float), "packed weights", e);
    if (!p->layers || !p->memory) return STATUS_NO_MEMORY;
    struct carve carve = {.base = p->memory};
    place_all(&carve, c, p);
    return pack_all(p, c, workers, progress, context, e);
}

enum status packed_model_map(struct packed_model *p, const struct converted_model *c, const void *memory, size_t bytes,
                             struct error *e) {
    *p = (struct packed_model){.converted = c, .description = c->description, .borrowed = true};
    size_t expected = packed_model_bytes(c, MATMUL_OWN);
    assert((uintptr_t)memory % KERNEL_ALIGN == 0);
    if (bytes != expected)
        return error_set(e, STATUS_MALFORMED, "packed weights", "%zu bytes; a model of this configuration has %zu", bytes,
                         expected);
    p->layers = memory_aligned(c->description->layers, sizeof *p->layers, "packed layers", e);
    if (!p->layers) return STATUS_NO_MEMORY;
    p->memory = (float *)(uintptr_t)memory;
    p->memory_floats = bytes / sizeof(float);
    struct carve carve = {.base = p->memory};
    place_all(&carve, c, p);
    return STATUS_OK;
}

static void run_norm(const struct converted_norm *from, bool run, struct packed_norm *to) {
    if (to->folded) to->kind = run ? from->kind : ROW_NORM_NONE;
}

void packed_model_run_norms(struct packed_model *p, bool run) {
    for (size_t i = 0; i < p->description->layers; i++) {
        run_norm(&p->converted->layers[i].attention.norm, run, &p->layers[i].attention.norm);
        run_norm(&p->converted->layers[i].mlp.norm, run, &p->layers[i].mlp.norm);
    }
    run_norm(&p->converted->final_norm, run, &p->final_norm);
}

void packed_model_deinit(struct packed_model *p) {
    free(p->layers);
    if (!p->borrowed) free(p->memory);
    *p = (struct packed_model){0};
}
