/* Events on their way from the scheduler thread to the thread that takes them (the loop).
 *
 * An event ring belongs to one request: a ring of events in the order in which they were posted, with room for
 * `events` events of each choice and one more for its end. A choice whose share is full gets no rows until
 * events were taken; others go on. All event rings and the list of ready ones are guarded by the one mutex of
 * the ready list, which is held for a copy of one event at most.
 *
 * Wake-ups. `wake_pending` is set when the taker was told, or is still busy with what it was told of. It is
 * cleared only by ready_list_next_ready when it finds the list empty, under the mutex. An event posted before
 * that is on the list and is found; one posted after it finds wake_pending false and ready_list_wake calls wake.
 * So none is lost, and a taker that always drains to empty is called at most once per drain.
 *
 * Backpressure. A choice that has no room is marked, under the mutex, by the same call that found so
 * (event_ring_room); event_ring_take clears the mark once half of the share is free again, puts the choice on the
 * list of those that were fed, and reports it. So the scheduler may sleep, and looks only at those on the
 * list, however many are backpressured. An end clears the mark and takes it off the list. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/types/request.h"

struct event_ring;
struct event_ring_choice;

struct ready_list {
    pthread_mutex_t mutex;
    struct event_ring *first, *last;     /* ready, in the order in which they became so */
    struct event_ring_choice *first_fed; /* were backpressured and have room again, the newest first */
    bool wake_pending;
    void (*wake)(void *context);
    void *wake_context;
};

void ready_list_init(struct ready_list *ready_list, void (*wake)(void *context), void *wake_context);
void ready_list_deinit(struct ready_list *ready_list);

/* Scheduler thread, after events were posted: tells the taker, unless it has been told. */
void ready_list_wake(struct ready_list *ready_list);

/* Scheduler thread: removes a choice that was backpressured and has room again from the list; false: there is
 * none. */
bool ready_list_next_fed(struct ready_list *ready_list, struct event_ring **ring, uint32_t *choice);

/* Taker: removes the first ready event ring from the list; NULL when there is none. */
struct event_ring *ready_list_next_ready(struct ready_list *ready_list);

/* Bytes of text that an event holds itself. A longer piece (text held back for a stop string, say) is the one
 * thing for which posting allocates. */
#define EVENT_RING_TEXT_BYTES 40

struct queued_event {
    enum engine_event_kind kind;
    uint32_t choice;
    int32_t id;
    bool has_logprob;
    float logprob;
    uint32_t top_count, rank;
    size_t text_length;
    char *long_text; /* owned; NULL when text[] suffices */
    char text[EVENT_RING_TEXT_BYTES];
};

struct event_ring_choice {
    struct event_ring *ring;
    struct event_ring_choice *previous_fed, *next_fed; /* in the ready list's list */
    size_t undelivered;
    bool backpressured, is_fed; /* is_fed: on that list */
    struct engine_event end;    /* its FINISHED event; the text is borrowed from the sequence */
};

struct event_ring {
    struct event_ring *next; /* in the ready list's list */
    bool listed;
    bool closed; /* the handle was given back: nothing more is posted */
    size_t events, tops;
    struct queued_event *queued; /* ring */
    struct engine_top *top;      /* [capacity][tops] */
    size_t capacity, first, count;
    bool first_taken; /* the event at `first` has been given out: it goes with the next one that is taken */
    struct event_ring_choice *choices;
    size_t choice_count;
    struct error failure; /* of the first choice that failed; the ends of all that did point here */
};

/* tops: alternatives that an event carries at most. */
enum status event_ring_init(struct event_ring *ring, size_t choices, size_t events, size_t tops,
                            struct error *e);
void event_ring_deinit(struct event_ring *ring);

/* Scheduler thread: events that the choice may post now. 0 marks it as backpressured. */
size_t event_ring_room(struct ready_list *ready_list, struct event_ring *ring, uint32_t choice);

/* Scheduler thread: copies the event. PROMPT and TOKEN need room; a FINISHED event always finds its place, is
 * the last of its choice, and its text must live as long as the event ring. After event_ring_close it does nothing. */
enum status event_ring_post(struct ready_list *ready_list, struct event_ring *ring,
                            const struct engine_event *event);

/* Taker: the oldest event. Its text and alternatives are borrowed until the next call. *fed: a backpressured
 * choice has room again, tell the scheduler. */
bool event_ring_take(struct ready_list *ready_list, struct event_ring *ring, struct engine_event *out,
                     bool *fed);

/* Taker: off the list; nothing is posted from now on. */
void event_ring_close(struct ready_list *ready_list, struct event_ring *ring);
