#include "tests/unit/engine/model/describe_text.h"

#include "engine/model/tensor_views.h"

/* ---- every checkpoint of the golden data is described and bound, tensor by tensor ---- */

static void check_checkpoint(const char *path, const char *name, void *context) {
    (void)context;
    struct error e = {0};
    struct model_description d;
    const struct family *family;
    struct checkpoint *checkpoint;
    struct tensor_views views;
    print_message("%s\n", name);
    assert_ok(describe_model(path, &d, &family, &e));
    assert_ok(checkpoint_open(path, &checkpoint, &e));
    assert_ok(tensor_views_init(&views, &d, family, checkpoint, &e));
    assert_true(views.parameters > 0);
    tensor_views_deinit(&views);
    checkpoint_close(checkpoint);
    description_deinit(&d);
}

static void test_checkpoints(void **state) {
    (void)state;
    assert_true(test_each_folder(test_source_path("tests/golden/families"), check_checkpoint, NULL) >= 40);
    assert_true(test_each_folder(test_source_path("tests/golden/placements"), check_checkpoint, NULL) >= 8);
    assert_true(test_each_folder(test_source_path("deploy/models"), check_checkpoint, NULL) >= 1);
}

/* ---- a config with nothing in it means the library's defaults ---- */

static const struct {
    const char *model_type;
    size_t vocabulary, width, layers, heads, kv_heads, head_dim, mlp_width, context;
    double norm_eps;
    bool tied;
    int end;
} defaults[] = {
    {"gpt2", 50257, 768, 12, 12, 12, 64, 3072, 1024, 1e-5, true, 50256},
    {"gpt_neo", 50257, 2048, 24, 16, 16, 128, 8192, 2048, 1e-5, true, 50256},
    {"gpt_neox", 50432, 6144, 44, 64, 64, 96, 24576, 2048, 1e-5, false, 2},
    {"gpt_neox_japanese", 32000, 2560, 32, 32, 32, 80, 10240, 2048, 1e-5, true, 31999},
    {"gptj", 50400, 4096, 28, 16, 16, 256, 16384, 2048, 1e-5, false, 50256},
    {"codegen", 50400, 4096, 28, 16, 16, 256, 16384, 2048, 1e-5, false, 50256},
    {"opt", 50272, 768, 12, 12, 12, 64, 3072, 2048, 1e-5, true, 2},
    {"bloom", 250880, 64, 2, 8, 8, 8, 256, 2048, 1e-5, true, 2},
    {"falcon", 65024, 4544, 32, 71, 1, 64, 18176, 2048, 1e-5, true, 11},
    {"mpt", 50368, 2048, 24, 16, 16, 128, 8192, 2048, 1e-5, true, -1},
    {"phi", 51200, 2048, 24, 32, 32, 64, 8192, 2048, 1e-5, false, 2},
    {"persimmon", 262144, 4096, 36, 64, 64, 64, 16384, 16384, 1e-5, false, 2},
    {"stablelm", 50304, 2560, 32, 32, 32, 80, 6912, 4096, 1e-5, false, 0},
    {"starcoder2", 49152, 3072, 30, 24, 2, 128, 12288, 4096, 1e-5, true, -1},
    {"gpt_bigcode", 50257, 768, 12, 12, 1, 64, 3072, 1024, 1e-5, true, 50256},
    {"cohere", 256000, 8192, 40, 64, 64, 128, 22528, 8192, 1e-5, true, 255001},
    {"cohere2", 256000, 8192, 40, 64, 64, 128, 22528, 8192, 1e-5, true, 255001},
    {"olmo", 50304, 4096, 32, 32, 32, 128, 11008, 2048, 1e-5, false, 50279},
    {"nemotron", 256000, 6144, 32, 48, 48, 128, 24576, 4096, 1e-5, false, 3},
    {"xglm", 256008, 1024, 24, 16, 16, 64, 4096, 2048, 1e-5, true, 2},
    {"biogpt", 42384, 1024, 24, 16, 16, 64, 4096, 1024, 1e-5, true, 2},
    {"ctrl", 246534, 1280, 48, 16, 16, 80, 8192, 256, 1e-6, true, -1},
};

