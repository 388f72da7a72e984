#include "server/service/stats.h"

#include <assert.h>

#define X(kind, status, ...)                                                                                 \
    static_assert(status >= STATS_STATUS_LEAST && status <= STATS_STATUS_MOST, "a status that is none");
API_ERROR_LIST(X)
#undef X

void stats_count_answer(struct stats *s, unsigned route, unsigned status) {
    assert(route < STATS_ROUTES_MAX);
    assert(status >= STATS_STATUS_LEAST && status <= STATS_STATUS_MOST);
    s->answers[route][status - STATS_STATUS_LEAST]++;
}
