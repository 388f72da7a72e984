/* XGLM (Lin et al. 2021): sequential, sinusoidal positions from 2 on, embeddings times sqrt(d). Its norms
 * have an epsilon of 1e-5 that no key changes. */
#include "engine/model/families/conventions.h"

#include <math.h>

static const struct size_keys keys = {
    .context = {"max_position_embeddings", NULL},
    .width = {"d_model", "hidden_size"},
    .layers = {"num_layers", "num_hidden_layers"},
    .heads = {"attention_heads", "num_attention_heads"},
};

/* The library zeroes the sinusoids of the row pad_token_id, which positions from 2 on reach unless it is 0
 * or 1. */
static void refuse_zeroed_position(struct config_reader *config, const struct model_description *d) {
    const json_t *pad = config_value(config, "pad_token_id");
    json_int_t row = json_is_integer(pad) ? json_integer_value(pad) : 0;
    if (row >= (json_int_t)d->position_offset && (size_t)row < d->context + d->position_offset)
        config_refuse(config, "pad_token_id=%lld takes away the embedding of a position: expected 0 or 1",
                      (long long)row);
}

static void describe(struct config_reader *config, struct model_description *d) {
    d->position = POSITION_SINUSOIDAL_HALVES;
    d->position_offset = 2;
    d->embedding_scale = config_bool(config, "scale_embedding", true) ? sqrt((double)d->width) : 1;
    refuse_zeroed_position(config, d);
}

const struct family family_xglm = {
    .model_type = "xglm",
    .prefix = "model.",
    .names = {NULL, names_fairseq},
    .biases = WEIGHTS_NORMS | WEIGHTS_LINEARS,
    .buffers = TEXTS("embed_positions.weights"),
    .keys = &keys,
    .sizes = {.vocabulary = 256008,
              .context = 2048,
              .width = 1024,
              .width_min = 4, /* halves of sinusoids with more than one frequency */
              .layers = 24,
              .heads = 16},
    .mlp_width = {"ffn_dim", 4096},
    .activation = {"activation_function", "gelu"},
    .tied = true,
    .tokens = {0, 2, 1},
    .describe = describe,
};
