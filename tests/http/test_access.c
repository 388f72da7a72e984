/* Who may call, and by which way: API keys, CORS, Unix socket, SIGHUP. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static long status_with(const struct daemon *d, const char *method, const char *path,
                        const char *authorization) {
    const char *headers[] = {authorization, NULL};
    struct answer a = http_request(d, method, path, authorization ? headers : NULL,
                                   strcmp(method, "POST") ? NULL : "{\"prompt\":\"a\"}", 14);
    long status = a.status;
    if (status == 401) {
        assert_string_equal(answer_header(&a, "WWW-Authenticate"), "Bearer");
        assert_non_null(strstr(a.body, "\"type\":\"authentication_error\""));
    }
    answer_free(&a);
    return status;
}

static void test_keys(void **state) {
    (void)state;
    struct daemon d;
    char *folder = test_folder_create(), path[256];
    static const char keys[] = "# keys\n\n  alpha-key  \nbeta\r\n";
    snprintf(path, sizeof path, "%s/keys", folder);
    test_file_write(folder, "keys", keys, sizeof keys - 1);
    daemon_start_fake(&d, "fake", "--api-key-file", path, NULL);
    static const char *const protected[] = {"/v1/models", "/v1/models/tales", "/metrics",
                                            "/version",   "/tokenizer_info",  "/unknown"};
    static const char *const wrong[] = {NULL,
                                        "Authorization: Bearer alpha",
                                        "Authorization: Bearer alpha-keyx",
                                        "Authorization: Bearer",
                                        "Authorization: Basic alpha-key",
                                        "Authorization: alpha-key",
                                        "Authorization: Bearer # keys",
                                        "Authorization: Bearer  "};
    for (size_t i = 0; i < sizeof protected / sizeof *protected; i++)
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++)
            assert_int_equal(status_with(&d, "GET", protected[i], wrong[j]), 401);
    assert_int_equal(status_with(&d, "POST", "/v1/completions", NULL), 401);
    assert_int_equal(status_with(&d, "POST", "/v1/completions", "Authorization: Bearer alpha-key"), 200);
    assert_int_equal(status_with(&d, "POST", "/v1/completions", "authorization: bearer beta"), 200);
    assert_int_equal(status_with(&d, "GET", "/health", NULL), 200);
    assert_int_equal(status_with(&d, "GET", "/ready", NULL), 200);
    /* SIGHUP: new keys; a bad file changes nothing. */
    test_file_write(folder, "keys", "gamma\n", 6);
    kill(d.pid, SIGHUP);
    for (int i = 0; i < 100 && status_with(&d, "GET", "/version", "Authorization: Bearer gamma") != 200; i++)
        sleep_ms(20);
    assert_int_equal(status_with(&d, "GET", "/version", "Authorization: Bearer gamma"), 200);
    assert_int_equal(status_with(&d, "GET", "/version", "Authorization: Bearer beta"), 401);
    test_file_write(folder, "keys", "# none\n", 7);
    kill(d.pid, SIGHUP);
    sleep_ms(300);
    assert_int_equal(status_with(&d, "GET", "/version", "Authorization: Bearer gamma"), 200);
    daemon_stop(&d);
    test_folder_remove(folder);
}

