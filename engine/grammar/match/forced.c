#include "engine/grammar/match/forced.h"

enum { BYTE_NONE = -1, BYTE_SEVERAL = -2 };

/* The only byte of each class. */
static void find_single_bytes(const struct rules *r, int *byte_of) {
    for (size_t i = 0; i < r->class_count; i++) byte_of[i] = BYTE_NONE;
    for (int byte = 0; byte < 256; byte++) {
        int *known = &byte_of[r->class_of[byte]];
        *known = *known == BYTE_NONE ? byte : BYTE_SEVERAL;
    }
}

/* The only byte that leads on, and where to; BYTE_NONE or less: there is none, or more than one. */
static int only_byte(struct matcher *m, configuration at, const int *byte_of, configuration *to) {
    int found = BYTE_NONE;
    for (uint32_t byte_class = 0; byte_class < m->rules->class_count; byte_class++) {
        configuration next = matcher_step(m, at, byte_class);
        if (next == CONFIGURATION_FAILED) return BYTE_NONE;
        if (next == CONFIGURATION_DEAD) continue;
        if (found != BYTE_NONE) return BYTE_SEVERAL;
        found = byte_of[byte_class];
        *to = next;
    }
    return found;
}

size_t matcher_forced(struct matcher *m, configuration from, char *out, size_t most) {
    int byte_of[256];
    size_t count = 0;
    find_single_bytes(m->rules, byte_of);
    while (count < most && !m->configurations[from].may_end) {
        int byte = only_byte(m, from, byte_of, &from);
        if (byte < 0) break;
        out[count++] = (char)byte;
    }
    return count;
}
