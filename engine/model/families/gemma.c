/* Gemma 1 (Mesnard et al. 2024): gains stored minus 1, embedding times sqrt(width), a MLP gated by GELU. */
#include "engine/model/families/conventions.h"

#include <string.h>

/* Published configs say gelu where they mean its tanh form, and hidden_activation overrules them in some versions
 * of the library. */
static void describe(struct config_reader *config, struct model_description *d) {
    const char *act =
        config_text(config, "hidden_activation", config_text(config, "hidden_act", "gelu_pytorch_tanh"));
    describe_gemma_block(config, d);
    d->activation = ACTIVATION_GELU_TANH;
    if (strcmp(act, "gelu") != 0 && strcmp(act, "gelu_pytorch_tanh") != 0)
        config_refuse(config, "hidden_act=\"%.40s\" " NO_REFERENCE, act);
}

const struct family family_gemma = {
    .model_type = "gemma",
    LLAMA_KIN,
    .names = {NULL, names_llama},
    .sizes = {.vocabulary = 256000, .context = 8192, .width = 3072, .layers = 28, .heads = 16},
    .kv_heads = {"num_key_value_heads", 16},
    .mlp_width = {"intermediate_size", 24576},
    .head_dim_default = 256,
    .norm_eps = {"rms_norm_eps", 1e-6},
    .rotary = LLAMA_ROTARY,
    .tied = true,
    .tokens = {2, 1, 0},
    .describe = describe,
};
