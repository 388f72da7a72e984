/* Times steps of the forward pass as the scheduler would run them, without scheduler and sampling. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/tools/bench_model.h"

void bench_run_norms(struct bench_model *m, bool run) {
    packed_model_run_norms(&m->loaded.packed, run);
    m->without_norms = !run;
}

const char *bench_norm_form(const struct bench_model *m) {
    return m->without_norms ? "none" : norm_form_name(m->loaded.folded.form);
}

const char *bench_weights(const struct bench_model *m) {
    return weight_type_name(m->loaded.packed.weights);
}

static enum status load(struct bench_model *m, const struct bench_options *o, struct error *e) {
    bool none = o->norm_form == NORM_FORM_NONE;
    struct loaded_model_options loader = {.model = o->model,
                                          .lora = o->lora,
                                          .ignore_adapter = o->ignore_adapter,
                                          .form = none ? NORM_FORM_CRMSNORM : o->norm_form,
                                          .matmul = o->matmul,
                                          .weights = o->weights,
                                          .head = o->head,
                                          .any_form = o->any_form,
                                          .form_asked = !o->any_form && !none,
                                          .any_weights = o->any_weights,
                                          .allow_unknown_config_keys = o->allow_unknown_config_keys};
    enum status status = kernel_select(o->isa, &m->kernels, e);
    if (status == STATUS_OK)
        status = workers_create_pinned(o->threads ? o->threads : workers_default_count(), o->pin_threads, "",
                                       &m->workers, e);
    if (status == STATUS_OK) status = loaded_model_init(&m->loaded, &loader, m->workers, e);
    if (status == STATUS_OK) m->kv_type = kv_type_choose(o->kv_type, m->loaded.packed.weights);
    if (status == STATUS_OK && none) bench_run_norms(m, false);
    return status;
}

enum status bench_forward_create(const struct bench_model *m, struct workers *workers, struct forward **out,
                                 struct error *e) {
    struct forward_limits limits = {
        .rows_max = BENCH_ROWS_MAX, .logit_rows_max = BENCH_BATCH_MAX, .entries_max = BENCH_BATCH_MAX};
    return forward_create(&m->loaded.packed, &m->pool, m->kernels, workers, &limits, out, e);
}

enum status bench_open(const struct bench_options *options, struct bench_model **out, double *seconds,
                       struct error *e) {
    double start = clock_seconds();
    *out = NULL;
    struct bench_model *m = memory_aligned(1, sizeof *m, "bench", e);
    if (!m) return STATUS_NO_MEMORY;
    enum status status = load(m, options, e);
    *seconds = clock_seconds() - start;
    if (status == STATUS_OK) status = bench_forward_create(m, m->workers, &m->forward, e);
    m->tokens = memory_aligned(BENCH_ROWS_MAX, sizeof *m->tokens, "bench", e);
    if (status == STATUS_OK && !m->tokens) status = STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        bench_close(m);
        return status;
    }
    for (size_t i = 0; i < BENCH_ROWS_MAX; i++)
        m->tokens[i] = (int32_t)((i * 2654435761u) % m->loaded.description.vocabulary);
    *out = m;
    return STATUS_OK;
}

static void close_pool(struct bench_model *m) {
    for (size_t i = 0; i < BENCH_BATCH_MAX; i++) {
        if (m->tables[i].pages) kv_table_shrink(&m->tables[i], &m->pool, 0);
        kv_table_deinit(&m->tables[i]);
        m->tables[i] = (struct kv_table){0};
    }
    if (m->pool.memory) kv_pool_deinit(&m->pool);
    m->pool = (struct kv_pool){0};
}

void bench_close(struct bench_model *m) {
    if (!m) return;
    forward_destroy(m->forward);
    close_pool(m);
    loaded_model_deinit(&m->loaded);
    workers_destroy(m->workers);
    free(m->tokens);
    free(m);
}

static void fill_random(float *x, size_t count, uint32_t *state) {
    for (size_t i = 0; i < count; i++) {
        *state = *state * 1664525u + 1013904223u;
        x[i] = (float)(*state >> 8) * 0x1p-24f - 0.5f;
    }
}

/* The kernel backs pages that were never written by one page of zeros, which would stay in the cache. So one
 * page of random keys and values is copied to all others. */
static enum status fill_pool(struct bench_model *m, struct error *e) {
    const struct kv_layout *l = &m->pool.layout;
    float *pair = memory_aligned(2 * l->head_dim, sizeof *pair, "bench", e);
    uint32_t state = 1;
    if (!pair) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < l->layers * l->kv_heads; i++) {
        const struct kv_head head = kv_head_of(l, i / l->kv_heads, i % l->kv_heads);
        for (size_t slot = 0; slot < l->page_tokens; slot++) {
            fill_random(pair, 2 * l->head_dim, &state);
            m->kernels->store_kv(&head, kv_page(&m->pool, 0), slot, 1, l->head_dim, pair, pair + l->head_dim,
                                 0);
        }
    }
    for (uint32_t page = 1; page < m->pool.page_count; page++) kv_pool_copy_page(&m->pool, page, 0);
    free(pair);
    return STATUS_OK;
}

enum status bench_pool_init(struct bench_model *m, size_t pages, struct error *e) {
    const struct model_description *d = &m->loaded.description;
    struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, BENCH_PAGE_TOKENS, m->kv_type};
    close_pool(m);
    return kv_pool_init(&m->pool, &layout, pages, e);
}

/* Positions in pages that all sequences have. */
static size_t shared_positions(const struct bench_item *item) {
    return item->shared ? item->context / BENCH_PAGE_TOKENS * BENCH_PAGE_TOKENS : 0;
}

