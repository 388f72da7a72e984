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

static void backend_hidden(void *context, size_t entry, size_t row, double *out) {
    forward_hidden(context, entry, row, out);
}

struct backend backend_of(struct forward *forward) {
    return (struct backend){.context = forward,
                            .step = backend_step,
                            .logits = backend_logits,
                            .rotary_length = backend_rotary_length,
                            .hidden = backend_hidden,
                            .hidden_width = forward_hidden_width(forward_model(forward)),
                            .hidden_scratch = forward_hidden_scratch(forward_model(forward))};
}
