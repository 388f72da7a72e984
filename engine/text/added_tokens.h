/* "added_tokens" of tokenizer.json: contents that are found in the text as they stand and become one id each,
 * before any model sees what is between them. Immutable once read. */
#pragma once

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/guard.h"
#include "engine/text/normalize/normalizer.h"
#include "engine/text/containers/piece_list.h"
#include "engine/text/containers/trie.h"
#include "engine/text/token_model/vocabulary.h"

/* Bytes of one content: with it the search stays linear in the text. */
enum { ADDED_TOKEN_BYTES_MAX = 4096 };

struct added_token {
    int32_t id;
    bool single_word;    /* not within a word */
    bool lstrip, rstrip; /* takes the blanks on that side with it */
    bool normalized;     /* its normal form is searched for in the normal form of the text */
    bool special;
    bool
        plain; /* no token of control: blanks (or ▁) alone, or letters and digits that are not marked special */
};

struct added_tokens {
    struct added_token *items;
    size_t count, capacity;
    struct vocabulary contents; /* of items, by index */
    int32_t *indices;           /* [id_end] id -> index of items, or -1 */
    size_t id_end, index_capacity;
    struct trie raw, normalized; /* values are indices of items */
    size_t longest;              /* bytes of the longest key of both */
    bool takes_blanks;           /* some token takes any number of blanks beside it */
};

/* place: "added_tokens" (its value may be NULL). A content that the model's vocabulary has keeps that id; the
 * others are numbered on from the number of the model's contents, in the order of the file. That is how the
 * tokenizers library does it; where the file's own "id" differs, the library warns and goes by its numbers,
 * and so do we: models are trained with what it gives. deinit also after an error. */
enum status added_tokens_init(struct added_tokens *a, const struct json_path *path,
                              const struct vocabulary *model, const struct normalizer *n, struct error *e);
void added_tokens_deinit(struct added_tokens *a);

/* The id of a content, or -1; the content of an id (borrowed), or NULL. */
int32_t added_tokens_find(const struct added_tokens *a, const char *content, size_t length);
const char *added_tokens_content(const struct added_tokens *a, int32_t id, size_t *length);

/* Whether an id is that of a control token: an added one that is not plain. */
bool added_tokens_controls(const struct added_tokens *a, int32_t id);

/* Cuts text at the tokens of one kind and appends the pieces to out. first: the text begins the whole
 * text. guard: where only plain tokens are found; the longest token that is allowed counts. */
void added_tokens_cut(const struct added_tokens *a, bool normalized, const char *text, size_t length,
                      bool first, const struct guard *guard, struct piece_list *out);
