#include "engine/sched/mailbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

void outbox_init(struct outbox *outbox, void (*wake)(void *context), void *wake_context) {
    *outbox = (struct outbox){.wake = wake, .wake_context = wake_context};
    pthread_mutex_init(&outbox->mutex, NULL);
}

void outbox_deinit(struct outbox *outbox) {
    pthread_mutex_destroy(&outbox->mutex);
}

void outbox_wake(struct outbox *outbox) {
    pthread_mutex_lock(&outbox->mutex);
    bool call = outbox->first && !outbox->wake_pending;
    if (call) outbox->wake_pending = true;
    pthread_mutex_unlock(&outbox->mutex);
    if (call && outbox->wake) outbox->wake(outbox->wake_context);
}

struct mailbox *outbox_next_ready(struct outbox *outbox) {
    pthread_mutex_lock(&outbox->mutex);
    struct mailbox *mailbox = outbox->first;
    if (mailbox) {
        outbox->first = mailbox->next;
        if (!outbox->first) outbox->last = NULL;
        mailbox->next = NULL;
        mailbox->listed = false;
    } else {
        outbox->wake_pending = false;
    }
    pthread_mutex_unlock(&outbox->mutex);
    return mailbox;
}

static void list_fed(struct outbox *outbox, struct mailbox_choice *c) {
    c->is_fed = true;
    c->previous_fed = NULL;
    c->next_fed = outbox->first_fed;
    if (c->next_fed) c->next_fed->previous_fed = c;
    outbox->first_fed = c;
}

static void unlist_fed(struct outbox *outbox, struct mailbox_choice *c) {
    if (!c->is_fed) return;
    c->is_fed = false;
    if (c->next_fed) c->next_fed->previous_fed = c->previous_fed;
    if (c->previous_fed)
        c->previous_fed->next_fed = c->next_fed;
    else
        outbox->first_fed = c->next_fed;
}

bool outbox_next_fed(struct outbox *outbox, struct mailbox **mailbox, uint32_t *choice) {
    pthread_mutex_lock(&outbox->mutex);
    struct mailbox_choice *c = outbox->first_fed;
    if (c) {
        unlist_fed(outbox, c);
        *mailbox = c->mailbox;
        *choice = (uint32_t)(c - c->mailbox->choices);
    }
    pthread_mutex_unlock(&outbox->mutex);
    return c != NULL;
}

static void list_mailbox(struct outbox *outbox, struct mailbox *mailbox) {
    if (mailbox->listed) return;
    mailbox->listed = true;
    mailbox->next = NULL;
    if (outbox->last)
        outbox->last->next = mailbox;
    else
        outbox->first = mailbox;
    outbox->last = mailbox;
}

static void unlist_mailbox(struct outbox *outbox, struct mailbox *mailbox) {
    if (!mailbox->listed) return;
    mailbox->listed = false;
    struct mailbox *previous = NULL;
    for (struct mailbox *m = outbox->first; m != mailbox; m = m->next) previous = m;
    if (previous)
        previous->next = mailbox->next;
    else
        outbox->first = mailbox->next;
    if (outbox->last == mailbox) outbox->last = previous;
    mailbox->next = NULL;
}

enum status mailbox_init(struct mailbox *mailbox, size_t choices, size_t events, size_t tops,
                         struct error *e) {
    assert(choices > 0 && events > 0);
    *mailbox = (struct mailbox){.events = events, .tops = tops, .choice_count = choices};
    size_t top_total;
    if (memory_multiply(choices, events + 1, &mailbox->capacity) &&
        memory_multiply(mailbox->capacity, tops ? tops : 1, &top_total)) {
        mailbox->letters = calloc(mailbox->capacity, sizeof *mailbox->letters);
        mailbox->top = calloc(top_total, sizeof *mailbox->top);
        mailbox->choices = calloc(choices, sizeof *mailbox->choices);
    }
    for (size_t i = 0; mailbox->choices && i < choices; i++) mailbox->choices[i].mailbox = mailbox;
    if (mailbox->letters && mailbox->top && mailbox->choices) return STATUS_OK;
    mailbox_deinit(mailbox);
    return error_set(e, STATUS_NO_MEMORY, "request", "mailbox of %zu choices with %zu events", choices,
                     events);
}

void mailbox_deinit(struct mailbox *mailbox) {
    for (size_t i = 0; mailbox->letters && i < mailbox->count; i++)
        free(mailbox->letters[(mailbox->first + i) % mailbox->capacity].long_text);
    free(mailbox->letters);
    free(mailbox->top);
    free(mailbox->choices);
    *mailbox = (struct mailbox){0};
}

