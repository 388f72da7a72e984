/* Whether the engine gets on, as the loop sees it: how long nothing has been computed though there was work. Looked
 * at in each tick; only time that the loop itself was awake for counts, so that a machine that was stopped and goes on
 * has no stuck engine. A step may take as long as it likes while its tiles are begun one after the other, and a model
 * that is loading has no engine yet. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/types/stats.h"

/* Of the time between two looks so much counts at most. */
#define LIVENESS_LOOK_NS_MAX 1000000000u

struct liveness {
    uint64_t progress;    /* when it was last seen to change */
    uint64_t observed_ns; /* the last look; 0: none yet */
    uint64_t stalled_ns;  /* for so long it has stood still */
    bool is_told;         /* that it is stuck, in the log */
};

void liveness_observe(struct liveness *l, const struct engine_pulse *pulse, uint64_t now_ns);

/* limit 0: it never is. */
static inline bool liveness_is_stuck(const struct liveness *l, uint64_t limit_seconds) {
    return limit_seconds && l->stalled_ns >= limit_seconds * 1000000000u;
}

static inline double liveness_seconds(const struct liveness *l) {
    return (double)l->stalled_ns * 1e-9;
}
