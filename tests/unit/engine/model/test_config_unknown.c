#include "tests/unit/engine/model/describe_text.h"

#include "engine/model/config_generic.h"
#include "engine/model/config_unknown.h"

/* The smallest config of a family, with room for more entries before the brace that ends it. */
static void config_of(const struct family *family, const char *entries, char *out, size_t size) {
    bool needs_sizes = family->sizes.width == 0;
    snprintf(out, size, "{'model_type': '%s'%s%s}", family->model_type,
             needs_sizes
                 ? ", 'vocab_size': 320, 'hidden_size': 32, 'num_hidden_layers': 2, 'intermediate_size': 64, "
                   "'num_attention_heads': 4, 'max_position_embeddings': 64"
                 : "",
             entries);
}

static enum status describe_allowing(const char *text, struct model_description *d, struct error *e) {
    char *folder = test_folder_create();
    write_config(folder, text);
    const struct family *family = NULL;
    enum status status = describe_model_with(
        folder, &(struct describe_options){.allow_unknown_config_keys = true}, d, &family, e);
    test_folder_remove(folder);
    return status;
}

/* A key that may change the mathematics refuses every family, by its name and with the option that helps. */
static void test_refused(void **state) {
    (void)state;
    for (const struct family *const *f = family_list; *f; f++) {
        char text[512];
        config_of(*f, ", 'logits_soft_cap': 30.0, 'something': false", text, sizeof text);
        assert_refused(text, (*f)->strict_keys ? "logits_soft_cap|something|unknown: 2"
                                               : "logits_soft_cap|something|--allow-unknown-config-keys");
        config_of(*f, ", 'logits_soft_cap': null", text, sizeof text);
        struct model_description d;
        struct error e = {0};
        assert_ok(describe_text(text, &d, &e));
        description_deinit(&d);
    }
}

/* With the option they are passed over and named; not in a format whose keys are all known. */
static void test_allowed(void **state) {
    (void)state;
    for (const struct family *const *f = family_list; *f; f++) {
        char text[512];
        struct model_description d;
        struct error e = {0};
        config_of(*f, ", 'logits_soft_cap': 30.0, 'architectures': ['ToyModel']", text, sizeof text);
        enum status status = describe_allowing(text, &d, &e);
        assert_int_equal(status, (*f)->strict_keys ? STATUS_UNSUPPORTED : STATUS_OK);
        if (status == STATUS_OK)
            assert_string_equal(d.unknown_keys, "architectures=ToyModel, logits_soft_cap");
        description_deinit(&d);
        config_of(*f, "", text, sizeof text);
        assert_ok(describe_allowing(text, &d, &e));
        assert_string_equal(d.unknown_keys, "");
        description_deinit(&d);
    }
}

/* Neither another option nor this one lets through what is known and not implemented. */
static void test_allowed_is_not_everything(void **state) {
    (void)state;
    struct model_description d;
    struct error e = {0};
    assert_int_equal(describe_allowing("{'model_type': 'gpt2', 'quantization_config': {}}", &d, &e),
                     STATUS_UNSUPPORTED);
    description_deinit(&d);
    assert_int_equal(describe_allowing("{'model_type': 'opt', 'do_layer_norm_before': false}", &d, &e),
                     STATUS_UNSUPPORTED);
    description_deinit(&d);
}

static void test_inner_objects(void **state) {
    (void)state;
    assert_refused(
        "{'model_type': 'gpt_neox', 'rope_scaling': {'type': 'linear', 'factor': 2, 'beta_fast': 32}}",
        "rope_scaling.{beta_fast}");
    assert_refused("{'model_type': 'mpt', 'attn_config': {'qk_cap': 3}}", "attn_config.{qk_cap}");
    assert_refused("{'model_type': 'mpt', 'ffn_config': {'ffn_type': 'mptmlp', 'ffn_hidden_size': 3}}",
                   "ffn_config.{ffn_hidden_size}");
}

