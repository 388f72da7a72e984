/* What is refused, and what a slow reader meets. */
#include <poll.h>
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
    /* Overload is said by 429 alone: a balancer that followed the queue would flap. */
    struct answer a = http_get(&d, "/ready");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    assert_true(metric(&d, "prenorm_ready") == 1);
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

static struct answer post_repeated(const struct daemon *d, const char *before, const char *element,
                                   size_t count, const char *after) {
    char *body = malloc(strlen(before) + count * strlen(element) + strlen(after) + 1),
         *end = stpcpy(body, before);
    for (size_t i = 0; i < count; i++) end = stpcpy(end, element);
    stpcpy(end, after);
    struct answer a = http_post(d, "/v1/completions", body);
    free(body);
    return a;
}

static void expect_refusal(struct answer a, long status, const char *fragment) {
    assert_int_equal(a.status, status);
    if (!strstr(a.body, fragment)) fail_msg("no '%s' in %s", fragment, a.body);
    answer_free(&a);
}

/* Bodies of few bytes that would become large trees. */
static void test_body_of_many_values(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--json-values-max", "50000", "--read-memory-mib", "8", NULL);
    expect_refusal(post_repeated(&d, "{\"prompt\":[{}", ",{}", 49997, "]}"), 413,
                   "at most 8192 KiB are allowed");
    expect_refusal(post_repeated(&d, "{\"prompt\":[{}", ",{}", 49998, "]}"), 413,
                   "has 50001 JSON values; at most 50000 are allowed");
    expect_refusal(post_repeated(&d, "{\"prompt\":[1", ",1", 49990, "]}"), 400, "context_length_exceeded");
    expect_refusal(post_repeated(&d, "{\"prompt\":[1", ",1", 1000, "]}"), 200, "text_completion");
    assert_true(metric(&d, "prenorm_reading_memory_bytes") == 0);
    daemon_stop(&d);
}

/* A whole answer that needs more memory than there is for all of them is refused by its size, whether it grows beyond that
 * or is written beyond it: coming again would not help. */
static void test_memory_for_answers(void **state) {
    (void)state;
    static const char large[] =
        "{\"prompt\":\"a\",\"max_tokens\":2000,\"n\":8,\"logprobs\":20,\"ignore_eos\":true}";
    /* Its buffers fit, and the answer beside them does not. */
    static const char written[] =
        "{\"prompt\":\"a\",\"max_tokens\":700,\"n\":3,\"logprobs\":20,\"ignore_eos\":true}";
    struct daemon d;
    daemon_start_fake(&d, "fake", "--answer-memory-mib", "1", NULL);
    struct answer a = http_post(&d, "/v1/completions", large);
    assert_null(answer_header(&a, "Retry-After"));
    expect_refusal(a, 413, "which this server has 1024 KiB (answer-memory-mib). Ask for fewer tokens");
    expect_refusal(http_post(&d, "/v1/completions", written), 413, "of the memory for requests and answers");
    wait_metric(&d, "prenorm_answer_memory_bytes", 0);
    json_decref(complete(&d, "{\"prompt\":\"a\",\"max_tokens\":100,\"logprobs\":5}"));
    daemon_stop(&d);
    daemon_start_fake(&d, "fake", "--answer-memory-mib", "64", NULL);
    expect_refusal(http_post(&d, "/v1/completions", large), 200, "text_completion");
    wait_metric(&d, "prenorm_answer_memory_bytes", 0);
    daemon_stop(&d);
}

/* The value of a sample once it does not change any more, nor for a while in which a busy machine has let nothing run. */
static double wait_until_still(const struct daemon *d, const char *name) {
    double last = -1, now = metric(d, name);
    for (int same = 0, i = 0; same < 3 && i < PATIENCE_SECONDS; i++, now = metric(d, name)) {
        same = now == last ? same + 1 : 0;
        last = now;
        sleep_ms(300);
    }
    return now;
}

/* Reads until so many streams have ended: by the last chunk of each, which no other text looks like. */
static void drain_streams(int fd, int streams) {
    static const char mark[] = "\r\n0\r\n\r\n";
    static char buffer[1 << 16];
    size_t kept = 0;
    while (streams > 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, PATIENCE_SECONDS * 1000) != 1) fail_msg("%d streams do not go on", streams);
        ssize_t got = read(fd, buffer + kept, sizeof buffer - 1 - kept);
        assert_true(got > 0);
        buffer[kept + (size_t)got] = '\0';
        const char *at = buffer;
        for (const char *found; (found = strstr(at, mark)); at = found + sizeof mark - 1) streams--;
        kept = strlen(at) < sizeof mark ? strlen(at) : sizeof mark - 2; /* may be the start of one */
        memmove(buffer, buffer + strlen(buffer) - kept, kept);
    }
}

/* Streams whose clients do not read share one store; each goes on when its own client reads. */
static void test_streams_share_memory(void **state) {
    (void)state;
#if defined __SANITIZE_THREAD__ && TEST_SHARE
    skip(); /* 75 MiB of JSON by one thread: a while there; test_reader_goes_on has the same threads */
#endif
    enum { CLIENTS = TEST_SHARE ? 4 : 8 };
    struct daemon d;
    int fds[CLIENTS], small = 65536;
    daemon_start_fake(&d, "fake", "--answer-memory-mib", "2", "--stall-timeout-seconds", "600", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = raw_connect(&d);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        /* Each stream alone is more than the kernel buffers: none can end unread. */
        raw_post(fds[i], "{\"prompt\":\"Once\",\"max_tokens\":1200,\"ignore_eos\":true,\"logprobs\":20,"
                         "\"n\":8,\"stream\":true}");
    }
    wait_metric_above(&d, "prenorm_answer_memory_bytes", 1400000);
    wait_until_still(&d, "prenorm_events_delivered_total");
    /* Three quarters, and what one buffer may grow by at once. */
    assert_true(metric(&d, "prenorm_answer_memory_bytes") < 3 << 20);
    for (int i = CLIENTS - 1; i >= 0; i--) {
        drain_streams(fds[i], 1);
        close(fds[i]);
    }
    wait_metric(&d, "prenorm_answer_memory_bytes", 0);
    daemon_stop(&d);
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
                      "--max-pending-events", "8", NULL);
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
    daemon_start_fake(&d, "fake", "--reply-bytes-max", "4096", "--max-pending-events", "4", NULL);
    static const char fields[] = "\"prompt\":[\"Once\",\"Twice\"],\"max_tokens\":2000,\"n\":3,\"seed\":5,"
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
    assert_true(wait_until_still(&d, "prenorm_events_delivered_total") < 6 * 2001);
    text = raw_read_all(fd, &length);
    assert_non_null(strstr(text, "data: [DONE]\n\n"));
    size_t chunks = 0;
    /* memchr: the sanitizers' strstr looks at the whole rest each time. */
    for (const char *line = text; line;
         line = memchr(line, '\n', (size_t)(text + length - line)), line += line != NULL)
        chunks += strncmp(line, "data: {", 7) == 0;
    assert_int_equal(chunks, 6 * 2001);
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
        cmocka_unit_test(test_queue_full),           cmocka_unit_test(test_queue_takes_all_or_none),
        cmocka_unit_test(test_body_store_full),      cmocka_unit_test(test_body_too_large),
        cmocka_unit_test(test_body_of_many_values),  cmocka_unit_test(test_memory_for_answers),
        cmocka_unit_test(test_streams_share_memory), cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_reader_goes_on),       cmocka_unit_test(test_half_sent),
        cmocka_unit_test(test_connections_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
