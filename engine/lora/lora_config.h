/* adapter_config.json of the PEFT library (https://github.com/huggingface/peft), for peft_type LORA: which modules
 * have an adapter, of which rank and scale. Whatever would change the result and is not implemented is refused by
 * name, as is a key that is not known and has a value. */
#pragma once

#include "engine/lora/module_set.h"

/* Bytes of the file: room for MODULE_PATTERNS_MAX patterns of 200 bytes. */
#define LORA_CONFIG_BYTES_MAX (4u << 20)

/* Rank of an adapter; the widest published ones have 1024. */
#define LORA_RANK_MAX 65536

struct lora_config {
    json_t *root;          /* owned; the sets below borrow from it */
    const char *base_name; /* what the adapter says that it was trained on; "": nothing. Not to be trusted */
    size_t rank;
    double alpha;
    bool rank_stabilized; /* scale alpha / sqrt(rank), else alpha / rank */
    struct module_numbers ranks, alphas;
    bool has_targets, all_linear; /* all_linear: every linear but the head */
    struct module_set targets, excluded, saved;
    const json_t *layers;          /* an integer, a list of integers, or NULL: all */
    const json_t *layer_container; /* what stands in front of the layer's number: a string, a list, or NULL */
    bool biases;                   /* biases of the base were trained, and are saved whole */
    struct regex_run *run;
};

/* Takes the text of the file, which need not end in NUL. On failure *c holds nothing. */
enum status lora_config_init(struct lora_config *c, const char *text, size_t length, struct error *e);
void lora_config_deinit(struct lora_config *c);

/* Whether the module gets an adapter. inner: a linear inside of the model, so that "all-linear" means it. */
enum status lora_config_selects(const struct lora_config *c, const char *module, bool inner, bool *selects,
                                struct error *e);

/* The rank and the scale of a module's adapter. */
enum status lora_config_scale(const struct lora_config *c, const char *module, size_t *rank, double *scale,
                              struct error *e);

/* Whether modules_to_save names this module. */
bool lora_config_saves(const struct lora_config *c, const char *module);
