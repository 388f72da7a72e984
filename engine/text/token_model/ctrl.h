/* CTRL's words, as its tokenizer in transformers cuts them: byte-pair encoding whose last symbol ends in "</w>", and
 * then each symbol is looked up under the name of a token, "xy@@" within a word and "xy" at its end. Symbols need not
 * be tokens. BioGPT's words are the same but that a symbol is the name of a token itself ("whole_names").
 *
 * It is "model" of type "CTRL" in what engine/text/sources/vocab_merges.h makes of the files of both: {"vocab":
 * {name: id}, "unk_token": name, "whole_names": bool, "words": a BPE model without a vocabulary}. */
#pragma once

#include "engine/text/token_model/bpe.h"

struct ctrl {
    struct vocabulary symbols; /* of the merges and of the names, by a number of their own */
    struct bpe words;          /* over the symbols */
    int32_t *ids;              /* [symbol] the token that it is, or the unknown one */
};

struct ctrl_scratch {
    struct bpe_scratch words;
    struct token_list symbols;
};

/* place: "model"; v: its "vocab". deinit also after an error. c must not move afterwards. */
enum status ctrl_init(struct ctrl *c, const struct vocabulary *v, const struct json_path *path,
                      struct error *e);
void ctrl_deinit(struct ctrl *c);
void ctrl_scratch_deinit(struct ctrl_scratch *s);

/* Appends the ids of one word; length > 0. */
enum status ctrl_encode(const struct ctrl *c, struct ctrl_scratch *s, const char *word, size_t length,
                        struct token_list *out, struct error *e);
