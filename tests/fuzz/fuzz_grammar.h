/* Targets that compile what they are given as a grammar over bytes and some longer tokens, and walk along what it allows. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/grammar.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_LONG "aaaaaaaaaaaaaaaaaaaa"

/* Behind the bytes, each its own number: of many lengths, some with parts of characters. */
static const char *const fuzz_texts[] = {
    "ab",           "ba",
    "aaa",          "abc",
    "a,b",          "\"a",
    "b\"",          "\", \"",
    "\":",          "{\"",
    "\"}",          "],[",
    "}}",           " a",
    "\n  ",         "true",
    "12",           "0.5e1",
    "-1",           "\\\"",
    "\\u00",        "A\\n",
    "xyzxyzxyz",    "\xc3\xa9",
    "\xc3",         "\xa9 \xe2\x82",
    "\xac\xe2",     "\u20ac!",
    "a\u00e9b",     FUZZ_LONG,
    FUZZ_LONG "\"", FUZZ_LONG "b" FUZZ_LONG,
    "ababababab",   "2026-01-",
    "https://a.",   "@b.c",
    "\xf0\x9f",     "\x98\x80\"",
    "\x7f\x01",     "",
};
enum { FUZZ_BYTES = 256, FUZZ_TEXTS = sizeof fuzz_texts / sizeof *fuzz_texts };
/* As many nodes of the trie as are worth keeping below one byte (engine/grammar/match/subtrees.h). */
enum { FUZZ_LABELS = 26, FUZZ_LABEL_BYTES = 12 };
enum { FUZZ_TOKENS = FUZZ_BYTES + FUZZ_TEXTS + FUZZ_LABELS };
enum { FUZZ_STEPS = 64, FUZZ_COMPARED = 8 };

/* A dot, a letter and others, a hyphen and a quote at the end of some. */
static inline void fuzz_label(unsigned number, char label[FUZZ_LABEL_BYTES]) {
    for (unsigned i = 0; i < FUZZ_LABEL_BYTES; i++) label[i] = (char)('a' + (number * (i + 1)) % 26);
    label[0] = '.';
    label[1] = (char)('a' + number);
    if (number % 3 == 0) label[FUZZ_LABEL_BYTES - 2] = '-';
    if (number % 4 == 0) label[FUZZ_LABEL_BYTES - 1] = '"';
}

static inline struct grammar_vocabulary *fuzz_vocabulary(void) {
    static char bytes[FUZZ_BYTES], labels[FUZZ_LABELS][FUZZ_LABEL_BYTES];
    struct engine_string texts[FUZZ_TOKENS];
    struct grammar_vocabulary *v;
    struct error e;
    for (int i = 0; i < FUZZ_BYTES; i++) {
        bytes[i] = (char)i;
        texts[i] = (struct engine_string){&bytes[i], 1};
    }
    for (int i = 0; i < (int)FUZZ_TEXTS; i++)
        texts[FUZZ_BYTES + i] = (struct engine_string){fuzz_texts[i], strlen(fuzz_texts[i])};
    for (unsigned i = 0; i < FUZZ_LABELS; i++) {
        fuzz_label(i, labels[i]);
        texts[FUZZ_BYTES + FUZZ_TEXTS + i] = (struct engine_string){labels[i], FUZZ_LABEL_BYTES};
    }
    assert(grammar_vocabulary_create(texts, FUZZ_TOKENS, &v, &e) == STATUS_OK);
    return v;
}

/* The first allowed token from `from` on, around the end; -1: none. */
static inline int fuzz_allowed(const uint32_t *bits, unsigned from) {
    for (unsigned i = 0; i < FUZZ_TOKENS; i++) {
        unsigned token = (from + i) % FUZZ_TOKENS;
        if (bits[token / 32] >> (token % 32) & 1) return (int)token;
    }
    return -1;
}

/* Each bit of a mask is what reading the token says. False: there is too little memory to tell. */
static inline bool fuzz_compare(struct grammar *g, grammar_state state, const uint32_t *bits) {
    struct error e;
    for (int token = 0; token < FUZZ_TOKENS; token++) {
        grammar_state behind;
        if (grammar_accept(g, state, token, &behind, &e) != STATUS_OK) return false;
        assert((bits[token / 32] >> (token % 32) & 1) == (behind != GRAMMAR_DEAD));
    }
    return true;
}

/* Where the text may not end something may come; what may come is accepted. */
static inline void fuzz_walk(struct grammar *g, const uint8_t *data, size_t size) {
    uint32_t bits[(FUZZ_TOKENS + 31) / 32];
    grammar_state state = GRAMMAR_START;
    struct error e;
    for (size_t i = 0; i < FUZZ_STEPS; i++) {
        if (grammar_mask(g, state, bits, &e) != STATUS_OK) return;
        if (i < FUZZ_COMPARED && !fuzz_compare(g, state, bits)) return;
        int token = fuzz_allowed(bits, size ? data[i % size] + 16u * data[size - 1 - i % size] : 0);
        assert(token >= 0 || grammar_may_end(g, state));
        if (token < 0 || grammar_accept(g, state, token, &state, &e) != STATUS_OK) return;
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
