/* Bodies that are refused before they are parsed, and what the others take. */
#include "tests/support/failing_malloc.h"
#include "tests/support/test_support.h"

#include <stdlib.h>

#include "engine/base/json_memory.h"
#include "server/api/json_body.h"
#include "server/json/bytes.h"
#include "tests/support/fake_engine.h"

static struct engine *engine;

static int setup(void **state) {
    (void)state;
    const struct engine_options options = fake_engine_options();
    struct error e;
    return engine_open(&options, &engine, &e) != STATUS_OK;
}

static int teardown(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

static struct bytes repeat(const char *before, const char *element, size_t count, const char *after) {
    struct bytes text = {0};
    bytes_text(&text, before);
    for (size_t i = 0; i < count; i++) bytes_text(&text, element);
    bytes_text(&text, after);
    return text;
}

static const struct json_body_text any = {.strings = 1, .bytes_max = SIZE_MAX};

/* The message of the refusal, or NULL; an accepted body is closed again. */
static const char *open_and_close(const struct bytes *text, struct serving_memory *m, unsigned *status) {
    static struct api_error e;
    struct json_body b;
    e = (struct api_error){0};
    if (json_body_open(&b, text->data, text->length, any, 0, m, &e) == API_OK) {
        assert_true(json_is_object(b.root));
        if (m) assert_true(gate_used(&m->reading) > text->length);
        json_body_close(&b);
    }
    if (m) assert_int_equal(gate_used(&m->reading), 0);
    *status = e.kind == API_OK ? 200 : api_error_status(e.kind);
    return e.message;
}

static void test_values(void **state) {
    (void)state;
    struct serving_memory m = {.values_max = 100};
    unsigned status;
    gate_init(&m.reading, 1 << 20);
    struct bytes most = repeat("{\"prompt\":[1", ",1", 97, "]}"),
                 more = repeat("{\"prompt\":[1", ",1", 98, "]}");
    open_and_close(&most, &m, &status);
    assert_int_equal(status, 200);
    assert_string_equal(open_and_close(&more, &m, &status),
                        "The body has 101 JSON values; at most 100 are allowed.");
    assert_int_equal(status, 413);
    open_and_close(&more, NULL, &status);
    assert_int_equal(status, 200);
    bytes_deinit(&most);
    bytes_deinit(&more);
    gate_deinit(&m.reading);
}

static void expect_number_refused(const char *body, const char *field, const char *words) {
    struct api_error e = {0};
    struct json_body b;
    assert_int_equal(json_body_open(&b, body, strlen(body), any, 0, NULL, &e), API_INVALID);
    assert_string_equal(e.param, field);
    assert_says(e.message, words);
}

/* They are JSON all the same. */
static void test_numbers_of_any_size(void **state) {
    (void)state;
    expect_number_refused("{\"n\":1,\"seed\":18446744073709551615}", "seed", "'seed' has a number|64 bits");
    expect_number_refused("{\"prompt\":[[1],[9223372036854775808]]}", "prompt", "'prompt' has");
    expect_number_refused("{\"logit_bias\":{\"5\":-99999999999999999999}}", "logit_bias", "'logit_bias' has");
    expect_number_refused("{\n\"temperature\":1e999}", "", "too large|line 2, column");
    expect_number_refused("[99999999999999999999]", "", "too large|line 1, column");
}

/* Empty objects of two bytes take over two hundred; the same number of bytes in a text does not. */
static void test_memory(void **state) {
    (void)state;
    struct serving_memory m = {.values_max = 1 << 20};
    unsigned status;
    gate_init(&m.reading, 1 << 20);
    struct bytes bomb = repeat("{\"prompt\":[{}", ",{}", 10000, "]}"),
                 text = repeat("{\"prompt\":\"", "abc", 10000, "\"}");
    assert_non_null(strstr(open_and_close(&bomb, &m, &status), "at most 1024 KiB are allowed"));
    assert_int_equal(status, 413);
    open_and_close(&text, &m, &status);
    assert_int_equal(status, 200);
    bytes_deinit(&bomb);
    bytes_deinit(&text);
    gate_deinit(&m.reading);
}

static void test_depth(void **state) {
    (void)state;
    unsigned status;
    struct bytes most = repeat("{\"a\":", "[", JSON_BODY_DEPTH_MAX - 1, ""),
                 more = repeat("{\"a\":", "[", JSON_BODY_DEPTH_MAX, "");
    for (int i = 0; i < JSON_BODY_DEPTH_MAX - 1; i++) bytes_text(&most, "]");
    for (int i = 0; i < JSON_BODY_DEPTH_MAX; i++) bytes_text(&more, "]");
    bytes_text(&most, "}");
    bytes_text(&more, "}");
    open_and_close(&most, NULL, &status);
    assert_int_equal(status, 200);
    assert_string_equal(open_and_close(&more, NULL, &status),
                        "The body is nested to a depth of 65; at most 64 is allowed.");
    assert_int_equal(status, 400);
    bytes_deinit(&most);
    bytes_deinit(&more);
}

/* What is malformed gives back what it took. */
static void test_malformed(void **state) {
    (void)state;
    struct serving_memory m = {.values_max = 100};
    unsigned status;
    gate_init(&m.reading, 1 << 20);
    struct bytes broken = repeat("{\"a\":", "", 0, ""), array = repeat("[", "", 0, "]"), empty = {0};
    assert_non_null(strstr(open_and_close(&broken, &m, &status), "line 1, column 5"));
    assert_int_equal(status, 400);
    assert_non_null(strstr(open_and_close(&array, &m, &status), "must be a JSON object, not an array"));
    assert_non_null(strstr(open_and_close(&empty, &m, &status), "is empty"));
    bytes_deinit(&broken);
    bytes_deinit(&array);
    gate_deinit(&m.reading);
}

static void a_text_is_read_as_a_whole_or_not_at_all(void **state) {
    (void)state;
    char text[300];
    json_set_alloc_funcs(json_memory_take, free);
    for (int length = 1; length < 140; length++) {
        bool failed = true;
        snprintf(text, sizeof text, "{\"prompt\":\"%0*d\"}", length, 7);
        for (size_t n = 1; failed; n++) {
            struct json_body b;
            struct api_error e = {0};
            failing_malloc_arm(n);
            enum api_error_kind kind = json_body_open(&b, text, strlen(text), any, 0, NULL, &e);
            failed = failing_malloc_disarm();
            assert_int_equal(kind, failed ? API_INTERNAL : API_OK);
            if (failed) continue;
            assert_int_equal(json_string_length(json_body_field(b.root, "prompt")), length);
            json_body_close(&b);
        }
    }
    json_set_alloc_funcs(malloc, free);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_numbers_of_any_size),
        cmocka_unit_test(test_memory),    cmocka_unit_test(test_depth),
        cmocka_unit_test(test_malformed), cmocka_unit_test(a_text_is_read_as_a_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
