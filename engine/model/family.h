/* A family is a small adapter: what config.json means for the description, and what the tensors are called.
 * Most of it is data, so that describe() is left with the traits that set the family apart. The adapters lie
 * in engine/model/families, with the conventions that several of them share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/model/config_reader.h"
#include "engine/model/config_rotary.h"
#include "engine/model/description.h"
#include "engine/model/weights.h"

/* name has one %zu when the weight is in every layer ("h.%zu.ln_1"); ".weight" and ".bias" follow, but for
 * the scales and gates, which are bare. A norm of heads that is stored as one tensor a head has two (layer,
 * head). A second row of the same weight right after the first is the whole name of its bias. */
struct weight_name {
    enum weight weight;
    const char *name;
};

/* Ends a table of names. */
#define NAMES_END                                                                                            \
    { 0, NULL }

/* A weight is called as `own` says, or else as `common` does; either may be NULL. A name of a tensor that a
 * configuration does not have is not used. */
struct weight_names {
    const struct weight_name *own, *common;
};

/* The row of a weight; NULL when it has no name. */
const struct weight_name *weight_name_find(const struct weight_names *names, enum weight weight);

/* A size may have two spellings (other may be NULL): both with different values are refused. */
struct size_key {
    const char *key, *other;
};

/* What config.json calls the sizes that every family has. */
struct size_keys {
    struct size_key context, width, layers, heads;
};

/* Of a config without these keys; 0: they are required. */
struct size_defaults {
    size_t vocabulary, context, width, layers, heads;
    size_t width_min; /* 0: 2 */
};

/* A key and the value without it. No key: it is not read, and the value holds. */
struct size_setting {
    const char *key;
    size_t fallback;
};
struct real_setting {
    const char *key;
    double fallback;
};
struct text_setting {
    const char *key;
    const char *fallback;
};

/* As the default of mlp_width: 4 times the width. */
#define FOUR_WIDTHS SIZE_MAX

/* What the key head_dim may be, beside width / heads. */
enum head_dim_key {
    HEAD_DIM_UNREAD,
    HEAD_DIM_EQUAL, /* anything else is refused */
    HEAD_DIM_FREE,
};

/* Ids of a config without such keys; -1: none. */
struct default_tokens {
    int bos, end, pad;
};

struct family {
    const char *model_type;
    const char *prefix; /* the tensors may or may not carry it ("transformer."); "" when there is none */
    struct weight_names names;
    uint32_t biases;            /* weights that have a bias; describe() may overrule it (config_biases) */
    const char *const *buffers; /* tensors to skip: a name ends with one of these; NULL-terminated, or NULL */
    const char *const *ignored_keys; /* of config.json: do not change the result; NULL-terminated, or NULL */
    /* Classes of its causal language model whose names do not follow from model_type as GPTNeoXForCausalLM
     * does from gpt_neox (config_unknown.c); NULL-terminated, or NULL. */
    const char *const *architectures;
    bool strict_keys; /* an unknown key is an error, whatever the options say */

    const struct size_keys *keys;
    struct size_defaults sizes;
    struct size_setting kv_heads;  /* fallback 0: as many as heads */
    struct size_setting mlp_width; /* fallback 0: the key is required */
    enum head_dim_key head_dim;
    struct real_setting norm_eps;   /* of all norms; without a key that of description_init */
    struct text_setting activation; /* without a key describe() sets it */
    struct rotary_keys rotary;      /* theta NULL: no rotary positions, or describe() reads them */
    bool tied;                      /* without the key tie_word_embeddings */
    struct default_tokens tokens;

    /* Fills in the traits that none of the above says; sizes, rotary positions and biases are read already.
     * Errors stay in the reader. May be NULL. */
    void (*describe)(struct config_reader *config, struct model_description *d);
    /* The same for d->layer, which has its defaults by now. May be NULL. */
    void (*describe_layers)(struct config_reader *config, struct model_description *d);
};

/* A model type that is known and can't be served. */
struct refused_family {
    const char *model_type, *reason; /* "bert" "is Post-LN" */
};

/* All adapters and all refusals, each list with a NULL model type or pointer at its end
 * (engine/model/families/families.def). */
extern const struct family *const family_list[];
extern const struct refused_family refused_families[];

/* The adapter of a model_type; NULL with *e set (by name, with the reason) when it is refused or unknown. */
const struct family *family_find(const char *model_type, struct error *e);
