/* Bytes of memory that may be taken together, for two kinds of takers. A budget never makes anybody wait:
 * what finds no room is refused. A gate lets one wait for its turn, so only threads of the pool may enter it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Any thread. */
struct budget {
    atomic_size_t used;
    size_t max;
};

bool budget_take(struct budget *b, size_t bytes);
/* For what is there already: takes it, room or not. */
void budget_force(struct budget *b, size_t bytes);
void budget_give(struct budget *b, size_t bytes);
size_t budget_used(const struct budget *b);
/* Bytes that could be taken now. */
size_t budget_room(const struct budget *b);
/* Whether the last quarter has been broken into: it is for what cannot wait. */
bool budget_is_low(const struct budget *b);

/* Of the whole, a small one; and how many of them may pass whoever waits for its turn. */
enum { GATE_SMALL_SHARE = 16, GATE_PASSES_MAX = 64 };

/* Those who wait enter in the order in which they came, so a large one is not overtaken for ever. But a
 * small one for which there is room passes them, a few times for each: it would stand behind a large one for
 * as long as that waits for another. Who is inside must not enter again before it has left. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t used, max;
    size_t passes;          /* since a turn ended */
    size_t next_turn, turn; /* given out; whose it is */
};

void gate_init(struct gate *g, size_t max);
void gate_deinit(struct gate *g); /* nobody is inside */

/* Waits until there is room; bytes must be at most max. */
void gate_enter(struct gate *g, size_t bytes);
void gate_leave(struct gate *g, size_t bytes);
size_t gate_used(struct gate *g);
