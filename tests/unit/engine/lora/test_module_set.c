#include "engine/lora/module_set.h"

#include "tests/support/test_support.h"

static struct regex_run *run;

static json_t *parse(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static const struct {
    const char *set, *module;
    bool has;
} sets[] = {
    /* a name is the whole name, or its last parts */
    {"[\"c_attn\"]", "transformer.h.0.attn.c_attn", true},
    {"[\"attn.c_attn\"]", "transformer.h.0.attn.c_attn", true},
    {"[\"c_proj\", \"c_attn\"]", "c_attn", true},
    {"[\"attn\"]", "transformer.h.0.attn.c_attn", false},
    {"[\"c_attn\"]", "transformer.h.0.xc_attn", false},
    {"[\"c_attn\"]", "transformer.h.0.c_attn2", false},
    {"[\"c_attn\"]", "c_attn.c_attn", true},
    {"[\"\"]", "c_attn", false},
    {"[]", "c_attn", false},
    /* an expression is for the whole name */
    {"\".*c_attn\"", "transformer.h.0.attn.c_attn", true},
    {"\"c_attn\"", "transformer.h.0.attn.c_attn", false},
    {"\"c_attn|c_proj\"", "c_proj", true},
    {"\"c_attn|c_proj\"", "xc_proj", false},
    {"\"(?:.*\\\\.)?h\\\\.[13]\\\\.(?!mlp).*\"", "transformer.h.3.attn.c_attn", true},
    {"\"(?:.*\\\\.)?h\\\\.[13]\\\\.(?!mlp).*\"", "transformer.h.3.mlp.c_fc", false},
    {"\"\"", "c_attn", false},
};

static void test_sets(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct error e = {0};
        struct module_set s;
        bool has;
        json_t *value = parse(sets[i].set);
        assert_ok(module_set_init(&s, value, "target_modules", &e));
        assert_ok(module_set_has(&s, run, sets[i].module, &has, &e));
        if (has != sets[i].has) fail_msg("%s of %s: %d", sets[i].set, sets[i].module, has);
        module_set_deinit(&s);
        json_decref(value);
    }
}

static void test_names_of_what_a_module_is_in(void **state) {
    (void)state;
    assert_true(module_name_has("mlp", "h.0.mlp.c_fc", true));
    assert_false(module_name_has("mlp", "h.0.mlp.c_fc", false));
    assert_false(module_name_has("ml", "h.0.mlp.c_fc", true));
    assert_true(module_name_has("h.0", "h.0.mlp.c_fc", true));
}

static void refused_set(const char *text, enum status status, const char *words) {
    struct error e = {0};
    struct module_set s;
    json_t *value = parse(text);
    assert_int_equal(module_set_init(&s, value, "target_modules", &e), status);
    assert_string_equal(e.where, "adapter_config.json: target_modules");
    if (!strstr(e.text, words)) fail_msg("'%s' does not say '%s'", e.text, words);
    json_decref(value);
}

static void test_sets_that_are_none(void **state) {
    (void)state;
    refused_set("3", STATUS_MALFORMED, "list of names");
    refused_set("{}", STATUS_MALFORMED, "list of names");
    refused_set("[\"a\", 1]", STATUS_MALFORMED, "not a name");
    refused_set("\"(a\"", STATUS_UNSUPPORTED, "offset");
}

static void test_numbers(void **state) {
    (void)state;
    struct error e = {0};
    struct module_numbers n;
    json_t *value = parse("{\"c_attn\": 4, \"h\\\\.1\\\\..*\": 2.5, \"c_fc\": 8}");
    static const struct {
        const char *module;
        double number;
    } cases[] = {
        {"transformer.h.0.attn.c_attn", 4}, {"h.1.attn.c_attn", 4}, {"transformer.h.1.mlp.c_fc", 2.5},
        {"transformer.h.0.mlp.c_fc", 8},    {"h.0.mlp.xc_fc", 1},   {"transformer.h.1", 1},
    };
    assert_ok(module_numbers_init(&n, value, "alpha_pattern", 0, 10, &e));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double number = 1;
        assert_ok(module_numbers_find(&n, run, cases[i].module, &number, &e));
        if (number != cases[i].number) fail_msg("%s: %g", cases[i].module, number);
    }
    module_numbers_deinit(&n);
    json_decref(value);
}

static void test_numbers_that_are_none(void **state) {
    (void)state;
    static const char *const texts[] = {"[]", "{\"a\": \"b\"}", "{\"a\": 11}", "{\"a\": -1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error e = {0};
        struct module_numbers n;
        json_t *value = parse(texts[i]);
        assert_int_equal(module_numbers_init(&n, value, "rank_pattern", 0, 10, &e), STATUS_MALFORMED);
        assert_string_equal(e.where, "adapter_config.json: rank_pattern");
        json_decref(value);
    }
}

int main(void) {
    struct error e;
    if (regex_run_create(REGEX_STEPS_ENCODING, &run, &e) != STATUS_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_names_of_what_a_module_is_in),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_sets_that_are_none),
        cmocka_unit_test(test_numbers_that_are_none),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    regex_run_destroy(run);
    return failures;
}
