/* POST /v1/embeddings and POST /score over the fake engine, whose embedding of a text is its last byte (or the mean of its
 * bytes) and what is one, two and three more. */
#include "tests/http/one_fake_daemon.h"

#include <math.h>

static const json_t *item(const json_t *answer, size_t index, const char *name) {
    return json_object_get(json_array_get(json_object_get(answer, "data"), index), name);
}

static void expect_embedding(const char *body, size_t index, const char *expected) {
    json_t *answer = post_json(&d, "/v1/embeddings", body);
    expect_json(item(answer, index, "embedding"), expected);
    json_decref(answer);
}

static void test_shape(void **state) {
    (void)state;
    json_t *answer =
        post_json(&d, "/v1/embeddings",
                  "{\"input\":[\"ab\",[99]],\"model\":\"tales\",\"user\":\"me\",\"normalize\":false,"
                  "\"request_id\":\"mine\",\"timings\":true}");
    expect_json(json_object_get(answer, "object"), "\"list\"");
    expect_json(json_object_get(answer, "id"), "\"embd-mine\"");
    expect_json(json_object_get(answer, "data"),
                "[{\"index\":0,\"object\":\"embedding\",\"embedding\":[98.0,99.0,100.0,101.0]},"
                "{\"index\":1,\"object\":\"embedding\",\"embedding\":[99.0,100.0,101.0,102.0]}]");
    const json_t *usage = json_object_get(answer, "usage");
    expect_json(json_object_get(usage, "prompt_tokens"), "3");
    expect_json(json_object_get(usage, "total_tokens"), "3");
    assert_non_null(json_object_get(answer, "timings"));
    json_decref(answer);
}

static void test_forms_of_input(void **state) {
    (void)state;
    expect_embedding("{\"input\":\"ab\",\"normalize\":false}", 0, "[98.0,99.0,100.0,101.0]");
    expect_embedding("{\"input\":[97,98],\"normalize\":false}", 0, "[98.0,99.0,100.0,101.0]");
    expect_embedding("{\"input\":[[1],[97,98]],\"normalize\":false}", 1, "[98.0,99.0,100.0,101.0]");
    expect_embedding("{\"input\":[\"a\",[97,98]],\"normalize\":false}", 1, "[98.0,99.0,100.0,101.0]");
    expect_embedding("{\"input\":\"ab\",\"normalize\":false,\"pooling\":\"mean\"}", 0,
                     "[97.5,98.5,99.5,100.5]");
    expect_embedding("{\"input\":\"abc\",\"normalize\":false,\"truncate_prompt_tokens\":2,"
                     "\"truncation_side\":\"right\",\"pooling\":\"last\",\"encoding_format\":\"float\"}",
                     0, "[98.0,99.0,100.0,101.0]");
    expect_embedding("{\"input\":[3],\"dimensions\":2}", 0, "[0.6,0.8]");
    expect_embedding("{\"input\":[3],\"dimensions\":1,\"encoding_format\":\"base64\"}", 0, "\"AACAPw==\"");
}

struct refusal {
    const char *body, *param, *says;
};

static void check_refusals(const char *path, const struct refusal *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct answer a = http_post(&d, path, rows[i].body);
        json_t *answer = answer_json(&a), *error = json_object_get(answer, "error");
        const char *param = json_string_value(json_object_get(error, "param"));
        const char *message = json_string_value(json_object_get(error, "message"));
        if (a.status != 400 || !param || strcmp(param, rows[i].param) != 0 || !strstr(message, rows[i].says))
            fail_msg("%s: %ld %s", rows[i].body, a.status, a.body);
        json_decref(answer);
        answer_free(&a);
    }
}