static void test_defaults(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        char config[128];
        struct error e = {0};
        struct model_description d;
        snprintf(config, sizeof config, "{'model_type': '%s'}", defaults[i].model_type);
        assert_ok(describe_text(config, &d, &e));
        assert_string_equal(d.family, defaults[i].model_type);
        assert_int_equal(d.vocabulary, defaults[i].vocabulary);
        assert_int_equal(d.width, defaults[i].width);
        assert_int_equal(d.embedding_width, d.width);
        assert_int_equal(d.layers, defaults[i].layers);
        assert_int_equal(d.heads, defaults[i].heads);
        assert_int_equal(d.kv_heads, defaults[i].kv_heads);
        assert_int_equal(d.head_dim, defaults[i].head_dim);
        assert_int_equal(d.mlp_width, defaults[i].mlp_width);
        assert_int_equal(d.context, defaults[i].context);
        assert_number(d.norm_eps, defaults[i].norm_eps);
        assert_int_equal(d.tied, defaults[i].tied);
        assert_int_equal(d.end_count ? d.end_tokens[0] : -1, defaults[i].end);
        description_deinit(&d);
    }
}

/* ---- traits that one key turns ---- */

#define SIZES_HIDDEN "'hidden_size': 32, 'num_attention_heads': 4, 'num_hidden_layers': 4, 'vocab_size': 320"

static void test_residual(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum residual residual;
    } cases[] = {
        {"{'model_type': 'gpt_neox'}", RESIDUAL_PARALLEL_TWO_NORMS},
        {"{'model_type': 'gpt_neox', 'use_parallel_residual': false}", RESIDUAL_SEQUENTIAL},
        {"{'model_type': 'stablelm'}", RESIDUAL_SEQUENTIAL},
        {"{'model_type': 'stablelm', 'use_parallel_residual': true}", RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'falcon'}", RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'falcon', 'parallel_attn': false}", RESIDUAL_SEQUENTIAL},
        {"{'model_type': 'falcon', 'new_decoder_architecture': true}", RESIDUAL_PARALLEL_TWO_NORMS},
        {"{'model_type': 'falcon', 'new_decoder_architecture': true, 'num_ln_in_parallel_attn': 1}",
         RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'falcon', 'num_ln_in_parallel_attn': 1}", RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'phi'}", RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'gptj'}", RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'cohere2'}", RESIDUAL_PARALLEL_ONE_NORM},
        {"{'model_type': 'nemotron'}", RESIDUAL_SEQUENTIAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_description d = described(cases[i].text);
        assert_int_equal(d.residual, cases[i].residual);
        description_deinit(&d);
    }
}

static void test_heads(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t kv_heads, head_dim;
        enum qkv_packing packing;
    } cases[] = {
        {"{'model_type': 'falcon', 'num_kv_heads': 71}", 1, 64, QKV_CONCATENATED},
        {"{'model_type': 'falcon', 'multi_query': false, 'num_kv_heads': 71}", 71, 64, QKV_PER_HEAD},
        {"{'model_type': 'falcon', " SIZES_HIDDEN ", 'new_decoder_architecture': true, 'num_kv_heads': 2}", 2,
         8, QKV_GROUPED},
        {"{'model_type': 'falcon', " SIZES_HIDDEN ", 'new_decoder_architecture': true}", 4, 8, QKV_GROUPED},
        {"{'model_type': 'gpt_bigcode', 'multi_query': false}", 12, 64, QKV_PER_HEAD},
        {"{'model_type': 'nemotron', " SIZES_HIDDEN ", 'head_dim': 12, 'num_key_value_heads': 1}", 1, 12,
         QKV_SEPARATE},
        {"{'model_type': 'cohere2', " SIZES_HIDDEN ", 'head_dim': 12}", 4, 12, QKV_SEPARATE},
        {"{'model_type': 'bloom', 'n_embed': 96, 'num_attention_heads': 6}", 6, 16, QKV_PER_HEAD},
        {"{'model_type': 'gpt_neox', 'head_dim': 96}", 64, 96, QKV_PER_HEAD},
        {"{'model_type': 'gptj', 'hidden_size': 512, 'num_attention_heads': 8}", 8, 64, QKV_SEPARATE},
        {"{'model_type': 'codegen'}", 16, 256, QKV_CODEGEN},
        {"{'model_type': 'mpt', 'n_heads': 6, 'd_model': 36}", 6, 6, QKV_CONCATENATED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_description d = described(cases[i].text);
        assert_int_equal(d.kv_heads, cases[i].kv_heads);
        assert_int_equal(d.head_dim, cases[i].head_dim);
        assert_int_equal(d.qkv_packing, cases[i].packing);
        description_deinit(&d);
    }
}