/* A pool for `batch` sequences of `positions` each. */
static enum status open_pool(struct bench_model *m, size_t batch, size_t positions, struct error *e) {
    size_t pages = kv_pages_for(positions, BENCH_PAGE_TOKENS);
    enum status status = bench_pool_init(m, batch * pages, e);
    for (size_t i = 0; i < batch && status == STATUS_OK; i++) {
        status = kv_table_init(&m->tables[i], pages, e);
        if (status == STATUS_OK) status = kv_table_reserve(&m->tables[i], &m->pool, positions);
    }
    return status == STATUS_OK ? fill_pool(m, e) : status;
}

/* Gives all sequences the first one's pages up to so many positions. */
static void share_pages(struct bench_model *m, size_t batch, size_t positions, size_t shared) {
    for (size_t i = 1; i < batch && shared > 0; i++) {
        kv_table_shrink(&m->tables[i], &m->pool, 0);
        kv_table_adopt(&m->tables[i], &m->pool, m->tables[0].pages, shared / BENCH_PAGE_TOKENS);
        enum status status = kv_table_reserve(&m->tables[i], &m->pool, positions);
        assert(status == STATUS_OK); /* it has given back more */
        (void)status;
    }
}

/* A step at hand, and what it costs. */
struct step_cost {
    const struct bench_model *m;
    size_t rows, logit_rows;
    struct bench_cost *cost;
};

static void add_linear(void *context, const struct packed_linear *linear) {
    const struct step_cost *step = context;
    const struct packed_model *p = &step->m->loaded.packed;
    bool at_end = linear == &p->head || linear == &p->common || linear == &p->project_out;
    double flops =
        2 * (double)linear->in * (double)linear->out * (double)(at_end ? step->logit_rows : step->rows);
    step->cost->bytes += (double)packed_linear_bytes(linear);
    step->cost->flops[linear->type] += flops;
}

/* One step of `rows` rows, of which logit_rows pass the head, over caches that hold `cached` positions in
 * all. */
static void add_step_cost(const struct bench_model *m, size_t rows, size_t logit_rows, size_t cached,
                          struct bench_cost *cost) {
    struct step_cost step = {.m = m, .rows = rows, .logit_rows = logit_rows, .cost = cost};
    double cache_bytes = (double)m->pool.page_bytes / BENCH_PAGE_TOKENS * (double)cached;
    packed_model_each_linear(&m->loaded.packed, add_linear, &step);
    cost->bytes += cache_bytes + (double)rows * (double)m->loaded.description.width * sizeof(float);
}

/* Prompts of `tokens` each, `batch` of them side by side, in steps of at most BENCH_ROWS_MAX rows. */
static double run_prefill(struct bench_model *m, size_t batch, size_t tokens, struct bench_cost *cost) {
    struct step_entry entries[BENCH_BATCH_MAX];
    size_t chunk_max = BENCH_ROWS_MAX / batch;
    double start = clock_seconds();
    for (size_t first = 0; first < tokens; first += chunk_max) {
        size_t count = tokens - first < chunk_max ? tokens - first : chunk_max,
               logit_rows = first + count == tokens;
        for (size_t i = 0; i < batch; i++)
            entries[i] = (struct step_entry){
                .table = &m->tables[i],
                .tokens = m->tokens,
                .first_position = first,
                .count = count,
                .logit_rows = logit_rows,
                .rotary_length = forward_rotary_length(m->forward, tokens),
            };
        forward_step(m->forward, entries, batch);
        add_step_cost(m, batch * count, batch * logit_rows, batch * (first + count), cost);
    }
    return clock_seconds() - start;
}

static double run_decode(struct bench_model *m, const struct bench_item *item, struct bench_cost *cost) {
    struct step_entry entries[BENCH_BATCH_MAX];
    double start = clock_seconds();
    for (size_t step = 0; step < item->tokens; step++) {
        size_t position = item->context + step;
        for (size_t i = 0; i < item->batch; i++)
            entries[i] = (struct step_entry){
                .table = &m->tables[i],
                .tokens = m->tokens + i,
                .first_position = position,
                .count = 1,
                .logit_rows = 1,
                .rotary_length = forward_rotary_length(m->forward, item->context + item->tokens),
            };
        forward_step(m->forward, entries, item->batch);
        size_t again = (item->batch - 1) * shared_positions(item);
        add_step_cost(m, item->batch, item->batch, item->batch * (position + 1) - again, cost);
    }
    return clock_seconds() - start;
}

enum status bench_run(struct bench_model *m, const struct bench_item *item, double *seconds,
                      struct bench_cost *cost, struct error *e) {
    bool decode = item->work == BENCH_DECODE;
    size_t batch = item->batch ? item->batch : 1,
           positions = decode ? item->context + item->tokens : item->tokens;
    if (batch > BENCH_BATCH_MAX || positions > m->loaded.description.context)
        return error_set(e, STATUS_LIMIT, "bench", "a batch of %zu at %zu positions: at most %d at %zu",
                         batch, positions, BENCH_BATCH_MAX, m->loaded.description.context);
    enum status status = open_pool(m, batch, positions, e);
    if (status != STATUS_OK) return status;
    share_pages(m, batch, positions, shared_positions(item));
    *cost = (struct bench_cost){0};
    *seconds = decode ? run_decode(m, item, cost) : run_prefill(m, batch, item->tokens, cost);
    return STATUS_OK;
}

const char *bench_kv_type(const struct bench_model *m) {
    return kv_type_name(m->kv_type);
}

const char *bench_isa(const struct bench_model *m) {
    return m->kernels->name;
}

size_t bench_weight_bytes(const struct bench_model *m) {
    return m->loaded.packed.memory_floats * sizeof(float);
}
