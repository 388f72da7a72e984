#include "server/service/liveness.h"

void liveness_observe(struct liveness *l, const struct engine_pulse *pulse, uint64_t now_ns) {
    uint64_t passed = l->observed_ns ? now_ns - l->observed_ns : 0;
    bool gets_on = !pulse->has_work || pulse->progress != l->progress;
    l->observed_ns = now_ns;
    l->progress = pulse->progress;
    l->stalled_ns =
        gets_on ? 0 : l->stalled_ns + (passed < LIVENESS_LOOK_NS_MAX ? passed : LIVENESS_LOOK_NS_MAX);
}
