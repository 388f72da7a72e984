/* Several clients: turns of theirs in the real daemon, and how much one may have at once. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/http/support_http.h"

/* header: "Name: value\r\n" lines, also none. */
static void send_from(int fd, const char *header, const char *body) {
    char head[1024];
    snprintf(head, sizeof head,
             "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n%s"
             "Content-Length: %zu\r\n\r\n",
             header, strlen(body));
    raw_send(fd, head);
    raw_send(fd, body);
}

static int post_from(const struct daemon *d, const char *header, const char *body) {
    int fd = raw_connect(d);
    send_from(fd, header, body);
    return fd;
}

/* ---- turns --------------------------------------------------------------------------------------------- */

/* Requests of so many tokens that few of them end while the others come: tokens are slow under a sanitizer. */
enum { FLOOD = 200, QUEUED_AT_LEAST = 150, FLOOD_TOKENS = TEST_SHARE ? 200 : 400 };

/* Answers to requests named flood-N that the log has before the one to `other`. */
static size_t answers_before_other(const struct daemon *d) {
    size_t count = 0;
    char line[2048];
    bool found = false;
    FILE *log = fopen(d->log, "r");
    assert_non_null(log);
    while (!found && fgets(line, sizeof line, log)) {
        count += strstr(line, "request flood-") && strstr(line, " 200 after ");
        found = strstr(line, "request other:") && strstr(line, " 200 after ");
    }
    fclose(log);
    assert_true(found);
    return count;
}

/* One client has queued 200 requests for the only place, and then another sends one. It is served after those
 * that had begun, and one of the first client's that had its turn before it came; the bound here leaves room
 * for what ends while it is on its way. In order of arrival it would come after 150 at least. */
static void test_one_request_beside_a_flood(void **state) {
    (void)state;
    static const char *const by_address[] = {"X-Forwarded-For: 192.0.2.1\r\n",
                                             "X-Forwarded-For: 192.0.2.2\r\n"},
                             *const by_key[] = {"Authorization: Bearer alpha\r\n",
                                                "Authorization: Bearer beta\r\n"};
    char *folder = test_folder_create(), keys[1200], header[256];
    snprintf(keys, sizeof keys, "%s/keys", folder);
    test_file_write(folder, "keys", "alpha\nbeta\n", 11);
    for (int is_by_key = 0; is_by_key < 2; is_by_key++) {
        struct daemon d;
        const char *const *who = is_by_key ? by_key : by_address;
        static int fds[FLOOD];
        char body[128];
        snprintf(body, sizeof body, "{\"prompt\":\"Once\",\"max_tokens\":%d,\"ignore_eos\":true}",
                 FLOOD_TOKENS);
        daemon_start(&d, PRENORMD,
                     (const char *const[]){"serve",
                                           "--port",
                                           "0",
                                           "--model",
                                           test_source_path("deploy/models/tales"),
                                           "--kv-cache-mib",
                                           "64",
                                           "--max-sequences",
                                           "1",
                                           "--encode-requests-max",
                                           "512",
                                           "--log-level",
                                           "debug",
                                           "--trusted-proxy",
                                           "127.0.0.1",
                                           "--public-metrics",
                                           "--fair-share",
                                           is_by_key ? "key" : "address",
                                           is_by_key ? "--api-key-file" : NULL,
                                           keys,
                                           NULL});
        daemon_wait_ready(&d);
        for (int i = 0; i < FLOOD; i++) {
            snprintf(header, sizeof header, "%sX-Request-Id: flood-%d\r\n", who[0], i);
            fds[i] = post_from(&d, header, body);
        }
        double waiting = 0;
        for (int i = 0; i < PATIENCE_SECONDS * 100 && waiting < QUEUED_AT_LEAST; i++) {
            waiting = metric(&d, "prenorm_sequences_waiting");
            sleep_ms(10);
        }
        assert_true(waiting >= QUEUED_AT_LEAST);
        snprintf(header, sizeof header, "%sX-Request-Id: other\r\n", who[1]);
        int other = post_from(&d, header, "{\"prompt\":\"Once\",\"max_tokens\":4}");
        raw_read_until(other, "text_completion");
        assert_true(answers_before_other(&d) < QUEUED_AT_LEAST / 2);
        close(other);
        for (int i = 0; i < FLOOD; i++) close(fds[i]);
        daemon_stop(&d);
    }
    test_folder_remove(folder);
}

