/* Under TLS a client may say that it leaves (close_notify) and keep the TCP connection open: that counts as
 * leaving, whatever its request waits for. A client that sends the next request ahead has not left. */
#include <gnutls/gnutls.h>
#include <unistd.h>

#include "tests/http/support_http.h"

static struct daemon d;
static char *folder;
static bool has_openssl;

struct client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static int start(void **state) {
    (void)state;
    char command[1024], cert[256], key[256];
    folder = test_folder_create();
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=t "
             "-keyout %s/key.pem -out %s/cert.pem >/dev/null 2>&1",
             folder, folder);
    has_openssl = system(command) == 0;
    if (!has_openssl) return 0;
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    daemon_start_fake(&d, "token-ms=25,holds", "--max-sequences", "1", "--tls-cert", cert, "--tls-key", key,
                      NULL);
    return 0;
}

static int stop(void **state) {
    (void)state;
    if (has_openssl) daemon_stop(&d);
    test_folder_remove(folder);
    return 0;
}

static void skip_without_openssl(void) {
    if (has_openssl) return;
    print_message("no openssl program: TLS is not tried\n");
    skip();
}

static void client_open(struct client *c, const char *priorities) {
    int result;
    c->fd = raw_connect(&d);
    assert_int_equal(gnutls_certificate_allocate_credentials(&c->credentials), 0);
    assert_int_equal(gnutls_init(&c->session, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_priority_set_direct(c->session, priorities, NULL), 0);
    assert_int_equal(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
    gnutls_transport_set_int(c->session, c->fd);
    do result = gnutls_handshake(c->session);
    while (result < 0 && !gnutls_error_is_fatal(result));
    assert_int_equal(result, 0);
}

static void client_send(struct client *c, const char *text) {
    assert_int_equal(gnutls_record_send(c->session, text, strlen(text)), strlen(text));
}

static void client_post(struct client *c, const char *body) {
    char text[1024];
    snprintf(text, sizeof text,
             "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    client_send(c, text);
}

/* Reads until the text has come, or to the end (NULL); what was read is in static storage. */
static const char *client_read(struct client *c, const char *text) {
    static char buffer[1 << 20];
    size_t length = 0;
    buffer[0] = '\0';
    while (!text || !strstr(buffer, text)) {
        ssize_t got = gnutls_record_recv(c->session, buffer + length, sizeof buffer - 1 - length);
        if (got < 0 && !gnutls_error_is_fatal((int)got)) continue;
        if (got <= 0 && text) fail_msg("the end instead of '%s' after: %s", text, buffer);
        if (got <= 0) break;
        length += (size_t)got;
        buffer[length] = '\0';
    }
    return buffer;
}

static void client_close(struct client *c) {
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    close(c->fd);
}

/* The TCP connection stays. */
static void client_leave(struct client *c) {
    assert_int_equal(gnutls_bye(c->session, GNUTLS_SHUT_WR), 0);
}

static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2",
                                       "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305"};
enum { VERSIONS = sizeof versions / sizeof *versions };

/* They take 50 s, more than wait_metric waits. */
static const char plain[] = "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true}";
static const char stream[] = "{\"prompt\":\"Once\",\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}";

static void test_running(void **state) {
    (void)state;
    skip_without_openssl();
    for (int i = 0; i < 2 * VERSIONS; i++) {
        struct client c;
        bool is_stream = i % 2;
        client_open(&c, versions[i / 2]);
        client_post(&c, is_stream ? stream : plain);
        wait_metric(&d, "prenorm_sequences_running", 1);
        if (is_stream) client_read(&c, "data: {");
        client_leave(&c);
        wait_metric(&d, "prenorm_sequences_running", 0);
        wait_metric(&d, "prenorm_http_requests_in_flight", 1); /* the one that asks */
        client_close(&c);
    }
}

static void test_queued(void **state) {
    (void)state;
    skip_without_openssl();
    struct client running;
    client_open(&running, versions[0]);
    client_post(&running, plain);
    wait_metric(&d, "prenorm_sequences_running", 1);
    for (int i = 0; i < 2 * VERSIONS; i++) {
        struct client c;
        client_open(&c, versions[i / 2]);
        client_post(&c, i % 2 ? stream : plain);
        wait_metric(&d, "prenorm_sequences_waiting", 1);
        client_leave(&c);
        wait_metric(&d, "prenorm_sequences_waiting", 0);
        client_close(&c);
    }
    assert_true(metric(&d, "prenorm_sequences_running") == 1);
    client_leave(&running);
    wait_metric(&d, "prenorm_sequences_running", 0);
    client_close(&running);
}

/* While its prompt is in the pool: nothing is admitted for it when it comes back. */
static void test_encoding(void **state) {
    (void)state;
    skip_without_openssl();
    struct client c;
    client_open(&c, versions[0]);
    client_post(&c, "{\"prompt\":\"hold\",\"max_tokens\":2000,\"ignore_eos\":true}");
    wait_metric(&d, "prenorm_encode_requests", 1);
    double before = metric(&d, "prenorm_http_client_disconnects_total");
    client_leave(&c);
    wait_metric(&d, "prenorm_http_client_disconnects_total", before + 1);
    double tokens = metric(&d, "vllm:prompt_tokens_total{model_name=\"tales\"}");
    struct answer a = http_post(&d, "/tokenize", "{\"prompt\":\"let go\"}");
    answer_free(&a);
    wait_metric(&d, "prenorm_encode_requests", 0);
    wait_metric(&d, "prenorm_http_requests_in_flight", 1);
    assert_true(metric(&d, "vllm:prompt_tokens_total{model_name=\"tales\"}") == tokens);
    client_close(&c);
}

/* Requests that are sent ahead are all answered, in order, whether the first is streamed or not; so is one
 * behind which stands an empty line. */
static void test_pipelining(void **state) {
    (void)state;
    skip_without_openssl();
    for (int i = 0; i < 4; i++) {
        struct client c;
        client_open(&c, versions[i / 2]);
        client_post(&c, i % 2 ? "{\"prompt\":\"a\",\"max_tokens\":40,\"ignore_eos\":true,\"stream\":true}"
                              : "{\"prompt\":\"a\",\"max_tokens\":40,\"ignore_eos\":true}");
        wait_metric(&d, "prenorm_sequences_running", 1);
        if (i >= 2) client_send(&c, "\r\n");
        client_send(&c, "GET /version HTTP/1.1\r\nHost: t\r\n\r\n");
        client_send(&c, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
        const char *text = client_read(&c, "\"status\":\"ok\"");
        const char *first = strstr(text, i % 2 ? "data: [DONE]" : "text_completion"),
                   *second = strstr(text, "compiler");
        assert_true(first && second && first < second);
        client_close(&c);
    }
}

/* Two bytes look like an end until they are decrypted. They cannot be given back, so the connection ends with
 * the answer: a request is never read without its beginning. */
static void test_data_that_looks_like_an_end(void **state) {
    (void)state;
    skip_without_openssl();
    for (int i = 0; i < 2; i++) {
        struct client running, c;
        client_open(&running, versions[0]);
        client_post(&running, plain);
        wait_metric(&d, "prenorm_sequences_running", 1);
        client_open(&c, versions[0]);
        client_post(&c, i ? "{\"prompt\":\"a\",\"max_tokens\":20,\"ignore_eos\":true,\"stream\":true}"
                          : "{\"prompt\":\"a\",\"max_tokens\":20,\"ignore_eos\":true}");
        wait_metric(&d, "prenorm_sequences_waiting", 1);
        client_send(&c, "GE");
        client_send(&c, "T /health HTTP/1.1\r\nHost: t\r\n\r\n");
        client_leave(&running);
        const char *text = client_read(&c, NULL);
        if (!strstr(text, i ? "data: [DONE]" : "text_completion")) fail_msg("%d: %s", i, text);
        assert_null(strstr(strstr(text, "200 OK") + 1, "HTTP/1.1"));
        client_close(&c);
        client_close(&running);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_queued),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_data_that_looks_like_an_end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
