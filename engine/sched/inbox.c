#include "engine/sched/inbox.h"

#include <assert.h>
#include <time.h>

#include "engine/base/clock.h"

enum status inbox_init(struct inbox *inbox, size_t waiting_max, size_t tokens_max, struct error *e) {
    *inbox = (struct inbox){.waiting_max = waiting_max, .tokens_max = tokens_max};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&inbox->bell, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed) return error_set(e, STATUS_NO_MEMORY, "scheduler", "no condition variable");
    pthread_mutex_init(&inbox->mutex, NULL);
    return STATUS_OK;
}

void inbox_deinit(struct inbox *inbox) {
    assert(!inbox->first);
    pthread_cond_destroy(&inbox->bell);
    pthread_mutex_destroy(&inbox->mutex);
}

static enum status check_open(const struct inbox *inbox, struct error *e) {
    if (!inbox->draining && !inbox->closing) return STATUS_OK;
    return error_set(e, STATUS_CLOSING, "", "the engine is shutting down");
}

static enum status check_choices(const struct inbox *inbox, size_t choices, struct error *e) {
    size_t taken = inbox->waiting + inbox->reserved;
    if (check_open(inbox, e) != STATUS_OK) return STATUS_CLOSING;
    if (choices > inbox->waiting_max)
        return error_set(e, STATUS_INVALID_ARGUMENT, "n",
                         "%zu choices in all are more than the queue holds (%zu)", choices,
                         inbox->waiting_max);
    if (choices > inbox->waiting_max - taken)
        return error_set(e, STATUS_LIMIT, "queue", "%zu choices wait, %zu more are beyond the limit of %zu",
                         taken, choices, inbox->waiting_max);
    return STATUS_OK;
}

static enum status check_tokens(const struct inbox *inbox, size_t tokens, struct error *e) {
    size_t taken = inbox->waiting_tokens + inbox->reserved_tokens;
    if (check_open(inbox, e) != STATUS_OK) return STATUS_CLOSING;
    if (inbox->tokens_max > 0 && taken > 0 &&
        (taken > inbox->tokens_max || tokens > inbox->tokens_max - taken))
        return error_set(e, STATUS_LIMIT, "queue",
                         "%zu prompt tokens wait, %zu more are beyond the limit of %zu", taken, tokens,
                         inbox->tokens_max);
    return STATUS_OK;
}

enum status inbox_reserve(struct inbox *inbox, size_t choices, struct error *e) {
    pthread_mutex_lock(&inbox->mutex);
    enum status status = check_choices(inbox, choices, e);
    if (status == STATUS_OK) inbox->reserved += choices;
    pthread_mutex_unlock(&inbox->mutex);
    return status;
}

enum status inbox_reserve_tokens(struct inbox *inbox, size_t tokens, struct error *e) {
    pthread_mutex_lock(&inbox->mutex);
    enum status status = check_tokens(inbox, tokens, e);
    if (status == STATUS_OK) inbox->reserved_tokens += tokens;
    pthread_mutex_unlock(&inbox->mutex);
    return status;
}

static void take_from_reserved(struct inbox *inbox, size_t choices, size_t tokens) {
    assert(inbox->reserved >= choices && inbox->reserved_tokens >= tokens);
    inbox->reserved -= choices;
    inbox->reserved_tokens -= tokens;
}

void inbox_give_back(struct inbox *inbox, size_t choices, size_t tokens) {
    pthread_mutex_lock(&inbox->mutex);
    take_from_reserved(inbox, choices, tokens);
    pthread_mutex_unlock(&inbox->mutex);
}

enum status inbox_room(struct inbox *inbox, struct error *e) {
    pthread_mutex_lock(&inbox->mutex);
    enum status status = check_choices(inbox, 1, e);
    pthread_mutex_unlock(&inbox->mutex);
    return status;
}

static void append(struct inbox *inbox, struct engine_request *request) {
    sched_request_retain(request);
    request->next_arrival = NULL;
    if (inbox->last)
        inbox->last->next_arrival = request;
    else
        inbox->first = request;
    inbox->last = request;
}

static void ring(struct inbox *inbox) {
    inbox->rang = true;
    pthread_cond_signal(&inbox->bell);
}

enum status inbox_admit(struct inbox *inbox, struct engine_request *const *requests, size_t count,
                        struct error *e) {
    size_t choices = 0, tokens = 0;
    for (size_t i = 0; i < count; i++) {
        choices += requests[i]->choices;
        tokens += requests[i]->choices * requests[i]->prompt_count;
    }
    pthread_mutex_lock(&inbox->mutex);
    enum status status = check_open(inbox, e);
    if (status == STATUS_OK) {
        take_from_reserved(inbox, choices, tokens);
        for (size_t i = 0; i < count; i++) append(inbox, requests[i]);
        inbox->waiting += choices;
        inbox->waiting_tokens += tokens;
        ring(inbox);
    }
    pthread_mutex_unlock(&inbox->mutex);
    return status;
}

void inbox_left(struct inbox *inbox, size_t choices, size_t tokens) {
    pthread_mutex_lock(&inbox->mutex);
    assert(inbox->waiting >= choices && inbox->waiting_tokens >= tokens);
    inbox->waiting -= choices;
    inbox->waiting_tokens -= tokens;
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_ring(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    ring(inbox);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_drain(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    inbox->draining = true;
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_close(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    inbox->closing = true;
    ring(inbox);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_waiting(struct inbox *inbox, size_t *choices, size_t *tokens) {
    pthread_mutex_lock(&inbox->mutex);
    *choices = inbox->waiting;
    *tokens = inbox->waiting_tokens;
    pthread_mutex_unlock(&inbox->mutex);
}

static void sleep_until(struct inbox *inbox, uint64_t deadline_ns) {
    if (deadline_ns == UINT64_MAX) {
        pthread_cond_wait(&inbox->bell, &inbox->mutex);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                             .tv_nsec = (long)(deadline_ns % 1000000000)};
    pthread_cond_timedwait(&inbox->bell, &inbox->mutex, &until);
}

bool inbox_wait(struct inbox *inbox, uint64_t deadline_ns, struct engine_request **arrivals) {
    pthread_mutex_lock(&inbox->mutex);
    while (!inbox->rang && deadline_ns > 0 && clock_ns() < deadline_ns) sleep_until(inbox, deadline_ns);
    inbox->rang = false;
    *arrivals = inbox->first;
    inbox->first = inbox->last = NULL;
    bool open = !inbox->closing;
    pthread_mutex_unlock(&inbox->mutex);
    return open;
}
