/* Methods, paths, headers; keep-alive, pipelining, broken requests. */
#include <sys/socket.h>
#include <unistd.h>

#include "tests/http/one_fake_daemon.h"

static void check_error(const char *method, const char *path, long status, const char *code,
                        const char *allow) {
    struct answer a = http_request(&d, method, path, NULL, NULL, 0);
    assert_int_equal(a.status, status);
    assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    assert_non_null(answer_header(&a, "X-Request-Id"));
    if (allow)
        assert_string_equal(answer_header(&a, "Allow"), allow);
    else
        assert_null(answer_header(&a, "Allow"));
    json_t *json = answer_json(&a);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")), code);
    json_decref(json);
    answer_free(&a);
}

static void test_unknown_paths(void **state) {
    (void)state;
    static const char *const paths[] = {"/v1",
                                        "/v1/",
                                        "/v1/completions/",
                                        "/v1/models/",
                                        "/healthz",
                                        "/v1/rerank",
                                        "/%2e%2e/etc/passwd",
                                        "/health%00x",
                                        "/HEALTH",
                                        "/v1/completions%20"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        check_error("GET", paths[i], 404, "not_found", NULL);
    check_error("GET", "/v1/models/other", 404, "model_not_found", NULL);
}

static void test_wrong_methods(void **state) {
    (void)state;
    check_error("GET", "/v1/completions", 405, "method_not_allowed", "POST");
    check_error("DELETE", "/v1/completions", 405, "method_not_allowed", "POST");
    check_error("POST", "/health", 405, "method_not_allowed", "GET, HEAD");
    check_error("PUT", "/v1/models/tales", 405, "method_not_allowed", "GET, HEAD");
    check_error("OPTIONS", "/v1/completions", 405, "method_not_allowed", "POST"); /* CORS is off */
    check_error("BREW", "/tokenize", 405, "method_not_allowed", "POST");
}

/* HEAD is GET without the body, with the same header. */
static void test_head(void **state) {
    (void)state;
    static const char *const paths[] = {"/health",          "/ready",   "/v1/models",
                                        "/v1/models/tales", "/version", "/tokenizer_info"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char length[32];
        struct answer get = http_get(&d, paths[i]), head = http_request(&d, "HEAD", paths[i], NULL, NULL, 0);
        assert_int_equal(head.status, 200);
        assert_int_equal(head.length, 0);
        snprintf(length, sizeof length, "%zu", get.length);
        assert_string_equal(answer_header(&head, "Content-Length"), length);
        answer_free(&get);
        answer_free(&head);
    }
    struct answer a = http_request(&d, "HEAD", "/v1/completions", NULL, NULL, 0);
    assert_int_equal(a.status, 405);
    answer_free(&a);
}

static void test_query_is_ignored(void **state) {
    (void)state;
    struct answer a = http_get(&d, "/health?a=b&c");
    assert_int_equal(a.status, 200);
    answer_free(&a);
}

static void test_content_type(void **state) {
    (void)state;
    static const struct {
        const char *header;
        long status;
    } cases[] = {
        {"Content-Type: application/json", 200},
        {"Content-Type: application/json; charset=utf-8", 200},
        {"Content-Type: APPLICATION/JSON", 200},
        {"", 200}, /* no such header */
        {"Content-Type: text/plain", 415},
        {"Content-Type: application/jsonx", 415},
        {"Content-Type: application/x-www-form-urlencoded", 415},
        {"Content-Type: multipart/form-data; boundary=x", 415},
        {"Content-Encoding: gzip", 415},
        {"Content-Encoding: identity", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        int fd = raw_connect(&d);
        snprintf(
            text, sizeof text,
            "POST /v1/completions HTTP/1.1\r\nHost: t\r\n%s%sContent-Length: 14\r\n\r\n{\"prompt\":\"a\"}",
            cases[i].header, cases[i].header[0] ? "\r\n" : "");
        raw_send(fd, text);
        snprintf(text, sizeof text, "HTTP/1.1 %ld ", cases[i].status);
        assert_int_equal(strncmp(raw_read_until(fd, "}"), text, strlen(text)), 0);
        close(fd);
    }
}

/* Two requests on one connection, one after the other; a refused one does not cost the connection. */
static void test_keep_alive(void **state) {
    (void)state;
    int fd = raw_connect(&d);
    for (int i = 0; i < 3; i++) {
        raw_send(fd, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
        raw_read_until(fd, "{\"status\":\"ok\"}");
        raw_post(fd, "{\"prompt\":1}");
        raw_read_until(fd, "\"param\":\"prompt\",\"code\":null}}");
        raw_send(fd, "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: "
                     "text/plain\r\nContent-Length: 5\r\n\r\nhello");
        raw_read_until(fd, "unsupported_media_type\"}}");
        raw_post(fd, "{\"prompt\":\"a\",\"stream\":true}");
        raw_read_until(fd, "data: [DONE]\n\n\r\n0\r\n\r\n");
    }
    close(fd);
}

static void test_pipelining(void **state) {
    (void)state;
    enum { COUNT = 20 };
    char text[8192] = "", id[64];
    for (int i = 0; i < COUNT; i++) {
        static const char body[] = "{\"prompt\":\"a\",\"max_tokens\":3}";
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "POST /v1/completions HTTP/1.1\r\nHost: t\r\nX-Request-Id: pipe-%d\r\n%sContent-Length: "
                 "%zu\r\n\r\n%s",
                 i, i == COUNT - 1 ? "Connection: close\r\n" : "", sizeof body - 1, body);
    }
    int fd = raw_connect(&d);
    size_t length;
    raw_send(fd, text);
    char *answers = raw_read_all(fd, &length), *at = answers;
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "X-Request-Id: pipe-%d\r\n", i);
        at = strstr(at, id);
        assert_non_null(at);
        assert_non_null(strstr(at, "text_completion"));
    }
    free(answers);
    close(fd);
}

