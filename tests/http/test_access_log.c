/* One line for each request that is over, whatever became of it: asked of the real daemon. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static char path[64];

static int make_path(void **state) {
    (void)state;
    strcpy(path, "/tmp/prenorm-access-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

/* The line of the request with this id, once it is there. */
static json_t *wait_line(const char *file, const char *id) {
    char line[4096], wanted[200];
    snprintf(wanted, sizeof wanted, "\"id\":\"%s\"", id);
    for (int i = 0; i < 2400; i++) {
        FILE *f = fopen(file, "re");
        while (f && fgets(line, sizeof line, f)) {
            if (!strstr(line, wanted) || !strchr(line, '\n')) continue;
            fclose(f);
            json_t *object = json_loads(line, 0, NULL);
            assert_non_null(object);
            return object;
        }
        if (f) fclose(f);
        sleep_ms(25);
    }
    fail_msg("no line of %s", id);
    return NULL;
}

static void check_text(const json_t *line, const char *key, const char *value) {
    const char *found = json_string_value(json_object_get(line, key));
    if (value)
        assert_string_equal(found, value);
    else
        assert_true(json_is_null(json_object_get(line, key)));
}

static void check_line(const char *id, int status, const char *outcome, const char *reason, int prompt,
                       int generated) {
    json_t *line = wait_line(path, id);
    check_text(line, "outcome", outcome);
    check_text(line, "reason", reason);
    check_text(line, "client", "127.0.0.1");
    if (status)
        assert_int_equal(json_integer_value(json_object_get(line, "status")), status);
    else
        assert_true(json_is_null(json_object_get(line, "status")));
    const json_t *tokens = json_object_get(line, "prompt_tokens");
    if (prompt >= 0)
        assert_int_equal(json_integer_value(tokens), prompt);
    else
        assert_true(json_is_null(tokens));
    if (generated >= 0) {
        assert_int_equal(json_integer_value(json_object_get(line, "generated_tokens")), generated);
        double total = json_real_value(json_object_get(line, "total_seconds"));
        double first = json_real_value(json_object_get(line, "first_token_seconds"));
        assert_true(total >= first && first > 0);
    }
    json_decref(line);
}

static void post(const struct daemon *d, const char *id, const char *body) {
    char header[200];
    snprintf(header, sizeof header, "X-Request-Id: %s", id);
    const char *const headers[] = {header, NULL};
    struct answer a = http_request(d, "POST", "/v1/completions", headers, body, strlen(body));
    answer_free(&a);
}

static void raw_post_as(int fd, const char *id, const char *body) {
    char text[1024];
    snprintf(text, sizeof text,
             "POST /v1/completions HTTP/1.1\r\nHost: t\r\nX-Request-Id: %s\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             id, strlen(body), body);
    raw_send(fd, text);
}

/* Whole answers and streams, in each way they can end by themselves. */
static void test_ends(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--access-log", path, "--log-format", "json", NULL);
    post(&d, "whole", "{\"prompt\":\"abcd\",\"max_tokens\":7,\"ignore_eos\":true}");
    check_line("whole", 200, "length", NULL, 4, 7);
    post(&d, "stream", "{\"prompt\":[\"ab\",\"c\"],\"max_tokens\":5,\"ignore_eos\":true,\"stream\":true}");
    check_line("stream", 200, "length", NULL, 3, 10);
    post(&d, "stop", "{\"prompt\":\"a\",\"max_tokens\":5,\"min_tokens\":0,\"logit_bias\":{\"256\":100}}");
    check_line("stop", 200, "stop", NULL, 1, 1);
    post(&d, "bad", "{\"prompt\":\"a\",\"max_tokens\":-1}");
    check_line("bad", 400, "refused", "invalid", -1, -1);
    post(&d, "none", "{\"prompt\":\"a\",\"model\":\"other\"}");
    check_line("none", 404, "refused", "model_not_found", -1, -1);
    char *log;
    kill(d.pid, SIGTERM);
    assert_int_equal(daemon_wait(&d, &log), 0);
    assert_non_null(
        strstr(log, "\"level\":\"info\",\"message\":\"request bad: POST /v1/completions 400 invalid\"}"));
    assert_non_null(strstr(log, "\"message\":\"stopped: drained in "));
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        json_decref(object);
    }
    free(log);
}

