/* Grammars over a small vocabulary, and what they take. */
#pragma once

#include "tests/support/test_support.h"

#include "engine/grammar/grammar.h"

/* Each byte is a token (its own number), and behind them come those below; the last has no text. */
enum { FIXTURE_BYTES = 256, FIXTURE_MEMORY = 8 << 20 };

#define TEN(x) x x x x x x x x x x

static const char *const fixture_texts[] = {
    "\"",
    "{\"",
    "\":",
    "\", \"",
    "}",
    "{}",
    "abc",
    "aa",
    "ab",
    " a",
    "\n\n",
    "true",
    "\xc3\xa9",
    "\xa9\xc3",
    "x\xe2\x82",
    "\xac",
    "1234",
    "-1.5e",
    "],[",
    "\\u00",
    "\\\"",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    TEN(TEN("ccc")),
    TEN("bbbb"),
    TEN("\xc3\xa9") "\xe2\x82\xac",
    TEN("aaa") "aaa\"",
    TEN("    ") "\n",
    TEN("ddd"),
    TEN("ddd") "\xc3",
    "a\xe2\x80\xa8",
    "\xe2\x80\251bb",
    "cc\xe2\x80",
    "d\xe2\x80\xa7\xe2\x81\xa8",
    "\x80\xa9",
    "b\"}",
    "\": {\"",
    "",
};
enum { FIXTURE_TOKENS = FIXTURE_BYTES + sizeof fixture_texts / sizeof *fixture_texts };
enum { FIXTURE_WORDS = (FIXTURE_TOKENS + 31) / 32 };

static char fixture_byte_texts[FIXTURE_BYTES];

static inline struct engine_string fixture_text(size_t token) {
    if (token >= FIXTURE_BYTES) {
        const char *text = fixture_texts[token - FIXTURE_BYTES];
        return (struct engine_string){text, strlen(text)};
    }
    fixture_byte_texts[token] = (char)token;
    return (struct engine_string){&fixture_byte_texts[token], 1};
}

static inline struct grammar_vocabulary *fixture_vocabulary(void) {
    struct engine_string texts[FIXTURE_TOKENS];
    struct grammar_vocabulary *v;
    struct error e;
    for (size_t i = 0; i < FIXTURE_TOKENS; i++) texts[i] = fixture_text(i);
    assert_ok(grammar_vocabulary_create(texts, FIXTURE_TOKENS, &v, &e));
    return v;
}

static inline enum status fixture_try(enum grammar_kind kind, const char *source,
                                      const struct grammar_vocabulary *v, struct grammar **out,
                                      struct error *e) {
    const struct grammar_options options = {.bytes_max = FIXTURE_MEMORY, .seconds_max = 100};
    return grammar_compile(kind, (struct engine_string){source, strlen(source)}, &options, v, out, e);
}

static inline struct grammar *fixture_compile(enum grammar_kind kind, const char *source,
                                              const struct grammar_vocabulary *v) {
    struct grammar *g;
    struct error e;
    assert_ok(fixture_try(kind, source, v, &g, &e));
    return g;
}

/* The state behind a text, byte by byte. */
static inline grammar_state fixture_read(struct grammar *g, const char *text, size_t length) {
    grammar_state state = GRAMMAR_START;
    struct error e;
    for (size_t i = 0; i < length; i++)
        assert_ok(grammar_accept(g, state, (unsigned char)text[i], &state, &e));
    return state;
}

static inline bool fixture_matches(struct grammar *g, const char *text) {
    return grammar_may_end(g, fixture_read(g, text, strlen(text)));
}
