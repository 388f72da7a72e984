#include "tests/unit/engine/model/describe_text.h"

#include "engine/files/json_file.h"

/* ---- tests/cases/refused: config.json, and in expect.json a word of the message, in letters of any case ---- */

static void check_case(const char *path, const char *name, void *context) {
    (void)context;
    struct error e = {0};
    json_t *expect;
    struct model_description d;
    const struct family *family = NULL;
    char message[ERROR_LINE_BYTES];
    assert_ok(json_file_load(path, "expect.json", 1 << 16, &expect, &e));
    const char *word = json_string_value(json_object_get(expect, "reason_contains"));
    assert_non_null(word);
    assert_int_not_equal(describe_model(path, &d, &family, &e), STATUS_OK);
    error_format(&e, message, sizeof message);
    print_message("%s: %s\n", name, message);
    if (!strcasestr(message, word)) fail_msg("%s: '%s' is not in '%s'", name, word, message);
    description_deinit(&d);
    json_decref(expect);
}

static void test_cases(void **state) {
    (void)state;
    assert_true(test_each_folder(test_source_path("tests/cases/refused"), check_case, NULL) >= 14);
}

/* ---- the table of adapters ---- */

/* Within a table a weight comes once, but for the name of its bias right after it. */
static void check_names(const char *model_type, const struct weight_name *names) {
    bool known[WEIGHT_COUNT] = {false};
    for (const struct weight_name *n = names; n && n->name; n++) {
        bool of_bias = n > names && n[-1].weight == n->weight;
        if (known[n->weight] && !of_bias) fail_msg("%s: %s comes twice", model_type, n->name);
        known[n->weight] = true;
    }
}

static bool has_name(const struct family *f, enum weight weight) {
    return weight_name_find(&f->names, weight) != NULL;
}

static void test_adapters(void **state) {
    (void)state;
    for (const struct family *const *f = family_list; *f; f++) {
        struct error e = {0};
        assert_ptr_equal(family_find((*f)->model_type, &e), *f);
        check_names((*f)->model_type, (*f)->names.own);
        check_names((*f)->model_type, (*f)->names.common);
        assert_true(has_name(*f, WEIGHT_EMBEDDING) && has_name(*f, WEIGHT_HEAD));
        assert_true(has_name(*f, WEIGHT_MLP_UP) && has_name(*f, WEIGHT_MLP_DOWN));
        assert_true(has_name(*f, WEIGHT_QKV) ||
                    (has_name(*f, WEIGHT_QUERY) && has_name(*f, WEIGHT_KEY) && has_name(*f, WEIGHT_VALUE)));
    }
}

/* What the family calls a weight itself goes before what the convention calls it. */
static void test_names(void **state) {
    (void)state;
    static const struct weight_name own[] = {{WEIGHT_QUERY, "q"}, NAMES_END};
    static const struct weight_name common[] = {{WEIGHT_QUERY, "query"}, {WEIGHT_KEY, "key"}, NAMES_END};
    const struct weight_names both = {own, common}, alone = {NULL, common}, neither = {NULL, NULL};
    assert_string_equal(weight_name_find(&both, WEIGHT_QUERY)->name, "q");
    assert_string_equal(weight_name_find(&both, WEIGHT_KEY)->name, "key");
    assert_string_equal(weight_name_find(&alone, WEIGHT_QUERY)->name, "query");
    assert_null(weight_name_find(&both, WEIGHT_VALUE));
    assert_null(weight_name_find(&neither, WEIGHT_QUERY));
}

