/* What embeddings take, and how they are cut, made of length 1 and written. */
#include <math.h>

#include "completion_fixture.h"

#include "server/completion/embedding.h"

static struct completion *prepare_embeddings(const char *body, size_t width, struct serving_memory *memory,
                                             struct api_error *e) {
    struct api_limits limits = standard_limits;
    struct completion *c = completion_create(engine, API_EMBEDDINGS, "m", "f", NULL);
    assert_non_null(c);
    limits.memory = memory;
    limits.embedding_width = width;
    *e = (struct api_error){0};
    completion_prepare(c, body, strlen(body), &limits, e);
    return c;
}

/* The answer to one input, whose embedding is that. */
static json_t *answer_of(const char *body, const float *values, size_t width) {
    struct api_error e;
    struct completion *c = prepare_embeddings(body, width, NULL, &e);
    if (e.kind != API_OK) fail_msg("%s", e.message);
    const struct engine_event event = {.kind = ENGINE_EVENT_FINISHED,
                                       .finish = ENGINE_FINISH_STOP,
                                       .stop_string = -1,
                                       .stop_token = -1,
                                       .text = "",
                                       .embedding = values};
    completion_event(&c->prompts[0], &event);
    assert_int_equal(c->finished, 1);
    assert_true(completion_answer_bytes(c) > width * 4);
    json_t *answer = written(c), *data = json_object_get(answer, "data");
    assert_int_equal(json_array_size(data), 1);
    json_t *embedding = json_incref(json_object_get(json_array_get(data, 0), "embedding"));
    json_decref(answer);
    completion_destroy(c);
    return embedding;
}

static void expect(const char *body, const float *values, size_t width, const char *expected) {
    json_t *found = answer_of(body, values, width), *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (!json_equal(found, wanted)) fail_msg("%s: %s", body, json_dumps(found, JSON_ENCODE_ANY));
    json_decref(found);
    json_decref(wanted);
}

static void test_length_and_cut(void **state) {
    (void)state;
    static const float values[] = {3, -4, 12, 84}, zeros[4];
    expect("{\"input\":\"a\",\"normalize\":false}", values, 4, "[3.0,-4.0,12.0,84.0]");
    expect("{\"input\":\"a\",\"dimensions\":2}", values, 4, "[0.6,-0.8]");
    expect("{\"input\":\"a\",\"dimensions\":2,\"normalize\":false}", values, 4, "[3.0,-4.0]");
    expect("{\"input\":\"a\"}", zeros, 4, "[0.0,0.0,0.0,0.0]");
    json_t *all = answer_of("{\"input\":\"a\"}", values, 4);
    double squares = 0;
    for (size_t i = 0; i < 4; i++) squares += pow(json_number_value(json_array_get(all, i)), 2);
    assert_true(fabs(squares - 1) < 1e-6);
    json_decref(all);
}

/* Little-endian floats: 00 00 40 40 is 3. */
static void test_base64(void **state) {
    (void)state;
    static const float values[] = {3, -4};
    expect("{\"input\":\"a\",\"normalize\":false,\"encoding_format\":\"base64\"}", values, 2,
           "\"AABAQAAAgMA=\"");
}

/* The widest numbers there are fit into what is taken for them. */
static void test_numbers_fit(void **state) {
    (void)state;
    static const float values[] = {-1.17549435e-38f, -3.40282347e+38f, -1.23456789e-05f, -0.000123456789f};
    json_t *found = answer_of("{\"input\":\"a\",\"normalize\":false}", values, 4);
    char *text = json_dumps(found, JSON_ENCODE_ANY);
    for (size_t i = 0; i < 4; i++) {
        struct bytes out = {0};
        char number[64];
        snprintf(number, sizeof number, "%.9g", (double)values[i]);
        assert_true(strlen(number) + 1 <= embedding_answer_bytes(sizeof(float)));
        assert_true((float)json_number_value(json_array_get(found, i)) == values[i]);
        bytes_deinit(&out);
    }
    free(text);
    json_decref(found);
}

/* Before anything runs: what the answer will be counts too. */
static void test_memory(void **state) {
    (void)state;
    static const char body[] = "{\"input\":[\"ab\",\"cd\",\"ef\"]}";
    struct serving_memory *memory = make_memory(3 * 4096 * (4 + 16));
    struct api_error e;
    struct completion *c = prepare_embeddings(body, 4096, memory, &e);
    assert_int_equal(e.kind, API_BODY_TOO_LARGE);
    completion_destroy(c);
    c = prepare_embeddings(body, 4000, memory, &e);
    assert_int_equal(e.kind, API_OK);
    assert_true(budget_used(&memory->answers) >= 3 * 4000 * sizeof(float));
    completion_destroy(c);
    free_memory(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_and_cut),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_numbers_fit),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
