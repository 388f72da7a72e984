/* What one client may cost the others: refused requests cost nothing, small requests do not wait for large
 * ones, and large answers do not keep the loop. */
#include <unistd.h>

#include "tests/http/support_http.h"

/* A body of some size, mostly white space. The caller frees. */
static char *padded(const char *body, size_t size) {
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, ' ', size);
    memcpy(text + size - strlen(body), body, strlen(body) + 1);
    return text;
}

/* As many large bodies as there are threads and more wait for something that a small request brings. */
static void test_small_ones_do_not_wait_for_large_ones(void **state) {
    (void)state;
    struct daemon d;
    enum { LARGE = 12 };
    int fds[LARGE];
    char *body = padded("{\"prompt\":\"hold\",\"max_tokens\":3,\"ignore_eos\":true}", 70000);
    daemon_start_fake(&d, "holds", "--encode-threads", "4", "--large-body-bytes", "65536", NULL);
    for (int i = 0; i < LARGE; i++) {
        fds[i] = raw_connect(&d);
        raw_post(fds[i], body);
    }
    wait_metric(&d, "prenorm_encode_large_requests", LARGE);
    json_decref(complete(&d, "{\"prompt\":\"a\",\"max_tokens\":1}"));
    assert_true(metric(&d, "prenorm_encode_large_requests") == LARGE);
    close(fds[LARGE - 1]); /* one that has not had its turn leaves the row at once, with its body */
    wait_metric(&d, "prenorm_encode_large_requests", LARGE - 1);
    wait_metric(&d, "prenorm_http_body_bytes_held", 70000 * (LARGE - 1));
    json_decref(complete(&d, "{\"prompt\":\"let go\",\"max_tokens\":1}"));
    for (int i = 0; i < LARGE - 1; i++) {
        raw_read_until(fds[i], "text_completion");
        close(fds[i]);
    }
    wait_metric(&d, "prenorm_encode_requests", 0);
    wait_metric(&d, "prenorm_encode_large_requests", 0);
    wait_metric(&d, "prenorm_http_body_bytes_held", 0);
    free(body);
    daemon_stop(&d);
}

/* How many large ones may wait is bounded, and leaves room for small ones. */
static void test_large_ones_are_bounded(void **state) {
    (void)state;
    struct daemon d;
    enum { LARGE = 3 };
    int fds[LARGE];
    char *body = padded("{\"prompt\":\"hold\",\"max_tokens\":3}", 70000);
    daemon_start_fake(&d, "holds", "--encode-requests-max", "6", NULL);
    for (int i = 0; i < LARGE; i++) {
        fds[i] = raw_connect(&d);
        raw_post(fds[i], body);
    }
    wait_metric(&d, "prenorm_encode_large_requests", LARGE);
    struct answer a = http_post(&d, "/v1/completions", body);
    assert_int_equal(a.status, 429);
    answer_free(&a);
    json_decref(complete(&d, "{\"prompt\":\"let go\",\"max_tokens\":1}"));
    for (int i = 0; i < LARGE; i++) {
        raw_read_until(fds[i], "text_completion");
        close(fds[i]);
    }
    free(body);
    daemon_stop(&d);
}

/* A drain with large bodies in the pool and in the row, and an end that does not wait for them for ever. */
static void test_drain_with_large_ones(void **state) {
    (void)state;
    struct daemon d;
    int fds[6];
    char *body = padded("{\"prompt\":\"hold\",\"max_tokens\":3}", 70000);
    daemon_start_fake(&d, "holds", NULL);
    for (int i = 0; i < 6; i++) {
        fds[i] = raw_connect(&d);
        raw_post(fds[i], body);
    }
    wait_metric(&d, "prenorm_encode_large_requests", 6);
    for (int i = 0; i < 6; i++) close(fds[i]);
    wait_metric(&d, "prenorm_encode_large_requests", 2); /* those in the pool */
    json_decref(complete(&d, "{\"prompt\":\"let go\",\"max_tokens\":1}"));
    wait_metric(&d, "prenorm_encode_large_requests", 0);
    free(body);
    daemon_stop(&d);
}

/* A full queue refuses before a body is read: no request gets as far as the pool. */
static void test_refused_before_anything(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "token-ms=10", "--max-sequences", "1", "--max-queue", "1", NULL);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = raw_connect(&d);
        raw_post(fds[i], "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true}");
        wait_metric(&d, i ? "prenorm_sequences_waiting" : "prenorm_sequences_running", 1);
    }
    wait_metric(&d, "prenorm_encode_requests", 0);
    double before = metric(&d, "prenorm_loop_callback_seconds_count{kind=\"work\"}");
    for (int i = 0; i < 5; i++) {
        struct answer a =
            http_post(&d, "/v1/completions", "{\"prompt\":[\"a\",\"b\"],\"n\":16,\"stop\":[\"x\"]}");
        assert_int_equal(a.status, 429);
        assert_non_null(strstr(a.body, "\"code\":\"queue_full\""));
        answer_free(&a);
    }
    assert_true(metric(&d, "prenorm_loop_callback_seconds_count{kind=\"work\"}") == before);
    for (int i = 0; i < 2; i++) close(fds[i]);
    daemon_stop(&d);
}

/* An answer of megabytes is written elsewhere, and is the same: its texts are those that a request for one
 * choice has. */
static void test_large_answer(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", NULL);
    json_t *one = complete(
        &d, "{\"prompt\":\"ab\",\"max_tokens\":1500,\"ignore_eos\":true,\"logprobs\":20,\"seed\":3}");
    json_t *many = complete(
        &d, "{\"prompt\":\"ab\",\"max_tokens\":1500,\"ignore_eos\":true,\"logprobs\":20,\"seed\":3,\"n\":8}");
    json_t *choice = json_array_get(json_object_get(many, "choices"), 0);
    assert_int_equal(json_array_size(json_object_get(many, "choices")), 8);
    assert_true(json_equal(json_array_get(json_object_get(one, "choices"), 0), choice));
    json_decref(one);
    json_decref(many);
    /* Leaving while it is written, or before, frees it. */
    for (int i = 0; i < 20; i++) {
        int fd = raw_connect(&d);
        raw_post(fd, "{\"prompt\":\"ab\",\"max_tokens\":400,\"ignore_eos\":true,\"logprobs\":20,\"n\":8}");
        sleep_ms((unsigned)i * 3);
        close(fd);
    }
    wait_metric(&d, "prenorm_http_requests_in_flight", 1);
    wait_metric(&d, "prenorm_sequences_running", 0);
    daemon_stop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_ones_do_not_wait_for_large_ones),
        cmocka_unit_test(test_large_ones_are_bounded),
        cmocka_unit_test(test_drain_with_large_ones),
        cmocka_unit_test(test_refused_before_anything),
        cmocka_unit_test(test_large_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