static void test_trace_and_hostile_path(void **state) {
    (void)state;
    struct daemon d;
    static const char good[] = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    static const char bad[] = "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
    const char *const headers[][4] = {{"X-Request-Id: good", good, NULL},
                                      {"X-Request-Id: bad", bad, NULL},
                                      {"X-Request-Id: two", good, good, NULL}};
    daemon_start_fake(&d, "fake", "--access-log", path, "--log-format", "json", "--trusted-proxy",
                      "127.0.0.1", NULL);
    for (size_t i = 0; i < 3; i++) {
        struct answer a = http_request(&d, "GET", "/a%0a%22%ff?secret=1", headers[i], NULL, 0);
        assert_int_equal(a.status, 404);
        answer_free(&a);
        json_t *line = wait_line(path, headers[i][0] + strlen("X-Request-Id: "));
        check_text(line, "trace_id", i == 0 ? "4bf92f3577b34da6a3ce929d0e0e4736" : NULL);
        check_text(line, "path", "/a\n\"\xef\xbf\xbd");
        check_text(line, "method", "GET");
        json_decref(line);
    }
    const char *const through_proxy[] = {"X-Request-Id: far", "X-Forwarded-For: 9.9.9.9, 2001:db8::7", NULL};
    struct answer a = http_request(&d, "GET", "/health", through_proxy, NULL, 0);
    answer_free(&a);
    json_t *line = wait_line(path, "far");
    check_text(line, "client", "2001:db8::7");
    check_text(line, "outcome", "ok");
    json_decref(line);
    daemon_stop(&d);
}

/* Who ended what did not end by itself. */
static void test_cancelled(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "token-ms=20", "--access-log", path, "--log-format", "json", "--drain-seconds", "0",
                      NULL);
    int fd = raw_connect(&d);
    raw_post_as(fd, "left", "{\"prompt\":\"ab\",\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    raw_read_until(fd, "data: {");
    close(fd);
    json_t *line = wait_line(path, "left");
    check_text(line, "outcome", "cancelled");
    check_text(line, "reason", "client");
    assert_int_equal(json_integer_value(json_object_get(line, "prompt_tokens")), 2);
    assert_true(json_integer_value(json_object_get(line, "generated_tokens")) >= 1);
    json_decref(line);
    post(&d, "late", "{\"prompt\":\"ab\",\"max_tokens\":2000,\"ignore_eos\":true,\"timeout_ms\":200}");
    line = wait_line(path, "late");
    check_text(line, "outcome", "timeout");
    json_decref(line);
    fd = raw_connect(&d);
    raw_post_as(fd, "cut", "{\"prompt\":\"ab\",\"max_tokens\":2000,\"ignore_eos\":true}");
    wait_metric(&d, "prenorm_sequences_running", 1);
    char *log;
    kill(d.pid, SIGTERM);
    assert_int_equal(daemon_wait(&d, &log), 0);
    close(fd);
    line = wait_line(path, "cut");
    check_text(line, "outcome", "cancelled");
    check_text(line, "reason", "shutdown");
    json_decref(line);
    assert_non_null(strstr(log, ", requests cut short: 1"));
    free(log);
}

/* A stream whose reader does not read is ended for that. */
static void test_stalled_reader(void **state) {
    (void)state;
    struct daemon d;
    int small = 4096;
    daemon_start_fake(&d, "fake", "--access-log", path, "--log-format", "json", "--reply-bytes-max", "4096",
                      "--stall-timeout-seconds", "1", NULL);
    int fd = raw_connect(&d);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_post_as(fd, "stalled",
                "{\"prompt\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"],\"max_tokens\":2000,\"ignore_"
                "eos\":true,"
                "\"stream\":true,\"logprobs\":20}");
    json_t *line = wait_line(path, "stalled");
    check_text(line, "outcome", "cancelled");
    check_text(line, "reason", "reader");
    assert_int_equal(json_integer_value(json_object_get(line, "prompt_tokens")), 8);
    json_decref(line);
    close(fd);
    daemon_stop(&d);
}

