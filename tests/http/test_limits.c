/* What is refused, and what a slow reader meets. */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static const char long_plain[] = "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true}";

/* The queue has two places beside the one that runs. */
static void test_queue_full(void **state) {
    (void)state;
    struct daemon d;
    int fds[3];
    daemon_start_fake(&d, "token-ms=10", "--max-sequences", "1", "--max-queue", "2", NULL);
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(&d);
        raw_post(fds[i], long_plain);
        if (i == 0) wait_metric(&d, "prenorm_sequences_running", 1);
    }
    wait_metric(&d, "prenorm_sequences_waiting", 2);
    for (int i = 0; i < 2; i++) {
        struct answer a =
            http_post(&d, "/v1/completions", i ? "{\"prompt\":\"a\",\"stream\":true}" : "{\"prompt\":\"a\"}");
        assert_int_equal(a.status, 429);
        assert_string_equal(answer_header(&a, "Retry-After"), "7");
        assert_non_null(strstr(a.body, "\"code\":\"queue_full\""));
        answer_free(&a);
    }
    struct answer a = http_get(&d, "/ready");
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body, "\"code\":\"queue_full\""));
    answer_free(&a);
    assert_true(metric(&d, "prenorm_http_rejected_total{reason=\"queue_full\"}") == 2);
    for (int i = 0; i < 3; i++) close(fds[i]);
    wait_metric(&d, "prenorm_sequences_waiting", 0);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    daemon_stop(&d);
}

/* Of several prompts all are admitted or none. */
static void test_queue_takes_all_or_none(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--max-queue", "4", NULL);
    struct answer a = http_post(&d, "/v1/completions", "{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":2}");
    assert_int_equal(a.status, 429);
    answer_free(&a);
    assert_true(metric(&d, "prenorm_sequences_waiting") == 0);
    json_decref(complete(&d, "{\"prompt\":[\"a\",\"b\"],\"n\":2}"));
    daemon_stop(&d);
}

/* Bodies on their way take from one store. */
static void test_body_store_full(void **state) {
    (void)state;
    struct daemon d;
    char part[3001];
    int fds[3];
    daemon_start_fake(&d, "fake", "--body-bytes-max", "8192", "--encode-bytes-max", "8192", NULL);
    memset(part, ' ', 3000);
    part[3000] = '\0';
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(&d);
        raw_send(fds[i], "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 3014\r\n\r\n");
        raw_send(fds[i], part);
        if (i < 2) wait_metric(&d, "prenorm_http_body_bytes_held", 3000 * (i + 1));
    }
    raw_send(fds[2], "{\"prompt\":\"a\"}");
    assert_non_null(strstr(raw_read_until(fds[2], "queue_full"), "HTTP/1.1 429 "));
    raw_send(fds[0], "{\"prompt\":\"a\"}");
    raw_read_until(fds[0], "text_completion");
    for (int i = 0; i < 3; i++) close(fds[i]);
    wait_metric(&d, "prenorm_http_body_bytes_held", 0);
    daemon_stop(&d);
}

static void test_body_too_large(void **state) {
    (void)state;
    struct daemon d;
    enum { SIZE = 100000 };
    char *body = malloc(SIZE);
    const char *chunked[] = {"Transfer-Encoding: chunked", NULL}, *waits[] = {"Expect: 100-continue", NULL};
    daemon_start_fake(&d, "fake", "--body-bytes-max", "50000", NULL);
    memset(body, 'x', SIZE);
    for (int i = 0; i < 3; i++) {
        struct answer a = http_request(&d, "POST", "/v1/completions",
                                       i == 0   ? NULL
                                       : i == 1 ? chunked
                                                : waits,
                                       body, SIZE);
        assert_int_equal(a.status, 413);
        assert_non_null(strstr(a.body, "\"code\":\"body_too_large\""));
        answer_free(&a);
    }
    /* Far too much is not waited for. */
    int fd = raw_connect(&d);
    raw_send(fd, "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999\r\n\r\n{");
    assert_non_null(strstr(raw_read_until(fd, "body_too_large"), "HTTP/1.1 413 "));
    close(fd);
    fd = raw_connect(&d);
    raw_send(fd, "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n{");
    raw_read_until(fd, "HTTP/1.1 400 ");
    close(fd);
    free(body);
    daemon_stop(&d);
}

/* The value of a sample once it does not change any more. */
static double wait_until_still(const struct daemon *d, const char *name) {
    double last = -1, now = metric(d, name);
    for (int i = 0; i < 50 && now != last; i++, now = metric(d, name)) {
        last = now;
        sleep_ms(400);
    }
    return now;
}

/* Reads a little of a stream, then nothing: the sequence is paused, not the others; after a while it is
 * cancelled. */
