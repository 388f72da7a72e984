#include "server/http/deliver.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/http/sse.h"

/* Of one call: then others have their turn. One event takes some microseconds, one with hundreds of
 * alternatives up to a millisecond. */
static const uint64_t turn_ns = 1000000;

/* A whole answer of more is written in the pool; so much takes a fraction of a millisecond. */
enum { WHOLE_ANSWER_BYTES_HERE = 1 << 16 };

static void write_chunk(struct http_request *r, struct prompt *p, struct choice *choice) {
    struct bytes *out = &r->reply.bytes;
    if (!completion_has_chunk(p, choice)) return;
    sse_write_begin(out);
    completion_write_chunk(out, p, choice);
    sse_write_end(out);
    reply_appended(&r->reply);
}

/* The end of a choice that had no time for any token waits for the others: perhaps nothing was generated at
 * all, and then the answer is an error. */
static bool must_wait(const struct choice *choice) {
    return choice->finished && choice->finish == ENGINE_FINISH_TIMEOUT && !choice->generated;
}

static void write_all_chunks(struct http_request *r, struct prompt *p, bool is_end) {
    for (int64_t i = 0; i < p->completion->params.best_of; i++)
        if (is_end || !must_wait(&p->choices[i])) write_chunk(r, p, &p->choices[i]);
}

/* Its status is 200 all the same. */
static void count_stream_failure(struct http_request *r, enum api_error_kind kind) {
    r->service->stats.rejected[kind]++;
    r->service->stats.streams_failed += kind != API_DRAINING;
}

static void end_stream(struct http_request *r) {
    struct completion *c = r->completion;
    struct bytes *out = &r->reply.bytes;
    for (size_t i = 0; c->failure.kind == API_OK && i < c->prompt_count; i++)
        write_all_chunks(r, &c->prompts[i], true);
    if (c->failure.kind != API_OK) {
        count_stream_failure(r, c->failure.kind);
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

static void write_answer(struct http_request *r) {
    completion_write(&r->answer, r->completion);
}

static void answer(struct http_request *r) {
    http_request_answer(r, 200, "application/json");
}

static void end_plain(struct http_request *r) {
    struct completion *c = r->completion;
    if (c->failure.kind != API_OK) {
        r->error = c->failure;
        http_request_fail(r);
    } else if (!http_request_take_for_answer(r, completion_answer_bytes(c))) {
        /* Both the buffers and the answer are there while it is written. */
        http_request_fail_memory(r, completion_answer_bytes(c));
    } else if (completion_weight(c) > WHOLE_ANSWER_BYTES_HERE) {
        http_request_write(r, write_answer, answer);
    } else {
        write_answer(r);
        answer(r);
    }
}

/* The last event, or the first failure: one failed choice fails the request. */
static void end(struct http_request *r) {
    request_record_note(r);
    completion_release(r->completion);
    if (r->state == REQUEST_STREAMING)
        end_stream(r);
    else
        end_plain(r);
}

static bool is_over(const struct completion *c) {
    return c->failure.kind != API_OK || c->finished == c->prompt_count;
}

/* An error is what is the server's own. */
static void log_failure(const struct http_request *r, const struct error *cause) {
    if (r->completion->failure.kind == API_INTERNAL)
        log_error("request %s: %s: %s", r->id, cause->where, cause->text);
    else
        log_info("request %s: %s: %s", r->id, cause->where, cause->text);
}

static void take_event(struct http_request *r, struct prompt *p, const struct engine_event *event) {
    r->service->stats.events++;
    request_record_event(r, event);
    completion_event(p, event);
    if (event->kind == ENGINE_EVENT_FINISHED && event->finish == ENGINE_FINISH_FAILED)
        log_failure(r, event->error);
    if (r->state != REQUEST_STREAMING) return;
    bool is_end = event->kind == ENGINE_EVENT_FINISHED,
         is_late = is_end && event->finish == ENGINE_FINISH_TIMEOUT;
    if (event->kind == ENGINE_EVENT_PROMPT || (is_late && event->choice == 0)) {
        /* With the last score those choices can go out that were ahead of it. */
        write_all_chunks(r, p, false);
        return;
    }
    struct choice *choice = &p->choices[event->choice];
    if (must_wait(choice)) return;
    if (is_end && !is_late && event->finish != ENGINE_FINISH_STOP && event->finish != ENGINE_FINISH_LENGTH)
        return; /* the error follows */
    write_chunk(r, p, choice);
}

/* false: the time is over, and there may be more events. */
static bool take_events(struct prompt *p, uint64_t until_ns) {
    struct completion *c = p->completion;
    struct http_request *r = c->owner;
    struct engine_event event;
    bool is_late = false;
    while (p->handle && !is_late) {
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
        is_late = clock_ns() >= until_ns;
    }
    if (r->state != REQUEST_STREAMING) return !is_late;
    if (r->reply.bytes.failed) {
        log_error("request %s: there is not enough memory for its stream", r->id);
        count_stream_failure(r, API_INTERNAL);
        r->record.failure = API_INTERNAL;
        r->record.cut_by = "memory";
        http_request_abandon(r);
    } else if (reply_pending(&r->reply) || r->reply.ended)
        http_request_resume(r);
    return !is_late;
}

void deliver_all(struct service *s) {
    uint64_t until_ns = clock_ns() + turn_ns;
    struct prompt *p = s->delivering;
    s->delivering = NULL;
    for (;;) {
        if (!p) {
            struct engine_request *handle = engine_next_ready(s->engine);
            if (!handle) return;
            p = engine_request_user(handle);
        }
        if (!take_events(p, until_ns)) break;
        p = NULL;
    }
    s->delivering = p;
    loop_wake(&s->loop);
}

void deliver_resume(struct http_request *r) {
    struct completion *c = r->completion;
    uint64_t until_ns = clock_ns() + turn_ns;
    c->stalled = false;
    for (size_t i = 0; i < c->prompt_count && !c->stalled;) {
        if (take_events(&c->prompts[i], until_ns))
            i++;
        else if (reply_pending(&r->reply))
            c->stalled = true; /* what is there goes out first */
        else
            until_ns =
                clock_ns() + turn_ns; /* nothing to say yet: without more events it would wait for ever */
    }
}

void deliver_cut(struct http_request *r) {
    if (r->state != REQUEST_RUNNING && r->state != REQUEST_STREAMING) return;
    if (r->reply.ended) return;
    api_error_set(&r->completion->failure, API_DRAINING, NULL, "The server is shutting down.");
    end(r);
    http_request_resume(r);
}
