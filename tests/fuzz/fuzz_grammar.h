/* Targets that compile what they are given as a grammar over single bytes, and walk along what it allows. */
#pragma once

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/grammar.h"
#include "tests/fuzz/fuzz.h"

enum { FUZZ_TOKENS = 256, FUZZ_STEPS = 64 };

static inline struct grammar_vocabulary *fuzz_vocabulary(void) {
    static char bytes[FUZZ_TOKENS];
    struct engine_string texts[FUZZ_TOKENS];
    struct grammar_vocabulary *v;
    struct error e;
    for (int i = 0; i < FUZZ_TOKENS; i++) {
        bytes[i] = (char)i;
        texts[i] = (struct engine_string){&bytes[i], 1};
    }
    assert(grammar_vocabulary_create(texts, FUZZ_TOKENS, &v, &e) == STATUS_OK);
    return v;
}

/* The first allowed byte from `from` on, around the end; -1: none. */
static inline int fuzz_allowed(const uint32_t *bits, unsigned from) {
    for (unsigned i = 0; i < FUZZ_TOKENS; i++) {
        unsigned byte = (from + i) % FUZZ_TOKENS;
        if (bits[byte / 32] >> (byte % 32) & 1) return (int)byte;
    }
    return -1;
}

/* Where the text may not end something may come; what may come is accepted. */
static inline void fuzz_walk(struct grammar *g, const uint8_t *data, size_t size) {
    uint32_t bits[FUZZ_TOKENS / 32];
    grammar_state state = GRAMMAR_START;
    struct error e;
    for (size_t i = 0; i < FUZZ_STEPS; i++) {
        if (grammar_mask(g, state, bits, &e) != STATUS_OK) return;
        int byte = fuzz_allowed(bits, size ? data[i % size] : 0);
        assert(byte >= 0 || grammar_may_end(g, state));
        if (byte < 0 || grammar_accept(g, state, byte, &state, &e) != STATUS_OK) return;
        assert(state != GRAMMAR_DEAD);
    }
}

/* Within little memory and time: hostile sources are refused, not waited for. */
static inline void fuzz_compile(enum grammar_kind kind, const uint8_t *data, size_t size) {
    const struct grammar_options options = {.bytes_max = 8 << 20, .seconds_max = 2};
    struct grammar_vocabulary *v = fuzz_vocabulary();
    struct grammar *g = NULL;
    struct error e;
    enum status status =
        grammar_compile(kind, (struct engine_string){(const char *)data, size}, &options, v, &g, &e);
    assert((status == STATUS_OK) == (g != NULL));
    if (status == STATUS_OK)
        fuzz_walk(g, data, size);
    else
        assert(strlen(e.where) > 0 && strlen(e.text) > 0);
    grammar_release(g);
    grammar_vocabulary_destroy(v);
}
