/* OPTIONS of every kind: preflights where --cors-origin is set, a method like any other where it is not. */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/http/support_http.h"

/* All answers to these bytes up to the end, which the last request asks for; the caller frees. */
static char *ask(const struct daemon *d, const char *text) {
    size_t length;
    int fd = raw_connect(d);
    raw_send(fd, text);
    char *answer = raw_read_all(fd, &length);
    close(fd);
    return answer;
}

/* "OPTIONS <target>", the header lines given, then a body. */
static char *options(const struct daemon *d, const char *target, const char *lines, const char *body) {
    size_t size = strlen(target) + strlen(lines) + strlen(body) + 200;
    char *text = malloc(size);
    assert_non_null(text);
    snprintf(text, size,
             "OPTIONS %s HTTP/1.1\r\nHost: t\r\nOrigin: https://a.example\r\nConnection: close\r\n%s\r\n%s",
             target, lines, body);
    char *answer = ask(d, text);
    free(text);
    return answer;
}

static void check_status(const char *answer, int status, const char *what) {
    char text[32];
    snprintf(text, sizeof text, "HTTP/1.1 %d ", status);
    if (strncmp(answer, text, strlen(text)) != 0) fail_msg("%d expected for %s: %s", status, what, answer);
}

static void check_preflight(const char *answer, const char *origin, const char *what) {
    char text[256];
    check_status(answer, 204, what);
    snprintf(text, sizeof text, "\r\nAccess-Control-Allow-Origin: %s\r\n", origin);
    assert_non_null(strstr(answer, text));
    assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n"));
    assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, "));
    assert_non_null(strstr(answer, "\r\nAccess-Control-Max-Age: "));
    assert_non_null(strstr(answer, "\r\nX-Request-Id: "));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n"); /* no body */
}

static char *large; /* twice the limit that the daemons here have */

/* Every body, with what announces it; one within the limit is read away. */
static void check_bodies(const struct daemon *d, int small_status, int large_status) {
    const struct {
        const char *lines, *body;
        int status;
    } cases[] = {
        {"", "", small_status},
        {"Content-Length: 0\r\n", "", small_status},
        {"Content-Length: 3\r\n", "abc", small_status},
        {"Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}", small_status},
        {"Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", small_status},
        {"Transfer-Encoding: chunked\r\n", "0\r\n\r\n", small_status},
        {"Content-Length: 8192\r\n", large, large_status},
        {"Expect: 100-continue\r\nContent-Length: 8192\r\n", "", large_status},
        {"Content-Length: 9999999999999\r\n", "a", large_status},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *answer = options(d, "/v1/completions", cases[i].lines, cases[i].body);
        check_status(answer, cases[i].status, cases[i].lines);
        free(answer);
    }
}

/* Further than a body may be long, and further than a refused one is read. */
static void check_endless_body(const struct daemon *d) {
    size_t length;
    int fd = raw_connect(d);
    raw_send(fd, "OPTIONS /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t sent = 0; sent < 20 << 20; sent += 8192) {
        if (send(fd, "2000\r\n", 6, MSG_NOSIGNAL | MSG_MORE) < 0) break;
        if (send(fd, large, 8192, MSG_NOSIGNAL | MSG_MORE) < 0 || send(fd, "\r\n", 2, MSG_NOSIGNAL) < 0)
            break;
    }
    char *answer = raw_read_all(fd, &length);
    check_status(answer, 413, "an endless body");
    assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    assert_non_null(strstr(answer, "\"code\":\"body_too_large\""));
    free(answer);
    close(fd);
}

