#include "engine/forward/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/alibi.h"
#include "engine/model/rotary.h"

#define STRIDE_FLOATS (KERNEL_ALIGN / sizeof(float))
/* Rows that the workers take at a time where rows are independent, at most; of few rows fewer, since gates and conversions of
 * sixteen take longer than a run of the pool, by far. */
#define ROW_BLOCK      16
#define FEW_ROWS       32
#define FEW_ROWS_BLOCK 4
/* Where there are many threads blocks are smaller, so that each thread has so many. */
#define BLOCKS_PER_THREAD 2

static size_t stride_of(size_t width) {
    return (width + STRIDE_FLOATS - 1) / STRIDE_FLOATS * STRIDE_FLOATS;
}

static void raise_widest(void *context, const struct packed_linear *linear) {
    size_t *widest = context;
    if (linear->out > *widest) *widest = linear->out;
}

static size_t widest_linear(const struct packed_model *m) {
    size_t widest = 0;
    packed_model_each_linear(m, raise_widest, &widest);
    return widest;
}

static size_t row_floats(const struct packed_linear *linear) {
    return kernel_row_bytes(linear->type, linear->in) / sizeof(float);
}

static void raise_lowp_stride(void *context, const struct packed_linear *linear) {
    struct forward *f = context;
    if (row_floats(linear) > f->lowp_stride) f->lowp_stride = row_floats(linear);
}

/* Rows of two linears that may run together are there together, each aligned. */
static void raise_lowp_stride_joined(struct forward *f, const struct packed_linear *first,
                                     const struct packed_linear *second) {
    const size_t stride = row_floats(first) + row_floats(second) + STRIDE_FLOATS;
    if (first->out && second->out && stride > f->lowp_stride) f->lowp_stride = stride;
}

static void set_strides(struct forward *f, size_t threads) {
    const struct model_description *d = f->description;
    f->embedding_stride = folded_embedding_scratch(f->model->folded) + 2 * d->width;
    f->stream_stride = stride_of(d->width);
    f->qkv_stride = stride_of((d->heads + 2 * d->kv_heads) * d->head_dim);
    f->heads_stride = stride_of(d->heads * d->head_dim);
    f->hidden_stride = stride_of(d->mlp_width * (d->gated ? 2 : 1));
    f->gated_stride = d->gated ? stride_of(d->mlp_width) : 0;
    f->projected_stride = stride_of(f->model->project_out.out);
    f->logits_stride = stride_of(d->vocabulary);
    f->local_angles = d->position == POSITION_ROTARY ? stride_of(d->rotary.dimensions / 2) : 0;
    f->angle_stride = f->local_angles + stride_of(d->local_rotary.dimensions / 2);
    f->states_max = attention_states(d, threads);
    f->products_floats = linear_groups_floats(f->model, threads);
    packed_model_each_linear(f->model, raise_lowp_stride, f);
    for (size_t i = 0; i < d->layers; i++)
        raise_lowp_stride_joined(f, &f->model->layers[i].qkv, &f->model->layers[i].values);
    raise_lowp_stride_joined(f, &f->model->common, &f->model->head);
}

/* All float buffers in one allocation: without a base the sizes are added up, with one the pointers are
 * set. */
