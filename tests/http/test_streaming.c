/* Server-sent events: framing, what the chunks add up to, usage, errors in mid-stream, pings. */
#include "tests/http/support_http.h"

#include <signal.h>
#include <unistd.h>

static struct daemon d;

static int start(void **state) {
    (void)state;
    daemon_start_fake(&d, "token-ms=1", NULL);
    return 0;
}

static int stop(void **state) {
    (void)state;
    daemon_stop(&d);
    return 0;
}

/* Every event of a stream as JSON, in an array; [DONE] must be the last and is not part of it. */
static json_t *stream(const struct daemon *daemon, const char *body) {
    struct answer a = http_post(daemon, "/v1/completions", body);
    json_t *events = json_array();
    assert_int_equal(a.status, 200);
    assert_int_equal(a.error, 0);
    assert_string_equal(answer_header(&a, "Content-Type"), "text/event-stream");
    assert_string_equal(answer_header(&a, "Cache-Control"), "no-cache");
    assert_string_equal(answer_header(&a, "X-Accel-Buffering"), "no");
    assert_non_null(answer_header(&a, "X-Request-Id"));
    char *at = a.body;
    while (at && *at) {
        char *end = strstr(at, "\n\n");
        assert_non_null(end);
        *end = '\0';
        assert_int_equal(strncmp(at, "data: ", 6), 0);
        if (strcmp(at, "data: [DONE]") == 0) {
            assert_int_equal(end[2], '\0');
            break;
        }
        json_t *event = json_loads(at + 6, 0, NULL);
        assert_non_null(event);
        json_array_append_new(events, event);
        at = end + 2;
    }
    answer_free(&a);
    return events;
}

static const json_t *choice_of(const json_t *event) {
    return json_array_get(json_object_get(event, "choices"), 0);
}

/* The texts of one choice, put together. */
static char *text_of(const json_t *events, int index) {
    char *text = calloc(1, 1 << 16);
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *choice = choice_of(json_array_get(events, i));
        if (choice && json_integer_value(json_object_get(choice, "index")) == index)
            strcat(text, json_string_value(json_object_get(choice, "text")));
    }
    return text;
}

static void check_same_text(const char *fields) {
    char body[512];
    snprintf(body, sizeof body, "{%s,\"stream\":true}", fields);
    json_t *events = stream(&d, body);
    snprintf(body, sizeof body, "{%s}", fields);
    json_t *plain = complete(&d, body);
    const json_t *choices = json_object_get(plain, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++) {
        char *text = text_of(events, (int)i);
        assert_string_equal(text, choice_text(plain, i));
        free(text);
    }
    json_decref(events);
    json_decref(plain);
}

static void test_chunks_add_up(void **state) {
    (void)state;
    check_same_text("\"prompt\":\"Once\",\"temperature\":0,\"max_tokens\":40");
    check_same_text("\"prompt\":[\"ab\",\"cd\"],\"n\":3,\"seed\":1,\"max_tokens\":12");
    check_same_text("\"prompt\":\"Once\",\"seed\":4,\"max_tokens\":60,\"stop\":[\"a\",\"the\"]");
    check_same_text("\"prompt\":\"Once\",\"seed\":4,\"max_tokens\":9,\"echo\":true");
    check_same_text("\"prompt\":\"Once\",\"seed\":4,\"max_tokens\":0,\"echo\":true");
}

/* One finish_reason a choice, in its last chunk; null before. */
static void test_finish_reason_comes_once(void **state) {
    (void)state;
    json_t *events = stream(
        &d, "{\"prompt\":\"Once\",\"temperature\":0,\"max_tokens\":5,\"ignore_eos\":true,\"stream\":true}");
    size_t count = json_array_size(events);
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        const json_t *event = json_array_get(events, i),
                     *reason = json_object_get(choice_of(event), "finish_reason");
        assert_null(json_object_get(event, "usage"));
        if (i + 1 < count)
            assert_true(json_is_null(reason));
        else
            assert_string_equal(json_string_value(reason), "length");
    }
    json_decref(events);
}

static void test_usage(void **state) {
    (void)state;
    json_t *events = stream(&d, "{\"prompt\":\"Once\",\"max_tokens\":5,\"ignore_eos\":true,\"stream\":true,"
                                "\"stream_options\":{\"include_usage\":true}}");
    size_t count = json_array_size(events);
    for (size_t i = 0; i + 1 < count; i++)
        assert_true(json_is_null(json_object_get(json_array_get(events, i), "usage")));
    const json_t *last = json_array_get(events, count - 1);
    assert_int_equal(json_array_size(json_object_get(last, "choices")), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(last, "usage"), "completion_tokens")),
                     5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(last, "usage"), "prompt_tokens")), 4);
    json_decref(events);
}

