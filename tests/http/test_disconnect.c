/* A client that leaves frees what it held: in mid-stream, before the answer of a request without a stream,
 * and while it waits in the queue. What runs for others goes on. */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static struct daemon d;

static int start(void **state) {
    (void)state;
    daemon_start_fake(&d, "token-ms=10", "--max-sequences", "2", NULL);
    return 0;
}

static int stop(void **state) {
    (void)state;
    daemon_stop(&d);
    return 0;
}

static void check_free(const struct daemon *daemon) {
    wait_metric(daemon, "prenorm_kv_pages_used", 0);
    wait_metric(daemon, "prenorm_sequences_running", 0);
    wait_metric(daemon, "prenorm_sequences_waiting", 0);
    wait_metric(daemon, "prenorm_http_requests_in_flight", 1); /* the one that asks */
}

static void check_all_free(void) {
    check_free(&d);
}

static const char long_plain[] = "{\"prompt\":\"Once upon a time\",\"max_tokens\":2000,\"ignore_eos\":true}";
static const char long_stream[] =
    "{\"prompt\":\"Once upon a time\",\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}";

static void test_in_mid_stream(void **state) {
    (void)state;
    double before = metric(&d, "prenorm_http_client_disconnects_total");
    int fd = raw_connect(&d);
    raw_post(fd, long_stream);
    raw_read_until(fd, "data: {");
    wait_metric(&d, "prenorm_sequences_running", 1);
    close(fd);
    check_all_free();
    assert_true(metric(&d, "prenorm_http_client_disconnects_total") == before + 1);
}

static void test_before_the_answer(void **state) {
    (void)state;
    int fd = raw_connect(&d);
    raw_post(fd, long_plain);
    wait_metric(&d, "prenorm_sequences_running", 1);
    assert_true(metric(&d, "prenorm_kv_pages_used") > 0);
    close(fd);
    check_all_free();
}

/* Two run, a third and a fourth wait: the third leaves, the fourth must get its turn. */
static void test_in_the_queue(void **state) {
    (void)state;
    int running[2], waiting, last;
    for (int i = 0; i < 2; i++) {
        running[i] = raw_connect(&d);
        raw_post(running[i], i ? long_plain : long_stream);
    }
    wait_metric(&d, "prenorm_sequences_running", 2);
    waiting = raw_connect(&d);
    raw_post(waiting, long_plain);
    wait_metric(&d, "prenorm_sequences_waiting", 1);
    last = raw_connect(&d);
    raw_post(last, "{\"prompt\":\"ab\",\"max_tokens\":5,\"ignore_eos\":true,\"stream\":true}");
    wait_metric(&d, "prenorm_sequences_waiting", 2);
    close(waiting);
    wait_metric(&d, "prenorm_sequences_waiting", 1);
    assert_true(metric(&d, "prenorm_sequences_running") == 2);
    close(running[0]);
    raw_read_until(last, "[DONE]");
    close(running[1]);
    close(last);
    check_all_free();
}

/* A reset instead of an orderly end. */
static void test_reset(void **state) {
    (void)state;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int fd = raw_connect(&d);
    raw_post(fd, long_stream);
    raw_read_until(fd, "data: {");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
    check_all_free();
}

/* Many come and go at once, at different moments; the answers of others stay what they are. */
static void test_many(void **state) {
    (void)state;
    static const char short_one[] =
        "{\"prompt\":\"xyz\",\"max_tokens\":6,\"temperature\":0,\"ignore_eos\":true}";
    json_t *alone = complete(&d, short_one);
    int fds[40];
    for (int i = 0; i < 40; i++) {
        fds[i] = raw_connect(&d);
        raw_post(fds[i], i % 2 ? long_plain : long_stream);
    }
    for (int i = 0; i < 40; i++) {
        sleep_ms((unsigned)(i % 3));
        close(fds[(i * 7) % 40]);
    }
    json_t *answer = complete(&d, short_one);
    assert_string_equal(choice_text(answer, 0), choice_text(alone, 0));
    json_decref(answer);
    json_decref(alone);
    check_all_free();
}

/* While its prompt is still in the uv pool, or its body on the way. */
static void test_at_once(void **state) {
    (void)state;
    for (int i = 0; i < 30; i++) {
        int fd = raw_connect(&d);
        if (i % 3 == 0)
            raw_send(fd,
                     "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 500\r\n\r\n{\"prompt\"");
        else
            raw_post(fd, long_plain);
        close(fd);
    }
    check_all_free();
    wait_metric(&d, "prenorm_http_body_bytes_held", 0);
    wait_metric(&d, "prenorm_encode_requests", 0);
}

/* The same with a model: one sequence runs, the others wait behind it. */
static void test_model(void **state) {
    (void)state;
    struct daemon model;
    static const char *const bodies[] = {
        "{\"prompt\":\"Once upon a time\",\"max_tokens\":450,\"ignore_eos\":true,\"stream\":true}",
        "{\"prompt\":\"Once upon a time\",\"max_tokens\":450,\"ignore_eos\":true}"};
    daemon_start_tales(&model, "--max-sequences", "1", NULL);
    for (int i = 0; i < 2; i++) {
        int running = raw_connect(&model), waiting = raw_connect(&model);
        raw_post(running, bodies[i]);
        wait_metric(&model, "prenorm_sequences_running", 1);
        assert_true(metric(&model, "prenorm_kv_pages_used") > 0);
        raw_post(waiting, bodies[1 - i]);
        wait_metric(&model, "prenorm_sequences_waiting", 1);
        close(waiting);
        wait_metric(&model, "prenorm_sequences_waiting", 0);
        assert_true(metric(&model, "prenorm_sequences_running") == 1);
        close(running);
        check_free(&model);
    }
    assert_true(metric(&model, "prenorm_sequences_finished_total{reason=\"cancelled\"}") == 4);
    json_decref(complete(&model, "{\"prompt\":\"a\"}"));
    daemon_stop(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_mid_stream), cmocka_unit_test(test_before_the_answer),
        cmocka_unit_test(test_in_the_queue),  cmocka_unit_test(test_reset),
        cmocka_unit_test(test_many),          cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