static size_t lay_out_buffers(struct forward *f, float *base) {
    size_t used = 0, rows = f->limits.rows_max, logit_rows = f->limits.logit_rows_max;
    size_t sums_rows = f->model->matmul == MATMUL_OPENBLAS ? (rows > logit_rows ? rows : logit_rows) : 0;
    bool dual = f->description->placement == PLACEMENT_RESIDUAL_DUAL;
    const struct {
        float **buffer;
        size_t rows, stride;
    } buffers[] = {
        {&f->stream, rows, f->stream_stride},
        {&f->normed, rows, f->stream_stride},
        {&f->row_scales, 1, stride_of(rows)},
        {&f->output, rows, f->stream_stride},
        {&f->dual, dual ? rows : 0, f->stream_stride},
        {&f->qkv, rows, f->qkv_stride},
        {&f->heads, rows, f->heads_stride},
        {&f->hidden, rows, f->hidden_stride},
        {&f->gated, rows, f->gated_stride},
        {&f->cosine, rows, f->angle_stride},
        {&f->sine, rows, f->angle_stride},
        {&f->last, logit_rows, f->stream_stride},
        {&f->last_dual, dual ? logit_rows : 0, f->stream_stride},
        {&f->projected, logit_rows, f->projected_stride},
        {&f->logits, logit_rows, f->logits_stride},
        {&f->hidden_states, f->projected_stride ? rows : 0, f->projected_stride},
        {&f->sums, sums_rows, stride_of(widest_linear(f->model))},
        {&f->states, f->states_max, attention_state_floats(f->description)},
        {&f->products, 1, stride_of(f->products_floats)},
        {&f->lowp_rows, rows > logit_rows ? rows : logit_rows, f->lowp_stride},
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        *buffers[i].buffer = base && buffers[i].rows ? base + used : NULL;
        used += buffers[i].rows * buffers[i].stride;
    }
    return used;
}

/* Biases of all heads: by distance, or by position where they depend on that (see struct attention). All
 * layers of such a model scale attention alike. */
static float *make_alibi(struct forward *f, struct error *e) {
    const struct model_description *d = f->description;
    if (d->position != POSITION_ALIBI) return NULL;
    f->alibi_stride = d->context;
    f->alibi_last = alibi_is_relative(d) ? d->context - 1 : 0;
    float *table = memory_aligned(d->heads * d->context, sizeof *table, "ALiBi biases", e);
    for (size_t h = 0; table && h < d->heads; h++)
        for (size_t i = 0; i < d->context; i++)
            table[h * d->context + i] =
                (float)alibi_bias(d, h, i, f->alibi_last, d->layer[0].attention_scale);
    return table;
}

static bool make_order(struct forward *f, struct error *e) {
    size_t layers = f->description->layers, count = layers * BLOCK_LINEARS + HEAD_LINEARS + 1;
    f->order = memory_aligned(count, sizeof *f->order, "step buffers", e);
    f->joins = memory_aligned(count, sizeof *f->joins, "step buffers", e);
    f->tilings = memory_aligned(count, sizeof *f->tilings, "step buffers", e);
    f->done = memory_aligned(workers_count(f->workers), sizeof *f->done, "step buffers", e);
    if (!f->order || !f->joins || !f->tilings || !f->done) return false;
    const bool may_join = workers_nodes(f->workers) == 1;
    const struct packed_linear **next = f->order;
    for (size_t i = 0; i < layers; i++) {
        f->joins[next - f->order + 1] =
            may_join && f->model->layers[i].values.out > 0; /* behind qkv, its first */
        next += block_order(f, i, next);
    }
    head_order(f, next);
    for (; *next; next++)
        f->joins[next - f->order] = may_join && next > f->order && next[-1] == &f->model->common;
    return true;
}

static bool allocate_attention(struct forward *f, size_t entries, struct error *e) {
    const size_t rows = f->limits.rows_max;
    f->units = memory_aligned(entries, sizeof *f->units, "step buffers", e);
    f->entry_unit = memory_aligned(entries, sizeof *f->entry_unit, "step buffers", e);
    f->common_pages = memory_aligned(entries, sizeof *f->common_pages, "step buffers", e);
    f->attention_rows = memory_aligned(rows, sizeof *f->attention_rows, "step buffers", e);
    f->attention_order = memory_aligned(rows, sizeof *f->attention_order, "step buffers", e);
    f->runs = memory_aligned(rows, sizeof *f->runs, "step buffers", e);
    return f->units && f->entry_unit && f->common_pages && f->attention_rows && f->attention_order && f->runs;
}

