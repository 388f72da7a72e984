/* Elements of `logprobs` from events by hand, over the fake engine's vocabulary. */
#include "server/logprobs/text_logprobs.h"

#include "server/json/write.h"
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

/* Events one after another behind a text of three characters, whose stop strings may hold back so many bytes. */
static void expect_starts(const struct engine_event *events, size_t count, const int32_t *prompt,
                          size_t prompt_count, size_t longest_stop, const char *starts) {
    struct bytes lists[4] = {{0}};
    const struct logprob_buffers to = {&lists[0], &lists[1], &lists[2], &lists[3]};
    const struct token_names names = {.skips_special = true};
    struct text_place place;
    size_t characters = 3;
    text_logprobs_begin(&place, &names, prompt, prompt_count, characters);
    for (size_t i = 0; i < count; i++) {
        text_logprobs_add(to, &names, 0, &events[i], characters, &place);
        characters += json_text_characters(events[i].text, events[i].text_length);
        text_logprobs_settle(&place, characters, longest_stop);
    }
    assert_int_equal(lists[3].length, strlen(starts));
    assert_memory_equal(lists[3].data, starts, lists[3].length);
    for (size_t k = 0; k < 4; k++) bytes_deinit(&lists[k]);
}

#define EVENT(token, said)                                                                                   \
    { .id = token, .text = said, .text_length = sizeof said - 1 }

/* A byte that is no character alone is held back, and comes as U+FFFD with the next token. */
static void test_where_texts_start(void **state) {
    (void)state;
    static const struct engine_event plain[] = {EVENT(0xe2, ""), EVENT('a', "\uFFFDa"), EVENT('b', "b")};
    static const struct engine_event twice[] = {EVENT(0xe2, ""), EVENT(0xc3, "\uFFFD"), EVENT(0xa9, "\u00e9"),
                                                EVENT('a', "a")};
    static const int32_t prompt[] = {'x', 0xe2};
    expect_starts(plain, 3, NULL, 0, 0, "3,4,5");
    expect_starts(twice, 4, NULL, 0, 0, "3,4,4,5");
    /* the lead byte is the prompt's */
    expect_starts(plain + 1, 2, prompt, 2, 0, "4,5");
    expect_starts(twice + 1, 3, prompt, 2, 0, "4,4,5");
}

/* A decoder of single bytes holds them back until a token comes that is text. */
static void test_bytes_that_wait_for_a_text(void **state) {
    (void)state;
    static const struct engine_event events[] = {
        EVENT(0xc3, ""), EVENT(0xa9, ""), EVENT(0xc3, ""), EVENT(0xa8, ""), EVENT('a', "\u00e9\u00e8a"),
        EVENT('b', "b")};
    expect_starts(events, 6, NULL, 0, 0, "3,3,4,4,5,6");
}

/* As where bytes are no character, but a stop string has all but what stands for the byte held back. */
static void test_text_that_a_stop_string_holds_back(void **state) {
    (void)state;
    static const struct engine_event events[] = {EVENT(0xe2, ""), EVENT('a', "\uFFFD"), EVENT('b', ""),
                                                 EVENT('c', "abc")};
    expect_starts(events, 4, NULL, 0, 4, "3,4,5,6");
}

/* A special token that the text is without, between others that a stop string has held back. */
static void test_special_tokens_that_are_skipped(void **state) {
    (void)state;
    static const struct engine_event events[] = {EVENT('a', ""), EVENT(256, ""),        EVENT(0xe2, ""),
                                                 EVENT(256, ""), EVENT('b', "a\uFFFD"), EVENT('c', "bc")};
    expect_starts(events, 6, NULL, 0, 8, "3,4,4,4,5,6");
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
        cmocka_unit_test(test_bytes_that_wait_for_a_text),
        cmocka_unit_test(test_text_that_a_stop_string_holds_back),
        cmocka_unit_test(test_special_tokens_that_are_skipped),
        cmocka_unit_test(test_bytes_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
