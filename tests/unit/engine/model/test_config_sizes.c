#include "tests/unit/engine/model/describe_text.h"

#include "engine/model/config_sizes.h"

/* ---- sizes, by the keys and defaults of an adapter ---- */

static const struct size_keys keys = {
    .context = {"context", NULL},
    .width = {"width", "hidden"},
    .layers = {"layers", NULL},
    .heads = {"heads", NULL},
};

static const struct family family = {
    .model_type = "test",
    .biases = WEIGHT_BIT(QUERY) | WEIGHT_BIT(HEAD),
    .keys = &keys,
    .sizes = {.context = 64, .width = 32, .layers = 3, .heads = 4}, /* vocab_size is required */
    .kv_heads = {"kv_heads", 0},
    .mlp_width = {"mlp", FOUR_WIDTHS},
    .head_dim = HEAD_DIM_FREE,
    .norm_eps = {"eps", 1e-6},
    .activation = {"act", "silu"},
    .rotary = {.theta = "theta", .theta_default = 500},
    .tied = true,
    .tokens = {1, -1, 2},
};

struct fixture {
    json_t *root;
    struct config_reader reader;
    struct model_description description;
};

/* text is JSON with ' for ". */
static struct fixture sizes_of(const struct family *f, const char *text) {
    struct fixture fixture = {0};
    struct error e = {0};
    char json[256];
    snprintf(json, sizeof json, "%s", text);
    for (char *c = json; *c; c++)
        if (*c == '\'') *c = '"';
    fixture.root = json_loads(json, 0, NULL);
    assert_non_null(fixture.root);
    description_init(&fixture.description);
    assert_ok(config_reader_init(&fixture.reader, fixture.root, "config.json", "test", &e));
    config_sizes(&fixture.reader, f, &fixture.description);
    return fixture;
}

static void fixture_end(struct fixture *f) {
    config_reader_deinit(&f->reader);
    description_deinit(&f->description);
    json_decref(f->root);
}

static void test_defaults(void **state) {
    (void)state;
    struct fixture f = sizes_of(&family, "{'vocab_size': 320}");
    const struct model_description *d = &f.description;
    assert_int_equal(f.reader.error.code, STATUS_OK);
    assert_int_equal(d->vocabulary, 320);
    assert_int_equal(d->context, 64);
    assert_int_equal(d->width, 32);
    assert_int_equal(d->layers, 3);
    assert_int_equal(d->heads, 4);
    assert_int_equal(d->kv_heads, 4);
    assert_int_equal(d->head_dim, 8);
    assert_int_equal(d->mlp_width, 128);
    assert_number(d->norm_eps, 1e-6);
    assert_number(d->final_norm_eps, 1e-6);
    assert_int_equal(d->activation, ACTIVATION_SILU);
    assert_int_equal(d->position, POSITION_ROTARY);
    assert_number(d->rotary.theta, 500);
    assert_true(d->tied);
    assert_int_equal(d->bos, 1);
    assert_int_equal(d->pad, 2);
    assert_int_equal(d->end_count, 0);
    assert_int_equal(d->bias[WEIGHT_QUERY], BIAS_REQUIRED);
    assert_int_equal(d->bias[WEIGHT_KEY], BIAS_NONE);
    fixture_end(&f);
}

static void test_keys(void **state) {
    (void)state;
    struct fixture f =
        sizes_of(&family, "{'vocab_size': 9, 'hidden': 20, 'heads': 5, 'kv_heads': 1, 'mlp': 7, "
                          "'head_dim': 6, 'eps': 0.5, 'act': 'relu', 'theta': 8}");
    const struct model_description *d = &f.description;
    assert_int_equal(f.reader.error.code, STATUS_OK);
    assert_int_equal(d->width, 20);
    assert_int_equal(d->kv_heads, 1);
    assert_int_equal(d->head_dim, 6);
    assert_int_equal(d->mlp_width, 7);
    assert_number(d->norm_eps, 0.5);
    assert_int_equal(d->activation, ACTIVATION_RELU);
    assert_number(d->rotary.theta, 8);
    fixture_end(&f);
}

static void test_settings_without_a_key(void **state) {
    (void)state;
    struct family bare = {.model_type = "test", .keys = &keys, .sizes = family.sizes};
    bare.mlp_width.fallback = 11;
    struct fixture f = sizes_of(&bare, "{'vocab_size': 9, 'head_dim': 6, 'eps': 0.5, 'act': 'relu'}");
    assert_int_equal(f.reader.error.code, STATUS_OK);
    assert_int_equal(f.description.head_dim, 8);
    assert_int_equal(f.description.mlp_width, 11);
    assert_number(f.description.norm_eps, 1e-5);
    assert_int_equal(f.description.position, POSITION_NONE);
    fixture_end(&f);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *fragment;
    } cases[] = {
        {"{}", "is missing"},
        {"{'vocab_size': 9, 'heads': 5}", "heads=5 does not divide the width 32"},
        {"{'vocab_size': 9, 'width': 8, 'hidden': 16}", "width and hidden"},
        {"{'vocab_size': 9, 'act': 'snake'}", "snake"},
        {"{'vocab_size': 9, 'mlp': 0}", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = sizes_of(&family, cases[i].text);
        assert_true(config_failed(&f.reader));
        if (!strstr(f.reader.error.text, cases[i].fragment)) fail_msg("%s", f.reader.error.text);
        fixture_end(&f);
    }
    struct family equal = family;
    equal.head_dim = HEAD_DIM_EQUAL;
    struct fixture f = sizes_of(&equal, "{'vocab_size': 9, 'head_dim': 6}");
    assert_true(config_failed(&f.reader));
    fixture_end(&f);
}

/* ---- biases and layers ---- */

static void test_biases(void **state) {
    (void)state;
    struct model_description d;
    description_init(&d);
    config_biases(&d, true, WEIGHT_BIT(QUERY) | WEIGHT_BIT(KEY));
    assert_int_equal(d.bias[WEIGHT_KEY], BIAS_REQUIRED);
    assert_int_equal(d.bias[WEIGHT_VALUE], BIAS_NONE);
    config_biases(&d, false, WEIGHT_BIT(KEY));
    assert_int_equal(d.bias[WEIGHT_KEY], BIAS_NONE);
    assert_int_equal(d.bias[WEIGHT_QUERY], BIAS_REQUIRED);
}

static void check_windows(const char *text, const size_t *expected, bool refused) {
    struct error e = {0};
    struct fixture f = sizes_of(&family, text);
    assert_ok(description_layers_init(&f.description, &e));
    config_layer_windows(&f.reader, &f.description, 16, 2);
    assert_int_equal(config_failed(&f.reader), refused);
    for (size_t i = 0; !refused && i < f.description.layers; i++)
        assert_int_equal(f.description.layer[i].window, expected[i]);
    fixture_end(&f);
}

static void test_layer_windows(void **state) {
    (void)state;
    check_windows("{'vocab_size': 9}", (const size_t[]){16, 0, 16}, false);
    check_windows(
        "{'vocab_size': 9, 'layer_types': ['full_attention', 'sliding_attention', 'full_attention']}",
        (const size_t[]){0, 16, 0}, false);
    check_windows("{'vocab_size': 9, 'layer_types': ['full_attention']}", NULL, true);
    check_windows("{'vocab_size': 9, 'layers': 1, 'layer_types': ['chunked_attention']}", NULL, true);
    check_windows("{'vocab_size': 9, 'layer_types': 3}", NULL, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_settings_without_a_key),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_biases),
        cmocka_unit_test(test_layer_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
