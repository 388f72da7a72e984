/* BioGPT (Luo et al. 2022): sequential, learned positions from row 2 on, embeddings times sqrt(d). Its norms
 * have an epsilon of 1e-5: the library never reads the layer_norm_eps of its config. */
#include "engine/model/families/conventions.h"

#include <math.h>

static const struct weight_name names[] = {{WEIGHT_HEAD, "output_projection"}, NAMES_END};

static void describe(struct config_reader *config, struct model_description *d) {
    d->position = POSITION_LEARNED;
    d->position_offset = 2;
    d->embedding_scale = config_bool(config, "scale_embedding", true) ? sqrt((double)d->width) : 1;
}

const struct family family_biogpt = {
    .model_type = "biogpt",
    .prefix = "biogpt.",
    .names = {names, names_fairseq},
    .biases = WEIGHTS_NORMS | WEIGHTS_LINEARS,
    .ignored_keys = TEXTS("layer_norm_eps"),
    .keys = &keys_llama,
    .sizes = {.vocabulary = 42384, .context = 1024, .width = 1024, .layers = 24, .heads = 16},
    .mlp_width = {"intermediate_size", 4096},
    .activation = {"hidden_act", "gelu"},
    .tied = true,
    .tokens = {0, 2, 1},
    .describe = describe,
};
