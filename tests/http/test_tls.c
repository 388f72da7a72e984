/* TLS: certificates read again at SIGHUP, versions and ciphers, answers in the middle of a body. */
#include <gnutls/gnutls.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/http/support_http.h"

/* A folder with key.pem and cert.pem; key is what `openssl req -newkey` takes. */
static char *folder, cert[256], key[256];

static bool make_certificate(const char *name, const char *kind) {
    char command[1024];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey %s -nodes -days 2 -subj /CN=%s -keyout %s -out %s >/dev/null 2>&1",
             kind, name, key, cert);
    return system(command) == 0;
}

#define ELLIPTIC "ec -pkeyopt ec_paramgen_curve:prime256v1"

static int setup(void **state) {
    (void)state;
    folder = test_folder_create();
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

/* ---- a client ---- */

struct client {
    int fd, result; /* of the handshake; 0 or an error of GnuTLS */
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static void client_open(struct client *c, const struct daemon *d, const char *priorities) {
    c->fd = raw_connect(d);
    assert_int_equal(gnutls_init(&c->session, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&c->credentials), 0);
    assert_int_equal(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
    assert_int_equal(gnutls_priority_set_direct(c->session, priorities, NULL), 0);
    gnutls_transport_set_int(c->session, c->fd);
    gnutls_handshake_set_timeout(c->session, PATIENCE_SECONDS * 1000);
    do c->result = gnutls_handshake(c->session);
    while (c->result < 0 && !gnutls_error_is_fatal(c->result));
}

static void client_close(struct client *c) {
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    close(c->fd);
}

static bool client_send(struct client *c, const char *data, size_t length) {
    return gnutls_record_send(c->session, data, length) == (ssize_t)length;
}

/* What comes up to the end; static storage. */
static const char *client_read_all(struct client *c) {
    static char text[65536];
    size_t length = 0;
    ssize_t got;
    while ((got = gnutls_record_recv(c->session, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    return text;
}

/* The handshake's end as the client sees it; a session that came about also answers a request. */
static bool can_speak(const struct daemon *d, const char *priorities) {
    static const char request[] = "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    struct client c;
    client_open(&c, d, priorities);
    bool can = c.result == 0;
    if (can) {
        assert_true(client_send(&c, request, sizeof request - 1));
        assert_non_null(strstr(client_read_all(&c), "{\"status\":\"ok\"}"));
    }
    client_close(&c);
    return can;
}

/* ---- tests ---- */

static void test_certificates(void **state) {
    (void)state;
    struct daemon d;
    assert_true(make_certificate("first", ELLIPTIC));
    daemon_start_fake(&d, "fake", "--tls-cert", cert, "--tls-key", key, NULL);
    assert_true(d.is_tls);
    json_decref(complete(&d, "{\"prompt\":\"a\",\"max_tokens\":500,\"ignore_eos\":true}"));
    struct answer a = http_post(&d, "/v1/completions",
                                "{\"prompt\":\"a\",\"max_tokens\":500,\"ignore_eos\":true,\"stream\":true}");
    assert_non_null(strstr(a.body, "data: [DONE]\n\n"));
    answer_free(&a);
    /* A new pair at SIGHUP; then a broken one, which changes nothing. */
    assert_true(make_certificate("second", ELLIPTIC));
    kill(d.pid, SIGHUP);
    sleep_ms(300);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    test_file_write(folder, "key.pem", "nonsense", 8);
    kill(d.pid, SIGHUP);
    sleep_ms(300);
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    int fd = raw_connect(&d); /* plain HTTP to a TLS port */
    size_t length;
    raw_send(fd, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
    shutdown(fd, SHUT_WR);
    free(raw_read_all(fd, &length));
    close(fd);
    daemon_stop(&d);
}

#define OLD_RSA "NORMAL:%COMPAT:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"

static void test_versions_and_ciphers(void **state) {
    (void)state;
    static const struct {
        const char *priorities;
        bool accepted;
    } cases[] = {
        {"NORMAL:-VERS-ALL:+VERS-TLS1.0", false},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.1", false},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.1:-KX-ALL:+ECDHE-RSA", false},
        {OLD_RSA, false}, /* no forward secrecy */
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA", true},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA:+ECDHE-RSA", true},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3", true},
        {"NORMAL", true},
    };
    struct daemon d;
    assert_true(make_certificate("rsa", "rsa:2048"));
    daemon_start_fake(&d, "fake", "--tls-cert", cert, "--tls-key", key, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (can_speak(&d, cases[i].priorities) != cases[i].accepted) fail_msg("%s", cases[i].priorities);
    daemon_stop(&d);
    /* By option all that, so it is the default that refuses, and not the client. */
    daemon_start_fake(&d, "fake", "--tls-cert", cert, "--tls-key", key, "--tls-priorities",
                      "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.1:+VERS-TLS1.0", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(can_speak(&d, cases[i].priorities),
                         strcmp(cases[i].priorities, "NORMAL:-VERS-ALL:+VERS-TLS1.3") != 0);
    daemon_stop(&d);
}

/* A usage error that names the option, with and without certificate. */
static void test_bad_priorities(void **state) {
    (void)state;
    static const char *const bad[] = {"nonsense", "NORMAL:-VERS-ALL:+VERS-TLS9", "NORMAL,",
                                      "NORMAL:%NO_SUCH"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char command[1024], text[1024];
        snprintf(command, sizeof command, "'%s' --port 0 --model fake --tls-priorities '%s' 2>&1",
                 PRENORMD_FAKE, bad[i]);
        FILE *out = popen(command, "r");
        assert_non_null(out);
        text[fread(text, 1, sizeof text - 1, out)] = '\0';
        int status = pclose(out);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        assert_non_null(strstr(text, "tls-priorities"));
        assert_non_null(strstr(text, bad[i]));
    }
}

/* A body without end, and one that does not come: the answer goes through the session. */
static void test_late_answers(void **state) {
    (void)state;
    static const char head[] =
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char chunk[8192 + 8];
    struct daemon d;
    struct client c;
    memset(chunk, ' ', sizeof chunk);
    memcpy(chunk, "2000\r\n", 6);
    memcpy(chunk + sizeof chunk - 2, "\r\n", 2);
    assert_true(make_certificate("late", ELLIPTIC));
    daemon_start_fake(&d, "fake", "--tls-cert", cert, "--tls-key", key, "--body-bytes-max", "4096",
                      "--read-timeout-seconds", "2", "--cors-origin", "*", NULL);
    client_open(&c, &d, "NORMAL");
    assert_int_equal(c.result, 0);
    assert_true(client_send(&c, head, sizeof head - 1));
    for (size_t sent = 0; sent < 20 << 20 && client_send(&c, chunk, sizeof chunk); sent += sizeof chunk)
        continue;
    const char *answer = client_read_all(&c);
    if (strncmp(answer, "HTTP/1.1 413 ", 13) && strncmp(answer, "HTTP/1.1 408 ", 13))
        fail_msg("'%s'", answer);
    client_close(&c);
    client_open(&c, &d, "NORMAL");
    assert_int_equal(c.result, 0);
    assert_true(client_send(&c, head, sizeof head - 1));
    answer = client_read_all(&c);
    assert_int_equal(strncmp(answer, "HTTP/1.1 408 ", 13), 0);
    assert_non_null(strstr(answer, "\"code\":\"timeout\"}}"));
    client_close(&c);
    daemon_stop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_versions_and_ciphers),
        cmocka_unit_test(test_bad_priorities),
        cmocka_unit_test(test_late_answers),
    };
    signal(SIGPIPE, SIG_IGN);
    if (system("openssl version >/dev/null 2>&1") != 0) {
        print_message("no openssl program: TLS is not tried\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
