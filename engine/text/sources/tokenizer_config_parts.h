/* Between the files that change a parsed tokenizer.json by the files beside it (tokenizer_config.h): what is known of it
 * meanwhile, and the steps in their order. */
#pragma once

#include <stdbool.h>

#include "engine/text/sources/side_files.h"
#include "engine/text/sources/tokenizer_class.h"

struct tokenizer_edit {
    json_t *file;
    const struct side_files *side;
    const struct tokenizer_class *class;
    bool class_is_named;
    bool decoder_is_listed; /* added_tokens_decoder is there: the older files are not looked at */
    json_t *added;          /* file's "added_tokens" */
    json_t *known;          /* content -> entry of added */
    json_t *vocabulary;     /* content -> id, of the model */
    json_t *file_known; /* content -> anything: tokens of files, whose flags count before a special token's */
    json_t *specials;   /* [entry]: special tokens that the files or the class name one by one, in order */
    json_t *more_specials; /* [entry]: those that stand in lists */
    json_t *special_names; /* content -> true, of both */
};

/* A value of tokenizer_config.json; NULL: it has none. */
const json_t *tokenizer_edit_config(const struct tokenizer_edit *t, const char *key);

/* Whether the tokens come from a model of SentencePiece. */
bool tokenizer_edit_is_sentence_piece(const struct tokenizer_edit *t);

/* ---- tokenizer_config_specials.c ---- */

/* Which tokens the files and the class call special: fills specials, more_specials and special_names. */
enum status tokenizer_edit_collect_specials(struct tokenizer_edit *t, struct error *e);

/* The content of one of the seven special tokens that have a key each, or NULL. which: CLASS_BOS, ... */
const char *tokenizer_edit_special(const struct tokenizer_edit *t, size_t which);

/* ---- tokenizer_config_added.c ---- */

/* Adds to "added_tokens" what the files list, then the special tokens, and writes the ids that added_tokens_init will give
 * them. */
enum status tokenizer_edit_add_tokens(struct tokenizer_edit *t, struct error *e);

/* The id of an added token, once they are there; -1: it is none. */
json_int_t tokenizer_edit_added_id(const struct tokenizer_edit *t, const char *content);

/* ---- tokenizer_config_frame.c ---- */

/* add_prefix_space: the blank in front of a text. */
enum status tokenizer_edit_prefix_space(struct tokenizer_edit *t, struct error *e);

/* add_bos_token and add_eos_token: the tokens around a text. */
enum status tokenizer_edit_frame(struct tokenizer_edit *t, struct error *e);
