/* POST /infill, and `suffix` of a completion: over the fake engine, whose prompt with a gap is
 * 256 300 prefix 301 suffix 302, and whose 303 ends what is filled in. */
#include "tests/http/one_fake_daemon.h"

static void test_ids_of_a_gap(void **state) {
    (void)state;
    json_t *answer =
        post_json(&d, "/v1/completions", "{\"prompt\":\"ab\",\"suffix\":\"c\",\"return_token_ids\":true}");
    expect_json(choice_value(answer, 0, "prompt_token_ids"), "[256,300,97,98,301,99,302]");
    json_decref(answer);
    answer = post_json(&d, "/v1/completions",
                       "{\"prompt\":[\"ab\",\"\"],\"suffix\":\"c\",\"return_token_ids\":true,"
                       "\"add_special_tokens\":false}");
    expect_json(choice_value(answer, 0, "prompt_token_ids"), "[300,97,98,301,99,302]");
    expect_json(choice_value(answer, 1, "prompt_token_ids"), "[300,301,99,302]");
    json_decref(answer);
    answer = post_json(&d, "/infill",
                       "{\"input_prefix\":\"a\",\"prompt\":\"b\",\"input_suffix\":\"c\",\"n_predict\":3,"
                       "\"return_token_ids\":true}");
    expect_json(choice_value(answer, 0, "prompt_token_ids"), "[256,300,97,98,301,99,302]");
    json_decref(answer);
}

static void test_suffix_first(void **state) {
    (void)state;
    json_t *answer =
        post_json(&d, "/infill",
                  "{\"input_prefix\":\"a\",\"prompt\":\"b\",\"input_suffix\":\"c\",\"n_predict\":3,"
                  "\"suffix_first\":true,\"return_token_ids\":true}");
    expect_json(choice_value(answer, 0, "prompt_token_ids"), "[256,300,301,99,302,97,98]");
    json_decref(answer);
}

/* An empty one is what clients send that fill in nothing. */
static void test_empty_suffix_is_none(void **state) {
    (void)state;
    json_t *answer =
        post_json(&d, "/v1/completions", "{\"prompt\":\"ab\",\"suffix\":\"\",\"return_token_ids\":true}");
    expect_json(choice_value(answer, 0, "prompt_token_ids"), "[97,98]");
    json_decref(answer);
}

/* Both ways are the same; /infill has the text a second time, where llama-server has it. */
static void test_infill_answers_as_a_suffix_does(void **state) {
    (void)state;
    json_t *filled = post_json(&d, "/infill",
                               "{\"input_prefix\":\"ab\",\"input_suffix\":\"c\",\"temperature\":0,"
                               "\"n_predict\":9,\"ignore_eos\":true}"),
           *suffixed = post_json(&d, "/v1/completions",
                                 "{\"prompt\":\"ab\",\"suffix\":\"c\",\"temperature\":0,"
                                 "\"max_tokens\":9,\"ignore_eos\":true}");
    assert_string_equal(choice_text(filled, 0), choice_text(suffixed, 0));
    assert_string_equal(json_string_value(json_object_get(filled, "content")), choice_text(filled, 0));
    expect_json(json_object_get(filled, "stop"), "true");
    assert_null(json_object_get(suffixed, "content"));
    expect_json(json_object_get(json_object_get(filled, "usage"), "completion_tokens"), "9");
    json_decref(filled);
    json_decref(suffixed);
}

/* Without a number there is no end but the model's own, or that of the context. */
static void test_default_length_is_the_room(void **state) {
    (void)state;
    static const char *const forms[] = {
        "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"allowed_token_ids\":[97]}",
        "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"allowed_token_ids\":[97],\"n_predict\":-1}"};
    for (size_t i = 0; i < 2; i++) {
        json_t *answer = post_json(&d, "/infill", forms[i]);
        long long tokens =
            json_integer_value(json_object_get(json_object_get(answer, "usage"), "completion_tokens"));
        assert_int_equal(tokens, 2048 - 6);
        expect_json(choice_value(answer, 0, "finish_reason"), "\"length\"");
        json_decref(answer);
    }
}

