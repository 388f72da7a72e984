#include "server/service/http_stats.h"

#include <assert.h>

#define X(kind, status, ...)                                                                                 \
    static_assert(status >= HTTP_STATS_STATUS_LEAST && status <= HTTP_STATS_STATUS_MOST,                     \
                  "a status that is none");
API_ERROR_LIST(X)
#undef X

void http_stats_count_answer(struct http_stats *s, unsigned route, unsigned status) {
    assert(route < HTTP_STATS_ROUTES_MAX);
    assert(status >= HTTP_STATS_STATUS_LEAST && status <= HTTP_STATS_STATUS_MOST);
    s->answers[route][status - HTTP_STATS_STATUS_LEAST]++;
}
