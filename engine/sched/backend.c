#include "engine/sched/backend.h"

static void backend_step(void *context, const struct step_entry *entries, size_t count) {
    forward_step(context, entries, count);
}

static float *backend_logits(void *context, size_t i) {
    return forward_logits(context, i);
}

static size_t backend_rotary_length(void *context, size_t length) {
    return forward_rotary_length(context, length);
}

struct backend backend_of(struct forward *forward) {
    return (struct backend){forward, backend_step, backend_logits, backend_rotary_length};
}
