/* The way into the scheduler: requests of any thread, and the condition that wakes its thread. One mutex, held for
 * a few instructions; nothing is allocated or freed under it.
 *
 * Bounded by what waits, in choices and in prompt tokens. Places are taken before anything is made for them
 * (submit_queue_reserve), so that what finds none costs nothing; then submit_queue_admit puts the requests there, all of a
 * submit, and from there they count until the scheduler reports that their choices run or have ended
 * (submit_queue_left). Whoever reserves and does not admit gives the places back. A cancellation takes no place: it is
 * a flag on the request and a notification, which always finds room.
 *
 * Notification. Whoever changes what the scheduler looks at (an arrival, a cancel flag, room in an event ring, closing)
 * notifies after the change. submit_queue_wait returns at once when there was a notification since it last returned;
 * both are under the mutex. So a change made before the scheduler looks is seen by that look, and one made after
 * it makes the next wait return. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sched/request.h"

struct submit_queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool notified, draining, closing;
    /* When the scheduler has something to do: 0: now; UINT64_MAX: once it is notified. Written under the mutex, read
     * without it. */
    _Atomic uint64_t rests_until_ns;
    struct engine_request *first, *last; /* arrivals */
    size_t waiting, waiting_tokens;      /* choices, and their prompt tokens */
    size_t reserved, reserved_tokens;    /* the same of those that are being made */
    size_t waiting_max, tokens_max;      /* 0 tokens: no limit */
};

enum status submit_queue_init(struct submit_queue *submit_queue, size_t waiting_max, size_t tokens_max,
                              struct error *e);
void submit_queue_deinit(struct submit_queue *submit_queue);

/* Takes places, for choices or for the prompt tokens of choices that have theirs. Any thread; constant time.
 * STATUS_LIMIT: full; STATUS_CLOSING; STATUS_INVALID_ARGUMENT: more choices than ever fit. More tokens than
 * the limit are let in while no others wait: they could not be otherwise. */
enum status submit_queue_reserve(struct submit_queue *submit_queue, size_t choices, struct error *e);
enum status submit_queue_reserve_tokens(struct submit_queue *submit_queue, size_t tokens, struct error *e);
void submit_queue_give_back(struct submit_queue *submit_queue, size_t choices, size_t tokens);

/* Whether submit_queue_reserve would find a place for one choice now. */
enum status submit_queue_room(struct submit_queue *submit_queue, struct error *e);

/* Puts requests in the places that were reserved for exactly their choices and tokens, and takes a reference
 * on each. STATUS_CLOSING; then the places are still reserved. */
enum status submit_queue_admit(struct submit_queue *submit_queue, struct engine_request *const *requests,
                               size_t count, struct error *e);

/* Scheduler thread: the choice of a request waits no longer. */
void submit_queue_left(struct submit_queue *submit_queue, size_t choices, size_t tokens);

void submit_queue_notify(struct submit_queue *submit_queue);
void submit_queue_drain(struct submit_queue *submit_queue);
void submit_queue_close(struct submit_queue *submit_queue);

/* Whether there is something for the scheduler to do, which it does or should be doing. Any thread, without the
 * mutex: who asks must not wait for a scheduler that hangs. */
bool submit_queue_has_work(const struct submit_queue *submit_queue, uint64_t now_ns);

/* What waits now. Any thread. */
void submit_queue_waiting(struct submit_queue *submit_queue, size_t *choices, size_t *tokens);

/* Scheduler thread: sleeps until its condition was notified or the deadline (UINT64_MAX: none; 0: does not sleep) has
 * passed, and takes the arrivals, oldest first, linked by next_arrival. false: closing. */
bool submit_queue_wait(struct submit_queue *submit_queue, uint64_t deadline_ns,
                       struct engine_request **arrivals);
