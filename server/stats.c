#include "server/stats.h"

#include <assert.h>
#include <stdbool.h>

void stats_count_answer(struct stats *s, unsigned route, unsigned status) {
    static const unsigned statuses[STATS_STATUS_COUNT] = STATS_STATUSES;
    assert(route < STATS_ROUTES_MAX);
    for (unsigned i = 0; i < STATS_STATUS_COUNT; i++)
        if (statuses[i] == status) {
            s->answers[route][i]++;
            return;
        }
    assert(false); /* a status that is not in STATS_STATUSES */
}