static void check_continue(const struct daemon *d, const char *last) {
    int fd = raw_connect(d);
    raw_send(
        fd,
        "OPTIONS /v1/completions HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    const char *text = raw_read_until(fd, "\r\n\r\n");
    if (strstr(text, "100 Continue")) {
        raw_send(fd, "abc");
        text = raw_read_until(fd, last);
    }
    assert_non_null(strstr(text, last));
    close(fd);
}

static void test_with_origin(void **state) {
    (void)state;
    static const char *const targets[] = {
        "/v1/completions", "/health",         "/v1/models/tales", "/nowhere", "*", "/",
        "/metrics",        "http://t/version"};
    struct daemon d;
    daemon_start_fake(&d, "fake", "--cors-origin", "*", "--body-bytes-max", "4096", NULL);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char *answer = options(&d, targets[i], "Content-Length: 3\r\n", "abc");
        check_preflight(answer, "*", targets[i]);
        free(answer);
    }
    check_bodies(&d, 204, 413);
    check_endless_body(&d);
    check_continue(&d, " 204 ");
    /* The connection goes on. */
    char *answer =
        ask(&d, "OPTIONS /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
                "OPTIONS * HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
                "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    check_status(answer, 204, "a pipeline");
    assert_non_null(strstr(answer + 1, "HTTP/1.1 204 "));
    assert_non_null(strstr(answer, "{\"status\":\"ok\"}"));
    free(answer);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    assert_true(metric(&d, "prenorm_http_requests_in_flight") == 1); /* itself */
    assert_true(metric(&d, "prenorm_http_answers_total{route=\"none\",code=\"204\"}") >= 8);
    daemon_stop(&d);
}

static void test_without_origin(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--body-bytes-max", "4096", NULL);
    check_bodies(&d, 405, 405);
    check_continue(&d, " 405 ");
    char *answer = options(&d, "*", "", "");
    check_status(answer, 405, "*");
    assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD, POST\r\n"));
    assert_null(strstr(answer, "Access-Control"));
    free(answer);
    answer = options(&d, "/nowhere", "Content-Length: 3\r\n", "abc");
    check_status(answer, 404, "/nowhere");
    free(answer);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    daemon_stop(&d);
}

/* What a page's client asks for is allowed, in one spelling with Vary. */
static void test_asked_headers(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--cors-origin", "https://a.example", NULL);
    char *answer = options(&d, "/v1/completions",
                           "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
                           "authorization,content-type,x-stainless-lang,x-stainless-os, bad name,x-b \r\n",
                           "");
    check_preflight(answer, "https://a.example", "asked headers");
    assert_non_null(strstr(answer,
                           "\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, X-Request-Id, "
                           "X-Api-Key, api-key, x-stainless-lang, x-stainless-os, x-b\r\n"));
    assert_non_null(strstr(answer, "\r\nVary: Origin, Access-Control-Request-Headers\r\n"));
    free(answer);
    daemon_stop(&d);
}

/* Browsers send no key with a preflight; the request that follows needs one, and its refusal can be read. */
static void test_with_key(void **state) {
    (void)state;
    struct daemon d;
    char *folder = test_folder_create(), path[256];
    snprintf(path, sizeof path, "%s/keys", folder);
    test_file_write(folder, "keys", "k\n", 2);
    daemon_start_fake(&d, "fake", "--cors-origin", "*", "--api-key-file", path, NULL);
    char *answer = options(&d, "/v1/completions", "Content-Length: 3\r\n", "abc");
    check_preflight(answer, "*", "a key");
    free(answer);
    answer = ask(&d, "HEAD /v1/models HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    check_status(answer, 401, "HEAD");
    assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    daemon_stop(&d);
    /* Without CORS it is a request like any other. */
    daemon_start_fake(&d, "fake", "--api-key-file", path, NULL);
    answer = options(&d, "/v1/completions", "Content-Length: 3\r\n", "abc");
    check_status(answer, 401, "OPTIONS");
    free(answer);
    daemon_stop(&d);
    test_folder_remove(folder);
}

static void test_while_loading(void **state) {
    (void)state;
    struct daemon d;
    const char *const flags[] = {"--port", "0", "--model", "load-ms=3600000", "--cors-origin", "*", NULL};
    daemon_start(&d, PRENORMD_FAKE, flags);
    char *answer = options(&d, "/v1/completions", "Content-Length: 3\r\n", "abc");
    check_preflight(answer, "*", "loading");
    free(answer);
    answer = ask(
        &d, "POST /v1/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
    check_status(answer, 503, "loading");
    assert_non_null(strstr(answer, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    free(answer);
    daemon_stop(&d);
}

/* While one stream holds the drain up. */
static void test_while_draining(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "token-ms=20", "--cors-origin", "*", NULL);
    int fd = raw_connect(&d);
    raw_post(fd, "{\"prompt\":\"a\",\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    raw_read_until(fd, "data: {");
    kill(d.pid, SIGTERM);
    for (long status = 200; status != 503;) {
        struct answer a = http_get(&d, "/ready");
        status = a.status;
        answer_free(&a);
    }
    char *answer = options(&d, "/v1/completions", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n");
    check_preflight(answer, "*", "draining");
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
    free(answer);
    kill(d.pid, SIGTERM); /* the second one cuts the stream short */
    size_t length;
    free(raw_read_all(fd, &length));
    close(fd);
    assert_int_equal(daemon_wait(&d, NULL), 0);
}

/* A client that sends preflights and reads no answer: all of each has come, so none is too late. */
static void test_answers_that_nobody_reads(void **state) {
    (void)state;
    static const char preflight[] = "OPTIONS /v1/completions HTTP/1.1\r\nHost: t\r\n\r\n";
    struct daemon d;
    daemon_start_fake(&d, "fake", "--cors-origin", "*", "--read-timeout-seconds", "1",
                      "--idle-timeout-seconds", "3", "--stall-timeout-seconds", "3", NULL);
    int fd = raw_connect(&d);
    while (send(fd, preflight, sizeof preflight - 1, MSG_NOSIGNAL) > 0) continue; /* until it is cut off */
    close(fd);
    wait_metric(&d, "prenorm_http_connections", 1);
    assert_true(metric(&d, "prenorm_http_rejected_total{reason=\"timeout\"}") == 0);
    daemon_stop(&d);
}

int main(void) {
    large = calloc(1, 8193);
    assert_non_null(large);
    memset(large, 'x', 8192);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_origin),
        cmocka_unit_test(test_without_origin),
        cmocka_unit_test(test_asked_headers),
        cmocka_unit_test(test_with_key),
        cmocka_unit_test(test_while_loading),
        cmocka_unit_test(test_while_draining),
        cmocka_unit_test(test_answers_that_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
