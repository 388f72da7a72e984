/* GET /health: the process lives. GET /ready: it takes requests. */
#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"
#include "server/json/write.h"

void endpoint_health(struct http_request *r) {
    bytes_text(&r->answer, "{\"status\":\"ok\"}");
    http_request_answer(r, 200, "application/json");
}

static enum api_error_kind check_ready(struct http_request *r, char *stage, size_t size, double *share) {
    struct service *s = r->service;
    struct engine_stats stats;
    switch (s->phase) {
    case SERVICE_LOADING:
        *share = opener_progress(s->opener, stage, size);
        return api_error_set(&r->error, API_LOADING, NULL, "The model is loading: %s, %.0f %%.", stage,
                             *share * 100);
    case SERVICE_DRAINING:
    case SERVICE_STOPPING:
        return api_error_set(&r->error, API_DRAINING, NULL, "The server is shutting down.");
    case SERVICE_SERVING:
        break;
    }
    engine_stats(s->engine, &stats);
    if (stats.waiting < s->info.queue_max) return API_OK;
    return api_error_set(&r->error, API_QUEUE_FULL, NULL, "The queue is full: %zu requests wait.",
                         stats.waiting);
}

/* Every reason is a 503 here, so that balancers turn elsewhere; the error is in the usual shape beside the
 * status. */
void endpoint_ready(struct http_request *r) {
    char stage[64];
    double share = 0;
    enum api_error_kind kind = check_ready(r, stage, sizeof stage, &share);
    if (kind == API_OK) {
        bytes_text(&r->answer, "{\"status\":\"ready\"}");
        http_request_answer(r, 200, "application/json");
        return;
    }
    bytes_text(&r->answer, "{\"status\":");
    json_write_text(&r->answer, api_error_reason(kind));
    if (kind == API_LOADING) {
        bytes_text(&r->answer, ",\"stage\":");
        json_write_text(&r->answer, stage);
        bytes_format(&r->answer, ",\"share\":%.4f", share);
    }
    bytes_text(&r->answer, ",");
    api_error_write_member(&r->answer, &r->error);
    bytes_text(&r->answer, "}");
    http_request_answer(r, 503, "application/json");
}