/* A stream that fails has status 200 and is counted all the same. */
static void test_failing(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fail-at=3", "--access-log", path, "--log-format", "json", NULL);
    post(&d, "stream", "{\"prompt\":\"a\",\"max_tokens\":9,\"ignore_eos\":true,\"stream\":true}");
    check_line("stream", 200, "failed", "internal", 1, 3);
    assert_true(metric(&d, "prenorm_http_streams_failed_total") == 1);
    assert_true(metric(&d, "prenorm_http_rejected_total{reason=\"internal\"}") == 1);
    assert_true(metric(&d, "prenorm_sequences_finished_total{reason=\"failed\"}") == 1);
    post(&d, "whole", "{\"prompt\":\"a\",\"max_tokens\":9,\"ignore_eos\":true}");
    check_line("whole", 500, "failed", "internal", 1, 3);
    assert_true(metric(&d, "prenorm_http_streams_failed_total") == 1);
    assert_true(metric(&d, "prenorm_http_rejected_total{reason=\"internal\"}") == 2);
    daemon_stop(&d);
}

static void test_rotation(void **state) {
    (void)state;
    struct daemon d;
    char old[80];
    snprintf(old, sizeof old, "%s.1", path);
    daemon_start_fake(&d, "fake", "--access-log", path, "--log-format", "json", NULL);
    post(&d, "before", "{\"prompt\":\"a\"}");
    json_decref(wait_line(path, "before"));
    assert_int_equal(rename(path, old), 0);
    kill(d.pid, SIGHUP);
    for (int i = 0; access(path, F_OK) != 0; i++) {
        assert_true(i < 2400);
        sleep_ms(25);
    }
    post(&d, "after", "{\"prompt\":\"a\"}");
    /* The new file may be there a moment before it is used. */
    for (int i = 0; i < 2400; i++) {
        FILE *f = fopen(path, "re");
        assert_non_null(f);
        bool is_used = fgetc(f) != EOF;
        fclose(f);
        if (is_used) break;
        post(&d, "after", "{\"prompt\":\"a\"}");
        sleep_ms(25);
    }
    json_decref(wait_line(path, "after"));
    json_decref(wait_line(old, "before"));
    daemon_stop(&d);
    unlink(old);
}

static void test_full_disk(void **state) {
    (void)state;
    struct daemon d;
    if (access("/dev/full", W_OK) != 0) skip();
    daemon_start_fake(&d, "fake", "--access-log", "/dev/full", NULL);
    for (int i = 0; i < 3; i++) post(&d, "x", "{\"prompt\":\"a\"}");
    assert_true(metric(&d, "prenorm_access_log_lines_dropped_total") >= 3);
    daemon_stop(&d);
}

/* The times of an answer, for who asks and for every whole one. */
static void test_timings(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", NULL);
    struct answer a = http_post(
        &d, "/v1/completions", "{\"prompt\":\"abcd\",\"max_tokens\":7,\"ignore_eos\":true,\"timings\":true}");
    const char *header = answer_header(&a, "Server-Timing");
    assert_non_null(header);
    assert_int_equal(strncmp(header, "queue;dur=", 10), 0);
    assert_non_null(strstr(header, ", total;dur="));
    json_t *answer = answer_json(&a), *timings = json_object_get(answer, "timings");
    assert_int_equal(json_integer_value(json_object_get(timings, "prompt_n")), 4);
    assert_int_equal(json_integer_value(json_object_get(timings, "predicted_n")), 7);
    assert_true(json_is_real(json_object_get(timings, "predicted_ms")));
    json_decref(answer);
    answer_free(&a);
    static const char *const streams[] = {
        "{\"prompt\":\"a\",\"max_tokens\":3,\"n\":2,\"ignore_eos\":true,\"stream\":true,\"timings\":true}",
        "{\"prompt\":\"a\",\"max_tokens\":3,\"n\":2,\"ignore_eos\":true,\"stream\":true,\"timings\":true,"
        "\"stream_options\":{\"include_usage\":true}}"};
    for (size_t i = 0; i < 2; i++) {
        a = http_post(&d, "/v1/completions", streams[i]);
        const char *found = strstr(a.body, "\"timings\":{");
        assert_non_null(found);
        assert_non_null(strstr(found, "}}\n\ndata: [DONE]\n\n"));
        assert_null(strstr(found + 1, "\"timings\""));
        assert_null(strstr(found, "\"object\""));
        assert_null(answer_header(&a, "Server-Timing"));
        answer_free(&a);
    }
    a = http_post(&d, "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":3}");
    assert_null(strstr(a.body, "timings"));
    answer_free(&a);
    daemon_stop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ends, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_trace_and_hostile_path, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_cancelled, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_stalled_reader, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_failing, make_path, remove_path),
        cmocka_unit_test_setup_teardown(test_rotation, make_path, remove_path),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_timings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
