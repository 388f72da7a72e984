/* Counters of the loop thread, from the table http_stats.def, and answers by route and status. */
#pragma once

#include <stdint.h>

#include "server/api/api_error.h"

/* Every status that HTTP has is counted by itself, so that none can be missing from a table. */
enum { HTTP_STATS_STATUS_LEAST = 100, HTTP_STATS_STATUS_MOST = 599, HTTP_STATS_ROUTES_MAX = 64 };
enum { HTTP_STATS_STATUS_COUNT = HTTP_STATS_STATUS_MOST - HTTP_STATS_STATUS_LEAST + 1 };

struct http_stats {
#define STAT(field, kind, name, help) uint64_t field;
#include "server/service/http_stats.def"
#undef STAT
    uint64_t answers[HTTP_STATS_ROUTES_MAX][HTTP_STATS_STATUS_COUNT];
    uint64_t rejected[API_ERROR_COUNT];
};

/* route as route_number gives it. */
void http_stats_count_answer(struct http_stats *s, unsigned route, unsigned status);
