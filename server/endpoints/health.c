/* GET /health: the process can work. GET /ready: it takes requests. */
#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"
#include "server/json/write.h"

static void answer_ok(struct http_request *r, const char *status) {
    bytes_format(&r->answer, "{\"status\":\"%s\"}", status);
    http_request_answer(r, 200, "application/json");
}

/* Every reason is a 503 here, so that balancers and supervisors act; the error is in the usual shape beside the
 * status. While the model loads, its stage and share are told. */
static void answer_reason(struct http_request *r) {
    struct service *s = r->service;
    bytes_text(&r->answer, "{\"status\":");
    json_write_text(&r->answer, api_error_reason(r->error.kind));
    if (r->error.kind == API_LOADING) {
        char stage[64];
        double share = opener_progress(s->opener, stage, sizeof stage);
        bytes_text(&r->answer, ",\"stage\":");
        json_write_text(&r->answer, stage);
        bytes_format(&r->answer, ",\"share\":%.4f", share);
    }
    bytes_text(&r->answer, ",");
    api_error_write_member(&r->answer, &r->error);
    bytes_text(&r->answer, "}");
    http_request_answer(r, 503, "application/json");
}

void endpoint_health(struct http_request *r) {
    if (service_check_alive(r->service, &r->error) == API_OK)
        answer_ok(r, "ok");
    else
        answer_reason(r);
}

void endpoint_ready(struct http_request *r) {
    if (service_check_ready(r->service, &r->error) == API_OK)
        answer_ok(r, "ready");
    else
        answer_reason(r);
}
