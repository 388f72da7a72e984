/* A scheduler that drafts, over the fake model: what its tests share. */
#pragma once

#include "scheduler_fixture.h"

#include "engine/sched/scheduler_state.h"

static struct collected got;

/* Greedy texts of a model that looks back one token only come to say the same few tokens again and again. */
static inline void start_drafting(size_t pages, size_t context, void (*change)(struct scheduler_options *)) {
    struct error e;
    struct scheduler_options options = fake_model_init(&model, pages, context);
    options.speculate = true;
    options.draft_row_cost = 0.001;
    if (change) change(&options);
    model.memory = 1;
    assert_ok(scheduler_create(&options, &scheduler, &e));
}

static inline struct engine_prompt endless(const int32_t *ids, size_t count, uint32_t max_tokens) {
    struct engine_prompt prompt = fake_prompt(ids, count, max_tokens);
    prompt.ignore_end = true;
    return prompt;
}

/* What it must say. */
static inline void expect_text(const struct collected_choice *choice, const int32_t *ids, size_t count,
                               size_t length) {
    int32_t tokens[2 * COLLECTED_MAX];
    memcpy(tokens, ids, count * sizeof *tokens);
    assert_int_equal(choice->count, length);
    for (size_t i = 0; i < length; i++) {
        tokens[count + i] = fake_next_of(model.memory, tokens, count + i);
        assert_int_equal(choice->ids[i], tokens[count + i]);
    }
}

static inline struct engine_stats figures(void) {
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    return stats;
}
