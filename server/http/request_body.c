#include "server/http/request_body.h"

#include "server/http/connection.h"
#include "server/http/late_answer.h"

bool request_body_is_wanted(const struct http_request *r) {
    return r->error.kind == API_OK && r->route && r->route->method[0] == 'P';
}

static void refuse(struct http_request *r, enum api_error_kind kind, const char *message) {
    api_error_set(&r->error, kind, NULL, "%s", message);
    admission_give_bytes(&r->service->admission, r->body_ticket);
    r->body_ticket = 0;
    bytes_deinit(&r->body);
}

static void keep(struct http_request *r, const char *data, size_t length) {
    struct service *s = r->service;
    if (length > s->config->body_bytes_max - r->body.length)
        refuse(r, API_BODY_TOO_LARGE, "The body is longer than this server allows.");
    else if (!admission_take_bytes(&s->admission, length))
        refuse(r, API_QUEUE_FULL, "The server is busy: too many prompts are being read. Try again later.");
    else {
        r->body_ticket += length;
        bytes_append(&r->body, data, length);
        if (r->body.failed) refuse(r, API_INTERNAL, "There is not enough memory for the body.");
    }
}

bool request_body_receive(struct http_request *r, const char *data, size_t length) {
    r->service->stats.body_bytes += length;
    if (request_body_is_wanted(r)) {
        keep(r, data, length);
        return true;
    }
    r->discarded += length;
    if (r->discarded <= REQUEST_BODY_DISCARD_BYTES_MAX) return true;
    if (r->error.kind == API_OK) refuse(r, API_BODY_TOO_LARGE, "The body is longer than this server allows.");
    late_answer_send(r, &r->error);
    r->connection->must_linger = true;
    return false;
}