size_t mailbox_room(struct outbox *outbox, struct mailbox *mailbox, uint32_t choice) {
    pthread_mutex_lock(&outbox->mutex);
    struct mailbox_choice *c = &mailbox->choices[choice];
    size_t room = mailbox->events - c->undelivered;
    if (mailbox->closed) room = mailbox->events; /* it is about to be cancelled, and posts go nowhere */
    if (room == 0) c->starving = true;
    pthread_mutex_unlock(&outbox->mutex);
    return room;
}

/* Writes a letter behind the last. The letter that the taker still reads counts as held, so it is never
 * overwritten: the share of each choice and the place of its end are both in the capacity. */
static void write_letter(struct mailbox *mailbox, const struct engine_event *event, char *long_text) {
    assert(mailbox->count < mailbox->capacity);
    size_t at = (mailbox->first + mailbox->count++) % mailbox->capacity;
    struct letter *letter = &mailbox->letters[at];
    *letter = (struct letter){.kind = event->kind,
                              .choice = event->choice,
                              .id = event->id,
                              .has_logprob = event->has_logprob,
                              .logprob = event->logprob,
                              .top_count = (uint32_t)event->top_count,
                              .rank = event->rank,
                              .text_length = event->text_length,
                              .long_text = long_text};
    assert(event->top_count <= mailbox->tops);
    if (event->top_count > 0)
        memcpy(mailbox->top + at * mailbox->tops, event->top, event->top_count * sizeof *event->top);
    if (event->kind == ENGINE_EVENT_FINISHED)
        mailbox->choices[event->choice].end = *event;
    else if (!long_text && event->text_length > 0)
        memcpy(letter->text, event->text, event->text_length);
}

enum status mailbox_post(struct outbox *outbox, struct mailbox *mailbox, const struct engine_event *event) {
    char *long_text = NULL;
    bool finished = event->kind == ENGINE_EVENT_FINISHED;
    if (!finished && event->text_length > MAILBOX_TEXT_BYTES) {
        long_text = malloc(event->text_length);
        if (!long_text) return STATUS_NO_MEMORY;
        memcpy(long_text, event->text, event->text_length);
    }
    pthread_mutex_lock(&outbox->mutex);
    struct mailbox_choice *c = &mailbox->choices[event->choice];
    if (finished) {
        c->starving = false; /* nothing will be said to the scheduler of it any more */
        unlist_fed(outbox, c);
    }
    if (mailbox->closed) {
        free(long_text);
    } else {
        assert(finished || c->undelivered < mailbox->events);
        if (!finished) c->undelivered++;
        write_letter(mailbox, event, long_text);
        list_mailbox(outbox, mailbox);
    }
    pthread_mutex_unlock(&outbox->mutex);
    return STATUS_OK;
}

/* Frees the place of the letter that was given out last, and with it the share of its choice. */
static void drop_taken(struct outbox *outbox, struct mailbox *mailbox, bool *fed) {
    if (!mailbox->first_taken) return;
    struct letter *letter = &mailbox->letters[mailbox->first];
    struct mailbox_choice *c = &mailbox->choices[letter->choice];
    free(letter->long_text);
    letter->long_text = NULL;
    if (letter->kind != ENGINE_EVENT_FINISHED) c->undelivered--;
    mailbox->first = (mailbox->first + 1) % mailbox->capacity;
    mailbox->count--;
    mailbox->first_taken = false;
    if (c->starving && c->undelivered <= mailbox->events / 2) {
        c->starving = false;
        list_fed(outbox, c);
        *fed = true;
    }
}

static void read_letter(const struct mailbox *mailbox, struct engine_event *out) {
    const struct letter *letter = &mailbox->letters[mailbox->first];
    if (letter->kind == ENGINE_EVENT_FINISHED) {
        *out = mailbox->choices[letter->choice].end;
        return;
    }
    *out = (struct engine_event){.kind = letter->kind,
                                 .choice = letter->choice,
                                 .text = letter->long_text ? letter->long_text : letter->text,
                                 .text_length = letter->text_length,
                                 .id = letter->id,
                                 .has_logprob = letter->has_logprob,
                                 .logprob = letter->logprob,
                                 .top = mailbox->top + mailbox->first * mailbox->tops,
                                 .top_count = letter->top_count,
                                 .rank = letter->rank};
}

bool mailbox_take(struct outbox *outbox, struct mailbox *mailbox, struct engine_event *out, bool *fed) {
    *fed = false;
    pthread_mutex_lock(&outbox->mutex);
    drop_taken(outbox, mailbox, fed);
    bool any = mailbox->count > 0;
    if (any) {
        read_letter(mailbox, out);
        mailbox->first_taken = true;
    }
    pthread_mutex_unlock(&outbox->mutex);
    return any;
}

void mailbox_close(struct outbox *outbox, struct mailbox *mailbox) {
    pthread_mutex_lock(&outbox->mutex);
    mailbox->closed = true;
    unlist_mailbox(outbox, mailbox);
    pthread_mutex_unlock(&outbox->mutex);
}
