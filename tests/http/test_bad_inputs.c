/* Every folder of tests/cases/http: `request` is a body, `expect.json` what it must give: {"status", and for
 * an error "param" and "code" exactly and "message" as a part; "path" where it is not /v1/completions}. The
 * same daemon takes all of them, and must answer as before at the end. */
#include "tests/http/one_fake_daemon.h"

static void check_error(const char *name, const struct answer *a, const json_t *expect) {
    json_t *body = answer_json(a);
    const json_t *error = json_object_get(body, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *part = json_string_value(json_object_get(expect, "message"));
    if (!message || !json_is_string(json_object_get(error, "type")) || json_object_size(error) != 4)
        fail_msg("%s: not the shape of an error: %s", name, a->body);
    if (!json_equal(json_object_get(error, "param"), json_object_get(expect, "param")) ||
        !json_equal(json_object_get(error, "code"), json_object_get(expect, "code")))
        fail_msg("%s: another param or code: %s", name, a->body);
    if (part && !strstr(message, part)) fail_msg("%s: the message has no '%s': %s", name, part, message);
    json_decref(body);
}

static void check_case(const char *path, const char *name, void *context) {
    size_t length, expect_length;
    char *request = test_file_read(path, "request", &length),
         *text = test_file_read(path, "expect.json", &expect_length);
    json_t *expect = json_loadb(text, expect_length, 0, NULL);
    const char *where = json_string_value(json_object_get(expect, "path"));
    assert_non_null(expect);
    struct answer a = http_request(&d, "POST", where ? where : "/v1/completions", NULL, request, length);
    long status = (long)json_integer_value(json_object_get(expect, "status"));
    if (a.error || a.status != status) fail_msg("%s: status %ld: %s", name, a.status, a.body ? a.body : "");
    assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    if (status >= 400) check_error(name, &a, expect);
    ++*(size_t *)context;
    answer_free(&a);
    json_decref(expect);
    free(text);
    free(request);
}

static void test_cases(void **state) {
    (void)state;
    size_t count = 0;
    json_t *before = complete(&d, "{\"prompt\":\"Once\",\"temperature\":0}");
    test_each_folder(test_source_path("tests/cases/http"), check_case, &count);
    assert_true(count > 100);
    json_t *after = complete(&d, "{\"prompt\":\"Once\",\"temperature\":0}");
    assert_string_equal(choice_text(before, 0), choice_text(after, 0));
    json_decref(before);
    json_decref(after);
    wait_metric(&d, "prenorm_http_body_bytes_held", 0);
    wait_metric(&d, "prenorm_encode_requests", 0);
}

/* The start of a prompt needs a token. */
static void test_empty_prompt_without_start_token(void **state) {
    (void)state;
    struct daemon other;
    daemon_start_fake(&other, "no-start", NULL);
    struct answer a = http_post(&other, "/v1/completions", "{\"prompt\":\"\"}");
    assert_int_equal(a.status, 400);
    answer_free(&a);
    daemon_stop(&other);
}

static void test_strict_and_any_model(void **state) {
    (void)state;
    struct daemon other;
    daemon_start_fake(&other, "fake", "--strict", "--any-model", NULL);
    struct answer a =
        http_post(&other, "/v1/completions", "{\"prompt\":\"a\",\"model\":\"other\",\"frobnicate\":1}");
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "\"param\":\"frobnicate\""));
    answer_free(&a);
    json_decref(complete(&other, "{\"prompt\":\"a\",\"model\":\"other\"}"));
    daemon_stop(&other);
}

static unsigned count_in_log(const struct daemon *of, const char *text) {
    size_t length;
    char *log = test_file_read("", of->log, &length);
    unsigned count = 0;
    for (const char *at = log; (at = strstr(at, text)); at++) count++;
    free(log);
    return count;
}

/* Ignored, but not in silence; and no client fills the log. */
static void test_unknown_fields_are_logged_once(void **state) {
    (void)state;
    struct daemon other;
    daemon_start_fake(&other, "fake", NULL);
    for (int i = 0; i < 3; i++) {
        json_decref(complete(&other, "{\"prompt\":\"a\",\"frobnicate\":1,\"absent\":null}"));
        struct answer a = http_post(&other, "/tokenize", "{\"prompt\":\"a\",\"fribnicate\":1}");
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    assert_int_equal(count_in_log(&other, "'frobnicate'"), 1);
    assert_int_equal(count_in_log(&other, "'fribnicate'"), 1);
    assert_int_equal(count_in_log(&other, "'absent'"), 0);
    daemon_stop(&other);
}

static void refused(const struct daemon *by, const char *path, const char *body, const char *part) {
    struct answer a = http_post(by, path, body);
    assert_int_equal(a.status, 400);
    if (!strstr(a.body, part)) fail_msg("no '%s' in %s", part, a.body);
    answer_free(&a);
}

static void test_strict_knows_all_levels(void **state) {
    (void)state;
    struct daemon other;
    daemon_start_fake(&other, "fake", "--strict", NULL);
    refused(&other, "/v1/completions", "{\"prompt\":\"a\",\"stream\":true,\"stream_options\":{\"x\":1}}",
            "\"param\":\"stream_options.x\"");
    refused(&other, "/tokenize", "{\"prompt\":\"a\",\"x\":1}", "\"param\":\"x\"");
    refused(&other, "/detokenize", "{\"tokens\":[1],\"x\":1}", "\"param\":\"x\"");
    /* Long names are cut, never inside a character. */
    refused(
        &other, "/v1/completions",
        "{\"prompt\":\"a\",\"xx\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\":1}",
        "\xc3\xa9\",\"code\"");
    json_decref(complete(&other, "{\"prompt\":\"a\",\"x\":null,\"tools\":[],\"response_format\":{\"type\":"
                                 "\"text\"}}"));
    daemon_stop(&other);
}

/* Bytes and ids, by options; the context is no limit (ok-tokenize-beyond-the-context). */
static void test_tokenize_has_limits_of_its_own(void **state) {
    (void)state;
    struct daemon other;
    static char body[16384], numbers[8192];
    daemon_start_fake(&other, "fake", "--tokenize-bytes-max", "1500", "--tokenize-ids-max", "1024", NULL);
    snprintf(body, sizeof body, "{\"content\":\"%01501d\"}", 0);
    refused(&other, "/tokenize", body, "1501 bytes; at most 1500");
    snprintf(body, sizeof body, "{\"content\":\"%01500d\"}", 0);
    refused(&other, "/tokenize", body, "more than the 1024 tokens");
    snprintf(body, sizeof body, "{\"content\":\"%01024d\"}", 0);
    struct answer a = http_post(&other, "/tokenize", body);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    for (size_t i = 0; i < 1025; i++) memcpy(numbers + 2 * i, i ? ",9" : " 9", 3);
    snprintf(body, sizeof body, "{\"tokens\":[%s]}", numbers);
    refused(&other, "/detokenize", body, "1025 token ids; at most 1024");
    snprintf(body, sizeof body, "{\"tokens\":[%s]}", numbers + 2 + 0);
    body[11] = ' '; /* one fewer */
    a = http_post(&other, "/detokenize", body);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    daemon_stop(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_empty_prompt_without_start_token),
        cmocka_unit_test(test_strict_and_any_model),
        cmocka_unit_test(test_unknown_fields_are_logged_once),
        cmocka_unit_test(test_strict_knows_all_levels),
        cmocka_unit_test(test_tokenize_has_limits_of_its_own),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
