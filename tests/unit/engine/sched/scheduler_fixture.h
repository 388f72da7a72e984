/* A scheduler without a thread over the fake model, for the tests that turn it by hand. One at a time. */
#pragma once

#include "collector.h"
#include "fake_model.h"

static struct fake_model model;
static struct scheduler *scheduler;

/* change: what the test wants different; or NULL. */
static inline void start(size_t pages, size_t context, void (*change)(struct scheduler_options *)) {
    struct error e;
    struct scheduler_options options = fake_model_init(&model, pages, context);
    if (change) change(&options);
    assert_ok(scheduler_create(&options, &scheduler, &e));
}

/* Every page must have come back. */
static inline void stop(void) {
    struct scheduler *s = scheduler;
    scheduler_turn(s);
    assert_int_equal(kv_pool_available(&model.pool), model.pool.page_count);
    scheduler_destroy(s);
    fake_model_deinit(&model);
}

/* Valid for the next 15 calls. */
static inline int32_t *ids_of(size_t count, unsigned seed) {
    static int32_t ids[16][COLLECTED_MAX];
    static size_t next;
    int32_t *out = ids[next++ % 16];
    srand(seed);
    for (size_t i = 0; i < count; i++) out[i] = 1 + rand() % (FAKE_VOCABULARY - 1);
    return out;
}

/* Ways to change the options. */
static inline void one_place(struct scheduler_options *o) {
    o->limits.sequences = 1;
}

static inline void small_steps(struct scheduler_options *o) {
    o->limits.rows = 8;
    o->limits.sequences = 4;
    o->limits.logit_rows = 5;
    o->limits.mixed_prefill_rows = 3;
    o->rules.max_pending_events = 3;
}

/* So many ids, the greedy ones by the definition of the model. */
static inline void expect_greedy(const struct collected_choice *choice, const int32_t *prompt, size_t count,
                                 size_t length) {
    int32_t tokens[2 * COLLECTED_MAX];
    memcpy(tokens, prompt, count * sizeof *tokens);
    assert_int_equal(choice->count, length);
    for (size_t i = 0; i < length; i++) {
        tokens[count + i] = fake_next(tokens, count + i);
        assert_int_equal(choice->ids[i], tokens[count + i]);
    }
}
