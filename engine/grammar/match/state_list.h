/* A few states of leaves, each once: those that a search has met. */
#pragma once

#include "engine/grammar/rules/dfa.h"

enum { STATE_LIST_MAX = 48 };
struct state_list {
    dfa_state states[STATE_LIST_MAX];
    size_t count;
};

/* False: there are `most` others, which is STATE_LIST_MAX or fewer. */
static inline bool state_list_add(struct state_list *to, dfa_state state, size_t most) {
    for (size_t i = 0; i < to->count; i++)
        if (to->states[i] == state) return true;
    if (to->count == most) return false;
    to->states[to->count++] = state;
    return true;
}
