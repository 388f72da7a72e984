#include "engine/sched/submit_queue.h"

#include <assert.h>
#include <time.h>

#include "engine/base/clock.h"

enum status submit_queue_init(struct submit_queue *submit_queue, size_t waiting_max, size_t tokens_max,
                              struct error *e) {
    *submit_queue = (struct submit_queue){
        .rests_until_ns = UINT64_MAX, .waiting_max = waiting_max, .tokens_max = tokens_max};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&submit_queue->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed) return error_set(e, STATUS_NO_MEMORY, "scheduler", "no condition variable");
    pthread_mutex_init(&submit_queue->mutex, NULL);
    return STATUS_OK;
}

void submit_queue_deinit(struct submit_queue *submit_queue) {
    assert(!submit_queue->first);
    pthread_cond_destroy(&submit_queue->changed);
    pthread_mutex_destroy(&submit_queue->mutex);
}

static enum status check_open(const struct submit_queue *submit_queue, struct error *e) {
    if (!submit_queue->draining && !submit_queue->closing) return STATUS_OK;
    return error_set(e, STATUS_CLOSING, "", "the engine is shutting down");
}

static enum status check_choices(const struct submit_queue *submit_queue, size_t choices, struct error *e) {
    size_t taken = submit_queue->waiting + submit_queue->reserved;
    if (check_open(submit_queue, e) != STATUS_OK) return STATUS_CLOSING;
    if (choices > submit_queue->waiting_max)
        return error_set(e, STATUS_INVALID_ARGUMENT, "n",
                         "%zu choices in all are more than the queue holds (%zu)", choices,
                         submit_queue->waiting_max);
    if (choices > submit_queue->waiting_max - taken)
        return error_set(e, STATUS_LIMIT, "queue", "%zu choices wait, %zu more are beyond the limit of %zu",
                         taken, choices, submit_queue->waiting_max);
    return STATUS_OK;
}

static enum status check_tokens(const struct submit_queue *submit_queue, size_t tokens, struct error *e) {
    size_t taken = submit_queue->waiting_tokens + submit_queue->reserved_tokens;
    if (check_open(submit_queue, e) != STATUS_OK) return STATUS_CLOSING;
    if (submit_queue->tokens_max > 0 && taken > 0 &&
        (taken > submit_queue->tokens_max || tokens > submit_queue->tokens_max - taken))
        return error_set(e, STATUS_LIMIT, "queue",
                         "%zu prompt tokens wait, %zu more are beyond the limit of %zu", taken, tokens,
                         submit_queue->tokens_max);
    return STATUS_OK;
}

enum status submit_queue_reserve(struct submit_queue *submit_queue, size_t choices, struct error *e) {
    pthread_mutex_lock(&submit_queue->mutex);
    enum status status = check_choices(submit_queue, choices, e);
    if (status == STATUS_OK) submit_queue->reserved += choices;
    pthread_mutex_unlock(&submit_queue->mutex);
    return status;
}

enum status submit_queue_reserve_tokens(struct submit_queue *submit_queue, size_t tokens, struct error *e) {
    pthread_mutex_lock(&submit_queue->mutex);
    enum status status = check_tokens(submit_queue, tokens, e);
    if (status == STATUS_OK) submit_queue->reserved_tokens += tokens;
    pthread_mutex_unlock(&submit_queue->mutex);
    return status;
}

static void take_from_reserved(struct submit_queue *submit_queue, size_t choices, size_t tokens) {
    assert(submit_queue->reserved >= choices && submit_queue->reserved_tokens >= tokens);
    submit_queue->reserved -= choices;
    submit_queue->reserved_tokens -= tokens;
}

void submit_queue_give_back(struct submit_queue *submit_queue, size_t choices, size_t tokens) {
    pthread_mutex_lock(&submit_queue->mutex);
    take_from_reserved(submit_queue, choices, tokens);
    pthread_mutex_unlock(&submit_queue->mutex);
}

enum status submit_queue_room(struct submit_queue *submit_queue, struct error *e) {
    pthread_mutex_lock(&submit_queue->mutex);
    enum status status = check_choices(submit_queue, 1, e);
    pthread_mutex_unlock(&submit_queue->mutex);
    return status;
}