/* ---- how much at once ---------------------------------------------------------------------------------- */

static const char long_plain[] = "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true}";

static void expect_limit(const struct daemon *d, const char *header) {
    int fd = post_from(d, header, "{\"prompt\":\"a\"}");
    const char *answer = raw_read_until(fd, "\"code\":\"client_limit\"");
    assert_non_null(strstr(answer, "HTTP/1.1 429 "));
    assert_non_null(strstr(answer, "\r\nRetry-After: "));
    assert_non_null(
        strstr(answer, "This client has 2 completions under way, as many as it may have at once."));
    close(fd);
}

static void expect_answer(const struct daemon *d, const char *header) {
    int fd = post_from(d, header, "{\"prompt\":\"a\",\"max_tokens\":1}");
    assert_non_null(strstr(raw_read_until(fd, "text_completion"), "HTTP/1.1 200 "));
    close(fd);
}

static void test_requests_of_one_client(void **state) {
    (void)state;
    struct daemon d;
    int fds[2];
    daemon_start_fake(&d, "token-ms=20", "--max-requests-per-client", "2", "--trusted-proxy", "127.0.0.0/8",
                      NULL);
    for (int i = 0; i < 2; i++) fds[i] = post_from(&d, "X-Forwarded-For: 2001:db8::1\r\n", long_plain);
    wait_metric(&d, "prenorm_http_requests_in_flight", 3); /* with the one that asks */
    static const char *const same[] = {
        "X-Forwarded-For: 2001:db8::2\r\n", "X-Forwarded-For: 192.0.2.1, [2001:db8::1]:99, 127.0.0.5\r\n",
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 2001:db8::1\r\n", /* the proxy's own line is the last */
        "x-forwarded-for: 192.0.2.1\r\nX-Request-Id: a\r\nX-FORWARDED-FOR: 2001:db8::1\r\n"};
    static const char *const others[] = {"", "X-Forwarded-For: 2001:db8:0:1::1\r\n",
                                         "X-Forwarded-For: 192.0.2.1\r\n",
                                         "X-Forwarded-For: 2001:db8::1, unknown\r\n",
                                         "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-For: 192.0.2.1\r\n"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) expect_limit(&d, same[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) expect_answer(&d, others[i]);
    assert_true(metric(&d, "prenorm_http_rejected_total{reason=\"client_limit\"}") == 4);
    /* Other routes are open to it, and so is this one when it has fewer. */
    const char *headers[] = {"X-Forwarded-For: 2001:db8::1", NULL};
    struct answer a = http_request(&d, "POST", "/tokenize", headers, "{\"prompt\":\"a\"}", 14);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    close(fds[0]);
    wait_metric(&d, "prenorm_http_requests_in_flight", 2);
    expect_answer(&d, same[0]);
    close(fds[1]);
    wait_metric(&d, "prenorm_http_requests_in_flight", 1);
    for (int i = 0; i < 5; i++) expect_answer(&d, same[0]);
    daemon_stop(&d);
}

/* Without a trusted proxy a header says nothing: all are one client. */
static void test_nobody_is_believed_by_default(void **state) {
    (void)state;
    struct daemon d;
    int fds[2];
    daemon_start_fake(&d, "token-ms=20", "--max-requests-per-client", "2", "--fair-share", "address", NULL);
    fds[0] = post_from(&d, "X-Forwarded-For: 192.0.2.1\r\n", long_plain);
    fds[1] = post_from(&d, "", long_plain);
    wait_metric(&d, "prenorm_http_requests_in_flight", 3);
    expect_limit(&d, "X-Forwarded-For: 192.0.2.2\r\n");
    for (int i = 0; i < 2; i++) close(fds[i]);
    daemon_stop(&d);
}

static void test_clients_by_key(void **state) {
    (void)state;
    struct daemon d;
    int fds[2];
    char *folder = test_folder_create(), keys[1200];
    snprintf(keys, sizeof keys, "%s/keys", folder);
    test_file_write(folder, "keys", "alpha\nbeta\n", 11);
    daemon_start_fake(&d, "token-ms=20", "--max-requests-per-client", "2", "--fair-share", "key",
                      "--api-key-file", keys, "--public-metrics", NULL);
    for (int i = 0; i < 2; i++) fds[i] = post_from(&d, "Authorization: Bearer alpha\r\n", long_plain);
    wait_metric(&d, "prenorm_http_requests_in_flight", 3);
    expect_limit(&d, "Authorization: Bearer alpha\r\n");
    expect_answer(&d, "Authorization: Bearer beta\r\n");
    for (int i = 0; i < 2; i++) close(fds[i]);
    daemon_stop(&d);
    test_folder_remove(folder);
}

static int post_to_socket(const char *path, const char *header, const char *body) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    send_from(fd, header, body);
    return fd;
}

