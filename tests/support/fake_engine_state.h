/* What the files of the fake engine share. Everything below `lock` is read and written under it, and so are requests
 * once they are submitted: whoever calls a function here holds it. */
#pragma once

#include <pthread.h>

#include "tests/support/fake_engine.h"

enum { FAKE_TOP_MAX = 32 };

struct fake_event {
    struct engine_event event;
    char text[8];
    struct engine_top top[FAKE_TOP_MAX];
};

/* All that a choice will say is laid down when it is submitted; the thread only lets it out bit by bit. */
struct fake_choice {
    struct fake_event *events;
    size_t count, made, taken;
    bool finished;
    float embedding[FAKE_EMBEDDING_WIDTH];
};

struct engine_request {
    struct engine *engine;
    struct engine_request *next;
    struct fake_choice *choices;
    uint32_t choice_count, taken_from;
    size_t prompt_count;
    bool running, ready;
    uint32_t timeout_ms;
    uint64_t deadline_ns;
    void *user;
};

struct engine {
    struct engine_options options;
    unsigned token_ms, fail_at, late_at, tokens_max;
    bool no_start, no_infill, no_chat, holds;
    pthread_t thread;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t closed;
    struct engine_request *requests; /* in order of submission */
    size_t reserved;                 /* choices of tickets */
    bool let_all_go;                 /* texts that begin with "hold" wait no longer */
    pthread_cond_t let_go;
    bool closing, draining, awake;
    struct engine_stats stats;
};

/* Fills the events of one choice; returns their number. ids has room for what is generated. Needs no lock. */
size_t fake_choice_lay_down(const struct engine *engine, const struct engine_prompt *p, uint32_t choice,
                            const struct engine_sampling *sampling, int32_t *ids, struct fake_event *events);
/* Lets out the next event of a choice, if its event ring has room. */
bool fake_choice_advance(struct engine *engine, struct engine_request *r, struct fake_choice *c);
/* Ends every choice that has not ended, where it stands. */
void fake_request_finish(struct engine *engine, struct engine_request *r, enum engine_finish finish);
bool fake_request_is_finished(const struct engine_request *r);

/* Choices of requests that run, and of those that wait. */
size_t fake_engine_running(const struct engine *engine);
size_t fake_engine_waiting(const struct engine *engine);