static void test_biases(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum weight weight;
        enum weight_bias bias;
    } cases[] = {
        {"{'model_type': 'gpt_neox'}", WEIGHT_QKV, BIAS_REQUIRED},
        {"{'model_type': 'gpt_neox', 'attention_bias': false}", WEIGHT_QKV, BIAS_NONE},
        {"{'model_type': 'gpt_neox', 'attention_bias': false}", WEIGHT_ATTENTION_OUT, BIAS_NONE},
        {"{'model_type': 'gpt_neox', 'attention_bias': false}", WEIGHT_MLP_UP, BIAS_REQUIRED},
        {"{'model_type': 'opt', 'enable_bias': false}", WEIGHT_MLP_DOWN, BIAS_NONE},
        {"{'model_type': 'opt', 'enable_bias': false}", WEIGHT_MLP_NORM, BIAS_REQUIRED},
        {"{'model_type': 'opt', 'layer_norm_elementwise_affine': false}", WEIGHT_MLP_NORM, BIAS_NONE},
        {"{'model_type': 'opt', 'layer_norm_elementwise_affine': false}", WEIGHT_MLP_DOWN, BIAS_REQUIRED},
        {"{'model_type': 'falcon', 'bias': true}", WEIGHT_QKV, BIAS_REQUIRED},
        {"{'model_type': 'falcon'}", WEIGHT_MLP_UP, BIAS_NONE},
        {"{'model_type': 'stablelm', 'use_qkv_bias': true}", WEIGHT_VALUE, BIAS_REQUIRED},
        {"{'model_type': 'stablelm', 'use_qkv_bias': true}", WEIGHT_ATTENTION_OUT, BIAS_NONE},
        {"{'model_type': 'starcoder2', 'use_bias': false}", WEIGHT_MLP_UP, BIAS_NONE},
        {"{'model_type': 'starcoder2', 'use_bias': false}", WEIGHT_FINAL_NORM, BIAS_REQUIRED},
        {"{'model_type': 'cohere', 'attention_bias': true}", WEIGHT_ATTENTION_OUT, BIAS_REQUIRED},
        {"{'model_type': 'cohere2', 'attention_bias': true}", WEIGHT_KEY, BIAS_REQUIRED},
        {"{'model_type': 'olmo', 'attention_bias': true}", WEIGHT_QUERY, BIAS_REQUIRED},
        {"{'model_type': 'nemotron', 'mlp_bias': true}", WEIGHT_MLP_UP, BIAS_REQUIRED},
        {"{'model_type': 'nemotron', 'mlp_bias': true}", WEIGHT_QUERY, BIAS_NONE},
        {"{'model_type': 'nemotron', 'attention_bias': true}", WEIGHT_ATTENTION_OUT, BIAS_REQUIRED},
        {"{'model_type': 'gpt_neox_japanese'}", WEIGHT_ATTENTION_OUT, BIAS_LAST_LAYER},
        {"{'model_type': 'gptj'}", WEIGHT_HEAD, BIAS_REQUIRED},
        {"{'model_type': 'mpt'}", WEIGHT_FINAL_NORM, BIAS_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_description d = described(cases[i].text);
        if (d.bias[cases[i].weight] != cases[i].bias)
            fail_msg("%s: weight %d", cases[i].text, (int)cases[i].weight);
        description_deinit(&d);
    }
}