static void test_unknown_types(void **state) {
    (void)state;
    assert_refused("{'model_type': 'quark'}", "quark|supported|starcoder2|xglm");
    assert_refused("{'model_type': 7}", "model_type");
    assert_refused("{}", "model_type");
    assert_refused("[]", "model_type");
    assert_refused("{'model_type': 'GPT2'}", "GPT2");
    assert_refused("{'model_type': ''}", "unknown");
    assert_refused("{'model_type': 'bert'}", "bert|Post-LN");
    assert_refused("{'model_type': 'qwen3_moe'}", "qwen3_moe|mixture of experts");
    assert_refused("{'model_type': 'RefinedWebModel'}", "RefinedWebModel|falcon|current revision");
    assert_refused("{'model_type': 'RefinedWeb'}", "RefinedWeb|falcon|current revision");
    assert_refused("{'model_type': 'stablelm_epoch'}", "stablelm_epoch|called before|current revision");
    assert_refused("{'model_type': 'phi-msft'}", "phi-msft|Microsoft|current revision");
    assert_refused("{'model_type': 'mixformer-sequential'}", "mixformer-sequential|Microsoft");
}

/* ---- refusals: what no family can have ---- */

static void test_generic(void **state) {
    (void)state;
    static const struct {
        const char *entry, *fragments;
    } cases[] = {
        {"'quantization_config': {'quant_method': 'gptq', 'bits': 4}", "quantization_config"},
        {"'compression_config': {}", "compression_config"},
        {"'is_encoder_decoder': true", "is_encoder_decoder"},
        {"'is_encoder_decoder': 'yes'", "is_encoder_decoder|yes"},
        {"'add_cross_attention': true", "add_cross_attention"},
        {"'num_local_experts': 8", "num_local_experts"},
        {"'num_experts': 8", "num_experts"},
        {"'pruned_heads': {'1': [0]}", "pruned_heads"},
        {"'vocab_size': -1", "vocab_size|-1"},
        {"'vocab_size': 0", "vocab_size|0"},
        {"'vocab_size': 320.0", "vocab_size|320.0"},
        {"'vocab_size': '320'", "vocab_size|320"},
        {"'vocab_size': 9223372036854775807", "vocab_size|9223372036854775807"},
        {"'vocab_size': 18446744073709551616", "config.json"},
        {"'vocab_size': true", "vocab_size|true"},
        {"'vocab_size': [320]", "vocab_size|320"},
        {"'vocab_size': {}", "vocab_size"},
    };
    for (const struct family *const *f = family_list; *f; f++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            char text[256];
            snprintf(text, sizeof text, "{'model_type': '%s', %s}", (*f)->model_type, cases[i].entry);
            assert_refused(text, cases[i].fragments);
        }
}

/* ---- refusals of one family ---- */

