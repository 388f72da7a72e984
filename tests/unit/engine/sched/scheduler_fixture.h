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