/* Keys that are harmless with one value alone. */
static void test_neutral_values(void **state) {
    (void)state;
    static const struct {
        const char *key, *neutral, *other;
    } cases[] = {
        {"rope_interleaved", "false", "true"}, {"use_bidirectional_attention", "false", "true"},
        {"lm_head_bias", "false", "true"},     {"full_attn_mod", "1", "2"},
        {"is_causal", "true", "false"},        {"mlp_only_layers", "[]", "[1]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        struct model_description d;
        struct error e = {0};
        snprintf(text, sizeof text, "{'model_type': 'gpt2', '%s': %s}", cases[i].key, cases[i].neutral);
        assert_ok(describe_text(text, &d, &e));
        description_deinit(&d);
        snprintf(text, sizeof text, "{'model_type': 'gpt2', '%s': %s}", cases[i].key, cases[i].other);
        assert_refused(text, cases[i].key);
    }
}

/* ---- classes ------------------------------------------------------------------------------------------- */

static void check_class(const char *model_type, const char *name, bool known) {
    char text[512];
    const char *const forms[] = {
        "{'model_type': '%s', 'architectures': ['%s']}",
        "{'model_type': '%s', 'auto_map': {'AutoModelForCausalLM': 'modeling_x.%s'}}",
        "{'model_type': '%s', 'auto_map': {'AutoModel': 'org/repository--modeling_x.%s'}}"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, forms[i], model_type, name);
#pragma GCC diagnostic pop
        struct model_description d;
        struct error e = {0};
        enum status status = describe_text(text, &d, &e);
        description_deinit(&d);
        if ((status == STATUS_OK) != known) fail_msg("%s: %s", text, e.text);
        if (!known && !strstr(e.text, name)) fail_msg("%s: %s", text, e.text);
    }
}