/* Elements of logprobs in the stream, put together, are those of the plain answer. */
static void test_logprobs_add_up(void **state) {
    (void)state;
    static const char *const lists[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
    json_t *plain = complete(
        &d, "{\"prompt\":\"Once\",\"n\":2,\"seed\":2,\"max_tokens\":8,\"logprobs\":2,\"echo\":true}");
    json_t *events = stream(&d, "{\"prompt\":\"Once\",\"n\":2,\"seed\":2,\"max_tokens\":8,\"logprobs\":2,"
                                "\"echo\":true,\"stream\":true}");
    for (size_t l = 0; l < 4; l++)
        for (size_t index = 0; index < 2; index++) {
            json_t *joined = json_array();
            for (size_t i = 0; i < json_array_size(events); i++) {
                const json_t *choice = choice_of(json_array_get(events, i));
                if (json_integer_value(json_object_get(choice, "index")) != (json_int_t)index) continue;
                json_array_extend(joined, json_object_get(json_object_get(choice, "logprobs"), lists[l]));
            }
            const json_t *choice = json_array_get(json_object_get(plain, "choices"), index);
            assert_true(json_equal(joined, json_object_get(json_object_get(choice, "logprobs"), lists[l])));
            json_decref(joined);
        }
    json_decref(events);
    json_decref(plain);
}

/* The status waits for admission: a refused request is a plain error. */
static void test_refusal_is_plain(void **state) {
    (void)state;
    struct answer a =
        http_post(&d, "/v1/completions", "{\"prompt\":\"a\",\"temperature\":9,\"stream\":true}");
    assert_int_equal(a.status, 400);
    assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    answer_free(&a);
}

static void test_error_in_mid_stream(void **state) {
    (void)state;
    struct daemon failing;
    daemon_start_fake(&failing, "fail-at=4,token-ms=1", NULL);
    struct answer a = http_post(&failing, "/v1/completions",
                                "{\"prompt\":\"a\",\"temperature\":0,\"ignore_eos\":true,\"stream\":true}");
    assert_int_equal(a.status, 200);
    assert_int_equal(a.error, 0);
    assert_non_null(strstr(a.body, "data: {\"error\":{\"message\":"));
    assert_non_null(strstr(a.body, "\"code\":\"internal_error\""));
    assert_null(strstr(a.body, "[DONE]"));
    assert_null(strstr(a.body, "told to fail")); /* no internals */
    answer_free(&a);
    a = http_post(&failing, "/v1/completions", "{\"prompt\":\"a\",\"temperature\":0,\"ignore_eos\":true}");
    assert_int_equal(a.status, 500);
    assert_string_equal(answer_header(&a, "x-should-retry"), "false");
    answer_free(&a);
    daemon_stop(&failing);
}

static const char *finish_of(const json_t *answer, size_t index, const char *name) {
    return json_string_value(
        json_object_get(json_array_get(json_object_get(answer, "choices"), index), name));
}

/* What was generated in time is kept, in the whole answer as in the stream. */
static void test_time_limit_keeps_what_there_is(void **state) {
    (void)state;
    struct daemon slow;
    daemon_start_fake(&slow, "late-at=3", NULL);
    json_t *whole = complete(
        &slow, "{\"prompt\":\"a\",\"max_tokens\":2000,\"n\":2,\"ignore_eos\":true,\"timeout_ms\":900}");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(strlen(choice_text(whole, i)), 3);
        assert_string_equal(finish_of(whole, i, "finish_reason"), "length");
        assert_string_equal(finish_of(whole, i, "stop_reason"), "timeout");
    }
    json_t *usage = json_object_get(whole, "usage");
    assert_int_equal(json_integer_value(json_object_get(usage, "completion_tokens")), 6);
    json_decref(whole);
    struct answer a = http_post(
        &slow, "/v1/completions",
        "{\"prompt\":\"a\",\"max_tokens\":2000,\"ignore_eos\":true,\"timeout_ms\":900,\"stream\":true}");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"finish_reason\":\"length\",\"stop_reason\":\"timeout\""));
    assert_non_null(strstr(a.body, "data: [DONE]\n\n"));
    assert_null(strstr(a.body, "\"error\""));
    answer_free(&a);
    daemon_stop(&slow);
}

/* Nothing was generated: a failure, which no client library should repeat by itself. */
static void test_time_limit_before_any_token(void **state) {
    (void)state;
    struct daemon slow;
    daemon_start_fake(&slow, "token-ms=20", "--max-sequences", "1", NULL);
    int fd = raw_connect(&slow);
    raw_post(fd,
             "{\"prompt\":\"a\",\"max_tokens\":2000,\"ignore_eos\":true}"); /* the others wait behind it */
    wait_metric(&slow, "prenorm_sequences_running", 1);
    struct answer a = http_post(&slow, "/v1/completions", "{\"prompt\":\"a\",\"timeout_ms\":100}");
    assert_int_equal(a.status, 408);
    assert_string_equal(answer_header(&a, "x-should-retry"), "false");
    assert_non_null(strstr(a.body, "\"code\":\"timeout\""));
    answer_free(&a);
    a = http_post(&slow, "/v1/completions", "{\"prompt\":\"a\",\"timeout_ms\":100,\"n\":3,\"stream\":true}");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"code\":\"timeout\""));
    assert_null(strstr(a.body, "finish_reason"));
    answer_free(&a);
    close(fd);
    daemon_stop(&slow);
}

/* The header goes out with the admission, not with the first token; silence is broken by a comment. */
static void test_header_and_ping_while_silent(void **state) {
    (void)state;
    struct daemon silent;
    daemon_start_fake(&silent, "token-ms=17000", NULL);
    int fd = raw_connect(&silent);
    raw_post(fd, "{\"prompt\":\"a\",\"max_tokens\":3,\"stream\":true}");
    raw_post(fd, "{\"prompt\":\"a\",\"max_tokens\":3,\"stream\":true}"); /* waits its turn */
    raw_read_until(fd, "text/event-stream");
    raw_read_until(fd, ": ping\n\n");
    kill(silent.pid, SIGTERM);
    wait_logged(&silent, "draining: ");
    kill(silent.pid, SIGTERM); /* a token takes 17 seconds: what still runs is cut short */
    daemon_wait(&silent, NULL);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_add_up),
        cmocka_unit_test(test_finish_reason_comes_once),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_logprobs_add_up),
        cmocka_unit_test(test_refusal_is_plain),
        cmocka_unit_test(test_error_in_mid_stream),
        cmocka_unit_test(test_time_limit_keeps_what_there_is),
        cmocka_unit_test(test_time_limit_before_any_token),
        cmocka_unit_test(test_header_and_ping_while_silent),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