static bool allocate(struct forward *f, struct error *e) {
    const struct model_description *d = f->description;
    size_t entries = f->limits.entries_max + 1;
    f->memory = memory_aligned(lay_out_buffers(f, NULL), sizeof(float), "step buffers", e);
    if (!f->memory) return false;
    lay_out_buffers(f, f->memory);
    f->embedding_scratch =
        memory_aligned(workers_count(f->workers) * f->embedding_stride, sizeof(double), "step buffers", e);
    f->alibi = make_alibi(f, e);
    if (d->position == POSITION_ALIBI && !f->alibi) return false;
    f->frequencies = memory_aligned(entries * f->angle_stride, sizeof(double), "step buffers", e);
    f->rows = memory_aligned(f->limits.rows_max, sizeof *f->rows, "step buffers", e);
    f->first_row = memory_aligned(entries, sizeof *f->first_row, "step buffers", e);
    return f->embedding_scratch && f->frequencies && f->rows && f->first_row &&
           allocate_attention(f, entries, e) && make_order(f, e);
}

size_t forward_memory_bytes(const struct packed_model *model, const struct workers *workers,
                            const struct forward_limits *limits) {
    struct forward f = {.model = model, .description = model->description, .limits = *limits};
    const struct model_description *d = model->description;
    set_strides(&f, workers_count(workers));
    size_t floats = lay_out_buffers(&f, NULL), entries = limits->entries_max + 1;
    if (d->position == POSITION_ALIBI) floats += d->heads * d->context;
    size_t doubles = workers_count(workers) * f.embedding_stride + entries * f.angle_stride;
    size_t linears = d->layers * BLOCK_LINEARS + HEAD_LINEARS + 1;
    return sizeof f + floats * sizeof(float) + doubles * sizeof(double) +
           limits->rows_max *
               (sizeof *f.rows + sizeof *f.attention_rows + sizeof *f.attention_order + sizeof *f.runs) +
           entries * (sizeof *f.units + 3 * sizeof(size_t)) + workers_count(workers) * sizeof *f.done +
           linears * (sizeof *f.order + sizeof *f.tilings + sizeof *f.joins);
}

enum status forward_create(const struct packed_model *model, const struct kv_pool *pool,
                           const struct kernel_table *kernels, struct workers *workers,
                           const struct forward_limits *limits, struct forward **out, struct error *e) {
    *out = NULL;
    struct forward *f = memory_aligned(1, sizeof *f, "forward", e);
    if (!f) return STATUS_NO_MEMORY;
    f->model = model;
    f->description = model->description;
    f->pool = pool;
    f->kernels = kernels;
    f->workers = workers;
    f->limits = *limits;
    set_strides(f, workers_count(workers));
    enum status status = STATUS_OK;
    if (model->matmul == MATMUL_OPENBLAS) status = blas_open(workers_count(workers), &f->blas, e);
    if (status == STATUS_OK && !allocate(f, e)) status = STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        forward_destroy(f);
        return status;
    }
    *out = f;
    return STATUS_OK;
}

void forward_destroy(struct forward *f) {
    if (!f) return;
    free(f->memory);
    free(f->embedding_scratch);
    free(f->frequencies);
    free(f->alibi);
    free(f->rows);
    free(f->first_row);
    free(f->units);
    free(f->entry_unit);
    free(f->common_pages);
    free(f->attention_rows);
    free(f->attention_order);
    free(f->runs);
    free(f->order);
    free(f->joins);
    free(f->tilings);
    free(f->done);
    free(f);
}

const struct packed_model *forward_model(const struct forward *f) {
    return f->model;
}

struct block_run {
    struct forward *forward;
    forward_rows_fn fn;
    const void *context;
    size_t rows, block;
};

static void run_block(void *context, size_t tile, size_t worker) {
    const struct block_run *run = context;
    size_t first = tile * run->block, left = run->rows - first;
    run->fn(run->forward, first, left < run->block ? left : run->block, run->context, worker);
}

static size_t rows_of_block(const struct forward *f, size_t rows) {
    const size_t most = rows < FEW_ROWS ? FEW_ROWS_BLOCK : ROW_BLOCK,
                 blocks = BLOCKS_PER_THREAD * workers_count(f->workers), even = (rows + blocks - 1) / blocks;
    return even < most ? even : most;
}

