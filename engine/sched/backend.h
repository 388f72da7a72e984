/* What the scheduler needs of a model: forward.h behind function pointers, so that the scheduler can be
 * tested with one whose every answer is known. Called on the scheduler thread. */
#pragma once

#include <stddef.h>

#include "engine/forward/forward.h"

struct backend {
    void *context;
    /* As forward_step, forward_logits, forward_rotary_length. */
    void (*step)(void *context, const struct step_entry *entries, size_t count);
    float *(*logits)(void *context, size_t i);
    size_t (*rotary_length)(void *context, size_t length); /* any thread */
    /* As forward_hidden: of a row of an entry of the last step. Any thread while no step runs. */
    void (*hidden)(void *context, size_t entry, size_t row, double *out);
    size_t hidden_width, hidden_scratch; /* as forward_hidden_width, forward_hidden_scratch */
};

/* The model itself; forward outlives it. */
struct backend backend_of(struct forward *forward);
