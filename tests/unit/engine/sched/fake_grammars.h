/* Grammars over the fake model's tokens, with the texts that the tokenizer of the bundled model gives to their ids. */
#pragma once

#include "engine/grammar/grammar.h"
#include "engine/text/token_texts.h"
#include "fake_model.h"
#include "tales_tokenizer.h"

enum { FAKE_GRAMMARS_MAX = 4 };

struct fake_grammars {
    struct grammar_vocabulary *vocabulary;
    struct grammar *items[FAKE_GRAMMARS_MAX];
    size_t count;
};

/* texts: in GBNF. */
static inline void fake_grammars_init(struct fake_grammars *g, const char *const *texts, size_t count) {
    static unsigned char raw[FAKE_ROWS][TOKEN_TEXT_BYTES_MAX];
    struct engine_string tokens[FAKE_ROWS] = {0};
    const struct grammar_options options = {.bytes_max = 1 << 22, .seconds_max = 10};
    struct token_texts all;
    struct workers *workers;
    struct error e = {0};
    assert_ok(workers_create(1, &workers, &e));
    assert_ok(token_texts_init(&all, tokenizer, workers, &e));
    for (int32_t id = 1; id < FAKE_VOCABULARY; id++)
        tokens[id] = (struct engine_string){(char *)raw[id], token_texts_raw(&all, tokenizer, id, raw[id])};
    assert_ok(grammar_vocabulary_create(tokens, FAKE_ROWS, &g->vocabulary, &e));
    for (g->count = 0; g->count < count; g->count++) {
        const char *text = texts[g->count];
        assert_ok(grammar_compile(GRAMMAR_GBNF, (struct engine_string){text, strlen(text)}, &options,
                                  g->vocabulary, &g->items[g->count], &e));
    }
    token_texts_deinit(&all);
    workers_destroy(workers);
}

/* No request holds one any more. */
static inline void fake_grammars_deinit(struct fake_grammars *g) {
    for (size_t i = 0; i < g->count; i++) {
        assert_false(grammar_is_shared(g->items[i]));
        grammar_release(g->items[i]);
    }
    grammar_vocabulary_destroy(g->vocabulary);
}

/* Ways to change a scheduler's options: what a grammar needs of them, and drafts too. */
static inline void plain(struct scheduler_options *o) {
    o->rules.tokenizer = tokenizer;
}

static inline void drafting(struct scheduler_options *o) {
    plain(o);
    o->speculate = true;
    o->draft_row_cost = 0.001;
}
