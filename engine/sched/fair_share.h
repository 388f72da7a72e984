/* Fair shares: whose turn it is among the clients that wait at the same priority, however much each has
 * queued. Scheduler thread. A turn is one sequence that gets a slot in the batch.
 *
 * A level is a priority; a flow is what one client has waiting there, in order of admission. The flows of a
 * level stand in a ring: the first has the turn, and stands behind all others when it has had it. A flow that
 * has nothing waiting is in no ring, and comes in at the end.
 *
 * The bound. Let c be a client that waits at a level all the time from s to t, and d another. From the moment
 * at which c stands at the end of the ring, d is before it once at most: where d has a turn it stands behind
 * c until c has had its own. So d has at most one turn before the first of c and at most one between two of
 * them, and in any time from s to t it has at most one turn more than c. A client that comes waits for one
 * turn of each client that was there. What is cancelled costs nobody a turn.
 *
 * Priorities. Levels do not compete by turns: a level is served as often, and as early, as it would be
 * without fair shares. The ranks that its sequences have by their arrival are seats, served in order of rank
 * among all levels; whose turn it is takes the first seat of its level (queue_exchange), and who had that
 * seat gets the other's. Within a client nothing is overtaken.
 *
 * What had its turn and waits again (preempted, resumed) keeps its seat and takes no further turn.
 *
 * Bounded by what may wait: each flow and each level has at least one sequence. All operations take constant
 * time; nothing is allocated after turns_init. */
#pragma once

#include "engine/sched/sequence.h"

struct turns_level {
    int priority;
    struct turns_flow *first, *last; /* the ring */
    struct turns_level *chain;       /* next of the same bucket, or of those that are free */
};

struct turns_flow {
    uint64_t client;
    struct turns_level *level;
    struct sequence *first, *last;
    struct turns_flow *previous, *next; /* in the ring */
    struct turns_flow *chain;
};

struct turns {
    size_t capacity; /* 0: no fair shares */
    struct turns_level *levels, *free_level;
    struct turns_flow *flows, *free_flow;
    size_t levels_used, flows_used; /* of the arrays, so many have been in use at some time */
    struct turns_level **level_buckets;
    struct turns_flow **flow_buckets;
    size_t bucket_count;
    uint64_t hash_seed; /* random: nobody can choose clients that collide */
};

/* For at most so many sequences that wait; 0: fair shares are off, and nothing else may be called. */
enum status turns_init(struct turns *turns, size_t capacity, struct error *e);
void turns_deinit(struct turns *turns);

/* What turns_init() allocates for so many: they are in use when as many clients wait. */
size_t turns_memory_bytes(size_t capacity);

static inline bool turns_are_on(const struct turns *turns) {
    return turns->capacity > 0;
}

/* A sequence waits for the turn of its client, behind what that has waiting already. */
void turns_add(struct turns *turns, struct sequence *s);

/* The sequence, of those that wait at the same priority as s, whose turn it is. */
static inline struct sequence *turns_next(const struct sequence *s) {
    return s->flow->level->first->first;
}

/* Ends its waiting. has_turn: it got its slot, and its client stands at the end of the ring now. */
void turns_remove(struct turns *turns, struct sequence *s, bool has_turn);