static void test_bad_embeddings(void **state) {
    (void)state;
    static const struct refusal rows[] = {
        {"{}", "input", "missing"},
        {"{\"input\":null}", "input", "missing"},
        {"{\"input\":\"\"}", "input", "'input' is empty"},
        {"{\"input\":[]}", "input", "'input' is empty"},
        {"{\"input\":[\"a\",\"\"]}", "input", "element 1 is empty"},
        {"{\"input\":[[]]}", "input", "element 0 is an empty array"},
        {"{\"input\":5}", "input", "not an integer"},
        {"{\"input\":{\"a\":1}}", "input", "not an object"},
        {"{\"input\":[\"a\",true]}", "input", "element 1 is a boolean"},
        {"{\"input\":[1.5]}", "input", "fraction"},
        {"{\"input\":[-1]}", "input", "token id -1"},
        {"{\"input\":[5000]}", "input", "token id 5000"},
        {"{\"input\":[318]}", "input", "token id 318"}, /* the engine's own word */
        {"{\"input\":\"a\",\"dimensions\":0}", "dimensions", "between 1 and 4"},
        {"{\"input\":\"a\",\"dimensions\":5}", "dimensions", "between 1 and 4"},
        {"{\"input\":\"a\",\"dimensions\":\"2\"}", "dimensions", "an integer"},
        {"{\"input\":\"a\",\"pooling\":\"cls\"}", "pooling", "\"last\" or \"mean\""},
        {"{\"input\":\"a\",\"pooling\":1}", "pooling", "\"last\" or \"mean\""},
        {"{\"input\":\"a\",\"encoding_format\":\"int8\"}", "encoding_format", "\"float\" or \"base64\""},
        {"{\"input\":\"a\",\"normalize\":1}", "normalize", "true or false"},
        {"{\"input\":\"a\",\"user\":3}", "user", "a string"},
        {"{\"input\":\"a\",\"embd_normalize\":0}", "embd_normalize", "'normalize'"},
        {"{\"input\":\"a\",\"stream\":true}", "stream", "comes whole"},
        {"{\"prompt\":\"a\"}", "prompt", "'input'"},
    };
    check_refusals("/v1/embeddings", rows, sizeof rows / sizeof *rows);
}

static void test_too_much(void **state) {
    (void)state;
    char body[8192];
    size_t length = (size_t)snprintf(body, sizeof body, "{\"input\":\"");
    memset(body + length, 'a', 2049);
    strcpy(body + length + 2049, "\"}");
    struct answer a = http_post(&d, "/v1/embeddings", body);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "context_length_exceeded"));
    answer_free(&a);
    length = (size_t)snprintf(body, sizeof body, "{\"input\":[\"a\"");
    for (int i = 0; i < 1200; i++) length += (size_t)snprintf(body + length, sizeof body - length, ",\"a\"");
    strcpy(body + length, "]}");
    a = http_post(&d, "/v1/embeddings", body);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "1201 requests"));
    assert_non_null(strstr(a.body, "\"input\""));
    answer_free(&a);
}

/* ---- scores -------------------------------------------------------------------------------------------- */

/* The scores of the last ids of a prompt, as a completion with echo has them. */
static json_t *echoed(const char *prompt, size_t last) {
    char body[256];
    snprintf(body, sizeof body, "{\"prompt\":%s,\"max_tokens\":0,\"echo\":true,\"logprobs\":0}", prompt);
    json_t *answer = complete(&d, body), *rest = json_array();
    const json_t *all = json_object_get(choice_value(answer, 0, "logprobs"), "token_logprobs");
    for (size_t i = json_array_size(all) - last; i < json_array_size(all); i++)
        json_array_append(rest, json_array_get(all, i));
    json_decref(answer);
    return rest;
}

static void expect_score(const json_t *answer, size_t index, const char *whole, size_t tokens) {
    json_t *expected = echoed(whole, tokens);
    double sum = 0;
    for (size_t i = 0; i < tokens; i++) sum += json_number_value(json_array_get(expected, i));
    assert_true(json_equal(item(answer, index, "token_logprobs"), expected));
    assert_true(fabs(json_number_value(item(answer, index, "score")) - sum) < 1e-9);
    expect_json(item(answer, index, "object"), "\"score\"");
    json_decref(expected);
}

