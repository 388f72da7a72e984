#include "engine/sched/event_ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

void ready_list_init(struct ready_list *ready_list, void (*wake)(void *context), void *wake_context) {
    *ready_list = (struct ready_list){.wake = wake, .wake_context = wake_context};
    pthread_mutex_init(&ready_list->mutex, NULL);
}

void ready_list_deinit(struct ready_list *ready_list) {
    pthread_mutex_destroy(&ready_list->mutex);
}

void ready_list_wake(struct ready_list *ready_list) {
    pthread_mutex_lock(&ready_list->mutex);
    bool call = ready_list->first && !ready_list->wake_pending;
    if (call) ready_list->wake_pending = true;
    pthread_mutex_unlock(&ready_list->mutex);
    if (call && ready_list->wake) ready_list->wake(ready_list->wake_context);
}

struct event_ring *ready_list_next_ready(struct ready_list *ready_list) {
    pthread_mutex_lock(&ready_list->mutex);
    struct event_ring *ring = ready_list->first;
    if (ring) {
        ready_list->first = ring->next;
        if (!ready_list->first) ready_list->last = NULL;
        ring->next = NULL;
        ring->listed = false;
    } else {
        ready_list->wake_pending = false;
    }
    pthread_mutex_unlock(&ready_list->mutex);
    return ring;
}

static void list_fed(struct ready_list *ready_list, struct event_ring_choice *c) {
    c->is_fed = true;
    c->previous_fed = NULL;
    c->next_fed = ready_list->first_fed;
    if (c->next_fed) c->next_fed->previous_fed = c;
    ready_list->first_fed = c;
}

static void unlist_fed(struct ready_list *ready_list, struct event_ring_choice *c) {
    if (!c->is_fed) return;
    c->is_fed = false;
    if (c->next_fed) c->next_fed->previous_fed = c->previous_fed;
    if (c->previous_fed)
        c->previous_fed->next_fed = c->next_fed;
    else
        ready_list->first_fed = c->next_fed;
}

bool ready_list_next_fed(struct ready_list *ready_list, struct event_ring **ring, uint32_t *choice) {
    pthread_mutex_lock(&ready_list->mutex);
    struct event_ring_choice *c = ready_list->first_fed;
    if (c) {
        unlist_fed(ready_list, c);
        *ring = c->ring;
        *choice = (uint32_t)(c - c->ring->choices);
    }
    pthread_mutex_unlock(&ready_list->mutex);
    return c != NULL;
}

static void list_event_ring(struct ready_list *ready_list, struct event_ring *ring) {
    if (ring->listed) return;
    ring->listed = true;
    ring->next = NULL;
    if (ready_list->last)
        ready_list->last->next = ring;
    else
        ready_list->first = ring;
    ready_list->last = ring;
}

static void unlist_event_ring(struct ready_list *ready_list, struct event_ring *ring) {
    if (!ring->listed) return;
    ring->listed = false;
    struct event_ring *previous = NULL;
    for (struct event_ring *m = ready_list->first; m != ring; m = m->next) previous = m;
    if (previous)
        previous->next = ring->next;
    else
        ready_list->first = ring->next;
    if (ready_list->last == ring) ready_list->last = previous;
    ring->next = NULL;
}

enum status event_ring_init(struct event_ring *ring, size_t choices, size_t events, size_t tops,
                            struct error *e) {
    assert(choices > 0 && events > 0);
    *ring = (struct event_ring){.events = events, .tops = tops, .choice_count = choices};
    size_t top_total;
    if (memory_multiply(choices, events + 1, &ring->capacity) &&
        memory_multiply(ring->capacity, tops ? tops : 1, &top_total)) {
        ring->queued = calloc(ring->capacity, sizeof *ring->queued);
        ring->top = calloc(top_total, sizeof *ring->top);
        ring->choices = calloc(choices, sizeof *ring->choices);
    }
    for (size_t i = 0; ring->choices && i < choices; i++) ring->choices[i].ring = ring;
    if (ring->queued && ring->top && ring->choices) return STATUS_OK;
    event_ring_deinit(ring);
    return error_set(e, STATUS_NO_MEMORY, "request", "ring of %zu choices with %zu events", choices, events);
}

void event_ring_deinit(struct event_ring *ring) {
    for (size_t i = 0; ring->queued && i < ring->count; i++)
        free(ring->queued[(ring->first + i) % ring->capacity].long_text);
    free(ring->queued);
    free(ring->top);
    free(ring->choices);
    *ring = (struct event_ring){0};
}

size_t event_ring_room(struct ready_list *ready_list, struct event_ring *ring, uint32_t choice) {
    pthread_mutex_lock(&ready_list->mutex);
    struct event_ring_choice *c = &ring->choices[choice];
    size_t room = ring->events - c->undelivered;
    if (ring->closed) room = ring->events; /* it is about to be cancelled, and posts go nowhere */
    if (room == 0) c->backpressured = true;
    pthread_mutex_unlock(&ready_list->mutex);
    return room;
}

