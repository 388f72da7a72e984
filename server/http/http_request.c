#include "server/http/http_request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "server/api/api_memory.h"
#include "server/http/client_request.h"
#include "server/http/connection.h"
#include "server/http/disposal.h"

#define TO(state) (1u << REQUEST_##state)

static const unsigned legal_moves[] = {
    [REQUEST_RECEIVING] = TO(PREPARING) | TO(ANSWERED) | TO(GONE),
    [REQUEST_PREPARING] = TO(RUNNING) | TO(ANSWERED) | TO(GONE),
    [REQUEST_RUNNING] = TO(WRITING) | TO(ANSWERED) | TO(STREAMING) | TO(GONE),
    [REQUEST_WRITING] = TO(ANSWERED) | TO(GONE),
    [REQUEST_ANSWERED] = TO(GONE),
    [REQUEST_STREAMING] = TO(GONE),
    [REQUEST_GONE] = 0,
};

void http_request_move(struct http_request *r, enum http_request_state state) {
    assert(legal_moves[r->state] & (1u << state));
    r->state = state;
}

struct http_request *http_request_create(struct service *s, struct connection *connection,
                                         struct MHD_Connection *mhd) {
    struct http_request *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->service = s;
    r->connection = connection;
    r->mhd = mhd;
    r->holders = 1;
    r->begun_ns = clock_ns();
    r->next = s->requests;
    if (r->next) r->next->previous = r;
    s->requests = r;
    s->stats.requests++;
    return r;
}

void http_request_retain(struct http_request *r) {
    r->holders++;
}

void http_request_release(struct http_request *r) {
    struct service *s = r->service;
    if (--r->holders) return;
    if (r->next) r->next->previous = r->previous;
    if (r->previous)
        r->previous->next = r->next;
    else
        s->requests = r->next;
    s->stats.requests--;
    client_request_leave(r);
    admission_give_bytes(&s->admission, r->body_ticket);
    budget_give(&s->memory.answers, r->answer_taken);
    s->memory.freed_bytes += r->body_ticket + r->answer_taken + r->reply.charged;
    if (r->completion) s->memory.freed_bytes += r->completion->taken;
    if (s->delivering && s->delivering->completion == r->completion) s->delivering = NULL;
    if (r->completion) disposal_start(r->completion, &s->lanes);
    reply_deinit(&r->reply);
    bytes_deinit(&r->body);
    bytes_deinit(&r->answer);
    free(r->tail);
    free(r);
    service_end_drain(s);
}

/* ---- work in the pool ---------------------------------------------------------------------------------- */

static bool is_in_pool(const struct http_request *r) {
    return r->state == REQUEST_PREPARING || r->state == REQUEST_WRITING;
}

static void on_work(void *context) {
    struct http_request *r = context;
    r->run(r);
    bytes_fit(&r->answer);
    bytes_deinit(&r->body);
}

static void give_tickets(struct http_request *r) {
    struct service *s = r->service;
    admission_give_request(&s->admission);
    admission_give_bytes(&s->admission, r->body_ticket);
    s->memory.freed_bytes += r->body_ticket;
    r->body_ticket = 0;
}

static void finish_work(struct http_request *r) {
    if (is_in_pool(r) && r->error.kind != API_OK)
        http_request_fail(r);
    else if (is_in_pool(r))
        r->done(r);
    http_request_release(r);
}

static void on_prepared(void *context) {
    struct http_request *r = context;
    give_tickets(r);
    finish_work(r);
}

static void on_written(void *context) {
    finish_work(context);
}

static bool start_work(struct http_request *r, void (*run)(struct http_request *r),
                       void (*done)(struct http_request *r), void (*on_done)(void *context), bool is_large) {
    r->run = run;
    r->done = done;
    r->work.run = on_work;
    r->work.done = on_done;
    r->work.context = r;
    if (!work_start(&r->service->lanes, &r->work, is_large)) return false;
    http_request_retain(r);
    return true;
}

static void refuse_busy(struct http_request *r) {
    api_error_set(&r->error, API_QUEUE_FULL, NULL,
                  "The server is busy: too many prompts are being read. Try again later.");
    http_request_fail(r);
}

