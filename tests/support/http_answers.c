#include "tests/support/http_answers.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
    const char *at, *end;
    bool has_heads;
    const char *fault;
};

struct answer_head {
    unsigned status;
    bool is_ours, is_chunked, closes, has_length, is_json, is_events;
    size_t length;
};

static bool fail(struct reader *r, const char *fault) {
    if (!r->fault) r->fault = fault;
    return false;
}

/* The next line without its CRLF; *length its bytes. */
static const char *take_line(struct reader *r, size_t *length) {
    const char *line = r->at;
    const char *found = memmem(line, (size_t)(r->end - line), "\r\n", 2);
    if (!found) {
        fail(r, "a line has no end");
        return NULL;
    }
    *length = (size_t)(found - line);
    r->at = found + 2;
    for (size_t i = 0; i < *length; i++)
        if ((unsigned char)line[i] < ' ' && line[i] != '\t') {
            fail(r, "a line has a control character");
            return NULL;
        }
    return line;
}

static bool is(const char *text, size_t length, const char *other) {
    return length == strlen(other) && strncasecmp(text, other, length) == 0;
}

static bool begins(const char *text, size_t length, const char *other) {
    return length >= strlen(other) && strncasecmp(text, other, strlen(other)) == 0;
}

static bool take_header(struct reader *r, struct answer_head *head, const char *line, size_t length) {
    const char *colon = memchr(line, ':', length);
    if (!colon || colon == line || memchr(line, ' ', (size_t)(colon - line)))
        return fail(r, "a header line is none");
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1;
    while (value < line + length && *value == ' ') value++;
    size_t rest = (size_t)(line + length - value);
    if (is(line, name, "X-Request-Id")) head->is_ours = true;
    if (is(line, name, "Connection") && is(value, rest, "close")) head->closes = true;
    if (is(line, name, "Transfer-Encoding")) head->is_chunked = is(value, rest, "chunked");
    if (is(line, name, "Content-Type")) {
        head->is_json = begins(value, rest, "application/json");
        head->is_events = begins(value, rest, "text/event-stream");
    }
    if (is(line, name, "Content-Length")) {
        if (head->has_length) return fail(r, "there are two Content-Lengths");
        head->has_length = true;
        head->length = strtoull(value, NULL, 10);
    }
    return true;
}

static bool take_head(struct reader *r, struct answer_head *head) {
    size_t length;
    const char *line = take_line(r, &length);
    *head = (struct answer_head){0};
    if (!line) return false;
    if (!begins(line, length, "HTTP/1.1 ") || length < 13 || line[12] != ' ')
        return fail(r, "there is no status line");
    head->status = (unsigned)strtoul(line + 9, NULL, 10);
    if (head->status < 100 || head->status > 599) return fail(r, "the status is none");
    while ((line = take_line(r, &length)) && length)
        if (!take_header(r, head, line, length)) return false;
    return line && (!head->is_chunked || !head->has_length || fail(r, "it has a length and chunks"));
}

/* ---- bodies ---- */

static void check_json(struct reader *r, const char *text, size_t length) {
    json_t *json = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    if (!json) fail(r, "a body is not JSON");
    json_decref(json);
}

static void check_events(struct reader *r, const char *text, size_t length) {
    const char *end = text + length;
    while (text < end && !r->fault) {
        const char *stop = memmem(text, (size_t)(end - text), "\n\n", 2);
        if (!stop) {
            fail(r, "an event has no end");
            return;
        }
        size_t size = (size_t)(stop - text);
        if (begins(text, size, "data: ") && !is(text, size, "data: [DONE]"))
            check_json(r, text + 6, size - 6);
        else if (text[0] != ':' && !begins(text, size, "data: "))
            fail(r, "an event is none");
        text = stop + 2;
    }
}

static void check_body(struct reader *r, const struct answer_head *head, const char *text, size_t length) {
    if (head->is_json) check_json(r, text, length);
    if (head->is_events) check_events(r, text, length);
}

static bool take_chunks(struct reader *r, const struct answer_head *head) {
    char *body = malloc((size_t)(r->end - r->at) + 1);
    size_t length = 0, line_length, size = 1;
    while (body && size && !r->fault) {
        const char *line = take_line(r, &line_length);
        if (!line) break;
        size = strtoull(line, NULL, 16);
        if ((size_t)(r->end - r->at) < size + 2 || memcmp(r->at + size, "\r\n", 2) != 0)
            fail(r, "a chunk is cut");
        else {
            memcpy(body + length, r->at, size);
            length += size;
            r->at += size + 2;
        }
    }
    if (body && !r->fault) check_body(r, head, body, length);
    free(body);
    return !r->fault;
}

static bool take_body(struct reader *r, const struct answer_head *head) {
    size_t left = (size_t)(r->end - r->at);
    if (head->status < 200 || head->status == 204) return true;
    bool is_bare = !left || begins(r->at, left, "HTTP/1.1 ");
    if (is_bare && r->has_heads && (!head->has_length || head->length)) return true;
    if (head->is_chunked) return take_chunks(r, head);
    size_t length = head->has_length ? head->length : left;
    if (length > left) return fail(r, "a body is cut");
    check_body(r, head, r->at, length);
    r->at += length;
    return !r->fault;
}

struct http_answers http_answers_read(const char *data, size_t length, bool has_heads, bool is_cut) {
    struct http_answers answers = {0};
    if (!length) return answers;
    struct reader r = {data, data + length, has_heads, NULL};
    bool closed = false;
    while (r.at < r.end && !r.fault && !answers.by_library) {
        struct answer_head head;
        answers.at = (size_t)(r.at - data);
        if (closed) fail(&r, "there is an answer after the last one");
        if (!take_head(&r, &head)) break;
        if (head.status == 100) continue;
        answers.by_library = !head.is_ours;
        answers.count += head.is_ours;
        closed = head.closes;
        if (head.is_ours) take_body(&r, &head);
    }
    /* What was cut is a whole answer but for its end, which no other one follows. */
    if (r.fault && !is_cut) answers.fault = r.fault;
    return answers;
}
