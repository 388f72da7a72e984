#include "server/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "server/client_request.h"
#include "server/connection.h"

#define TO(state) (1u << REQUEST_##state)

static const unsigned legal_moves[] = {
    [REQUEST_RECEIVING] = TO(PREPARING) | TO(ANSWERED) | TO(GONE),
    [REQUEST_PREPARING] = TO(RUNNING) | TO(ANSWERED) | TO(GONE),
    [REQUEST_RUNNING] = TO(ANSWERED) | TO(STREAMING) | TO(GONE),
    [REQUEST_ANSWERED] = TO(GONE),
    [REQUEST_STREAMING] = TO(GONE),
    [REQUEST_GONE] = 0,
};

void request_move(struct request *r, enum request_state state) {
    assert(legal_moves[r->state] & (1u << state));
    r->state = state;
}

struct request *request_create(struct service *s, struct connection *connection, struct MHD_Connection *mhd) {
    struct request *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->service = s;
    r->connection = connection;
    r->mhd = mhd;
    r->holders = 1;
    r->begun_ns = clock_ns();
    r->work.data = r;
    r->next = s->requests;
    if (r->next) r->next->previous = r;
    s->requests = r;
    s->stats.requests++;
    return r;
}

void request_retain(struct request *r) {
    r->holders++;
}

void request_release(struct request *r) {
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
    completion_destroy(r->completion);
    reply_deinit(&r->reply);
    bytes_deinit(&r->body);
    bytes_deinit(&r->answer);
    free(r->tail);
    free(r);
    service_request_ended(s);
}

/* ---- work in the pool ---------------------------------------------------------------------------------- */

static void on_work(uv_work_t *work) {
    struct request *r = work->data;
    r->run(r);
}

static void on_work_done(uv_work_t *work, int status) {
    (void)status;
    struct request *r = work->data;
    struct service *s = r->service;
    admission_give_request(&s->admission);
    admission_give_bytes(&s->admission, r->body_ticket);
    s->memory.freed_bytes += r->body_ticket;
    r->body_ticket = 0;
    bytes_deinit(&r->body);
    if (r->state == REQUEST_PREPARING && r->error.kind != API_OK)
        request_fail(r);
    else if (r->state == REQUEST_PREPARING)
        r->done(r);
    request_release(r);
}

void request_work(struct request *r, void (*run)(struct request *r), void (*done)(struct request *r)) {
    struct service *s = r->service;
    if (!admission_take_request(&s->admission)) {
        api_error_set(&r->error, API_QUEUE_FULL, NULL,
                      "The server is busy: too many prompts are being read. Try again later.");
        request_fail(r);
        return;
    }
    r->run = run;
    r->done = done;
    if (uv_queue_work(&s->loop.uv, &r->work, on_work, on_work_done) != 0) {
        admission_give_request(&s->admission);
        api_error_set(&r->error, API_INTERNAL, NULL, "The request could not be started.");
        request_fail(r);
        return;
    }
    request_retain(r);
    request_move(r, REQUEST_PREPARING);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* Metrics and errors must get through when the memory for answers is taken. */
enum { ANSWER_BYTES_ALWAYS = 65536 };

/* Until the client has read it. A small answer is part of the connection's memory. */
static bool take_for_answer(struct request *r) {
    struct budget *answers = &r->service->memory.answers;
    bytes_fit(&r->answer);
    if (r->answer.capacity <= STREAM_BLOCK_BYTES) return true;
    if (r->answer.capacity <= ANSWER_BYTES_ALWAYS)
        budget_force(answers, r->answer.capacity);
    else if (!budget_take(answers, r->answer.capacity))
        return false;
    r->answer_taken = r->answer.capacity;
    return true;
}

void request_answer(struct request *r, unsigned status, const char *content_type) {
    if (r->answer.failed) {
        bytes_deinit(&r->answer);
        api_error_set(&r->error, API_INTERNAL, NULL, "There is not enough memory for the answer.");
        request_fail(r);
        return;
    }
    if (!take_for_answer(r)) {
        request_fail_busy(r);
        return;
    }
    r->status = status;
    r->content_type = content_type;
    request_move(r, REQUEST_ANSWERED);
    request_resume(r);
}

void request_fail(struct request *r) {
    assert(r->error.kind != API_OK);
    bytes_clear(&r->answer);
    api_error_write(&r->answer, &r->error);
    r->service->stats.rejected[r->error.kind]++;
    r->answer.failed = false; /* what there was room for; the status says the rest */
    request_answer(r, api_error_status(r->error.kind), "application/json");
}

void request_fail_busy(struct request *r) {
    bytes_deinit(&r->answer);
    api_error_set(&r->error, API_QUEUE_FULL, NULL,
                  "The server is busy: its memory for answers is taken. Try again later.");
    request_fail(r);
}

void request_stream(struct request *r) {
    reply_init(&r->reply, r->service->config->reply_bytes_max, &r->service->memory.answers);
    r->status = 200;
    r->content_type = "text/event-stream";
    request_move(r, REQUEST_STREAMING);
    request_resume(r);
}

void request_abandon(struct request *r) {
    if (r->state == REQUEST_GONE) return;
    /* While it is in the pool its memory is not ours; the work sees the state when it comes back. */
    if (r->state != REQUEST_PREPARING && r->completion) completion_release(r->completion);
    request_move(r, REQUEST_GONE);
    request_resume(r);
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

bool request_suspend(struct request *r) {
    assert(!r->is_suspended && r->mhd);
    if (r->connection->has_ended) {
        request_abandon(r);
        return false;
    }
    r->is_suspended = true;
    MHD_suspend_connection(r->mhd);
    return true;
}

void request_resume(struct request *r) {
    if (!r->is_suspended) return;
    r->is_suspended = false;
    MHD_resume_connection(r->mhd);
    loop_http_again(&r->service->loop);
}
