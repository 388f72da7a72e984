/* A model whose every answer is known: the next token is a hash of all tokens before it, or of the last few, so that it
 * says again what it has said. Keys "computed" for
 * a position are written through the page table that the step was given, and read back through it, so a page
 * that is shared, moved or given away by mistake shows in the text. */
#pragma once

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv/kv_prefix.h"
#include "engine/sched/scheduler.h"

enum { FAKE_VOCABULARY = 61, FAKE_ROWS = 64, FAKE_PAGE_TOKENS = 16, FAKE_HIDDEN = 5 };

struct fake_model {
    struct kv_pool pool;
    struct kv_prefix prefix;
    size_t rows_max, logit_rows_max, entries_max;
    float *logits;                    /* [logit_rows_max][FAKE_ROWS] */
    const struct step_entry *entries; /* of the step */
    uint64_t steps, rows, draft_steps;
    int32_t nan_after;    /* a sequence whose last token is this one gets NaN; -1: none */
    size_t memory;        /* tokens that count for the next one; 0: all */
    size_t short_context; /* a sequence that may become longer has other rotary frequencies */
};

static uint64_t fake_mix(uint64_t hash, int32_t id) {
    hash = (hash ^ (uint64_t)(uint32_t)id) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static void fake_logits(uint64_t hash, float *out) {
    for (int i = 0; i < FAKE_ROWS; i++) out[i] = (float)(fake_mix(hash, i) >> 40) / (float)(1 << 22);
}

static inline int32_t fake_best(const float *logits) {
    int32_t best = 0;
    for (int32_t i = 1; i < FAKE_VOCABULARY; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* What a greedy sequence must say after these tokens, of which so many count. */
static inline int32_t fake_next_of(size_t memory, const int32_t *tokens, size_t count) {
    uint64_t hash = 1;
    float logits[FAKE_ROWS];
    for (size_t i = memory && memory < count ? count - memory : 0; i < count; i++)
        hash = fake_mix(hash, tokens[i]);
    fake_logits(hash, logits);
    return fake_best(logits);
}

static inline int32_t fake_next(const int32_t *tokens, size_t count) {
    return fake_next_of(0, tokens, count);
}

static float *fake_place(struct fake_model *m, const struct kv_table *table, size_t position) {
    assert(position / FAKE_PAGE_TOKENS < table->count);
    uint32_t page = table->pages[position / FAKE_PAGE_TOKENS];
    assert(page < m->pool.page_count && m->pool.references[page] > 0);
    return (float *)(void *)kv_page(&m->pool, page) + position % FAKE_PAGE_TOKENS;
}

/* A page that somebody else reads too must never be written. */
static void fake_write(struct fake_model *m, const struct kv_table *table, size_t position, int32_t id) {
    assert(m->pool.references[table->pages[position / FAKE_PAGE_TOKENS]] == 1);
    memcpy(fake_place(m, table, position), &id, sizeof id);
}

static void fake_row(struct fake_model *m, const struct step_entry *entry, size_t position, float *out) {
    uint64_t hash = 1;
    int32_t id = -1;
    for (size_t i = m->memory && m->memory <= position ? position + 1 - m->memory : 0; i <= position; i++) {
        memcpy(&id, fake_place(m, entry->table, i), sizeof id);
        hash = fake_mix(hash, id);
    }
    fake_logits(hash, out);
    if (id == m->nan_after) out[FAKE_ROWS - 1] = NAN;
}

static void fake_step(void *context, const struct step_entry *entries, size_t count) {
    struct fake_model *m = context;
    size_t rows = 0, logit_rows = 0;
    for (size_t e = 0; e < count; e++) {
        const struct step_entry *entry = &entries[e];
        assert(entry->count > 0 && entry->logit_rows <= entry->count && entry->rotary_length);
        for (size_t i = 0; i < entry->count; i++)
            fake_write(m, entry->table, entry->first_position + i, entry->tokens[i]);
        rows += entry->count;
    }
    for (size_t e = 0; e < count; e++)
        for (size_t i = entries[e].count - entries[e].logit_rows; i < entries[e].count; i++) {
            assert(logit_rows < m->logit_rows_max);
            fake_row(m, &entries[e], entries[e].first_position + i, m->logits + logit_rows++ * FAKE_ROWS);
        }
    assert(rows <= m->rows_max && count <= m->entries_max);
    m->entries = entries;
    m->steps++;
    m->rows += rows;
}

/* A drafter that is right three times of four. Its keys are not those of the model, so that one which is left in the
 * cache shows in the text; behind the model's own it reads them as such. */
enum { FAKE_DRAFT_KEY = 1000 };

static void fake_draft_row(struct fake_model *m, const struct step_entry *entry, float *out) {
    size_t position = entry->first_position;
    uint64_t hash = 1;
    fake_write(m, entry->table, position, entry->tokens[0] + FAKE_DRAFT_KEY);
    for (size_t i = m->memory && m->memory <= position ? position + 1 - m->memory : 0; i <= position; i++) {
        int32_t id;
        memcpy(&id, fake_place(m, entry->table, i), sizeof id);
        hash = fake_mix(hash, id % FAKE_DRAFT_KEY);
    }
    fake_logits(fake_mix(hash, (int32_t)position) % 4 ? hash : hash + 1, out);
}

/* Its logits lie where those of the model do: they are not needed at the same time. */
static void fake_draft_step(void *context, const struct step_entry *entries, size_t count) {
    struct fake_model *m = context;
    assert(count <= m->logit_rows_max);
    for (size_t e = 0; e < count; e++) {
        assert(entries[e].count == 1 && entries[e].logit_rows == 1 && entries[e].rotary_length);
        fake_draft_row(m, &entries[e], m->logits + e * FAKE_ROWS);
    }
    m->draft_steps++;
}

/* Numbers that depend on all tokens up to the position, and on nothing else. */
static inline void fake_hidden_of(const int32_t *tokens, size_t position, double *out) {
    uint64_t hash = 1;
    for (size_t i = 0; i <= position; i++) hash = fake_mix(hash, tokens[i]);
    for (int i = 0; i < FAKE_HIDDEN; i++) out[i] = (double)(fake_mix(hash, i) >> 40) / (1 << 24) - 0.5;
}

static void fake_hidden(void *context, size_t entry, size_t row, double *out) {
    struct fake_model *m = context;
    const struct step_entry *from = &m->entries[entry];
    int32_t tokens[1024];
    const size_t position = from->first_position + row;
    assert(from->wants_hidden && row < from->count && position < sizeof tokens / sizeof *tokens);
    for (size_t i = 0; i <= position; i++) memcpy(&tokens[i], fake_place(m, from->table, i), sizeof *tokens);
    fake_hidden_of(tokens, position, out);
    if (tokens[position] == m->nan_after) out[FAKE_HIDDEN - 1] = NAN;
}

static float *fake_logits_of(void *context, size_t i) {
    return ((struct fake_model *)context)->logits + i * FAKE_ROWS;
}

static size_t fake_rotary_length(void *context, size_t length) {
    const struct fake_model *m = context;
    return length > m->short_context ? 8 : 7;
}

/* Options for a scheduler over a fake model with so many pages; tests change what they are about. */
static inline struct scheduler_options fake_model_init(struct fake_model *m, size_t pages, size_t context) {
    static const int32_t end_tokens[] = {0};
    struct error e;
    *m = (struct fake_model){
        .rows_max = 48, .logit_rows_max = 12, .entries_max = 8, .nan_after = -1, .short_context = SIZE_MAX};
    struct kv_layout layout = {.layers = 1, .kv_heads = 1, .head_dim = 1, .page_tokens = FAKE_PAGE_TOKENS};
    if (kv_pool_init(&m->pool, &layout, pages, &e) != STATUS_OK) abort();
    if (kv_prefix_init(&m->prefix, &m->pool, &e) != STATUS_OK) abort();
    m->pool.prefix = &m->prefix;
    m->logits = calloc(m->logit_rows_max * FAKE_ROWS, sizeof *m->logits);
    struct scheduler_options o = {
        .rules = {.context = context,
                  .rows = FAKE_ROWS,
                  .page_tokens = FAKE_PAGE_TOKENS,
                  .max_pending_events = 8,
                  .logprobs_max = 5,
                  .choices_max = 16,
                  .end_tokens = end_tokens,
                  .end_count = 1,
                  .backend = {.context = m,
                              .step = fake_step,
                              .logits = fake_logits_of,
                              .rotary_length = fake_rotary_length,
                              .hidden = fake_hidden,
                              .hidden_width = FAKE_HIDDEN,
                              .hidden_scratch = FAKE_HIDDEN}},
        .vocabulary = {.rows = FAKE_ROWS, .sampleable = FAKE_VOCABULARY},
        .kernels = kernel_scalar(),
        .pool = &m->pool,
        .limits = {.rows = 48, .logit_rows = 12, .sequences = 8, .mixed_prefill_rows = 8},
        .queue_max = 64,
        .aside_max = 64,
    };
    return o;
}

static inline struct backend fake_drafter(struct fake_model *m) {
    return (struct backend){
        .context = m, .step = fake_draft_step, .logits = fake_logits_of, .rotary_length = fake_rotary_length};
}

static inline void fake_model_deinit(struct fake_model *m) {
    kv_pool_deinit(&m->pool); /* asserts that nobody holds a page */
    kv_prefix_deinit(&m->prefix);
    free(m->logits);
}

static inline struct engine_prompt fake_prompt(const int32_t *ids, size_t count, uint32_t max_tokens) {
    return (struct engine_prompt){.ids = ids,
                                  .count = count,
                                  .choices = 1,
                                  .max_tokens = max_tokens,
                                  .logprobs = -1,
                                  .sampling = {.top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
}