/* The headers of other clients, and blanks at their ends. curl would trim them, so they go as they are. */
static void test_key_headers(void **state) {
    (void)state;
    struct daemon d;
    char *folder = test_folder_create(), path[256];
    static const struct {
        const char *lines;
        int status;
    } cases[] = {
        {"X-Api-Key: k1\r\n", 200},
        {"x-api-key: k2 \t\r\n", 200},
        {"api-key: k1\r\n", 200},
        {"API-KEY:k2\r\n", 200},
        {"Authorization: Bearer k1 \t\r\n", 200},
        {"Authorization: Bearer wrong\r\nX-Api-Key: k1\r\n", 200},
        {"Authorization: Bearer k1\r\nX-Api-Key: wrong\r\n", 200},
        {"X-Api-Key: wrong\r\napi-key: k2\r\n", 200},
        {"X-Api-Key: Bearer k1\r\n", 401},
        {"X-Api-Key: k\r\n", 401},
        {"X-Api-Key:\r\n", 401},
        {"api-key: k1x\r\n", 401},
        {"key: k1\r\n", 401},
        {"Authorization: k1\r\n", 401},
    };
    snprintf(path, sizeof path, "%s/keys", folder);
    test_file_write(folder, "keys", "k1\nk2\n", 6);
    daemon_start_fake(&d, "fake", "--api-key-file", path, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        int fd = raw_connect(&d);
        snprintf(text, sizeof text, "GET /version HTTP/1.1\r\nHost: t\r\n%s\r\n", cases[i].lines);
        raw_send(fd, text);
        snprintf(text, sizeof text, "HTTP/1.1 %d ", cases[i].status);
        if (strncmp(raw_read_until(fd, "}"), text, strlen(text)) != 0)
            fail_msg("%d expected to %s", cases[i].status, cases[i].lines);
        close(fd);
    }
    daemon_stop(&d);
    test_folder_remove(folder);
}

static void test_public_metrics(void **state) {
    (void)state;
    struct daemon d;
    char *folder = test_folder_create(), path[256];
    snprintf(path, sizeof path, "%s/keys", folder);
    test_file_write(folder, "keys", "k\n", 2);
    daemon_start_fake(&d, "fake", "--api-key-file", path, "--public-metrics", NULL);
    assert_int_equal(status_with(&d, "GET", "/metrics", NULL), 200);
    assert_int_equal(status_with(&d, "GET", "/v1/models", NULL), 401);
    daemon_stop(&d);
    test_folder_remove(folder);
}

static void test_cors(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--cors-origin", "https://example.org", NULL);
    struct answer a = http_request(&d, "OPTIONS", "/v1/completions", NULL, NULL, 0);
    assert_int_equal(a.status, 204);
    assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "https://example.org");
    assert_non_null(strstr(answer_header(&a, "Access-Control-Allow-Headers"), "Authorization"));
    answer_free(&a);
    a = http_post(&d, "/v1/completions", "{\"prompt\":1}");
    assert_int_equal(a.status, 400);
    assert_string_equal(answer_header(&a, "Access-Control-Allow-Origin"), "https://example.org");
    assert_string_equal(answer_header(&a, "Vary"), "Origin");
    answer_free(&a);
    daemon_stop(&d);
    daemon_start_fake(&d, "fake", NULL);
    a = http_get(&d, "/health");
    assert_null(answer_header(&a, "Access-Control-Allow-Origin"));
    answer_free(&a);
    daemon_stop(&d);
}

/* ---- Unix socket ---- */

static char *ask_unix(const char path[100]) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t length;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    raw_send(fd, "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    char *text = raw_read_all(fd, &length);
    close(fd);
    return text;
}

static void test_unix_socket(void **state) {
    (void)state;
    struct daemon d;
    char *folder = test_folder_create(), path[100];
    snprintf(path, sizeof path, "%s/socket", folder);
    const char *const flags[] = {"--model", "fake", "--unix-socket", path, NULL};
    for (int i = 0; i < 2; i++) { /* the second time over the file of one that was killed */
        daemon_start(&d, PRENORMD_FAKE, flags);
        char *text = ask_unix(path);
        assert_non_null(strstr(text, "{\"status\":\"ok\"}"));
        free(text);
        if (i == 0) daemon_kill(&d);
    }
    daemon_stop(&d);
    assert_int_equal(access(path, F_OK), -1);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),        cmocka_unit_test(test_public_metrics),
        cmocka_unit_test(test_key_headers), cmocka_unit_test(test_cors),
        cmocka_unit_test(test_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