void forward_each_block(struct forward *f, size_t rows, forward_rows_fn fn, const void *context) {
    if (rows < ROWS_MIN) {
        fn(f, 0, rows, context, 0);
        return;
    }
    struct block_run run = {
        .forward = f, .fn = fn, .context = context, .rows = rows, .block = rows_of_block(f, rows)};
    workers_run(f->workers, run_block, &run, (rows + run.block - 1) / run.block);
}

/* Lists the rows of all entries of the step, and checks that the caller keeps the contract. */
static void plan_rows(struct forward *f, const struct step_entry *entries, size_t count) {
    assert(count <= f->limits.entries_max);
    f->entries = entries;
    f->entry_count = count;
    f->row_count = f->logit_count = f->order_at = f->deferred_count = 0;
    f->halted = false;
    f->stage = FORWARD_STAGE_BEGIN;
    for (size_t i = 0; i < count; i++) {
        const struct step_entry *entry = &entries[i];
        size_t end = entry->first_position + entry->count;
        assert(entry->count > 0 && entry->logit_rows <= entry->count && end <= f->description->context);
        assert(entry->table->count * f->pool->layout.page_tokens >= end);
        assert(f->row_count + entry->count <= f->limits.rows_max);
        f->first_row[i] = f->row_count;
        for (size_t r = 0; r < entry->count; r++) {
            assert(entry->tokens[r] >= 0 && (size_t)entry->tokens[r] < f->description->vocabulary);
            f->rows[f->row_count++] = (struct row_origin){
                .entry = (uint32_t)i,
                .token = (uint32_t)entry->tokens[r],
                .position = (uint32_t)(entry->first_position + r),
            };
        }
        f->logit_count += entry->logit_rows;
    }
    f->first_row[count] = f->row_count;
    assert(f->logit_count <= f->limits.logit_rows_max);
}

void forward_step(struct forward *f, const struct step_entry *entries, size_t count) {
    plan_rows(f, entries, count);
    embedding_run(f);
    if (f->angle_stride) rotary_prepare(f);
    attention_plan(f);
    for (size_t i = 0; i < f->description->layers; i++) block_run(f, i);
    forward_flush(f);
    hidden_run(f);
    head_run(f);
}

enum forward_stage forward_stage(const struct forward *f) {
    return f->stage;
}

/* ---- a layer at a time ---- */

void forward_observe(struct forward *f, forward_observe_fn observe, void *context) {
    f->observe = observe;
    f->observe_context = context;
}

size_t forward_stream_stride(const struct forward *f) {
    return f->stream_stride;
}

void forward_embed(struct forward *f, const struct step_entry *entry, float *stream) {
    plan_rows(f, entry, 1);
    embedding_run(f);
    memcpy(stream, f->stream, entry->count * f->stream_stride * sizeof *stream);
}

void forward_layer(struct forward *f, const struct step_entry *entry, size_t layer, float *stream) {
    const size_t bytes = entry->count * f->stream_stride * sizeof *stream;
    assert(!f->dual);
    plan_rows(f, entry, 1);
    if (f->angle_stride) rotary_prepare(f);
    attention_plan(f);
    while (f->order[f->order_at] != &f->model->layers[layer].qkv) f->order_at++; /* a block begins with it */
    memcpy(f->stream, stream, bytes);
    block_run(f, layer);
    forward_flush(f);
    memcpy(stream, f->stream, bytes);
}

void forward_head(struct forward *f, const struct step_entry *entry, const float *stream) {
    const struct packed_linear *linears[HEAD_LINEARS];
    head_order(f, linears);
    assert(!f->dual);
    plan_rows(f, entry, 1);
    while (f->order[f->order_at] != linears[0]) f->order_at++;
    memcpy(f->stream, stream, entry->count * f->stream_stride * sizeof *stream);
    head_run(f);
}

float *forward_logits(struct forward *f, size_t i) {
    assert(i < f->logit_count);
    return f->logits + i * f->logits_stride;
}

size_t forward_vocabulary(const struct forward *f) {
    return f->description->vocabulary;
}

size_t forward_rotary_length(const struct forward *f, size_t length) {
    return rotary_length(f->description, length);
}