static void test_classes(void **state) {
    (void)state;
    static const struct {
        const char *model_type, *name;
        bool known;
    } cases[] = {
        {"gpt2", "GPT2LMHeadModel", true},
        {"gpt2", "GPT2Model", true},
        {"gpt2", "GPT2ForSequenceClassification", false},
        {"gpt2", "GPT2DoubleHeadsModel", false},
        {"gpt2", "GPT2LMHeadCustomModel", false},
        {"gpt2", "GPTNeoXForCausalLM", false},
        {"gpt2", "", false},
        {"gpt_neo", "GPTNeoForCausalLM", true},
        {"gpt_neox", "GPTNeoXForCausalLM", true},
        {"gpt_neox_japanese", "GPTNeoXJapaneseForCausalLM", true},
        {"gptj", "GPTJForCausalLM", true},
        {"codegen", "CodeGenForCausalLM", true},
        {"opt", "OPTForCausalLM", true},
        {"opt", "OPTForQuestionAnswering", false},
        {"bloom", "BloomForCausalLM", true},
        {"bloom", "BloomForTokenClassification", false},
        {"falcon", "FalconForCausalLM", true},
        {"falcon", "RWForCausalLM", true},
        {"mpt", "MPTForCausalLM", true},
        {"mpt", "MptForCausalLM", true},
        {"phi", "PhiForCausalLM", true},
        {"phi", "Phi3ForCausalLM", false},
        {"stablelm", "StableLmForCausalLM", true},
        {"stablelm", "StableLMEpochForCausalLM", true},
        {"starcoder2", "Starcoder2ForCausalLM", true},
        {"gpt_bigcode", "GPTBigCodeForCausalLM", true},
        {"cohere", "CohereForCausalLM", true},
        {"cohere", "Cohere2ForCausalLM", false},
        {"cohere2", "Cohere2ForCausalLM", true},
        {"olmo", "OlmoForCausalLM", true},
        {"nemotron", "NemotronForCausalLM", true},
        {"xglm", "XGLMForCausalLM", true},
        {"biogpt", "BioGptForCausalLM", true},
        {"ctrl", "CTRLLMHeadModel", true},
        {"persimmon", "PersimmonForCausalLM", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_class(cases[i].model_type, cases[i].name, cases[i].known);
}

/* The rule by which the class follows from the model type, for types that it was not tried on above. */
static void test_classes_by_rule(void **state) {
    (void)state;
    static const struct {
        const char *model_type, *name;
    } cases[] = {
        {"llama", "LlamaForCausalLM"},        {"mistral", "MistralForCausalLM"},
        {"qwen2", "Qwen2ForCausalLM"},        {"qwen3", "Qwen3ForCausalLM"},
        {"gemma", "GemmaForCausalLM"},        {"gemma2", "Gemma2ForCausalLM"},
        {"gemma3_text", "Gemma3ForCausalLM"}, {"phi3", "Phi3ForCausalLM"},
        {"olmo2", "Olmo2ForCausalLM"},        {"granite", "GraniteForCausalLM"},
        {"smollm3", "SmolLM3ForCausalLM"},    {"toy_text", "ToyModel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct family family = {.model_type = cases[i].model_type};
        struct config_reader r;
        struct error e = {0};
        json_t *root = json_pack("{s:[s]}", "architectures", cases[i].name);
        assert_ok(config_reader_init(&r, root, "config.json", family.model_type, &e));
        config_check_unknown(&r, &family, false);
        if (config_failed(&r)) fail_msg("%s: %s", cases[i].name, r.error.text);
        config_reader_deinit(&r);
        json_decref(root);
    }
}

/* What published configs of many families carry and no adapter reads. */
static void test_harmless_keys(void **state) {
    (void)state;
    static const char text[] =
        "{'_name_or_path': 'x', 'attention_dropout': 0.0, 'hidden_dropout': 0.1, 'initializer_range': 0.02, "
        "'initializer_factor': 1, 'cache_implementation': 'hybrid', 'pretraining_tp': 1, 'torch_dtype': "
        "'bfloat16', "
        "'dtype': 'float32', 'transformers_version': '4.57.1', 'use_cache': true, '_attn_implementation': "
        "'sdpa', "
        "'_attn_implementation_autoset': true, 'transformers.js_config': {'dtype': 'q4'}, 'unsloth_fixed': "
        "true, "
        "'unsloth_version': '2025.1', 'is_llama_config': true, 'rope_interleaved': false, 'use_mrope': "
        "false, "
        "'interpolate_factor': 1, 'lm_head_bias': false, 'full_attn_mod': 1, 'mlp_only_layers': [], "
        "'use_bidirectional_attention': false, 'model_max_length': 8192, 'max_sequence_length': 2048, "
        "'pad_token_id': 0, 'bos_token_id': 1, 'eos_token_id': [2, 3], 'temperature': 0.7, 'top_k': 20, "
        "'repetition_penalty': 1.05, 'no_repeat_ngram_size': 3, 'do_sample': true, 'num_labels': 2, "
        "'id2label': {'0': 'a'}, 'embd_pdrop': 0.0, 'resid_pdrop': 0.0, 'tie_encoder_decoder': false, "
        "'is_encoder_decoder': false, 'add_cross_attention': false, 'pruned_heads': {}, "
        "'use_sliding_window': false, "
        "'quantization_config': null, 'final_logit_softcapping': null}";
    struct config_reader r;
    struct error e = {0};
    char *quoted = strdup(text);
    for (char *c = quoted; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *root = json_loads(quoted, 0, NULL);
    assert_non_null(root);
    assert_ok(config_reader_init(&r, root, "config.json", "toy", &e));
    config_know_generic(&r);
    config_gather_unknown(&r);
    assert_string_equal(r.unknown, "");
    config_reader_deinit(&r);
    json_decref(root);
    free(quoted);
}

/* What the checkpoint's own code has for other tasks, and tokenizers, is beside the point; nonsense is not. */
static void test_other_entries_of_auto_map(void **state) {
    (void)state;
    struct model_description d;
    struct error e = {0};
    assert_ok(
        describe_text("{'model_type': 'falcon', 'auto_map': {'AutoModelForCausalLM': 'm.FalconForCausalLM', "
                      "'AutoModel': 'm.FalconModel', 'AutoModelForSequenceClassification': 'm.Other', "
                      "'AutoConfig': 'c.FalconConfig', 'AutoTokenizer': ['t.A', null]}}",
                      &d, &e));
    description_deinit(&d);
    assert_refused("{'model_type': 'falcon', 'auto_map': 'm.FalconForCausalLM'}", "auto_map");
    assert_refused("{'model_type': 'falcon', 'auto_map': {'AutoModel': 7}}", "auto_map");
    assert_refused("{'model_type': 'falcon', 'architectures': 'ToyModel'}", "architectures=ToyModel");
    assert_refused("{'model_type': 'falcon', 'architectures': [7]}", "architectures");
}

/* What is harmless in every family stands in one list. */
static void test_no_key_is_listed_twice(void **state) {
    (void)state;
    struct config_reader r;
    struct error e = {0};
    json_t *root = json_object();
    assert_ok(config_reader_init(&r, root, "config.json", "toy", &e));
    config_know_generic(&r);
    for (const struct family *const *f = family_list; *f; f++)
        for (const char *const *key = (*f)->ignored_keys; key && *key; key++)
            if (json_object_get(r.known, *key)) fail_msg("%s: %s", (*f)->model_type, *key);
    config_reader_deinit(&r);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_allowed_is_not_everything),
        cmocka_unit_test(test_inner_objects),
        cmocka_unit_test(test_neutral_values),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_other_entries_of_auto_map),
        cmocka_unit_test(test_classes_by_rule),
        cmocka_unit_test(test_harmless_keys),
        cmocka_unit_test(test_no_key_is_listed_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
