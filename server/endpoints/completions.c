/* POST /v1/completions, /v1/chat/completions, /infill, /v1/embeddings and /score: body → (uv pool) parameters, places in the queue, ids,
 * requests → admission → events → answer. */
#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"

static void prepare(struct http_request *r) {
    completion_prepare(r->completion, r->body.data, r->body.length, &r->service->limits, &r->error);
}

static void admit(struct http_request *r) {
    struct service *s = r->service;
    enum api_error_kind kind = s->phase == SERVICE_SERVING ? completion_submit(r->completion, &r->error)
                                                           : api_error_set(&r->error, API_DRAINING, NULL,
                                                                           "The server is shutting down.");
    if (kind != API_OK) {
        http_request_fail(r);
        return;
    }
    http_request_move(r, REQUEST_RUNNING);
    if (r->completion->params.stream) http_request_stream(r);
}

static void begin(struct http_request *r, enum api_endpoint endpoint) {
    const struct service *s = r->service;
    if (completion_check_room(s->engine, &r->error) != API_OK) {
        http_request_fail(r);
        return;
    }
    r->completion = completion_create(s->engine, endpoint, s->model, s->fingerprint, r);
    if (!r->completion) {
        api_error_set(&r->error, API_INTERNAL, NULL, "There is not enough memory for this request.");
        http_request_fail(r);
        return;
    }
    r->completion->client = r->client;
    http_request_work(r, prepare, admit);
}

void endpoint_completions(struct http_request *r) {
    begin(r, API_COMPLETIONS);
}

void endpoint_infill(struct http_request *r) {
    begin(r, API_INFILL);
}

void endpoint_chat(struct http_request *r) {
    begin(r, API_CHAT);
}

void endpoint_embeddings(struct http_request *r) {
    begin(r, API_EMBEDDINGS);
}

void endpoint_score(struct http_request *r) {
    begin(r, API_SCORE);
}