static void test_pairs(void **state) {
    (void)state;
    json_t *answer = post_json(&d, "/score", "{\"prompt\":\"ab\",\"continuation\":[\"cd\",\"e\",[102,103]]}");
    expect_json(json_object_get(answer, "object"), "\"list\"");
    assert_int_equal(json_array_size(json_object_get(answer, "data")), 3);
    expect_score(answer, 0, "\"abcd\"", 2);
    expect_score(answer, 1, "\"abe\"", 1);
    expect_score(answer, 2, "\"abfg\"", 2);
    expect_json(json_object_get(json_object_get(answer, "usage"), "prompt_tokens"), "11");
    json_decref(answer);
    answer = post_json(&d, "/v1/score", "{\"prompt\":[\"ab\",[99]],\"continuation\":[\"x\",\"y\"]}");
    expect_score(answer, 0, "\"abx\"", 1);
    expect_score(answer, 1, "\"cy\"", 1);
    json_decref(answer);
    answer = post_json(&d, "/score", "{\"prompt\":[\"a\",\"b\"],\"continuation\":\"x\"}");
    expect_score(answer, 1, "\"bx\"", 1);
    json_decref(answer);
}

/* Behind nothing it stands behind the token that begins a text. The fake engine's ranks are 1 + id % 7. */
static void test_edges(void **state) {
    (void)state;
    json_t *answer = post_json(&d, "/score", "{\"prompt\":\"\",\"continuation\":\"ab\"}");
    expect_score(answer, 0, "[256,97,98]", 2);
    json_decref(answer);
    answer = post_json(&d, "/score", "{\"prompt\":\"a\",\"continuation\":[[98,105],[98,99]]}");
    expect_json(item(answer, 0, "is_greedy"), "true");
    expect_json(item(answer, 1, "is_greedy"), "false");
    json_decref(answer);
}

static void test_bad_scores(void **state) {
    (void)state;
    static const struct refusal rows[] = {
        {"{}", "prompt", "missing"},
        {"{\"prompt\":\"a\"}", "continuation", "missing"},
        {"{\"prompt\":\"a\",\"continuation\":4}", "continuation", "not an integer"},
        {"{\"prompt\":\"a\",\"continuation\":\"\"}", "continuation", "'continuation' adds no token"},
        {"{\"prompt\":\"a\",\"continuation\":[]}", "continuation", "'continuation' adds no token"},
        {"{\"prompt\":\"a\",\"continuation\":[\"b\",[]]}", "continuation", "element 1 adds no token"},
        {"{\"prompt\":\"a\",\"continuation\":[null]}", "continuation", "element 0 is null"},
        {"{\"prompt\":[\"a\",3],\"continuation\":\"b\"}", "prompt", "element 1 is an integer"},
        {"{\"prompt\":\"a\",\"continuation\":[[1,5000]]}", "continuation", "token id 5000"},
        {"{\"prompt\":[\"a\",\"b\"],\"continuation\":[\"c\",\"d\",\"e\"]}", "continuation",
         "2 prompts and 3 continuations"},
        {"{\"text_1\":\"a\",\"text_2\":\"b\"}", "text_1", "'continuation' of a 'prompt'"},
        {"{\"prompt\":\"a\",\"continuation\":\"b\",\"stop_regex\":\"x\"}", "stop_regex", "not supported"},
    };
    check_refusals("/score", rows, sizeof rows / sizeof *rows);
}

static void test_answers_are_counted(void **state) {
    (void)state;
    const double before = metric(&d, "prenorm_http_answers_total{route=\"/score\",code=\"200\"}");
    json_decref(post_json(&d, "/score", "{\"prompt\":\"a\",\"continuation\":\"b\"}"));
    wait_metric(&d, "prenorm_http_answers_total{route=\"/score\",code=\"200\"}", before + 1);
    assert_true(metric(&d, "prenorm_embeddings_total") >= 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),          cmocka_unit_test(test_forms_of_input),
        cmocka_unit_test(test_bad_embeddings), cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_pairs),          cmocka_unit_test(test_edges),
        cmocka_unit_test(test_bad_scores),     cmocka_unit_test(test_answers_are_counted),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