static void append(struct submit_queue *submit_queue, struct engine_request *request) {
    sched_request_retain(request);
    request->next_arrival = NULL;
    if (submit_queue->last)
        submit_queue->last->next_arrival = request;
    else
        submit_queue->first = request;
    submit_queue->last = request;
}

static void ring(struct submit_queue *submit_queue) {
    submit_queue->notified = true;
    atomic_store_explicit(&submit_queue->rests_until_ns, 0, memory_order_relaxed);
    pthread_cond_signal(&submit_queue->changed);
}

enum status submit_queue_admit(struct submit_queue *submit_queue, struct engine_request *const *requests,
                               size_t count, struct error *e) {
    size_t choices = 0, tokens = 0;
    for (size_t i = 0; i < count; i++) {
        choices += requests[i]->choices;
        tokens += requests[i]->choices * requests[i]->prompt_count;
    }
    pthread_mutex_lock(&submit_queue->mutex);
    enum status status = check_open(submit_queue, e);
    if (status == STATUS_OK) {
        take_from_reserved(submit_queue, choices, tokens);
        for (size_t i = 0; i < count; i++) append(submit_queue, requests[i]);
        submit_queue->waiting += choices;
        submit_queue->waiting_tokens += tokens;
        ring(submit_queue);
    }
    pthread_mutex_unlock(&submit_queue->mutex);
    return status;
}

void submit_queue_left(struct submit_queue *submit_queue, size_t choices, size_t tokens) {
    pthread_mutex_lock(&submit_queue->mutex);
    assert(submit_queue->waiting >= choices && submit_queue->waiting_tokens >= tokens);
    submit_queue->waiting -= choices;
    submit_queue->waiting_tokens -= tokens;
    pthread_mutex_unlock(&submit_queue->mutex);
}

void submit_queue_notify(struct submit_queue *submit_queue) {
    pthread_mutex_lock(&submit_queue->mutex);
    ring(submit_queue);
    pthread_mutex_unlock(&submit_queue->mutex);
}

void submit_queue_drain(struct submit_queue *submit_queue) {
    pthread_mutex_lock(&submit_queue->mutex);
    submit_queue->draining = true;
    pthread_mutex_unlock(&submit_queue->mutex);
}

void submit_queue_close(struct submit_queue *submit_queue) {
    pthread_mutex_lock(&submit_queue->mutex);
    submit_queue->closing = true;
    ring(submit_queue);
    pthread_mutex_unlock(&submit_queue->mutex);
}

void submit_queue_waiting(struct submit_queue *submit_queue, size_t *choices, size_t *tokens) {
    pthread_mutex_lock(&submit_queue->mutex);
    *choices = submit_queue->waiting;
    *tokens = submit_queue->waiting_tokens;
    pthread_mutex_unlock(&submit_queue->mutex);
}

bool submit_queue_has_work(const struct submit_queue *submit_queue, uint64_t now_ns) {
    return now_ns >= atomic_load_explicit(&submit_queue->rests_until_ns, memory_order_relaxed);
}

static void sleep_until(struct submit_queue *submit_queue, uint64_t deadline_ns) {
    atomic_store_explicit(&submit_queue->rests_until_ns, deadline_ns, memory_order_relaxed);
    if (deadline_ns == UINT64_MAX) {
        pthread_cond_wait(&submit_queue->changed, &submit_queue->mutex);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                             .tv_nsec = (long)(deadline_ns % 1000000000)};
    pthread_cond_timedwait(&submit_queue->changed, &submit_queue->mutex, &until);
}

bool submit_queue_wait(struct submit_queue *submit_queue, uint64_t deadline_ns,
                       struct engine_request **arrivals) {
    pthread_mutex_lock(&submit_queue->mutex);
    while (!submit_queue->notified && deadline_ns > 0 && clock_ns() < deadline_ns)
        sleep_until(submit_queue, deadline_ns);
    submit_queue->notified = false;
    atomic_store_explicit(&submit_queue->rests_until_ns, 0, memory_order_relaxed);
    *arrivals = submit_queue->first;
    submit_queue->first = submit_queue->last = NULL;
    bool open = !submit_queue->closing;
    pthread_mutex_unlock(&submit_queue->mutex);
    return open;
}