/* The status of the answer; of a stream as soon as it has begun. *fd: of the connection, which stays open. */
static int ask_socket(const char *path, const char *header, const char *body, int *fd) {
    *fd = post_to_socket(path, header, body);
    return atoi(raw_read_until(*fd, "\r\n") + strlen("HTTP/1.1 "));
}

/* Behind the Unix socket stands a proxy: what it says of its clients is believed where "unix" is trusted;
 * where not, all are one client. */
static void test_clients_behind_a_unix_socket(void **state) {
    (void)state;
    static const char stream[] =
        "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}";
    static const char *const clients[] = {"X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n",
                                          "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", ""};
    static const int expected[2][4] = {{200, 429, 429, 429}, {200, 200, 429, 200}};
    char *folder = test_folder_create(), path[100];
    snprintf(path, sizeof path, "%s/socket", folder);
    for (int is_trusted = 0; is_trusted < 2; is_trusted++) {
        struct daemon d;
        int fds[4], status, tries = 0;
        daemon_start(&d, PRENORMD_FAKE,
                     (const char *const[]){"--model", "token-ms=20", "--unix-socket", path,
                                           "--max-requests-per-client", "1", "--trusted-proxy",
                                           is_trusted ? "unix" : "::1", NULL});
        while ((status = ask_socket(path, clients[0], stream, &fds[0])) == 503 && tries++ < 1000) {
            close(fds[0]); /* still loading */
            sleep_ms(10);
        }
        assert_int_equal(status, expected[is_trusted][0]);
        for (int i = 1; i < 4; i++)
            assert_int_equal(ask_socket(path, clients[i], stream, &fds[i]), expected[is_trusted][i]);
        for (int i = 0; i < 4; i++) close(fds[i]);
        daemon_stop(&d);
    }
    test_folder_remove(folder);
}

/* What cannot be is said at the start. */
static void test_rules_that_cannot_be(void **state) {
    (void)state;
    static const char *const flags[][2] = {
        {"--fair-share=key", "api-key-file is not set"},
        {"--trusted-proxy=10.0.0.1/8", "'10.0.0.1/8' is neither an address"}};
    char command[4096], text[4096];
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "%s --model fake --port 0 %s 2>&1", PRENORMD_FAKE, flags[i][0]);
        FILE *out = popen(command, "r");
        assert_non_null(out);
        size_t length = fread(text, 1, sizeof text - 1, out);
        text[length] = '\0';
        assert_int_not_equal(pclose(out), 0);
        assert_non_null(strstr(text, flags[i][1]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request_beside_a_flood),    cmocka_unit_test(test_requests_of_one_client),
        cmocka_unit_test(test_nobody_is_believed_by_default), cmocka_unit_test(test_clients_by_key),
        cmocka_unit_test(test_clients_behind_a_unix_socket),  cmocka_unit_test(test_rules_that_cannot_be)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
