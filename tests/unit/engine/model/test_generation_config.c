#include "tests/support/test_support.h"

#include "engine/model/generation_config.h"

static struct generation_defaults read_text(const char *text) {
    struct generation_defaults d;
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    generation_defaults_read(&d, root);
    json_decref(root);
    return d;
}

static void test_what_is_said(void **state) {
    (void)state;
    struct generation_defaults d = read_text(
        "{\"temperature\": 0.6, \"top_p\": 0.9, \"top_k\": 50, \"repetition_penalty\": 1.1, \"min_p\": 0.05, "
        "\"typical_p\": 0.5, \"max_new_tokens\": 77, \"do_sample\": true, \"eos_token_id\": 3}");
    assert_true(d.temperature.is_said && d.temperature.value == 0.6);
    assert_true(d.top_p.is_said && d.top_p.value == 0.9);
    assert_true(d.top_k.is_said && d.top_k.value == 50);
    assert_true(d.min_p.is_said && d.min_p.value == 0.05);
    assert_true(d.typical_p.is_said && d.typical_p.value == 0.5);
    assert_true(d.repetition_penalty.is_said && d.repetition_penalty.value == 1.1);
    assert_true(d.max_tokens.is_said && d.max_tokens.value == 77);
    assert_string_equal(d.unapplied, "");
}

static void test_what_is_not_said(void **state) {
    (void)state;
    static const char *const texts[] = {"{}", "[]", "{\"temperature\": null, \"top_k\": null}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct generation_defaults d = read_text(texts[i]);
        assert_false(d.temperature.is_said || d.top_p.is_said || d.top_k.is_said || d.max_tokens.is_said);
        assert_string_equal(d.unapplied, "");
    }
    struct generation_defaults d;
    generation_defaults_read(&d, NULL);
    assert_false(d.temperature.is_said);
}

/* Values that no request could have are named, as are keys that have no counterpart, but for those that do
 * nothing. */
static void test_what_cannot_be_applied(void **state) {
    (void)state;
    struct generation_defaults d =
        read_text("{\"temperature\": 7, \"top_k\": 1.5, \"top_p\": \"0.9\", \"num_beams\": 4, "
                  "\"no_repeat_ngram_size\": 0, \"guidance_scale\": 1.0, "
                  "\"bad_words_ids\": [[3]], \"suppress_tokens\": null}");
    assert_false(d.temperature.is_said || d.top_k.is_said || d.top_p.is_said);
    assert_string_equal(d.unapplied, "temperature, top_p, top_k, num_beams, bad_words_ids");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_what_is_not_said),
        cmocka_unit_test(test_what_cannot_be_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
