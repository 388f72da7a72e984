/* What a test has got of one request. */
#pragma once

#include <stdbool.h>

#include "tests/support/test_support.h"
#include "engine/sched/scheduler.h"

enum { COLLECTED_MAX = 600, COLLECTED_CHOICES = 4 };

struct collected_choice {
    int32_t ids[COLLECTED_MAX];
    float logprobs[COLLECTED_MAX];
    size_t count, ends;
    struct engine_event end;
};

struct collected {
    struct engine_request *request;
    struct collected_choice choices[COLLECTED_CHOICES];
    int32_t prompt_ids[COLLECTED_MAX];
    float prompt_logprobs[COLLECTED_MAX];
    size_t prompt_count, ended;
};

static inline void collect_event(struct collected *c, const struct engine_event *event) {
    struct collected_choice *choice = &c->choices[event->choice];
    assert_int_equal(choice->ends, 0); /* nothing after the end */
    if (event->kind == ENGINE_EVENT_PROMPT) {
        assert_int_equal(event->choice, 0);
        assert_int_equal(event->has_logprob, c->prompt_count > 0);
        c->prompt_logprobs[c->prompt_count] = event->logprob;
        c->prompt_ids[c->prompt_count++] = event->id;
    } else if (event->kind == ENGINE_EVENT_TOKEN) {
        choice->logprobs[choice->count] = event->has_logprob ? event->logprob : 1;
        choice->ids[choice->count++] = event->id;
    } else {
        choice->end = *event;
        choice->ends++;
        c->ended++;
    }
}

/* Takes at most so many events; returns how many. */
static inline size_t collect_some(struct collected *c, size_t most) {
    struct engine_event event;
    size_t taken = 0;
    while (taken < most && scheduler_next_event(c->request, &event)) {
        collect_event(c, &event);
        taken++;
    }
    return taken;
}

static inline void collect_start(struct scheduler *s, struct collected *c,
                                 const struct engine_prompt *prompt) {
    struct error e;
    struct engine_prompt with_user = *prompt;
    memset(c, 0, sizeof *c);
    with_user.user = c;
    assert_ok(scheduler_submit(s, &with_user, 1, &c->request, &e));
    assert_ptr_equal(c->request->user, c);
}

/* Drains to empty, as a taker must. */
static inline void collect_ready(struct scheduler *s) {
    for (struct engine_request *r; (r = scheduler_next_ready(s));) collect_some(r->user, SIZE_MAX);
}

static inline void collect_until_end(struct scheduler *s, struct collected *c) {
    for (int turns = 0; c->ended < c->request->choices; turns++) {
        assert_true(turns < 100000);
        scheduler_turn(s);
        collect_ready(s);
    }
}

static inline void collect_release(struct collected *c) {
    scheduler_release(c->request);
    c->request = NULL;
}
