/* Inside of engine/lora: what the tensors of an adapter's file are. */
#pragma once

#include "engine/lora/lora.h"
#include "engine/lora/lora_config.h"

/* Bytes of a tensor's name in an adapter. */
#define LORA_NAME_MAX 512

/* Modules with an adapter, and tensors that are saved whole. */
#define LORA_PARTS_MAX 16384

/* One module with lora_A and lora_B. */
struct lora_part {
    char *module; /* "transformer.h.0.attn.c_attn"; owned */
    const struct tensor *a, *b;
    bool of_embedding; /* lora_embedding_A [rank, rows], lora_embedding_B [columns, rank] */
    struct low_rank low_rank;
    size_t views; /* that it was attached to */
};

/* A tensor that takes the place of the base's. */
struct lora_whole {
    char *name; /* as the base has it: "lm_head.weight"; owned */
    const struct tensor *tensor;
    const struct tensor *replaces; /* NULL: the head that is tied in the base */
    bool of_base_layer;            /* a copy of what lies under an adapter */
};

struct lora {
    struct lora_config config;
    struct adapter_identity identity;
    struct checkpoint *file; /* the adapter's */
    struct lora_part *parts; /* by their modules */
    size_t part_count;
    struct lora_whole *wholes;
    size_t whole_count;
    struct checkpoint *overlay; /* the base's tensors with the whole ones in place; NULL: there are none */
    const struct tensor *head;  /* of a tied model, where it is not the table any more; else NULL */
};

/* Sorts the tensors of l->file into parts and wholes; each part has both its tensors afterwards. */
enum status lora_parts_init(struct lora *l, struct error *e);
void lora_parts_deinit(struct lora *l);

/* "file: name", for errors about a tensor. Returns out. */
const char *lora_place(const struct tensor *t, char out[LORA_NAME_MAX]);
