/* Under a service manager: what it is told, sockets that it holds, and handing over from one process to the next. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>

#include "tests/http/fake_manager.h"

static void test_notifications(void **state) {
    (void)state;
    struct manager m;
    struct daemon d;
    const char *const flags[] = {"--port", "0", "--model", "load-ms=600", "--model-name", "tales", NULL};
    manager_open(&m, "1000000");
    daemon_start(&d, PRENORMD_FAKE, flags);
    const char *text = manager_wait(&m, "STATUS=Loading: ", "READY=1");
    assert_non_null(strstr(text, "EXTEND_TIMEOUT_USEC="));
    text = manager_wait(&m, "READY=1", NULL);
    assert_non_null(strstr(text, "STATUS=Serving tales on http://127.0.0.1:"));
    struct answer a = http_get(&d, "/ready");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    for (int i = 0; i < 3; i++) manager_wait(&m, "WATCHDOG=1", NULL);
    kill(d.pid, SIGHUP);
    text = manager_wait(&m, "RELOADING=1", NULL);
    const char *time = strstr(text, "\nMONOTONIC_USEC=");
    assert_non_null(time);
    assert_true(strtoull(time + strlen("\nMONOTONIC_USEC="), NULL, 10) > 0);
    manager_wait(&m, "READY=1", NULL);
    kill(d.pid, SIGTERM);
    manager_wait(&m, "STOPPING=1", "READY=1");
    assert_int_equal(daemon_wait(&d, NULL), 0);
    manager_close(&m);
}

/* A watchdog of another process is none of ours; a socket that is none harms nobody. */
static void test_other_settings(void **state) {
    (void)state;
    struct manager m;
    struct daemon d;
    manager_open(&m, "1000");
    setenv("WATCHDOG_PID", "1", 1);
    daemon_start_fake(&d, "fake", NULL);
    manager_wait(&m, "READY=1", "WATCHDOG=1");
    kill(d.pid, SIGTERM);
    manager_wait(&m, "STOPPING=1", "WATCHDOG=1");
    assert_int_equal(daemon_wait(&d, NULL), 0);
    unsetenv("WATCHDOG_PID");
    manager_close(&m);
    char *log;
    setenv("NOTIFY_SOCKET", "nowhere", 1);
    daemon_start_fake(&d, "fake", NULL);
    unsetenv("NOTIFY_SOCKET");
    kill(d.pid, SIGTERM);
    assert_int_equal(daemon_wait(&d, &log), 0);
    assert_non_null(strstr(log, "NOTIFY_SOCKET 'nowhere' cannot be used"));
    free(log);
}

/* ---- sockets that the manager holds -------------------------------------------------------------------- */

static int listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* it stays open in the daemon */
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 128), 0);
    int away = fcntl(fd, F_DUPFD, 5); /* from where the daemon expects it, and within the shell's reach */
    assert_in_range(away, 5, 9);
    close(fd);
    return away;
}

/* As the manager starts it: the socket is descriptor 3. */
static void start_with_socket(struct daemon *d, int fd, const char *count) {
    char script[200];
    snprintf(script, sizeof script, "LISTEN_PID=$$ LISTEN_FDS=%s exec \"$0\" \"$@\" 3<&%d %d<&-", count, fd,
             fd);
    const char *const flags[] = {"-c",      script,       PRENORMD_FAKE,  "--port", "1",
                                 "--model", "token-ms=5", "--model-name", "tales",  NULL};
    daemon_start(d, "/bin/sh", flags);
    daemon_wait_ready(d);
}

/* A connection that comes when the one has ended and the other has not begun waits, and is answered. */
static void test_restart_loses_no_connection(void **state) {
    (void)state;
    struct daemon first, second;
    int fd = listen_somewhere();
    start_with_socket(&first, fd, "1");
    struct daemon known = first;
    json_decref(complete(&first, "{\"prompt\":\"a\"}"));
    int running = raw_connect(&first);
    raw_post(running, "{\"prompt\":\"a\",\"max_tokens\":600,\"ignore_eos\":true}");
    wait_metric(&first, "prenorm_sequences_running", 1);
    kill(first.pid, SIGTERM);
    char *log;
    raw_read_until(running, "\"completion_tokens\":600");
    close(running);
    assert_int_equal(daemon_wait(&first, &log), 0);
    assert_non_null(strstr(log, ", by the service manager's socket"));
    free(log);
    int waiting = raw_connect(&known);
    raw_post(waiting, "{\"prompt\":\"a\",\"max_tokens\":7,\"ignore_eos\":true}");
    start_with_socket(&second, fd, "1");
    assert_int_equal(second.port, known.port);
    raw_read_until(waiting, "\"completion_tokens\":7");
    close(waiting);
    daemon_stop(&second);
    close(fd);
}

/* What comes while the old one drains is left to the new one. */
static void test_draining_leaves_the_socket_alone(void **state) {
    (void)state;
    struct daemon first, second;
    int fd = listen_somewhere();
    start_with_socket(&first, fd, "1");
    struct daemon known = first;
    int running = raw_connect(&first);
    raw_post(running, "{\"prompt\":\"a\",\"max_tokens\":400,\"ignore_eos\":true,\"stream\":true}");
    raw_read_until(running, "data: {");
    kill(first.pid, SIGTERM);
    wait_logged(&first, "draining: ");
    int waiting = raw_connect(&known);
    raw_post(waiting, "{\"prompt\":\"a\",\"max_tokens\":7,\"ignore_eos\":true}");
    raw_read_until(running, "[DONE]");
    close(running);
    assert_int_equal(daemon_wait(&first, NULL), 0);
    start_with_socket(&second, fd, "1");
    raw_read_until(waiting, "\"completion_tokens\":7");
    close(waiting);
    daemon_stop(&second);
    close(fd);
}

