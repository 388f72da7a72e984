/* The way into the scheduler: requests of any thread, and the bell that wakes it. One mutex, held for a few
 * instructions; nothing is allocated or freed under it.
 *
 * Bounded by what waits, in choices and in prompt tokens: a request counts from inbox_admit until the
 * scheduler reports that its choices run or have ended (inbox_left). All requests of a submit are admitted,
 * or none. Cancelling is no entry here: it is a flag on the request and a ring of the bell, which always
 * finds room.
 *
 * Bell. Whoever changes what the scheduler looks at (an arrival, a cancel flag, room in a mailbox, closing)
 * rings after the change. inbox_wait returns at once when it rang since the last inbox_wait returned; both
 * are under the mutex. So a change made before the scheduler looks is seen by that look, and one made after
 * it makes the next wait return. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sched/request.h"

struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t bell;
    bool rang, draining, closing;
    struct engine_request *first, *last; /* arrivals */
    size_t waiting, waiting_tokens;      /* choices, and their prompt tokens */
    size_t waiting_max, tokens_max;      /* 0 tokens: no limit */
};

enum status inbox_init(struct inbox *inbox, size_t waiting_max, size_t tokens_max, struct error *e);
void inbox_deinit(struct inbox *inbox);

/* Takes a reference on each. STATUS_LIMIT: full; STATUS_CLOSING; STATUS_INVALID_ARGUMENT: more choices than
 * ever fit. A single submit with more tokens than the limit is admitted while nothing waits: it could not be
 * otherwise. */
enum status inbox_admit(struct inbox *inbox, struct engine_request *const *requests, size_t count,
                        struct error *e);

/* Scheduler thread: the choice of a request waits no longer. */
void inbox_left(struct inbox *inbox, size_t choices, size_t tokens);

void inbox_ring(struct inbox *inbox);
void inbox_drain(struct inbox *inbox);
void inbox_close(struct inbox *inbox);

/* What waits now. Any thread. */
void inbox_waiting(struct inbox *inbox, size_t *choices, size_t *tokens);

/* Scheduler thread: sleeps until the bell rang or the deadline (UINT64_MAX: none; 0: does not sleep) has
 * passed, and takes the arrivals, oldest first, linked by next_arrival. false: closing. */
bool inbox_wait(struct inbox *inbox, uint64_t deadline_ns, struct engine_request **arrivals);