static void test_head_norms(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum qk_norm norm;
    } cases[] = {
        {"{'model_type': 'phi'}", QK_NORM_NONE},
        {"{'model_type': 'phi', 'qk_layernorm': true, 'layer_norm_eps': 0.25}", QK_NORM_SHARED},
        {"{'model_type': 'persimmon', 'layer_norm_eps': 0.25}", QK_NORM_SHARED},
        {"{'model_type': 'persimmon', 'qk_layernorm': false}", QK_NORM_NONE},
        {"{'model_type': 'stablelm', 'qk_layernorm': true, 'layer_norm_eps': 0.25}", QK_NORM_PER_HEAD},
        {"{'model_type': 'cohere', 'use_qk_norm': true, 'layer_norm_eps': 0.25}", QK_NORM_PER_HEAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_description d = described(cases[i].text);
        assert_int_equal(d.qk_norm, cases[i].norm);
        if (d.qk_norm != QK_NORM_NONE) assert_number(d.qk_norm_eps, 0.25);
        description_deinit(&d);
    }
}

static void assert_windows(const char *text, const size_t *windows) {
    struct model_description d = described(text);
    for (size_t i = 0; i < d.layers; i++) assert_int_equal(d.layer[i].window, windows[i]);
    description_deinit(&d);
}

static void test_windows(void **state) {
    (void)state;
    static const size_t none[] = {0, 0, 0, 0}, every[] = {9, 9, 9, 9}, alternate[] = {0, 9, 0, 9};
    static const size_t late[] = {9, 9, 0, 0}, fourth[] = {9, 9, 9, 0}, second[] = {9, 0, 9, 0};
    assert_windows("{'model_type': 'starcoder2', 'num_hidden_layers': 4, 'sliding_window': 9}", every);
    assert_windows("{'model_type': 'starcoder2', 'num_hidden_layers': 4, 'sliding_window': null}", none);
    assert_windows("{'model_type': 'gpt_neo', 'num_layers': 4, 'window_size': 9}", alternate);
    assert_windows("{'model_type': 'gpt_neo', 'num_layers': 4, 'window_size': 9, 'attention_types': "
                   "[[['global', 'local'], 2]]}",
                   alternate);
    assert_windows("{'model_type': 'gpt_neo', 'num_layers': 4, 'window_size': 9,"
                   " 'attention_types': [[['local'], 2], [['global'], 2]]}",
                   late);
    assert_windows("{'model_type': 'gpt_neo', 'num_layers': 4, 'window_size': 9, 'attention_types': "
                   "[[['global', 'local'], 2]],"
                   " 'attention_layers': ['local', 'local', 'global', 'global']}",
                   late);
    assert_windows("{'model_type': 'cohere2', 'num_hidden_layers': 4, 'sliding_window': 9}", fourth);
    assert_windows(
        "{'model_type': 'cohere2', 'num_hidden_layers': 4, 'sliding_window': 9, 'sliding_window_pattern': 2}",
        second);
    assert_windows("{'model_type': 'cohere2', 'num_hidden_layers': 4, 'sliding_window': 9, 'layer_types':"
                   " ['sliding_attention', 'sliding_attention', 'full_attention', 'full_attention']}",
                   late);
}

static void test_rotary_by_layer(void **state) {
    (void)state;
    struct model_description d = described("{'model_type': 'cohere2', 'num_hidden_layers': 4}");
    for (size_t i = 0; i < 4; i++) assert_int_equal(d.layer[i].rotary, i != 3);
    description_deinit(&d);
}

static void test_attention_scale(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double first, second;
    } cases[] = {
        {"{'model_type': 'gpt2'}", 0.125, 0.125},
        {"{'model_type': 'gpt2', 'scale_attn_weights': false}", 1, 1},
        {"{'model_type': 'gpt2', 'scale_attn_by_inverse_layer_idx': true}", 0.125, 0.0625},
        {"{'model_type': 'gpt2', 'scale_attn_weights': false, 'scale_attn_by_inverse_layer_idx': true}", 1,
         0.5},
        {"{'model_type': 'gpt_neo'}", 1, 1},
        {"{'model_type': 'gpt_bigcode'}", 0.125, 0.125},
        {"{'model_type': 'gpt_bigcode', 'scale_attn_weights': false}", 1, 1},
        {"{'model_type': 'mpt', 'n_heads': 32}", 0.125, 0.125},
        {"{'model_type': 'mpt', 'attn_config': {'softmax_scale': 0.3}}", 0.3, 0.3},
        {"{'model_type': 'mpt', 'n_heads': 32, 'attn_config': {'softmax_scale': null}}", 0.125, 0.125},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_description d = described(cases[i].text);
        assert_number(d.layer[0].attention_scale, cases[i].first);
        assert_number(d.layer[1].attention_scale, cases[i].second);
        description_deinit(&d);
    }
}

