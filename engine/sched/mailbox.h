/* Events on their way from the scheduler thread to the thread that takes them (the loop).
 *
 * A mailbox belongs to one request: a ring of letters in the order in which they were posted, with room for
 * `events` letters of each choice and one more for its end. A choice whose share is full gets no rows until
 * letters were taken; others go on. All mailboxes and the list of ready ones are guarded by the one mutex of
 * the outbox, which is held for a copy of one letter at most.
 *
 * Wake-ups. `wake_pending` is set when the taker was told, or is still busy with what it was told of. It is
 * cleared only by outbox_next_ready when it finds the list empty, under the mutex. A letter posted before
 * that is on the list and is found; one posted after it finds wake_pending false and outbox_wake calls wake.
 * So none is lost, and a taker that always drains to empty is called at most once per drain.
 *
 * Starving. A choice that has no room is marked, under the mutex, by the same call that found so
 * (mailbox_room); mailbox_take clears the mark once half of the share is free again, puts the choice on the
 * list of those that were fed, and reports it. So the scheduler may sleep, and looks only at those on the
 * list, however many starve. An end clears the mark and takes it off the list. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/types/request.h"

struct mailbox;
struct mailbox_choice;

struct outbox {
    pthread_mutex_t mutex;
    struct mailbox *first, *last;     /* ready, in the order in which they became so */
    struct mailbox_choice *first_fed; /* were starving and have room again, the newest first */
    bool wake_pending;
    void (*wake)(void *context);
    void *wake_context;
};

void outbox_init(struct outbox *outbox, void (*wake)(void *context), void *wake_context);
void outbox_deinit(struct outbox *outbox);

/* Scheduler thread, after letters were posted: tells the taker, unless it has been told. */
void outbox_wake(struct outbox *outbox);

/* Scheduler thread: removes a choice that was starving and has room again from the list; false: there is
 * none.
 */
bool outbox_next_fed(struct outbox *outbox, struct mailbox **mailbox, uint32_t *choice);

/* Taker: removes the first ready mailbox from the list; NULL when there is none. */
struct mailbox *outbox_next_ready(struct outbox *outbox);

/* Bytes of text that a letter holds itself. A longer piece (text held back for a stop string, say) is the one
 * thing for which posting allocates. */
#define MAILBOX_TEXT_BYTES 40

struct letter {
    enum engine_event_kind kind;
    uint32_t choice;
    int32_t id;
    bool has_logprob;
    float logprob;
    uint32_t top_count, rank;
    size_t text_length;
    char *long_text; /* owned; NULL when text[] suffices */
    char text[MAILBOX_TEXT_BYTES];
};

struct mailbox_choice {
    struct mailbox *mailbox;
    struct mailbox_choice *previous_fed, *next_fed; /* in the outbox's list */
    size_t undelivered;
    bool starving, is_fed;   /* is_fed: on that list */
    struct engine_event end; /* its FINISHED event; the text is borrowed from the sequence */
};

struct mailbox {
    struct mailbox *next; /* in the outbox's list */
    bool listed;
    bool closed; /* the handle was given back: nothing more is posted */
    size_t events, tops;
    struct letter *letters; /* ring */
    struct engine_top *top; /* [capacity][tops] */
    size_t capacity, first, count;
    bool first_taken; /* the letter at `first` has been given out: it goes with the next one that is taken */
    struct mailbox_choice *choices;
    size_t choice_count;
};

/* tops: alternatives that a letter carries at most. */
enum status mailbox_init(struct mailbox *mailbox, size_t choices, size_t events, size_t tops,
                         struct error *e);
void mailbox_deinit(struct mailbox *mailbox);

/* Scheduler thread: letters that the choice may post now. 0 marks it as starving. */
size_t mailbox_room(struct outbox *outbox, struct mailbox *mailbox, uint32_t choice);

/* Scheduler thread: copies the event. PROMPT and TOKEN need room; a FINISHED event always finds its place, is
 * the last of its choice, and its text must live as long as the mailbox. After mailbox_close it does nothing.
 */
enum status mailbox_post(struct outbox *outbox, struct mailbox *mailbox, const struct engine_event *event);

/* Taker: the oldest letter. Its text and alternatives are borrowed until the next call. *fed: a starving
 * choice has room again, tell the scheduler. */
bool mailbox_take(struct outbox *outbox, struct mailbox *mailbox, struct engine_event *out, bool *fed);

/* Taker: off the list; nothing is posted from now on. */
void mailbox_close(struct outbox *outbox, struct mailbox *mailbox);
