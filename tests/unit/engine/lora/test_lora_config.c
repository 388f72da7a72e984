#include "engine/lora/lora_config.h"

#include <math.h>

#include "tests/support/test_support.h"

/* text is JSON with ' for ". */
static enum status read_text(const char *text, struct lora_config *c, struct error *e) {
    char *json = strdup(text);
    for (char *at = json; *at; at++)
        if (*at == '\'') *at = '"';
    enum status status = lora_config_init(c, json, strlen(json), e);
    free(json);
    return status;
}

static void test_what_it_says(void **state) {
    (void)state;
    struct error e = {0};
    struct lora_config c;
    assert_ok(read_text(
        "{'peft_type': 'LORA', 'base_model_name_or_path': 'some/base', 'r': 16, 'lora_alpha': 32, "
        "'bias': 'lora_only', 'use_dora': false, 'megatron_config': null, 'loftq_config': {}, "
        "'fan_in_fan_out': true, 'init_lora_weights': 'gaussian', 'lora_dropout': 0.1, "
        "'megatron_core': 'megatron.core', 'qalora_group_size': 16, 'modules_to_save': ['lm_head'], "
        "'something_new': [], 'target_modules': ['c_attn']}",
        &c, &e));
    assert_string_equal(c.base_name, "some/base");
    assert_int_equal(c.rank, 16);
    assert_true(c.biases && c.has_targets && !c.all_linear && !c.rank_stabilized);
    assert_true(lora_config_saves(&c, "lm_head"));
    assert_false(lora_config_saves(&c, "transformer.wte"));
    lora_config_deinit(&c);
}

/* ---- refusals ---- */

static const struct {
    const char *text;
    enum status status;
    const char *words; /* '|' between them */
} refusals[] = {
    {"[]", STATUS_MALFORMED, "is not an object"},
    {"{'r': 1", STATUS_MALFORMED, "line 1"},
    {"{'r': 8}", STATUS_UNSUPPORTED, "peft_type"},
    {"{'peft_type': 'IA3'}", STATUS_UNSUPPORTED, "IA3|only LORA"},
    {"{'peft_type': 'LORA', 'r': 0}", STATUS_MALFORMED, "r|from 1"},
    {"{'peft_type': 'LORA', 'r': 'x'}", STATUS_MALFORMED, "r|integer"},
    {"{'peft_type': 'LORA', 'lora_alpha': 'x'}", STATUS_MALFORMED, "lora_alpha"},
    {"{'peft_type': 'LORA', 'use_dora': true}", STATUS_UNSUPPORTED, "use_dora|DoRA"},
    {"{'peft_type': 'LORA', 'lora_bias': true}", STATUS_UNSUPPORTED, "lora_bias"},
    {"{'peft_type': 'LORA', 'use_qalora': true}", STATUS_UNSUPPORTED, "QALoRA"},
    {"{'peft_type': 'LORA', 'layer_replication': [[0, 4]]}", STATUS_UNSUPPORTED, "layer_replication"},
    {"{'peft_type': 'LORA', 'target_parameters': ['experts']}", STATUS_UNSUPPORTED, "target_parameters"},
    {"{'peft_type': 'LORA', 'trainable_token_indices': [1]}", STATUS_UNSUPPORTED, "trainable_token_indices"},
    {"{'peft_type': 'LORA', 'alora_invocation_tokens': [1]}", STATUS_UNSUPPORTED, "alora_invocation_tokens"},
    {"{'peft_type': 'LORA', 'ensure_weight_tying': true}", STATUS_UNSUPPORTED, "ensure_weight_tying"},
    {"{'peft_type': 'LORA', 'megatron_config': {'a': 1}}", STATUS_UNSUPPORTED, "megatron_config"},
    {"{'peft_type': 'LORA', 'init_lora_weights': 'pissa_niter_4'}", STATUS_UNSUPPORTED, "pissa_niter_4|base"},
    {"{'peft_type': 'LORA', 'init_lora_weights': 3}", STATUS_UNSUPPORTED, "init_lora_weights"},
    {"{'peft_type': 'LORA', 'bias': 'some'}", STATUS_MALFORMED, "bias|lora_only"},
    {"{'peft_type': 'LORA', 'something_new': 1}", STATUS_UNSUPPORTED, "something_new"},
    {"{'peft_type': 'LORA', 'target_modules': 1}", STATUS_MALFORMED, "target_modules"},
    {"{'peft_type': 'LORA', 'exclude_modules': [1]}", STATUS_MALFORMED, "exclude_modules"},
    {"{'peft_type': 'LORA', 'modules_to_save': 'lm_head'}", STATUS_MALFORMED, "modules_to_save"},
    {"{'peft_type': 'LORA', 'rank_pattern': {'a': 0}}", STATUS_MALFORMED, "rank_pattern"},
    {"{'peft_type': 'LORA', 'alpha_pattern': [1]}", STATUS_MALFORMED, "alpha_pattern"},
    {"{'peft_type': 'LORA', 'layers_to_transform': ['x']}", STATUS_UNSUPPORTED, "layers_to_transform"},
    {"{'peft_type': 'LORA', 'layers_to_transform': [1], 'layers_pattern': [1]}", STATUS_UNSUPPORTED,
     "layers_pattern"},
};

