/* The forms of a prompt. */
#include "completion_fixture.h"

/* A prompt that is too long says so; one with an id that the model has not is another fault. */
static void test_codes_of_bad_prompts(void **state) {
    (void)state;
    struct api_error e = {0};
    char body[3000];
    assert_int_equal(prepare_refused("{\"prompt\":[97,318]}", &e), API_INVALID);
    assert_string_equal(e.param, "prompt");
    assert_non_null(strstr(e.message, "318"));
    int length = snprintf(body, sizeof body, "{\"prompt\":\"");
    memset(body + length, 'a', FAKE_CONTEXT);
    strcpy(body + length + FAKE_CONTEXT, "\"}");
    assert_int_equal(prepare_refused(body, &e), API_CONTEXT_LENGTH);
    assert_string_equal(e.param, "prompt");
}

static void expect_ids(const char *body, const char *expected) {
    struct completion *c = prepare(body);
    assert_int_equal(c->prompts[0].count, strlen(expected));
    for (size_t i = 0; i < strlen(expected); i++) assert_int_equal(c->prompts[0].ids[i], expected[i]);
    if (c->params.echo) assert_string_equal(c->prompts[0].echo, expected);
    completion_destroy(c);
}

/* The last ids are kept, or the first; -1 leaves room for max_tokens. */
static void test_truncation(void **state) {
    (void)state;
    expect_ids("{\"prompt\":\"abcdef\",\"truncate_prompt_tokens\":2,\"echo\":true}", "ef");
    expect_ids("{\"prompt\":\"abcdef\",\"truncate_prompt_tokens\":2,\"truncation_side\":\"right\"}", "ab");
    expect_ids("{\"prompt\":[97,98,99],\"truncate_prompt_tokens\":2,\"echo\":true}", "bc");
    expect_ids("{\"prompt\":[97,98,99],\"truncate_prompt_tokens\":2,\"truncation_side\":\"right\"}", "ab");
    expect_ids("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":3,\"echo\":true}", "abc");
    expect_ids("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":-1,\"max_tokens\":2046}", "bc");
    expect_ids("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":-1,\"max_tokens\":100000}", "abc");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_of_bad_prompts),
        cmocka_unit_test(test_truncation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
