/* Conversations as prompts: what memory they take, and when. */
#include "completion_fixture.h"

static struct completion *prepare_chat(const char *body, struct serving_memory *memory, struct api_error *e) {
    struct api_limits limits = standard_limits;
    struct completion *c = completion_create(engine, API_CHAT, "m", "f", NULL);
    assert_non_null(c);
    limits.memory = memory;
    *e = (struct api_error){0};
    completion_prepare(c, body, strlen(body), &limits, e);
    return c;
}

#define HELLO "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"

/* The text is counted while it waits and gone when its ids are there; the ids are what is left. */
static void test_memory(void **state) {
    (void)state;
    struct serving_memory *m = make_memory(1 << 20);
    struct api_error e;
    struct completion *c = prepare_chat(HELLO, m, &e);
    assert_int_equal(e.kind, API_OK);
    assert_null(c->chat.text.text);
    assert_int_equal(c->prompts[0].count, strlen("<user>Hi\n<assistant>"));
    assert_int_equal(gate_used(&m->reading), 0);
    assert_int_equal(budget_used(&m->answers), c->taken);
    completion_destroy(c);
    free_memory(m);
}

/* For the text itself there is no room: it may come again where others hold the rest. Nothing is kept of it. */
static void test_no_room_for_the_text(void **state) {
    (void)state;
    static const struct {
        size_t max, of_others;
        enum api_error_kind kind;
    } cases[] = {{16, 0, API_BODY_TOO_LARGE}, {1 << 20, 1 << 20, API_QUEUE_FULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct serving_memory *m = make_memory(cases[i].max);
        struct api_error e;
        budget_force(&m->answers, cases[i].of_others);
        struct completion *c = prepare_chat(HELLO, m, &e);
        assert_int_equal(e.kind, cases[i].kind);
        assert_null(c->ticket);
        assert_int_equal(gate_used(&m->reading), 0);
        completion_destroy(c);
        budget_give(&m->answers, cases[i].of_others);
        free_memory(m);
    }
}

/* More than could ever be read. */
static void test_too_large_to_be_read(void **state) {
    (void)state;
    struct serving_memory *m = make_memory(1 << 20);
    struct api_error e;
    m->reading.max = 4096;
    struct completion *c = prepare_chat(HELLO, m, &e);
    assert_int_equal(e.kind, API_BODY_TOO_LARGE);
    completion_destroy(c);
    free_memory(m);
}

/* A place in the queue is taken before the template runs. */
static void test_refused_conversation_gives_its_place_back(void **state) {
    (void)state;
    struct api_error e;
    struct completion *c = prepare_chat("{\"messages\":[{\"role\":\"raise\",\"content\":\"no\"}]}", NULL, &e);
    assert_int_equal(e.kind, API_INVALID);
    assert_string_equal(e.message, "no");
    assert_null(c->ticket);
    assert_null(c->chat.text.text);
    completion_destroy(c);
}

/* The fake tokenizer puts nothing around a text, so nothing is added; the field is not refused. */
static void test_special_tokens(void **state) {
    (void)state;
    struct api_error e;
    struct completion *c = prepare_chat("{\"messages\":[{\"role\":\"u\",\"content\":\"a\"}],"
                                        "\"add_generation_prompt\":false,\"add_special_tokens\":true}",
                                        NULL, &e);
    static const int32_t ids[] = {FAKE_CHAT_OPEN, 'u', FAKE_CHAT_CLOSE, 'a', '\n'};
    assert_int_equal(e.kind, API_OK);
    assert_int_equal(c->prompts[0].count, 5);
    assert_memory_equal(c->prompts[0].ids, ids, sizeof ids);
    completion_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_no_room_for_the_text),
        cmocka_unit_test(test_too_large_to_be_read),
        cmocka_unit_test(test_refused_conversation_gives_its_place_back),
        cmocka_unit_test(test_special_tokens),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
