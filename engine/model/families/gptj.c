/* GPT-J (Wang & Komatsuzaki 2021): parallel with one norm, interleaved partial rotary positions, a head with
 * a bias. */
#include "engine/model/families/conventions.h"

static const struct weight_name names[] = {
    {WEIGHT_QUERY, "h.%zu.attn.q_proj"},
    {WEIGHT_KEY, "h.%zu.attn.k_proj"},
    {WEIGHT_VALUE, "h.%zu.attn.v_proj"},
    {WEIGHT_ATTENTION_OUT, "h.%zu.attn.out_proj"},
    {WEIGHT_MLP_UP, "h.%zu.mlp.fc_in"},
    {WEIGHT_MLP_DOWN, "h.%zu.mlp.fc_out"},
    NAMES_END,
};

const struct family family_gptj = {
    .model_type = "gptj",
    .prefix = "transformer.",
    .names = {names, names_gpt2},
    .biases = WEIGHTS_NORMS | WEIGHTS_MLP | WEIGHT_BIT(HEAD),
    .buffers = TEXTS(ATTENTION_BUFFERS, ".attn.embed_positions"),
    .ignored_keys = TEXTS("n_ctx", KEYS_SUMMARY),
    .keys = &keys_gpt2,
    .sizes = {.vocabulary = 50400, .context = 2048, .width = 4096, .layers = 28, .heads = 16},
    .mlp_width = {"n_inner", FOUR_WIDTHS},
    .norm_eps = {"layer_norm_epsilon", 1e-5},
    .activation = {"activation_function", "gelu_new"},
    .tokens = {50256, 50256, -1},
    .describe = describe_gptj_block,
};