static const struct {
    const char *text, *fragments;
} refused[] = {
    /* sizes */
    {"{'model_type': 'gpt2', 'n_head': 7}", "n_head=7|768"},
    {"{'model_type': 'gpt2', 'n_head': 0}", "n_head|0"},
    {"{'model_type': 'gpt2', 'n_layer': 100000}", "n_layer|100000"},
    {"{'model_type': 'gpt2', 'n_embd': 1}", "n_embd"},
    {"{'model_type': 'gpt2', 'n_embd': 32, 'hidden_size': 64}", "n_embd|hidden_size"},
    {"{'model_type': 'gpt2', 'hidden_size': -4}", "hidden_size|-4"},
    {"{'model_type': 'gpt2', 'n_positions': 99999999}", "n_positions|99999999"},
    {"{'model_type': 'gpt2', 'layer_norm_epsilon': -1}", "layer_norm_epsilon|-1"},
    {"{'model_type': 'gpt2', 'layer_norm_epsilon': '1e-5'}", "layer_norm_epsilon|1e-5"},
    {"{'model_type': 'gpt_neo', 'num_heads': 3}", "num_heads=3"},
    {"{'model_type': 'gpt_neox', 'num_attention_heads': 7}", "num_attention_heads=7"},
    {"{'model_type': 'gpt_neox', 'head_dim': 32}", "head_dim|32|96"},
    {"{'model_type': 'gpt_neox_japanese', 'intermediate_multiple_size': 4000000}",
     "intermediate_multiple_size"},
    {"{'model_type': 'codegen', 'n_head': 2}", "n_head=2|4"},
    {"{'model_type': 'bloom', 'n_head': 5}", "n_head=5"},
    {"{'model_type': 'bloom', 'hidden_size': 64, 'n_embed': 32}", "hidden_size|n_embed"},
    {"{'model_type': 'mpt', 'n_heads': 9}", "n_heads=9"},
    {"{'model_type': 'xglm', 'attention_heads': 3}", "attention_heads=3"},
    {"{'model_type': 'xglm', 'd_model': 2, 'attention_heads': 1}", "d_model|2|4"},
    {"{'model_type': 'phi', 'num_key_value_heads': 5}", "32|5|key/value"},
    {"{'model_type': 'stablelm', 'num_key_value_heads': 64}", "64|key/value"},
    {"{'model_type': 'nemotron', 'head_dim': 4096}", "head_dim|4096"},
    {"{'model_type': 'opt', 'tie_word_embeddings': 1}", "tie_word_embeddings|1"},
    /* activations */
    {"{'model_type': 'gpt2', 'activation_function': 'snake'}", "activation_function|snake"},
    {"{'model_type': 'gpt2', 'activation_function': 5}", "activation_function|5"},
    {"{'model_type': 'gpt_neox', 'hidden_act': 'gelu_10'}", "hidden_act|gelu_10"},
    {"{'model_type': 'falcon', 'activation': 'tanh'}", "activation|tanh"},
    /* blocks that are not Pre-LN, or that no library has */
    {"{'model_type': 'opt', 'do_layer_norm_before': false}", "do_layer_norm_before=false|Post-LN"},
    {"{'model_type': 'opt', '_remove_final_layer_norm': true}", "_remove_final_layer_norm=true"},
    {"{'model_type': 'opt', 'scale_embeddings': true}", "scale_embeddings=true"},
    {"{'model_type': 'persimmon', 'num_key_value_heads': 8}", "num_key_value_heads|8|64"},
    {"{'model_type': 'bloom', 'apply_residual_connection_post_layernorm': true}",
     "apply_residual_connection_post_layernorm"},
    {"{'model_type': 'falcon', 'apply_residual_connection_post_layernorm': true}",
     "apply_residual_connection_post_layernorm"},
    {"{'model_type': 'falcon', 'new_decoder_architecture': true, 'parallel_attn': false}", "parallel_attn"},
    {"{'model_type': 'falcon', 'num_ln_in_parallel_attn': 2}", "num_ln_in_parallel_attn=2"},
    {"{'model_type': 'falcon', 'new_decoder_architecture': true, 'num_ln_in_parallel_attn': 3}",
     "num_ln_in_parallel_attn|3"},
    {"{'model_type': 'falcon', 'multi_query': false, 'num_kv_heads': 8}", "num_kv_heads|8|71"},
    {"{'model_type': 'gptj', 'rotary': false}", "rotary=false"},
    {"{'model_type': 'gptj', 'scale_attn_weights': false}", "scale_attn_weights=false"},
    {"{'model_type': 'gpt_bigcode', 'scale_attn_by_inverse_layer_idx': true}",
     "scale_attn_by_inverse_layer_idx"},
    {"{'model_type': 'olmo', 'clip_qkv': 0}", "clip_qkv|0"},
    {"{'model_type': 'olmo', 'clip_qkv': -8}", "clip_qkv|-8"},
    {"{'model_type': 'xglm', 'pad_token_id': 5}", "pad_token_id=5"},
    {"{'model_type': 'starcoder2', 'mlp_type': 'gated'}", "mlp_type|gated"},
    {"{'model_type': 'starcoder2', 'norm_type': 'rms_norm'}", "norm_type|rms_norm"},
    {"{'model_type': 'starcoder2', 'sliding_window': 0}", "sliding_window|0"},
    /* windows */
    {"{'model_type': 'gpt_neo', 'window_size': 0}", "window_size"},
    {"{'model_type': 'gpt_neo', 'num_layers': 3, 'attention_types': [[['global', 'local'], 2]]}",
     "attention_types|num_layers=3"},
    {"{'model_type': 'gpt_neo', 'num_layers': 9, 'attention_types': [[['global', 'local'], 2]]}",
     "attention_types|num_layers=9"},
    {"{'model_type': 'gpt_neo', 'num_layers': 2, 'attention_types': [[['global', 'linear'], 1]]}",
     "attention_types|layer 1"},
    {"{'model_type': 'gpt_neo', 'attention_types': [[['global'], -1]]}", "attention_types|entry 0"},
    {"{'model_type': 'gpt_neo', 'attention_types': [[['global'], 999999999999]]}", "attention_types|entry 0"},
    {"{'model_type': 'gpt_neo', 'attention_types': ['global']}", "attention_types|entry 0"},
    {"{'model_type': 'gpt_neo', 'attention_types': 'global'}", "attention_types"},
    {"{'model_type': 'gpt_neo', 'attention_layers': ['global']}", "attention_layers|num_layers=24"},
    {"{'model_type': 'cohere2', 'sliding_window': null}", "sliding_window"},
    {"{'model_type': 'cohere2', 'sliding_window_pattern': 0}", "sliding_window_pattern"},
    {"{'model_type': 'cohere2', 'layer_switch': 3}", "layer_switch|3|4"},
    {"{'model_type': 'cohere2', 'layer_types': ['full_attention']}", "layer_types|num_hidden_layers=40"},
    {"{'model_type': 'cohere2', 'num_hidden_layers': 1, 'layer_types': ['chunked_attention']}",
     "layer_types"},
    {"{'model_type': 'cohere2', 'layer_types': 5}", "layer_types"},
    {"{'model_type': 'cohere2', 'order_of_interleaved_layers': 'global_attn_first'}",
     "order_of_interleaved_layers"},
    {"{'model_type': 'cohere2', 'use_parallel_block': false}", "use_parallel_block"},
    {"{'model_type': 'cohere2', 'use_gated_activation': false}", "use_gated_activation"},
    {"{'model_type': 'cohere2', 'rotary_pct': 0.5}", "rotary_pct"},
    /* MPT: what the original code honours and no reference covers */
    {"{'model_type': 'mpt', 'attn_config': {'alibi': false}}", "attn_config|alibi=false"},
    {"{'model_type': 'mpt', 'attn_config': {'qk_ln': true}}", "attn_config|qk_ln=true"},
    {"{'model_type': 'mpt', 'attn_config': {'prefix_lm': true}}", "prefix_lm=true"},
    {"{'model_type': 'mpt', 'attn_config': {'attn_type': 'multiquery_attention'}}",
     "attn_type|multiquery_attention"},
    {"{'model_type': 'mpt', 'attn_config': {'attn_uses_sequence_id': true}}", "attn_uses_sequence_id"},
    {"{'model_type': 'mpt', 'attn_config': {'kv_n_heads': 4}}", "kv_n_heads|4"},
    {"{'model_type': 'mpt', 'attn_config': {'alibi_bias_max': 0}}", "alibi_bias_max"},
    {"{'model_type': 'mpt', 'attn_config': {'clip_qkv': -2}}", "clip_qkv|-2"},
    {"{'model_type': 'mpt', 'attn_config': {'softmax_scale': 0}}", "softmax_scale"},
    {"{'model_type': 'mpt', 'attn_config': {'sliding_window_size': 256}}", "sliding_window_size"},
    {"{'model_type': 'mpt', 'attn_config': 'torch'}", "attn_config|torch"},
    {"{'model_type': 'mpt', 'logit_scale': 'inv_sqrt_d_model'}", "logit_scale"},
    {"{'model_type': 'mpt', 'expansion_ratio': 3}", "expansion_ratio|3"},
    {"{'model_type': 'mpt', 'no_bias': false}", "no_bias=false"},
    {"{'model_type': 'mpt', 'norm_type': 'rmsnorm'}", "norm_type|rmsnorm"},
    {"{'model_type': 'mpt', 'ffn_config': {'ffn_type': 'mptglu'}}", "ffn_config"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_refused(refused[i].text, refused[i].fragments);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_adapters), cmocka_unit_test(test_names),
        cmocka_unit_test(test_unknown_types), cmocka_unit_test(test_generic),  cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
