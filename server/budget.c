#include "server/budget.h"

#include <assert.h>

/* ---- budget -------------------------------------------------------------------------------------------- */

bool budget_take(struct budget *b, size_t bytes) {
    size_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
    do
        if (used > b->max || bytes > b->max - used) return false;
    while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + bytes, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}

void budget_force(struct budget *b, size_t bytes) {
    atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
}

void budget_give(struct budget *b, size_t bytes) {
    size_t used = atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
    assert(bytes <= used);
    (void)used;
}

size_t budget_used(const struct budget *b) {
    return atomic_load_explicit(&b->used, memory_order_relaxed);
}

size_t budget_room(const struct budget *b) {
    size_t used = budget_used(b);
    return used < b->max ? b->max - used : 0;
}

bool budget_is_low(const struct budget *b) {
    return budget_room(b) < b->max / 4;
}

/* ---- gate ---------------------------------------------------------------------------------------------- */

void gate_init(struct gate *g, size_t max) {
    *g = (struct gate){.max = max};
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
}

void gate_deinit(struct gate *g) {
    assert(g->used == 0);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
}

static bool has_room(const struct gate *g, size_t bytes) {
    return bytes <= g->max - g->used;
}

static bool may_pass(const struct gate *g, size_t bytes) {
    return bytes <= g->max / GATE_SMALL_SHARE && has_room(g, bytes) && g->passes < GATE_PASSES_MAX;
}

static void wait_for_turn(struct gate *g, size_t bytes) {
    size_t turn = g->next_turn++;
    while (g->turn != turn || !has_room(g, bytes)) pthread_cond_wait(&g->changed, &g->mutex);
    g->turn++;
    g->passes = 0;
    pthread_cond_broadcast(&g->changed);
}

void gate_enter(struct gate *g, size_t bytes) {
    assert(bytes <= g->max);
    pthread_mutex_lock(&g->mutex);
    bool anybody_waits = g->turn != g->next_turn;
    if (anybody_waits && may_pass(g, bytes))
        g->passes++;
    else
        wait_for_turn(g, bytes);
    g->used += bytes;
    pthread_mutex_unlock(&g->mutex);
}

void gate_leave(struct gate *g, size_t bytes) {
    pthread_mutex_lock(&g->mutex);
    assert(bytes <= g->used);
    g->used -= bytes;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

size_t gate_used(struct gate *g) {
    pthread_mutex_lock(&g->mutex);
    size_t used = g->used;
    pthread_mutex_unlock(&g->mutex);
    return used;
}
