/* The classes of the transformers library that a folder's files name, and what each of them does to a
 * tokenizer.json once it has read it. As of transformers 4.57. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "engine/base/error.h"

/* Tokens that a class has where the files name none; NULL: none. In the order in which they are added. */
enum { CLASS_BOS, CLASS_EOS, CLASS_UNK, CLASS_SEP, CLASS_PAD, CLASS_CLS, CLASS_MASK, CLASS_TOKENS };
extern const char *const tokenizer_class_keys[CLASS_TOKENS]; /* "bos_token", ... */

/* "<madeupword0>" and so on, which XGLMTokenizer adds. */
#define CLASS_MADE_UP_WORDS 7

struct tokenizer_class {
    const char *name; /* without "Fast" */
    const char *tokens[CLASS_TOKENS];
    bool by_flags;      /* add_bos_token and add_eos_token replace the post-processor */
    bool adds_bos;      /* what add_bos_token is where it is absent */
    bool refuses_bos;   /* the library refuses add_bos_token */
    bool nested_prefix; /* add_prefix_space: true reaches into sequences too */
    bool from_model; /* add_prefix_space makes the library read the model below in place of tokenizer.json */
    int made_up_words;  /* that it adds */
    bool has_extra_ids; /* "<extra_id_0>" and so on, as many as extra_ids says */
    /* The file name of the model of SentencePiece that it reads where there is no tokenizer.json, or NULL; and what it
     * does to that model and to texts (sentence_piece_class.h). */
    const char *model_file;
    bool model_has_options; /* add_prefix_space and legacy count */
    bool model_is_fairseq;  /* ids are those of fairseq */
    bool model_cleans;      /* characters of a text are dropped or become blanks, the rest is put into NFC */
    bool model_sep_first;   /* sep_token in front of each text, whatever the flags */
    bool model_eos_last;    /* eos_token behind */
};

/* The class that config (tokenizer_config.json) or model (config.json) names, or that the type of the model stands
 * for; each may be NULL. *named: a file has the class's own name. Where nothing says anything it is that of a bare
 * tokenizer.json. STATUS_UNSUPPORTED, with the name, for a class that is not in the table. */
enum status tokenizer_class_find(const json_t *config, const json_t *model,
                                 const struct tokenizer_class **out, bool *named, struct error *e);
