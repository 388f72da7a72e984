/* POST /v1/completions: body → (uv pool) parameters, places in the queue, ids, requests → admission → events
 * → answer. */
#include "server/endpoints/endpoints.h"
#include "server/http/request.h"

static void prepare(struct request *r) {
    completion_prepare(r->completion, r->body.data, r->body.length, &r->service->limits, &r->error);
}

static void admit(struct request *r) {
    struct service *s = r->service;
    enum api_error_kind kind = s->phase == SERVICE_SERVING ? completion_submit(r->completion, &r->error)
                                                           : api_error_set(&r->error, API_DRAINING, NULL,
                                                                           "The server is shutting down.");
    if (kind != API_OK) {
        request_fail(r);
        return;
    }
    request_move(r, REQUEST_RUNNING);
    if (r->completion->params.stream) request_stream(r);
}

void endpoint_completions(struct request *r) {
    const struct service *s = r->service;
    if (completion_check_room(s->engine, &r->error) != API_OK) {
        request_fail(r);
        return;
    }
    r->completion = completion_create(s->engine, s->model, s->fingerprint, r);
    if (!r->completion) {
        api_error_set(&r->error, API_INTERNAL, NULL, "There is not enough memory for this request.");
        request_fail(r);
        return;
    }
    r->completion->client = r->client;
    request_work(r, prepare, admit);
}