/* Choices of a request fail of the same cause, mostly, and the first of them fails it: one error for all, which is
 * written before anybody can see it and then never again. */
static void write_end(struct event_ring *ring, const struct engine_event *event) {
    struct engine_event *end = &ring->choices[event->choice].end;
    *end = *event;
    if (!event->error) return;
    if (ring->failure.code == STATUS_OK) ring->failure = *event->error;
    end->error = &ring->failure;
}

/* Writes an event behind the last. The event that the taker still reads counts as held, so it is never
 * overwritten: the share of each choice and the place of its end are both in the capacity. */
static void write_event(struct event_ring *ring, const struct engine_event *event,
                        char *long_text) { // NOLINT(readability-non-const-parameter): taken
    assert(ring->count < ring->capacity);
    size_t at = (ring->first + ring->count++) % ring->capacity;
    struct queued_event *event_at = &ring->queued[at];
    *event_at = (struct queued_event){.kind = event->kind,
                                      .choice = event->choice,
                                      .id = event->id,
                                      .has_logprob = event->has_logprob,
                                      .logprob = event->logprob,
                                      .top_count = (uint32_t)event->top_count,
                                      .rank = event->rank,
                                      .text_length = event->text_length,
                                      .long_text = long_text};
    assert(event->top_count <= ring->tops);
    if (event->top_count > 0)
        memcpy(ring->top + at * ring->tops, event->top, event->top_count * sizeof *event->top);
    if (event->kind == ENGINE_EVENT_FINISHED)
        write_end(ring, event);
    else if (!long_text && event->text_length > 0)
        memcpy(event_at->text, event->text, event->text_length);
}

enum status event_ring_post(struct ready_list *ready_list, struct event_ring *ring,
                            const struct engine_event *event) {
    char *long_text = NULL;
    bool finished = event->kind == ENGINE_EVENT_FINISHED;
    if (!finished && event->text_length > EVENT_RING_TEXT_BYTES) {
        long_text = malloc(event->text_length);
        if (!long_text) return STATUS_NO_MEMORY;
        memcpy(long_text, event->text, event->text_length);
    }
    pthread_mutex_lock(&ready_list->mutex);
    struct event_ring_choice *c = &ring->choices[event->choice];
    if (finished) {
        c->backpressured = false; /* nothing will be said to the scheduler of it any more */
        unlist_fed(ready_list, c);
    }
    if (ring->closed) {
        free(long_text);
    } else {
        assert(finished || c->undelivered < ring->events);
        if (!finished) c->undelivered++;
        write_event(ring, event, long_text);
        list_event_ring(ready_list, ring);
    }
    pthread_mutex_unlock(&ready_list->mutex);
    return STATUS_OK;
}

/* Frees the place of the event that was given out last, and with it the share of its choice. */
static void drop_taken(struct ready_list *ready_list, struct event_ring *ring, bool *fed) {
    if (!ring->first_taken) return;
    struct queued_event *event_at = &ring->queued[ring->first];
    struct event_ring_choice *c = &ring->choices[event_at->choice];
    free(event_at->long_text);
    event_at->long_text = NULL;
    if (event_at->kind != ENGINE_EVENT_FINISHED) c->undelivered--;
    ring->first = (ring->first + 1) % ring->capacity;
    ring->count--;
    ring->first_taken = false;
    if (c->backpressured && c->undelivered <= ring->events / 2) {
        c->backpressured = false;
        list_fed(ready_list, c);
        *fed = true;
    }
}

static void read_event(const struct event_ring *ring, struct engine_event *out) {
    const struct queued_event *event_at = &ring->queued[ring->first];
    if (event_at->kind == ENGINE_EVENT_FINISHED) {
        *out = ring->choices[event_at->choice].end;
        return;
    }
    *out = (struct engine_event){.kind = event_at->kind,
                                 .choice = event_at->choice,
                                 .text = event_at->long_text ? event_at->long_text : event_at->text,
                                 .text_length = event_at->text_length,
                                 .id = event_at->id,
                                 .has_logprob = event_at->has_logprob,
                                 .logprob = event_at->logprob,
                                 .top = ring->top + ring->first * ring->tops,
                                 .top_count = event_at->top_count,
                                 .rank = event_at->rank};
}

bool event_ring_take(struct ready_list *ready_list, struct event_ring *ring, struct engine_event *out,
                     bool *fed) {
    *fed = false;
    pthread_mutex_lock(&ready_list->mutex);
    drop_taken(ready_list, ring, fed);
    bool any = ring->count > 0;
    if (any) {
        read_event(ring, out);
        ring->first_taken = true;
    }
    pthread_mutex_unlock(&ready_list->mutex);
    return any;
}

void event_ring_close(struct ready_list *ready_list, struct event_ring *ring) {
    pthread_mutex_lock(&ready_list->mutex);
    ring->closed = true;
    unlist_event_ring(ready_list, ring);
    pthread_mutex_unlock(&ready_list->mutex);
}