void http_request_work(struct http_request *r, void (*run)(struct http_request *r),
                       void (*done)(struct http_request *r)) {
    struct service *s = r->service;
    bool is_large = r->body.length >= s->config->large_body_bytes;
    if ((is_large && !work_has_room(&s->lanes)) || !admission_take_request(&s->admission)) {
        refuse_busy(r);
        return;
    }
    if (!start_work(r, run, done, on_prepared, is_large)) {
        admission_give_request(&s->admission);
        api_error_set(&r->error, API_INTERNAL, NULL, "The request could not be started.");
        http_request_fail(r);
        return;
    }
    http_request_move(r, REQUEST_PREPARING);
}

void http_request_write(struct http_request *r, void (*run)(struct http_request *r),
                        void (*done)(struct http_request *r)) {
    if (start_work(r, run, done, on_written, false)) {
        http_request_move(r, REQUEST_WRITING);
        return;
    }
    run(r);
    done(r);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* Metrics and errors must get through when the memory for answers is taken. */
enum { ANSWER_BYTES_ALWAYS = 65536 };

bool http_request_take_for_answer(struct http_request *r, size_t bytes) {
    struct budget *answers = &r->service->memory.answers;
    size_t more = bytes > r->answer_taken ? bytes - r->answer_taken : 0;
    if (more && bytes <= ANSWER_BYTES_ALWAYS)
        budget_force(answers, more);
    else if (more && !budget_take(answers, more))
        return false;
    else if (!more)
        budget_give(answers, r->answer_taken - bytes);
    r->answer_taken = bytes;
    return true;
}

/* Until the client has read it. A small answer is part of the connection's memory. */
static bool take_for_answer(struct http_request *r) {
    bytes_fit(&r->answer);
    return http_request_take_for_answer(r, r->answer.capacity > STREAM_BLOCK_BYTES ? r->answer.capacity : 0);
}

void http_request_answer(struct http_request *r, unsigned status, const char *content_type) {
    if (r->answer.failed) {
        bytes_deinit(&r->answer);
        api_error_set(&r->error, API_INTERNAL, NULL, "There is not enough memory for the answer.");
        http_request_fail(r);
        return;
    }
    if (!take_for_answer(r)) {
        http_request_fail_memory(r, r->answer.capacity);
        return;
    }
    r->status = status;
    if (status >= 400) r->record.failure = r->error.kind;
    r->content_type = content_type;
    http_request_move(r, REQUEST_ANSWERED);
    http_request_resume(r);
}

void http_request_fail(struct http_request *r) {
    assert(r->error.kind != API_OK);
    bytes_clear(&r->answer);
    api_error_write(&r->answer, &r->error);
    r->service->stats.rejected[r->error.kind]++;
    r->answer.failed = false; /* what there was room for; the status says the rest */
    http_request_answer(r, api_error_status(r->error.kind), "application/json");
}

void http_request_fail_memory(struct http_request *r, size_t bytes) {
    size_t held = r->completion ? r->completion->taken : 0;
    bytes_deinit(&r->answer);
    api_memory_refuse(&r->service->memory.answers, held + bytes, COMPLETION_MEMORY_ADVICE, &r->error);
    http_request_fail(r);
}

void http_request_stream(struct http_request *r) {
    reply_init(&r->reply, r->service->config->reply_bytes_max, &r->service->memory.answers);
    r->status = 200;
    r->content_type = "text/event-stream";
    http_request_move(r, REQUEST_STREAMING);
    http_request_resume(r);
}

void http_request_abandon(struct http_request *r) {
    if (r->connection) connection_rest(r->connection);
    if (r->state == REQUEST_GONE) return;
    /* While it is in the pool its memory is not ours; the work sees the state when it comes back. */
    if (!is_in_pool(r) && r->completion) {
        request_record_note(r);
        completion_release(r->completion);
    }
    bool will_never_run = r->state == REQUEST_PREPARING && work_withdraw(&r->work);
    http_request_move(r, REQUEST_GONE);
    http_request_resume(r);
    if (!will_never_run) return;
    give_tickets(r);
    bytes_deinit(&r->body);
    http_request_release(r);
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

bool http_request_suspend(struct http_request *r) {
    assert(!r->is_suspended && r->mhd);
    if (r->connection->has_ended) {
        http_request_abandon(r);
        return false;
    }
    r->is_suspended = true;
    MHD_suspend_connection(r->mhd);
    connection_watch(r->connection);
    return true;
}

void http_request_resume(struct http_request *r) {
    if (!r->is_suspended) return;
    r->is_suspended = false;
    MHD_resume_connection(r->mhd);
    loop_http_again(&r->service->loop);
}