/* What ends a middle is no text and is named by nobody; with ignore_eos it is a token like others. */
static void test_end_of_the_middle(void **state) {
    (void)state;
    json_t *answer = post_json(&d, "/infill",
                               "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"allowed_token_ids\":[303],"
                               "\"return_token_ids\":true}");
    expect_json(choice_value(answer, 0, "text"), "\"\"");
    expect_json(choice_value(answer, 0, "token_ids"), "[303]");
    expect_json(choice_value(answer, 0, "finish_reason"), "\"stop\"");
    expect_json(choice_value(answer, 0, "stop_reason"), "null");
    json_decref(answer);
    answer = post_json(&d, "/infill",
                       "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"allowed_token_ids\":[303],"
                       "\"stop_token_ids\":[303]}");
    expect_json(choice_value(answer, 0, "stop_reason"), "303");
    json_decref(answer);
    answer = post_json(&d, "/infill",
                       "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"allowed_token_ids\":[303],"
                       "\"ignore_eos\":true,\"max_tokens\":4,\"return_token_ids\":true}");
    expect_json(choice_value(answer, 0, "token_ids"), "[303,303,303,303]");
    json_decref(answer);
}

static void test_stream(void **state) {
    (void)state;
    json_t *whole = post_json(&d, "/infill",
                              "{\"input_prefix\":\"ab\",\"input_suffix\":\"c\",\"temperature\":0,"
                              "\"n_predict\":9,\"ignore_eos\":true}");
    struct answer a = http_post(&d, "/infill",
                                "{\"input_prefix\":\"ab\",\"input_suffix\":\"c\",\"temperature\":0,"
                                "\"n_predict\":9,\"ignore_eos\":true,\"stream\":true}");
    char text[64] = "";
    int ends = 0;
    assert_int_equal(a.status, 200);
    for (const char *at = a.body; (at = strstr(at, "data: {")); at++) {
        json_t *chunk = json_loads(at + 6, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(chunk);
        assert_string_equal(json_string_value(json_object_get(chunk, "content")), choice_text(chunk, 0));
        strncat(text, choice_text(chunk, 0), sizeof text - strlen(text) - 1);
        ends += json_is_true(json_object_get(chunk, "stop"));
        json_decref(chunk);
    }
    assert_string_equal(text, choice_text(whole, 0));
    assert_int_equal(ends, 1);
    answer_free(&a);
    json_decref(whole);
}

static void test_without_tokens_for_it(void **state) {
    (void)state;
    struct daemon other;
    daemon_start_fake(&other, "no-infill", NULL);
    static const struct {
        const char *path, *body, *param;
    } cases[] = {{"/infill", "{\"input_prefix\":\"a\",\"input_suffix\":\"b\"}", "\"param\":\"input_suffix\""},
                 {"/v1/completions", "{\"prompt\":\"a\",\"suffix\":\"b\"}", "\"param\":\"suffix\""}};
    for (size_t i = 0; i < 2; i++) {
        struct answer a = http_post(&other, cases[i].path, cases[i].body);
        assert_int_equal(a.status, 400);
        assert_non_null(strstr(a.body, cases[i].param));
        assert_non_null(strstr(a.body, "has no tokens for filling in"));
        answer_free(&a);
    }
    json_decref(complete(&other, "{\"prompt\":\"a\",\"suffix\":\"\"}"));
    json_decref(complete(&other, "{\"prompt\":\"a\",\"suffix\":null}"));
    daemon_stop(&other);
}

/* ---- the real program ---------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to, const char *name) {
    size_t length;
    char *bytes = test_file_read(from, name, &length);
    test_file_write(to, name, bytes, length);
    free(bytes);
}

/* Of a small model whose tables have rows for more tokens than its tokenizer has: four of them become those of
 * StarCoder2's scheme, 320 to 323. */
static char *make_model(void) {
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer_config.json"},
                             *const contents[] = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>",
                                                  "<file_sep>"};
    const char *from = test_source_path("tests/golden/families/gpt_neox-odd-rotary");
    char *folder = test_folder_create();
    size_t length;
    for (size_t i = 0; i < 3; i++) copy_file(from, folder, names[i]);
    char *text = test_file_read(from, "tokenizer.json", &length);
    json_t *json = json_loadb(text, length, 0, NULL), *added = json_object_get(json, "added_tokens");
    for (size_t i = 0; i < 4; i++)
        json_array_append_new(added, json_pack("{s:i,s:s,s:b,s:b,s:b,s:b,s:b}", "id", 320 + (int)i, "content",
                                               contents[i], "single_word", 0, "lstrip", 0, "rstrip", 0,
                                               "normalized", 0, "special", 1));
    char *patched = json_dumps(json, 0);
    test_file_write(folder, "tokenizer.json", patched, strlen(patched));
    free(patched);
    free(text);
    json_decref(json);
    return folder;
}

