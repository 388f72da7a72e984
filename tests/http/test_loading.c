/* The port answers while the model loads; a load that fails ends the process with its reason. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/http/support_http.h"

static void start_loading(struct daemon *d, const char *settings) {
    daemon_start(d, PRENORMD_FAKE,
                 (const char *const[]){"--port", "0", "--model", settings, "--model-name", "tales", NULL});
}

static void check_unavailable(const struct daemon *d, struct answer a) {
    (void)d;
    assert_int_equal(a.status, 503);
    assert_true(atoi(answer_header(&a, "Retry-After")) >= 1);
    assert_non_null(strstr(a.body, "\"code\":\"loading\""));
    answer_free(&a);
}

static void test_answers_while_loading(void **state) {
    (void)state;
    struct daemon d;
    start_loading(&d, "load-ms=2000");
    struct answer a = http_get(&d, "/health");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    check_unavailable(&d, http_post(&d, "/v1/completions", "{\"prompt\":\"a\"}"));
    check_unavailable(&d, http_get(&d, "/v1/models"));
    check_unavailable(&d, http_get(&d, "/v1/models/tales"));
    check_unavailable(&d, http_post(&d, "/tokenize", "{\"prompt\":\"a\"}"));
    a = http_get(&d, "/version");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"model\":null"));
    answer_free(&a);
    assert_true(metric(&d, "prenorm_ready") == 0);
    double share = -1;
    for (int i = 0; i < 5; i++, sleep_ms(200)) {
        a = http_get(&d, "/ready");
        assert_int_equal(a.status, 503);
        json_t *json = answer_json(&a);
        double now = json_number_value(json_object_get(json, "share"));
        assert_true(now >= share && now <= 1);
        share = now;
        json_decref(json);
        answer_free(&a);
    }
    assert_true(share > 0.2);
    daemon_wait_ready(&d);
    assert_true(metric(&d, "prenorm_ready") == 1);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    daemon_stop(&d);
}

static void test_failed_load_ends_it(void **state) {
    (void)state;
    struct daemon d;
    char *log;
    start_loading(&d, "load-ms=300,fail-load");
    assert_int_equal(daemon_wait(&d, &log), 1);
    assert_non_null(strstr(log, "model.safetensors: it was told to fail"));
    free(log);
}

/* Nobody waits for a load that is not wanted any more. */
static void test_signal_while_loading(void **state) {
    (void)state;
    struct daemon d;
    start_loading(&d, "load-ms=60000");
    int fd = raw_connect(&d); /* an open connection changes nothing */
    double begun = clock_seconds();
    kill(d.pid, SIGTERM);
    assert_int_equal(daemon_wait(&d, NULL), 0);
    assert_true(clock_seconds() - begun < 10);
    close(fd);
}

static void check_fails(int code, const char *const *flags, const char *message) {
    char path[] = "/tmp/prenorm-log-XXXXXX", text[4096] = "";
    int log = mkstemp(path);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(log, STDERR_FILENO);
        execv(PRENORMD_FAKE, (char *const *)flags);
        _exit(127);
    }
    struct daemon d = {.pid = pid, .log = strdup(path)};
    char *content;
    assert_int_equal(daemon_wait(&d, &content), code);
    snprintf(text, sizeof text, "%s", content);
    free(content);
    close(log);
    if (!strstr(text, message)) fail_msg("no '%s' in: %s", message, text);
}

static void test_port_in_use(void **state) {
    (void)state;
    struct daemon d;
    char port[16], message[64];
    daemon_start_fake(&d, "fake", NULL);
    snprintf(port, sizeof port, "%d", d.port);
    snprintf(message, sizeof message, "127.0.0.1:%d: cannot listen: Address already in use", d.port);
    check_fails(1, (const char *const[]){PRENORMD_FAKE, "--port", port, "--model", "fake", NULL}, message);
    daemon_stop(&d);
}

static void test_bad_addresses_and_files(void **state) {
    (void)state;
    check_fails(
        1, (const char *const[]){PRENORMD_FAKE, "--model", "fake", "--host", "no-such-host.invalid", NULL},
        "no-such-host.invalid");
    check_fails(1, (const char *const[]){PRENORMD_FAKE, "--model", "fake", "--host", "192.0.2.1", NULL},
                "192.0.2.1:8080: cannot listen");
    check_fails(
        2, (const char *const[]){PRENORMD_FAKE, "--model", "fake", "--api-key-file", "/no/such/file", NULL},
        "/no/such/file");
    check_fails(2,
                (const char *const[]){PRENORMD_FAKE, "--model", "fake", "--tls-cert", "/no/such/cert",
                                      "--tls-key", "/no/such/key", NULL},
                "/no/such/cert");
    check_fails(1,
                (const char *const[]){PRENORMD_FAKE, "--model", "fake", "--unix-socket",
                                      "/no/such/folder/socket", NULL},
                "/no/such/folder/socket");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_while_loading),   cmocka_unit_test(test_failed_load_ends_it),
        cmocka_unit_test(test_signal_while_loading),    cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_bad_addresses_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
