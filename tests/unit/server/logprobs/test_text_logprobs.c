/* Elements of `logprobs` from events by hand, over the fake engine's vocabulary. */
#include "server/logprobs/text_logprobs.h"

#include "tests/support/fake_engine.h"
#include "tests/support/test_support.h"

/* One list after another. */
static void expect(const struct bytes lists[4], const char *expected) {
    char found[512] = "";
    for (size_t i = 0, used = 0; i < 4; i++)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%.*s", i ? " " : "",
                                 (int)lists[i].length, lists[i].data);
    assert_string_equal(found, expected);
}

static void test_names_and_ids(void **state) {
    (void)state;
    const struct engine_top top[] = {{'b', -0.5f}, {'a', -1}, {'c', -2}};
    const struct engine_event event = {.id = 'a',
                                       .text = "a",
                                       .text_length = 1,
                                       .has_logprob = true,
                                       .logprob = -1,
                                       .top = top,
                                       .top_count = 3};
    static const struct {
        bool as_ids;
        int64_t alternatives;
        const char *expected;
    } cases[] = {
        {false, 0, "\"a\" -1.0 {\"a\":-1.0} 7"},
        {false, 1, "\"a\" -1.0 {\"b\":-0.5,\"a\":-1.0} 7"},
        {false, 9, "\"a\" -1.0 {\"b\":-0.5,\"a\":-1.0,\"c\":-2.0} 7"},
        {true, 1, "\"token_id:97\" -1.0 {\"token_id:98\":-0.5,\"token_id:97\":-1.0} 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes lists[4] = {{0}};
        const struct token_names names = {.as_ids = cases[i].as_ids};
        text_logprobs_write((struct logprob_buffers){&lists[0], &lists[1], &lists[2], &lists[3]}, &names,
                            cases[i].alternatives, &event, 7);
        expect(lists, cases[i].expected);
        for (size_t k = 0; k < 4; k++) bytes_deinit(&lists[k]);
    }
}

/* A byte that is no character alone is held back, and comes as U+FFFD with the next token. */
static void test_where_texts_start(void **state) {
    (void)state;
    struct bytes lists[4] = {{0}};
    const struct logprob_buffers to = {&lists[0], &lists[1], &lists[2], &lists[3]};
    const struct token_names names = {0};
    const struct engine_event events[] = {
        {.id = 0xe2, .text = "", .has_logprob = true},
        {.id = 'a', .text = "\uFFFDa", .text_length = 4, .has_logprob = true},
    };
    size_t offset = 3;
    text_logprobs_add(to, &names, 0, &events[0], 3, &offset);
    offset = text_logprobs_next_offset(offset, 3, 0);
    assert_int_equal(offset, 3);
    text_logprobs_add(to, &names, 0, &events[1], 3, &offset);
    assert_int_equal(text_logprobs_next_offset(offset, 5, 0), 5);
    expect(lists, "\"bytes:\\\\xe2\",\"a\" 0.0,0.0 {\"bytes:\\\\xe2\":0.0},{\"a\":0.0} 3,4");
    for (size_t k = 0; k < 4; k++) bytes_deinit(&lists[k]);
}

static void test_text_that_a_stop_string_may_hold_back(void **state) {
    (void)state;
    assert_int_equal(text_logprobs_next_offset(9, 5, 8), 9);
    assert_int_equal(text_logprobs_next_offset(19, 5, 8), 13);
    assert_int_equal(text_logprobs_next_offset(2, 5, 8), 5);
}

static void test_bytes_of_a_name(void **state) {
    (void)state;
    char out[TOKEN_TEXT_BYTES_MAX];
    bool is_text;
    assert_int_equal(token_name_bytes("bytes:\\xe2\\x80", 14, out, &is_text), 2);
    assert_false(is_text);
    assert_memory_equal(out, "\xe2\x80", 2);
    assert_int_equal(token_name_bytes("byte", 4, out, &is_text), 4);
    assert_true(is_text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_ids),
        cmocka_unit_test(test_where_texts_start),
        cmocka_unit_test(test_text_that_a_stop_string_may_hold_back),
        cmocka_unit_test(test_bytes_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
