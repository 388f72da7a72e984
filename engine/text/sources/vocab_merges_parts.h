/* Between vocab_merges.c and vocab_merges_words.c: what was read, and the tokens that are added. */
#pragma once

#include <stdbool.h>

#include "engine/text/sources/side_files.h"

/* Which files of those names these are. */
enum vocab_merges_scheme {
    SCHEME_BYTES, /* GPT-2 and its kin */
    SCHEME_CTRL,
    SCHEME_MOSES, /* BioGPT */
};

struct vocab_merges {
    enum vocab_merges_scheme scheme;
    const struct side_files *side;
    json_t *vocab;
    json_t *merges; /* lines of merges.txt; pairs, but of bytes */
    json_t *tokens; /* content -> entry of "added_tokens", in the order in which ids are given */
};

enum status vocab_merges_no_memory(struct error *e);

/* Adds a token unless its content is there already. entry: a string, or an object with "content" and flags; absent or
 * null: nothing is added. */
enum status vocab_merges_add_token(struct vocab_merges *s, const char *file, const char *key,
                                   const json_t *entry, bool special, struct error *e);

/* Fills list, which is "added_tokens", with the ids that they get. */
enum status vocab_merges_number_tokens(const struct vocab_merges *s, json_t *list, struct error *e);

/* ---- vocab_merges_words.c: the equal of a tokenizer.json, which the caller owns ---- */

enum status vocab_merges_build_ctrl(struct vocab_merges *s, json_t **out, struct error *e);
enum status vocab_merges_build_moses(struct vocab_merges *s, json_t **out, struct error *e);
