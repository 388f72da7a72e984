/* Counters of the loop thread, from the table stats.def, and answers by route and status. */
#pragma once

#include <stdint.h>

#include "server/api_error.h"

/* Every status that an answer of ours may have. */
#define STATS_STATUSES                                                                                       \
    { 200, 204, 400, 401, 404, 405, 408, 413, 415, 429, 500, 503 }
enum { STATS_STATUS_COUNT = 12, STATS_ROUTES_MAX = 16 };

struct stats {
#define STAT(field, kind, name, help) uint64_t field;
#include "server/stats.def"
#undef STAT
    uint64_t answers[STATS_ROUTES_MAX][STATS_STATUS_COUNT];
    uint64_t rejected[API_ERROR_COUNT];
};

void stats_count_answer(struct stats *s, unsigned route, unsigned status);
