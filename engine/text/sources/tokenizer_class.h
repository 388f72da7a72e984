/* The classes of the transformers library that a folder's files name, and what each of them does to a
 * tokenizer.json once it has read it. As of transformers 4.57. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "engine/base/error.h"

/* Tokens that a class has where the files name none; NULL: none. In the order in which they are added. */
enum { CLASS_BOS, CLASS_EOS, CLASS_UNK, CLASS_SEP, CLASS_PAD, CLASS_CLS, CLASS_MASK, CLASS_TOKENS };
extern const char *const tokenizer_class_keys[CLASS_TOKENS]; /* "bos_token", ... */

struct tokenizer_class {
    const char *name; /* without "Fast" */
    const char *tokens[CLASS_TOKENS];
    bool by_flags;      /* add_bos_token and add_eos_token replace the post-processor */
    bool adds_bos;      /* what add_bos_token is where it is absent */
    bool refuses_bos;   /* the library refuses add_bos_token */
    bool nested_prefix; /* add_prefix_space: true reaches into sequences too */
    bool from_model; /* add_prefix_space makes the library read tokenizer.model in place of tokenizer.json */
    bool sentence_piece; /* it reads a tokenizer.model */
    int made_up_words;   /* "<madeupword0>" and so on, which it adds */
};

/* The class that config (tokenizer_config.json) or model (config.json) names, or that the type of the model stands
 * for; each may be NULL. *named: a file has the class's own name. Where nothing says anything it is that of a bare
 * tokenizer.json. STATUS_UNSUPPORTED, with the name, for a class that is not in the table. */
enum status tokenizer_class_find(const json_t *config, const json_t *model,
                                 const struct tokenizer_class **out, bool *named, struct error *e);