static void test_entry_and_head(void **state) {
    (void)state;
    struct model_description d = described("{'model_type': 'xglm', 'd_model': 64}");
    assert_number(d.embedding_scale, 8);
    assert_int_equal(d.position, POSITION_SINUSOIDAL_HALVES);
    assert_int_equal(d.position_offset, 2);
    description_deinit(&d);
    d = described("{'model_type': 'biogpt', 'scale_embedding': false, 'layer_norm_eps': 0.5}");
    assert_number(d.embedding_scale, 1);
    assert_number(d.norm_eps, 1e-5);
    description_deinit(&d);
    d = described("{'model_type': 'ctrl', 'n_embd': 64, 'n_head': 4, 'layer_norm_epsilon': 0.5}");
    assert_number(d.embedding_scale, 8);
    assert_number(d.norm_eps, 1e-6);
    assert_number(d.final_norm_eps, 0.5);
    description_deinit(&d);
    d = described("{'model_type': 'opt', 'word_embed_proj_dim': 512}");
    assert_int_equal(d.embedding_width, 512);
    assert_int_equal(d.width, 768);
    description_deinit(&d);
    d = described("{'model_type': 'cohere', 'logit_scale': 0.25, 'tie_word_embeddings': false}");
    assert_number(d.logit_scale, 0.25);
    assert_false(d.tied);
    description_deinit(&d);
    d = described("{'model_type': 'bloom', 'layer_norm_epsilon': 0.5, 'seq_length': 77}");
    assert_true(d.embedding_norm);
    assert_number(d.embedding_norm_eps, 0.5);
    assert_int_equal(d.context, 77);
    description_deinit(&d);
}

static void test_attention_settings(void **state) {
    (void)state;
    struct model_description d =
        described("{'model_type': 'mpt', 'attn_config': {'clip_qkv': 6, 'alibi_bias_max': 16}}");
    assert_number(d.clip_qkv, 6);
    assert_int_equal(d.alibi.kind, ALIBI_MPT);
    assert_number(d.alibi.bias_max, 16);
    description_deinit(&d);
    d = described("{'model_type': 'olmo', 'clip_qkv': 8.0}");
    assert_number(d.clip_qkv, 8);
    assert_true(d.norm_plain);
    description_deinit(&d);
    d = described("{'model_type': 'falcon', 'alibi': true, 'max_position_embeddings': 99}");
    assert_int_equal(d.position, POSITION_ALIBI);
    assert_int_equal(d.alibi.kind, ALIBI_FALCON);
    assert_int_equal(d.context, 99);
    assert_false(d.layer[0].rotary);
    description_deinit(&d);
    d = described("{'model_type': 'nemotron'}");
    assert_number(d.norm_gain_offset, 1);
    assert_int_equal(d.activation, ACTIVATION_RELU_SQUARED);
    assert_false(d.gated);
    description_deinit(&d);
}

/* Once as the models were trained; twice is asked for by the name of the attention that does it. */
static void test_alibi_of_falcon(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double factor;
    } cases[] = {
        {"{'model_type': 'falcon', 'alibi': true}", 1},
        {"{'model_type': 'falcon', 'alibi': true, 'attn_implementation': 'sdpa'}", 1},
        {"{'model_type': 'falcon', 'alibi': true, 'attn_implementation': 'eager'}", 2},
        {"{'model_type': 'falcon', 'alibi': true, '_attn_implementation': 'eager'}", 2},
        {"{'model_type': 'falcon', 'alibi': true, '_attn_implementation': 'eager', 'attn_implementation': "
         "'sdpa'}",
         1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_description d = described(cases[i].text);
        assert_number(d.alibi.factor, cases[i].factor);
        description_deinit(&d);
    }
    assert_refused("{'model_type': 'falcon', 'alibi': true, 'attn_implementation': 'flex_attention'}",
                   "attn_implementation|flex_attention|eager");
}