static void check_refused(const char *count, int fd, const char *message) {
    char script[200];
    snprintf(script, sizeof script, "LISTEN_PID=$$ LISTEN_FDS=%s exec \"$0\" \"$@\" 3<&%d 2>&1", count, fd);
    char command[800];
    snprintf(command, sizeof command, "exec /bin/sh -c '%s' '%s' --port 0 --model fake", script,
             PRENORMD_FAKE);
    // NOLINTNEXTLINE(cert-env33-c): what is run is written above
    FILE *output = popen(command, "r");
    char text[4096];
    assert_non_null(output);
    text[fread(text, 1, sizeof text - 1, output)] = '\0';
    assert_true(pclose(output) != 0);
    assert_non_null(strstr(text, message));
}

static void test_sockets_that_are_none(void **state) {
    (void)state;
    int listening = listen_somewhere(), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    assert_in_range(datagrams, 3, 9);
    check_refused("2", listening, "LISTEN_FDS: 2 sockets; one was expected");
    check_refused("1", datagrams, "LISTEN_FDS: descriptor 3 is no listening stream socket");
    close(listening);
    close(datagrams);
}

/* ---- handing over -------------------------------------------------------------------------------------- */

/* What the old one had accepted, or was about to, it still serves while it leaves. */
static void test_reuse_port(void **state) {
    (void)state;
    struct daemon old, new;
    char port[12];
    daemon_start_fake(&old, "fake", "--reuse-port", "--lame-duck-seconds", "600", NULL);
    snprintf(port, sizeof port, "%d", old.port);
    const char *const flags[] = {"--port",      port,           "--reuse-port", "--model",
                                 "load-ms=400", "--model-name", "tales",        NULL};
    daemon_start(&new, PRENORMD_FAKE, flags);
    assert_int_equal(new.port, old.port);
    /* While it loads it takes nothing. */
    for (int i = 0; !has_logged(&new, "ready: tales"); i++) {
        assert_true(i < 2400);
        json_decref(complete(&old, "{\"prompt\":\"a\"}"));
        sleep_ms(10);
    }
    kill(old.pid, SIGTERM);
    for (int i = 0; i < 100; i++) json_decref(complete(&new, "{\"prompt\":\"a\"}"));
    kill(old.pid, SIGTERM);
    assert_int_equal(daemon_wait(&old, NULL), 0);
    for (int i = 0; i < 20; i++) json_decref(complete(&new, "{\"prompt\":\"a\"}"));
    daemon_stop(&new);
}

/* After SIGTERM it serves on, says that it leaves, and drains at the next one. */
static void test_lame_duck(void **state) {
    (void)state;
    struct daemon d;
    daemon_start_fake(&d, "fake", "--lame-duck-seconds", "600", NULL);
    struct answer a = http_post(&d, "/v1/completions", "{\"prompt\":\"a\"}");
    assert_null(answer_header(&a, "Connection"));
    answer_free(&a);
    kill(d.pid, SIGTERM);
    wait_metric(&d, "prenorm_ready", 0);
    a = http_get(&d, "/ready");
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body, "{\"status\":\"draining\""));
    answer_free(&a);
    static const char *const bodies[] = {"{\"prompt\":\"a\"}", "{\"prompt\":\"a\",\"stream\":true}"};
    for (size_t i = 0; i < 2; i++) {
        a = http_post(&d, "/v1/completions", bodies[i]);
        assert_int_equal(a.status, 200);
        assert_string_equal(answer_header(&a, "Connection"), "close");
        answer_free(&a);
    }
    a = http_get(&d, "/health");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    kill(d.pid, SIGTERM);
    char *log;
    assert_int_equal(daemon_wait(&d, &log), 0);
    assert_non_null(strstr(log, "leaving: requests are still served for 600 s"));
    assert_non_null(strstr(log, "stopped: drained in "));
    free(log);
}

/* By itself it goes on from there to draining, which has all of its own time, and to its end. */
static void test_lame_duck_ends(void **state) {
    (void)state;
    struct daemon d;
    char *log;
    daemon_start_fake(&d, "token-ms=10", "--lame-duck-seconds", "1", "--drain-seconds", "600", NULL);
    int fd = raw_connect(&d);
    raw_post(fd, "{\"prompt\":\"a\",\"max_tokens\":400,\"ignore_eos\":true}");
    wait_metric(&d, "prenorm_sequences_running", 1);
    kill(d.pid, SIGTERM);
    raw_read_until(fd, "\"completion_tokens\":400");
    close(fd);
    assert_int_equal(daemon_wait(&d, &log), 0);
    assert_non_null(strstr(log, "draining: "));
    assert_non_null(strstr(log, "nothing was left"));
    free(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_restart_loses_no_connection),
        cmocka_unit_test(test_draining_leaves_the_socket_alone),
        cmocka_unit_test(test_sockets_that_are_none),
        cmocka_unit_test(test_reuse_port),
        cmocka_unit_test(test_lame_duck),
        cmocka_unit_test(test_lame_duck_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
