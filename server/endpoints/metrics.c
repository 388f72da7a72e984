/* GET /metrics. */
#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"
#include "server/metrics/metrics.h"

void endpoint_metrics(struct http_request *r) {
    metrics_write(&r->answer, r->service);
    http_request_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8");
}