static void test_refusals(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct error e = {0};
        struct lora_config c;
        char message[ERROR_LINE_BYTES];
        if (read_text(refusals[i].text, &c, &e) == STATUS_OK) fail_msg("%s is not refused", refusals[i].text);
        error_format(&e, message, sizeof message);
        if (e.code != refusals[i].status) fail_msg("%s: %s", refusals[i].text, message);
        assert_non_null(strstr(message, "adapter_config.json"));
        assert_says(message, refusals[i].words);
    }
}

/* ---- which modules, and how much ---- */

static const struct {
    const char *settings, *module;
    bool inner, selects;
} selections[] = {
    {"'target_modules': ['q']", "model.layers.3.q", true, true},
    {"'target_modules': ['q']", "model.layers.3.k", true, false},
    {"'target_modules': ['q'], 'exclude_modules': ['layers.3.q']", "model.layers.3.q", true, false},
    {"'target_modules': ['q'], 'exclude_modules': '.*3.*'", "model.layers.3.q", true, false},
    {"'target_modules': ['q'], 'modules_to_save': ['layers.3']", "model.layers.3.q", true, false},
    {"'target_modules': 'all-linear'", "model.layers.3.q", true, true},
    {"'target_modules': 'All-Linear'", "lm_head", false, false},
    {"'target_modules': ['lm_head']", "lm_head", false, true},
    {"'target_modules': ['q'], 'layers_to_transform': 3", "model.layers.3.q", true, true},
    {"'target_modules': ['q'], 'layers_to_transform': 2", "model.layers.3.q", true, false},
    {"'target_modules': ['q'], 'layers_to_transform': [1, 3]", "model.layers.3.q", true, true},
    {"'target_modules': ['q'], 'layers_to_transform': []", "model.layers.3.q", true, true},
    {"'target_modules': ['q'], 'layers_to_transform': [1, 3]", "model.q", true, false},
    {"'target_modules': ['model.layers.3.q'], 'layers_to_transform': 1", "model.layers.3.q", true, true},
    {"'target_modules': ['q'], 'layers_to_transform': 3, 'layers_pattern': 'layers'", "model.layers.3.q",
     true, true},
    {"'target_modules': ['q'], 'layers_to_transform': 3, 'layers_pattern': ['h', 'layers']", "layers.3.q",
     true, true},
    {"'target_modules': ['q'], 'layers_to_transform': 3, 'layers_pattern': 'layers'", "model.xlayers.3.q",
     true, false},
    {"'target_modules': ['q'], 'layers_to_transform': 3, 'layers_pattern': 'h'", "model.layers.3.q", true,
     false},
    /* the first number counts */
    {"'target_modules': ['q'], 'layers_to_transform': 3", "model.layers.3.part.4.q", true, true},
};

static void test_selections(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof selections / sizeof *selections; i++) {
        struct error e = {0};
        struct lora_config c;
        char text[512];
        bool selects;
        snprintf(text, sizeof text, "{'peft_type': 'LORA', %s}", selections[i].settings);
        assert_ok(read_text(text, &c, &e));
        assert_ok(lora_config_selects(&c, selections[i].module, selections[i].inner, &selects, &e));
        if (selects != selections[i].selects)
            fail_msg("%s: %s", selections[i].settings, selections[i].module);
        lora_config_deinit(&c);
    }
}

static const struct {
    const char *settings;
    size_t rank;
    double scale;
} scales[] = {
    {"'r': 16, 'lora_alpha': 32", 16, 2},
    {"'r': 16, 'lora_alpha': 24, 'use_rslora': true", 16, 6},
    {"'r': 16, 'lora_alpha': 32, 'rank_pattern': {'q': 4}", 4, 8},
    {"'r': 16, 'lora_alpha': 32, 'alpha_pattern': {'q': 4}", 16, 0.25},
    {"'r': 1, 'lora_alpha': 32, 'rank_pattern': {'q': 9}, 'alpha_pattern': {'q': 6}, 'use_rslora': true", 9,
     2},
    {"'r': 16, 'lora_alpha': 32, 'rank_pattern': {'k': 4}", 16, 2},
};

static void test_scales(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        struct error e = {0};
        struct lora_config c;
        char text[512];
        size_t rank;
        double scale;
        snprintf(text, sizeof text, "{'peft_type': 'LORA', %s}", scales[i].settings);
        assert_ok(read_text(text, &c, &e));
        assert_ok(lora_config_scale(&c, "model.layers.3.q", &rank, &scale, &e));
        assert_int_equal(rank, scales[i].rank);
        if (fabs(scale - scales[i].scale) > 1e-15) fail_msg("%s: %.17g", scales[i].settings, scale);
        lora_config_deinit(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_selections),
        cmocka_unit_test(test_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
