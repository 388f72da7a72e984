/* The end: what was admitted is finished, what is new is refused, the listener closes last. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/http/support_http.h"

enum { CLIENTS = 12 };

struct client {
    const struct daemon *daemon;
    pthread_t thread;
    struct answer answer;
    bool is_stream;
};

static void *run_client(void *context) {
    struct client *c = context;
    c->answer = http_post(
        c->daemon, "/v1/completions",
        c->is_stream
            ? "{\"prompt\":\"Once\",\"max_tokens\":60,\"temperature\":0,\"ignore_eos\":true,\"stream\":true}"
            : "{\"prompt\":\"Once\",\"max_tokens\":60,\"temperature\":0,\"ignore_eos\":true}");
    return NULL;
}

static void start_clients(const struct daemon *d, struct client *clients) {
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.daemon = d, .is_stream = i % 2};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
}

static void test_drain_under_load(void **state) {
    (void)state;
    struct daemon d;
    struct client clients[CLIENTS];
    daemon_start_fake(&d, "token-ms=10", "--max-sequences", "8", NULL);
    start_clients(&d, clients);
    /* All are there: as many may wait for a moment before the first run. */
    wait_metric(&d, "prenorm_sequences_running", 8);
    wait_metric(&d, "prenorm_sequences_waiting", CLIENTS - 8);
    kill(d.pid, SIGTERM);
    sleep_ms(50);
    struct answer a = http_post(&d, "/v1/completions", "{\"prompt\":\"late\"}");
    assert_int_equal(a.status, 503);
    assert_string_equal(answer_header(&a, "Connection"), "close");
    assert_non_null(answer_header(&a, "Retry-After"));
    assert_non_null(strstr(a.body, "\"code\":\"draining\""));
    answer_free(&a);
    a = http_get(&d, "/ready");
    assert_int_equal(a.status, 503);
    assert_string_equal(answer_header(&a, "Connection"), "close");
    answer_free(&a);
    a = http_get(&d, "/health");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        pthread_join(c->thread, NULL);
        assert_int_equal(c->answer.error, 0);
        assert_int_equal(c->answer.status, 200);
        if (c->is_stream)
            assert_non_null(strstr(c->answer.body, "data: [DONE]\n\n"));
        else
            assert_non_null(strstr(c->answer.body, "\"completion_tokens\":60"));
        answer_free(&c->answer);
    }
    assert_int_equal(daemon_wait(&d, NULL), 0);
}

/* Past the limit, or after a second signal, what runs is told that it ends. */
static void check_cut_short(const char *seconds, bool signal_twice) {
    struct daemon d;
    daemon_start_fake(&d, "token-ms=10", "--drain-seconds", seconds, NULL);
    int plain = raw_connect(&d), stream = raw_connect(&d);
    raw_post(plain, "{\"prompt\":\"a\",\"max_tokens\":2000,\"ignore_eos\":true}");
    raw_post(stream, "{\"prompt\":\"a\",\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    wait_metric(&d, "prenorm_sequences_running", 2);
    raw_read_until(stream, "data: {");
    double begun = clock_seconds();
    kill(d.pid, SIGTERM);
    if (signal_twice) {
        sleep_ms(100);
        kill(d.pid, SIGINT);
    }
    size_t length;
    char *text = raw_read_all(plain, &length);
    assert_int_equal(strncmp(text, "HTTP/1.1 503 ", 13), 0);
    assert_non_null(strstr(text, "\"code\":\"draining\""));
    free(text);
    text = raw_read_all(stream, &length);
    assert_non_null(strstr(text, "data: {\"error\":"));
    assert_null(strstr(text, "[DONE]"));
    free(text);
    close(plain);
    close(stream);
    assert_int_equal(daemon_wait(&d, NULL), 0);
    assert_true(clock_seconds() - begun < 15);
}

static void test_limit(void **state) {
    (void)state;
    check_cut_short("1", false);
}

static void test_second_signal(void **state) {
    (void)state;
    check_cut_short("600", true);
}

static bool has_ended(const struct daemon *d) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == d->pid;
}

/* Whoever presses Ctrl-C on and on, or reads logs anew, does not turn an end into a death by that signal. */
static void test_signals_to_the_very_end(void **state) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct daemon d;
        daemon_start_fake(&d, "fake", NULL);
        kill(d.pid, SIGTERM);
        for (unsigned j = 0; !has_ended(&d); j++) kill(d.pid, numbers[j % 3]);
        assert_int_equal(daemon_wait(&d, NULL), 0);
    }
}

/* An idle connection does not hold the end up. */
static void test_idle_connection(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", NULL);
    int idle = raw_connect(&d), half = raw_connect(&d);
    raw_send(idle, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
    raw_read_until(idle, "ok");
    raw_send(half, "GET /hea");
    daemon_stop(&d);
    close(idle);
    close(half);
}

/* Whether a connection that was there before the signal has an answer to what it asks behind it. Another is silent, and does not
 * hold the end up for ever. */
static bool newcomer_is_answered(void) {
    static const char question[] = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n";
    struct daemon d;
    size_t length;
    daemon_start_fake(&d, "fake", NULL);
    int asks = raw_connect(&d), silent = raw_connect(&d);
    wait_metric(&d, "prenorm_http_connections", 3);
    kill(d.pid, SIGTERM);
    wait_logged(&d, "draining: ");
    sleep_ms(50); /* in which it would have stopped */
    send(asks, question, strlen(question), MSG_NOSIGNAL);
    char *text = raw_read_all(asks, &length);
    bool is_answered = strncmp(text, "HTTP/1.1 200 ", 13) == 0;
    free(text);
    assert_int_equal(daemon_wait(&d, NULL), 0);
    close(asks);
    close(silent);
    return is_answered;
}

/* On a machine so loaded that a second is over before either gets on, another time. */
static void test_newcomer(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++)
        if (newcomer_is_answered()) return;
    fail_msg("a connection is closed without an answer");
}

/* A client that never reads its answer is cut off at the limit. */
static void test_reader_that_does_not_read(void **state) {
    (void)state;
    struct daemon d;
    int small = 4096;
    daemon_start_fake(&d, "fake", "--drain-seconds", "1", NULL);
    int fd = raw_connect(&d);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 60; i++)
        raw_post(fd, "{\"prompt\":\"a\",\"max_tokens\":2000,\"ignore_eos\":true,\"logprobs\":20}");
    sleep_ms(300);
    daemon_stop(&d);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_under_load),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_second_signal),
        cmocka_unit_test(test_signals_to_the_very_end),
        cmocka_unit_test(test_idle_connection),
        cmocka_unit_test(test_newcomer),
        cmocka_unit_test(test_reader_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