static void test_slow_reader(void **state) {
    (void)state;
    struct daemon d;
    enum { STREAMS = 20 };
    int small = 4096, large = 1 << 20, whole = 0;
    size_t length;
    daemon_start_fake(&d, "fake", "--reply-bytes-max", "4096", "--stall-timeout-seconds", "4",
                      "--mailbox-events", "8", NULL);
    int fd = raw_connect(&d);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < STREAMS; i++) /* more than the kernel buffers, which may take several whole streams */
        raw_post(
            fd,
            "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true,\"logprobs\":20,\"stream\":true}");
    raw_read_until(fd, "data: {");
    double events = wait_until_still(&d, "prenorm_events_delivered_total");
    assert_true(metric(&d, "prenorm_sequences_running") == 1);
    json_t *answer = complete(&d, "{\"prompt\":\"a\",\"max_tokens\":8,\"ignore_eos\":true}");
    json_decref(answer);
    sleep_ms(200);
    assert_true(metric(&d, "prenorm_events_delivered_total") == events + 9); /* the stream stood still */
    wait_metric(&d, "prenorm_http_stalled_readers_total", 1);
    wait_metric(&d, "prenorm_sequences_running", 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large); /* else megabytes come in kilobytes */
    char *rest = raw_read_all(fd, &length);
    for (const char *line = rest; line;
         line = memchr(line, '\n', (size_t)(rest + length - line)), line += line != NULL)
        whole += strncmp(line, "data: [DONE]", 12) == 0;
    assert_true(whole < STREAMS);
    free(rest);
    close(fd);
    daemon_stop(&d);
}

/* A reader that pauses and goes on gets everything; there is more than the kernel takes in between. */
static void test_reader_goes_on(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--reply-bytes-max", "4096", "--mailbox-events", "4", NULL);
    static const char fields[] = "\"prompt\":[\"Once\",\"Twice\"],\"max_tokens\":2000,\"n\":6,\"seed\":5,"
                                 "\"ignore_eos\":true,\"logprobs\":20";
    char body[256], *text = NULL;
    size_t length;
    snprintf(body, sizeof body, "{%s,\"stream\":true}", fields);
    int fd = raw_connect(&d);
    char head[256];
    snprintf(head, sizeof head,
             "POST /v1/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    raw_send(fd, head);
    raw_send(fd, body);
    assert_true(wait_until_still(&d, "prenorm_events_delivered_total") < 12 * 2001);
    text = raw_read_all(fd, &length);
    assert_non_null(strstr(text, "data: [DONE]\n\n"));
    size_t chunks = 0;
    /* memchr: the sanitizers' strstr looks at the whole rest each time. */
    for (const char *line = text; line;
         line = memchr(line, '\n', (size_t)(text + length - line)), line += line != NULL)
        chunks += strncmp(line, "data: {", 7) == 0;
    assert_int_equal(chunks, 12 * 2001);
    free(text);
    close(fd);
    daemon_stop(&d);
}

/* A header or a body that does not come. */
static void test_half_sent(void **state) {
    (void)state;
    struct daemon d;
    size_t length;
    daemon_start_fake(&d, "fake", "--idle-timeout-seconds", "2", "--read-timeout-seconds", "1", NULL);
    int line = raw_connect(&d), body = raw_connect(&d), silent = raw_connect(&d), dribble = raw_connect(&d);
    raw_send(line, "POST /v1/comp");
    raw_send(body, "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{\"prompt\":");
    raw_send(dribble, "GET /health HTTP/1.1\r\n");
    for (int i = 0; i < 15; i++, sleep_ms(100)) raw_send(dribble, "X");
    char *text = raw_read_all(body, &length);
    assert_int_equal(strncmp(text, "HTTP/1.1 408 ", 13), 0);
    assert_non_null(strstr(text, "\"code\":\"timeout\""));
    free(text);
    int quiet[3] = {line, silent, dribble};
    for (int i = 0; i < 3; i++) {
        text = raw_read_all(quiet[i], &length);
        assert_int_equal(length, 0);
        free(text);
        close(quiet[i]);
    }
    close(body);
    assert_true(metric(&d, "prenorm_http_connections_cut_total") == 4);
    daemon_stop(&d);
}

/* More connections than allowed wait; they are served when others end. */
static void test_connections_max(void **state) {
    (void)state;
    struct daemon d;
    int fds[4];
    daemon_start_fake(&d, "fake", "--connections-max", "3", NULL);
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_connect(&d);
        raw_send(fds[i], "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
        if (i < 3) raw_read_until(fds[i], "ok");
    }
    close(fds[0]);
    raw_read_until(fds[3], "ok");
    for (int i = 1; i < 4; i++) close(fds[i]);
    daemon_stop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_full),      cmocka_unit_test(test_queue_takes_all_or_none),
        cmocka_unit_test(test_body_store_full), cmocka_unit_test(test_body_too_large),
        cmocka_unit_test(test_slow_reader),     cmocka_unit_test(test_reader_goes_on),
        cmocka_unit_test(test_half_sent),       cmocka_unit_test(test_connections_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