static json_t *post_to(const struct daemon *of, const char *path, const char *body) {
    struct answer a = http_post(of, path, body);
    if (a.status != 200) fail_msg("%s: status %ld: %s", path, a.status, a.body ? a.body : "");
    json_t *json = answer_json(&a);
    answer_free(&a);
    return json;
}

/* Appends the ids of a text as they are for /tokenize. */
static void append_ids(const struct daemon *of, const char *body, json_t *to) {
    json_t *answer = post_to(of, "/tokenize", body);
    json_array_extend(to, json_object_get(answer, "tokens"));
    json_decref(answer);
}

static void test_other_files(const struct daemon *of) {
    json_t *expected = json_pack("[i]", 323), *answer;
    append_ids(of, "{\"prompt\":\"a.py\\n\"}", expected);
    append_ids(of, "{\"prompt\":\"<file_\"}", expected);
    append_ids(of, "{\"prompt\":\"sep>\"}", expected);
    json_array_append_new(expected, json_integer(323));
    append_ids(of, "{\"prompt\":\"filename\\n\"}", expected);
    json_array_append_new(expected, json_integer(320));
    append_ids(of, "{\"prompt\":\"x\"}", expected);
    json_array_append_new(expected, json_integer(321));
    json_array_append_new(expected, json_integer(322));
    answer =
        post_to(of, "/infill",
                "{\"input_prefix\":\"x\",\"input_suffix\":\"\",\"n_predict\":1,\"return_token_ids\":true,"
                "\"input_extra\":[{\"filename\":\"a.py\",\"text\":\"<file_sep>\"}]}");
    char *found = json_dumps(choice_value(answer, 0, "prompt_token_ids"), 0);
    if (!json_equal(choice_value(answer, 0, "prompt_token_ids"), expected)) fail_msg("%s", found);
    free(found);
    json_decref(answer);
    json_decref(expected);
}

/* Each text by itself between the tokens, which a text that has their names does not get. */
static void test_real_tokenizer(void **state) {
    (void)state;
    struct daemon other;
    char *folder = make_model();
    json_t *expected = json_pack("[i]", 320);
    daemon_start(
        &other, PRENORMD,
        (const char *const[]){"serve", "--port", "0", "--model", folder, "--kv-cache-mib", "16", NULL});
    daemon_wait_ready(&other);
    append_ids(&other, "{\"prompt\":\"def f(x):\\n    \"}", expected);
    json_array_append_new(expected, json_integer(321));
    append_ids(&other, "{\"prompt\":\"<fim_\"}", expected);
    append_ids(&other, "{\"prompt\":\"middle>\"}", expected);
    json_array_append_new(expected, json_integer(322));
    json_t *filled = post_to(&other, "/infill",
                             "{\"input_prefix\":\"def f(x):\\n    \",\"input_suffix\":\"<fim_middle>\","
                             "\"n_predict\":2,\"return_token_ids\":true}"),
           *models = post_to(&other, "/v1/completions",
                             "{\"prompt\":\"def f(x):\\n    \",\"suffix\":\"<fim_middle>\",\"max_tokens\":2,"
                             "\"return_token_ids\":true}");
    char *found = json_dumps(choice_value(filled, 0, "prompt_token_ids"), 0);
    if (!json_equal(choice_value(filled, 0, "prompt_token_ids"), expected)) fail_msg("%s", found);
    assert_true(json_equal(choice_value(models, 0, "prompt_token_ids"), expected));
    free(found);
    json_decref(models);
    json_decref(filled);
    json_decref(expected);
    test_other_files(&other);
    daemon_stop(&other);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_of_a_gap),
        cmocka_unit_test(test_suffix_first),
        cmocka_unit_test(test_empty_suffix_is_none),
        cmocka_unit_test(test_infill_answers_as_a_suffix_does),
        cmocka_unit_test(test_default_length_is_the_room),
        cmocka_unit_test(test_end_of_the_middle),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_without_tokens_for_it),
        cmocka_unit_test(test_real_tokenizer),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
