/* GET /metrics. */
#include "server/endpoints/endpoints.h"
#include "server/http/request.h"
#include "server/metrics/metrics.h"

void endpoint_metrics(struct request *r) {
    metrics_write(&r->answer, r->service);
    request_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8");
}