/* ---- special tokens ---- */

static void test_tokens(void **state) {
    (void)state;
    struct model_description d = described("{'model_type': 'gpt2', 'vocab_size': 320}");
    assert_int_equal(d.bos, -1); /* the default lies beyond the vocabulary */
    assert_int_equal(d.end_count, 0);
    description_deinit(&d);
    d = described("{'model_type': 'gpt2', 'eos_token_id': [3, 5, -1, 'x', 99999999], 'bos_token_id': 4, "
                  "'pad_token_id': null}");
    assert_int_equal(d.bos, 4);
    assert_int_equal(d.pad, -1);
    assert_int_equal(d.end_count, 2);
    assert_int_equal(d.end_tokens[1], 5);
    description_deinit(&d);
    d = described("{'model_type': 'gpt2', 'eos_token_id': null}");
    assert_int_equal(d.end_count, 0);
    description_deinit(&d);
}

static void test_generation_config(void **state) {
    (void)state;
    struct error e = {0};
    struct model_description d;
    const struct family *family;
    char *folder = test_folder_create();
    const char *config = "{\"model_type\": \"gpt2\", \"eos_token_id\": 7}",
               *generation = "{\"eos_token_id\": [8, 9]}";
    test_file_write(folder, "config.json", config, strlen(config));
    test_file_write(folder, "generation_config.json", generation, strlen(generation));
    assert_ok(describe_model(folder, &d, &family, &e));
    assert_int_equal(d.end_count, 2);
    assert_int_equal(d.end_tokens[0], 8);
    description_deinit(&d);
    /* Broken, a list, a pointer of Git LFS: as if it was not there. */
    static const char *const broken[] = {"{", "[1]",
                                         "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        test_file_write(folder, "generation_config.json", broken[i], strlen(broken[i]));
        assert_ok(describe_model(folder, &d, &family, &e));
        assert_int_equal(d.end_count, 1);
        assert_int_equal(d.end_tokens[0], 7);
        description_deinit(&d);
    }
    test_folder_remove(folder);
}

/* From texts in memory, which need not end, as from a folder. */
static void test_texts_in_memory(void **state) {
    (void)state;
    struct error e = {0};
    struct model_description d;
    const struct family *family;
    static const char text[] = "{\"model_type\": \"gpt2\", \"eos_token_id\": 7}{\"eos_token_id\": [8, 9]}";
    const char *second = strchr(text, '}') + 1;
    struct describe_texts texts = {.config = text, .config_length = (size_t)(second - text)};
    assert_ok(describe_model_texts(&texts, &d, &family, &e));
    assert_string_equal(family->model_type, "gpt2");
    assert_int_equal(d.end_count, 1);
    assert_int_equal(d.end_tokens[0], 7);
    description_deinit(&d);
    texts.generation = second;
    texts.generation_length = strlen(second);
    assert_ok(describe_model_texts(&texts, &d, &family, &e));
    assert_int_equal(d.end_count, 2);
    description_deinit(&d);
    texts.generation_length--; /* broken: as if it was not there */
    assert_ok(describe_model_texts(&texts, &d, &family, &e));
    assert_int_equal(d.end_count, 1);
    description_deinit(&d);
    texts.config_length--;
    assert_int_equal(describe_model_texts(&texts, &d, &family, &e), STATUS_MALFORMED);
    assert_string_equal(e.where, "config.json");
    description_deinit(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_biases),
        cmocka_unit_test(test_head_norms),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_rotary_by_layer),
        cmocka_unit_test(test_attention_scale),
        cmocka_unit_test(test_entry_and_head),
        cmocka_unit_test(test_attention_settings),
        cmocka_unit_test(test_alibi_of_falcon),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_generation_config),
        cmocka_unit_test(test_texts_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
