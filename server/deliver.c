#include "server/deliver.h"

#include "engine/base/log.h"
#include "server/sse.h"

static void write_chunk(struct request *r, struct prompt *p, struct choice *choice) {
    struct bytes *out = &r->reply.bytes;
    if (!completion_has_chunk(p, choice)) return;
    sse_write_begin(out);
    completion_write_chunk(out, p, choice);
    sse_write_end(out);
    reply_appended(&r->reply);
}

static void end_stream(struct request *r) {
    struct completion *c = r->completion;
    struct bytes *out = &r->reply.bytes;
    if (c->failure.kind != API_OK) {
        sse_write_begin(out);
        api_error_write(out, &c->failure);
        sse_write_end(out);
    } else {
        if (c->params.include_usage) {
            sse_write_begin(out);
            completion_write_usage_chunk(out, c);
            sse_write_end(out);
        }
        sse_write_done(out);
    }
    r->reply.ended = true;
    reply_appended(&r->reply);
}

static void end_plain(struct request *r) {
    struct completion *c = r->completion;
    if (c->failure.kind != API_OK) {
        r->error = c->failure;
        request_fail(r);
        return;
    }
    /* Both the buffers and the answer are there while it is written. */
    if (c->budget && completion_answer_bytes(c) > budget_room(c->budget)) {
        request_fail_busy(r);
        return;
    }
    completion_write(&r->answer, c);
    completion_drop_written(c);
    request_answer(r, 200, "application/json");
}

/* The last event, or the first failure: one failed choice fails the request. */
static void end(struct request *r) {
    completion_release(r->completion);
    if (r->state == REQUEST_STREAMING)
        end_stream(r);
    else
        end_plain(r);
}

static bool is_over(const struct completion *c) {
    return c->failure.kind != API_OK || c->finished == c->prompt_count;
}

static void take_event(struct request *r, struct prompt *p, const struct engine_event *event) {
    r->service->stats.events++;
    completion_event(p, event);
    if (event->kind == ENGINE_EVENT_FINISHED && event->finish == ENGINE_FINISH_FAILED)
        log_error("request %s: %s: %s", r->id, event->error.where, event->error.text);
    if (r->state != REQUEST_STREAMING) return;
    if (event->kind == ENGINE_EVENT_PROMPT) {
        /* With the last score those choices can go out that were ahead of it. */
        for (int64_t i = 0; i < p->completion->params.best_of; i++) write_chunk(r, p, &p->choices[i]);
        return;
    }
    if (event->kind == ENGINE_EVENT_FINISHED && event->finish != ENGINE_FINISH_STOP &&
        event->finish != ENGINE_FINISH_LENGTH)
        return; /* the error follows */
    write_chunk(r, p, &p->choices[event->choice]);
}

static void take_events(struct prompt *p) {
    struct completion *c = p->completion;
    struct request *r = c->owner;
    struct engine_event event;
    while (p->handle) {
        if (r->state == REQUEST_STREAMING && !reply_has_room(&r->reply)) {
            c->stalled = true;
            break;
        }
        if (!engine_request_next_event(p->handle, &event)) break;
        take_event(r, p, &event);
        if (is_over(c)) {
            end(r);
            break;
        }
    }
    if (r->state != REQUEST_STREAMING) return;
    if (r->reply.bytes.failed) {
        log_error("request %s: there is not enough memory for its stream", r->id);
        request_abandon(r);
    } else if (reply_pending(&r->reply) || r->reply.ended)
        request_resume(r);
}

void deliver_all(struct service *s) {
    struct engine_request *handle;
    while ((handle = engine_next_ready(s->engine))) take_events(engine_request_user(handle));
}

void deliver_resume(struct request *r) {
    struct completion *c = r->completion;
    c->stalled = false;
    for (size_t i = 0; i < c->prompt_count && !c->stalled; i++) take_events(&c->prompts[i]);
}

void deliver_cut(struct request *r) {
    if (r->state != REQUEST_RUNNING && r->state != REQUEST_STREAMING) return;
    if (r->reply.ended) return;
    api_error_set(&r->completion->failure, API_DRAINING, NULL, "The server is shutting down.");
    end(r);
    request_resume(r);
}
