/* The way into the scheduler: requests of any thread, and the bell that wakes it. One mutex, held for a few
 * instructions; nothing is allocated or freed under it.
 *
 * Bounded by what waits, in choices and in prompt tokens. Places are taken before anything is made for them
 * (inbox_reserve), so that what finds none costs nothing; then inbox_admit puts the requests there, all of a
 * submit, and from there they count until the scheduler reports that their choices run or have ended
 * (inbox_left). Whoever reserves and does not admit gives the places back. Cancelling is no entry here: it is
 * a flag on the request and a ring of the bell, which always finds room.
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
    size_t reserved, reserved_tokens;    /* the same of those that are being made */
    size_t waiting_max, tokens_max;      /* 0 tokens: no limit */
};

enum status inbox_init(struct inbox *inbox, size_t waiting_max, size_t tokens_max, struct error *e);
void inbox_deinit(struct inbox *inbox);

/* Takes places, for choices or for the prompt tokens of choices that have theirs. Any thread; constant time.
 * STATUS_LIMIT: full; STATUS_CLOSING; STATUS_INVALID_ARGUMENT: more choices than ever fit. More tokens than
 * the limit are let in while no others wait: they could not be otherwise. */
enum status inbox_reserve(struct inbox *inbox, size_t choices, struct error *e);
enum status inbox_reserve_tokens(struct inbox *inbox, size_t tokens, struct error *e);
void inbox_give_back(struct inbox *inbox, size_t choices, size_t tokens);

/* Whether inbox_reserve would find a place for one choice now. */
enum status inbox_room(struct inbox *inbox, struct error *e);

/* Puts requests in the places that were reserved for exactly their choices and tokens, and takes a reference
 * on each. STATUS_CLOSING; then the places are still reserved. */
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