static void test_http_1_0(void **state) {
    (void)state;
    size_t length;
    int fd = raw_connect(&d);
    static const char body[] = "{\"prompt\":\"a\",\"max_tokens\":3,\"stream\":true}";
    char head[128];
    snprintf(head, sizeof head, "POST /v1/completions HTTP/1.0\r\nContent-Length: %zu\r\n\r\n",
             sizeof body - 1);
    raw_send(fd, head);
    raw_send(fd, body);
    char *text = raw_read_all(fd, &length); /* the end of the connection is the end of the stream */
    assert_null(strstr(text, "chunked"));
    assert_string_equal(text + length - strlen("data: [DONE]\n\n"), "data: [DONE]\n\n");
    free(text);
    close(fd);
}

/* Whoever sends a whole request and then closes that direction still gets what needs no waiting. */
static void test_half_closed(void **state) {
    (void)state;
    size_t length;
    int fd = raw_connect(&d);
    raw_send(fd, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
    shutdown(fd, SHUT_WR);
    char *text = raw_read_all(fd, &length);
    assert_non_null(strstr(text, "{\"status\":\"ok\"}"));
    free(text);
    close(fd);
}

/* Not HTTP, or too much of it: an answer 4xx or the end, and the daemon lives. */
static void test_garbage(void **state) {
    (void)state;
    static const char *const garbage[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET /health HTTP/9.9\r\n\r\n",
        "GET /health\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /tokenize HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: t\r\n: empty\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        size_t length;
        int fd = raw_connect(&d);
        raw_send(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        free(raw_read_all(fd, &length));
        close(fd);
    }
    char *header = malloc(100000);
    int fd = raw_connect(&d);
    size_t length;
    memset(header, 'a', 99999);
    memcpy(header, "GET /", 5);
    header[99999] = '\0';
    send(fd, header, 99999, MSG_NOSIGNAL); /* the daemon may close before it has all */
    char *text = raw_read_all(fd, &length);
    if (length) assert_int_equal(strncmp(text, "HTTP/1.1 4", 10), 0);
    free(text);
    free(header);
    close(fd);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_paths), cmocka_unit_test(test_wrong_methods),
        cmocka_unit_test(test_head),          cmocka_unit_test(test_query_is_ignored),
        cmocka_unit_test(test_content_type),  cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_pipelining),    cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_half_closed),   cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
