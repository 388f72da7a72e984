/* Counters of the loop thread, from the table stats.def, and answers by route and status. */
#pragma once

#include <stdint.h>

#include "server/api/api_error.h"

/* Every status that HTTP has is counted by itself, so that none can be missing from a table. */
enum { STATS_STATUS_LEAST = 100, STATS_STATUS_MOST = 599, STATS_ROUTES_MAX = 32 };
enum { STATS_STATUS_COUNT = STATS_STATUS_MOST - STATS_STATUS_LEAST + 1 };

struct stats {
#define STAT(field, kind, name, help) uint64_t field;
#include "server/service/stats.def"
#undef STAT
    uint64_t answers[STATS_ROUTES_MAX][STATS_STATUS_COUNT];
    uint64_t rejected[API_ERROR_COUNT];
};

/* route as route_number gives it. */
void stats_count_answer(struct stats *s, unsigned route, unsigned status);
