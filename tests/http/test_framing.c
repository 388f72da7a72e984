/* Where a request ends, by RFC 9112: what two readers could read in two ways is refused, and every connection
 * gets an answer. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/http/one_fake_daemon.h"

/* All that comes back to these bytes, up to the end that the daemon makes; the caller frees. */
static char *ask(const char *bytes, size_t length) {
    int fd = raw_connect(&d);
    (void)send(fd, bytes, length, MSG_NOSIGNAL); /* the daemon may close before it has all */
    char *text = raw_read_all(fd, &length);
    close(fd);
    return text;
}

static unsigned count(const char *text, const char *part) {
    unsigned found = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) found++;
    return found;
}

static void check_status(const char *bytes, const char *answer, int status) {
    char text[32];
    snprintf(text, sizeof text, "HTTP/1.1 %d ", status);
    if (strncmp(answer, text, strlen(text)) != 0)
        fail_msg("%d expected to '%.200s': %s", status, bytes, answer);
}

/* One answer in our shape, its status and code, then the end. */
static void check_refused(const char *bytes, size_t length, int status, const char *code) {
    char text[128], *answer = ask(bytes, length);
    check_status(bytes, answer, status);
    assert_int_equal(count(answer, "HTTP/1.1 "), 1);
    snprintf(text, sizeof text, "\"code\":\"%s\"}}", code);
    if (!strstr(answer, text) || !strstr(answer, "\r\nX-Request-Id: "))
        fail_msg("no %s to '%.200s': %s", code, bytes, answer);
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
    free(answer);
}

#define POST  "POST /v1/completions HTTP/1.1\r\n"
#define HOST  "Host: t\r\n"
#define AFTER "{}GET /v1/models HTTP/1.1\r\nHost: t\r\n\r\n" /* not to be taken for a request of its own */

static void test_malformed(void **state) {
    (void)state;
    static const char *const cases[] = {
        POST HOST "Content-Length: 2\r\nContent-Length: 37\r\n\r\n" AFTER,
        POST HOST "Content-Length: 2\r\ncontent-length: 2\r\n\r\n" AFTER,
        POST HOST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" AFTER,
        POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" AFTER,
        POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" AFTER,
        POST HOST "Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n" AFTER,
        "POST /v1/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" AFTER,
        POST HOST "Content-Length : 2\r\n\r\n" AFTER,
        POST HOST "Content-Length\t: 2\r\n\r\n" AFTER,
        POST HOST "Content-Length: 2\r\n 0\r\n\r\n" AFTER,
        POST HOST "Content-Length: 2\r\n\t\r\n\r\n" AFTER,
        POST HOST "X: a\r\n b\r\n c\r\nContent-Length: 2\r\n\r\n" AFTER,
        POST HOST "X: a\r\n b\r\nY: a\r\n b\r\n\r\n",
        POST " X: y\r\n" HOST "\r\n",
        POST HOST "Transfer-Enc: chunked\r\n oding\r\n\r\n" AFTER, /* once joined to a name */
        POST "Content-Length: 2\r\n\r\n" AFTER,
        POST HOST HOST "Content-Length: 2\r\n\r\n" AFTER,
        POST "Host: a b\r\n\r\n",
        POST "Host: a/b\r\n\r\n",
        POST HOST "X: a\rb\r\n\r\n",
        POST HOST "X: a\x01\r\n\r\n",
        POST HOST "X: a\x7f\r\n\r\n",
        POST HOST "X(: a\r\n\r\n",
        POST HOST ": a\r\n\r\n",
        POST HOST "X: a\n\r\n",
        "POST /v1/completions HTTP/1.1\nHost: t\r\n\r\n",
        "GET health HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET ftp://t/health HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /health x HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET  /health HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /he\x01lth HTTP/1.1\r\nHost: t\r\n\r\n",
        "G(T /health HTTP/1.1\r\nHost: t\r\n\r\n",
        "CONNECT t:443 HTTP/1.1\r\nHost: t\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_refused(cases[i], strlen(cases[i]), 400, "malformed_request");
    static const char nul[] = POST HOST "Content-Length: 2\0 7\r\n\r\n" AFTER;
    check_refused(nul, sizeof nul - 1, 400, "malformed_request");
}

/* What libmicrohttpd refuses by itself, with a body of its own; after some it sends its header twice. None of
 * what follows is answered. */
static void test_refused_by_the_library(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {POST HOST "Content-Length: 2, 2\r\n\r\n" AFTER, 400},
        {POST HOST "Content-Length: 2 \r\n\r\n" AFTER, 400},
        {POST HOST "Content-Length: +2\r\n\r\n" AFTER, 400},
        {POST HOST "Content-Length: 0x2\r\n\r\n" AFTER, 400},
        {POST HOST "Content-Length:\r\n\r\n" AFTER, 400},
        {POST HOST "Content-Length: 99999999999999999999\r\n\r\n" AFTER, 413},
        {POST HOST "no colon\r\n\r\n" AFTER, 400},
        {"GET /health HTTP/2.0\r\nHost: t\r\n\r\n", 505},
        {"GET /health HTTP/1.1 \r\nHost: t\r\n\r\n", 400},
        {"GET /health HTTP/1.1x\r\nHost: t\r\n\r\n", 400},
        {POST HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {POST HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
        {POST HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
        {POST HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 413},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *answer = ask(cases[i].text, strlen(cases[i].text));
        check_status(cases[i].text, answer, cases[i].status);
        assert_null(strstr(answer, "200 OK"));
        assert_null(strstr(answer, "application/json"));
        free(answer);
    }
}

static void test_unknown_codings(void **state) {
    (void)state;
    static const char *const cases[] = {"gzip", "gzip, chunked", "chunked, chunked", "identity",
                                        "",     "xchunked"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, POST HOST "Transfer-Encoding: %s\r\n\r\n0\r\n\r\n" AFTER, cases[i]);
        check_refused(text, strlen(text), 501, "unsupported_transfer_coding");
    }
}

/* Each of them is right, and leaves the connection open. */
static void test_well_formed(void **state) {
    (void)state;
    static const char *const cases[] = {
        "GET /health HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET http://t/health HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET HTTPS://other:1/health?a=http://b HTTP/1.1\r\nHost: t\r\n\r\n",
        "\r\n\r\nGET /health HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: t \t\r\nX:\r\nY: \t \r\nZ:a:b\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: [::1]:8080\r\nCookie: a=b; c=\"d e\"\r\n\r\n",
        "GET /he%61lth?&&&=&a=b HTTP/1.1\r\nhost: t\r\nX: \xc3\xa4\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}",
        "GET /health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX:\r\n\r\n",
        "GET /health HTTP/1.2\r\nHost: t\r\n\r\n",
    };
    int fd = raw_connect(&d);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            raw_send(fd, cases[i]);
            assert_non_null(strstr(raw_read_until(fd, "{\"status\":\"ok\"}"), "HTTP/1.1 200 OK"));
        }
    close(fd);
}

/* The same, a byte at a time: where it is cut must not count. */
static void test_byte_by_byte(void **state) {
    (void)state;
    static const char text[] = "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json "
                               "\t\r\nX: y\r\nContent-Length: 14\r\n\r\n{\"prompt\":\"a\"}";
    int fd = raw_connect(&d), on = 1;
    setsockopt(fd, SOL_SOCKET, TCP_NODELAY, &on, sizeof on);
    for (const char *at = text; *at; at++) assert_int_equal(send(fd, at, 1, MSG_NOSIGNAL), 1);
    raw_read_until(fd, "text_completion");
    close(fd);
}

/* Blanks at the end of a value are not part of it. */
static void test_trailing_blanks(void **state) {
    (void)state;
    static const char text[] = POST HOST
        "Content-Type: application/json\t\r\nContent-Encoding: identity \r\nX-Request-Id: mine \t\r\n"
        "Content-Length: 14\r\n\r\n{\"prompt\":\"a\"}";
    int fd = raw_connect(&d);
    raw_send(fd, text);
    const char *answer = raw_read_until(fd, "text_completion");
    assert_non_null(strstr(answer, "\r\nX-Request-Id: mine\r\n"));
    close(fd);
}

/* Without a body there is nothing to go on with; what follows does not cost the answer. */
static void test_expect_without_body(void **state) {
    (void)state;
    static const char *const lines[] = {"GET /health", "OPTIONS /health", "POST /v1/completions"};
    static const int statuses[] = {200, 405, 400};
    for (size_t i = 0; i < 3; i++) {
        char *text = malloc(70000);
        int length = sprintf(text, "%s HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\r\n", lines[i]);
        memset(text + length, 'a', 65536);
        char *answer = ask(text, (size_t)length + 65536);
        check_status(text, answer, statuses[i]);
        free(answer);
        free(text);
    }
}

/* The copy of a continued line, and what follows the request, fill the memory of the connection. */
static void test_refused_with_full_memory(void **state) {
    (void)state;
    static const char head[] = "GET /health HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n";
    char *text = malloc(sizeof head + 65536);
    memcpy(text, head, sizeof head);
    memset(text + sizeof head - 1, 'a', 65536);
    check_refused(text, sizeof head - 1 + 65536, 400, "malformed_request");
    free(text);
}

/* ---- sizes ---- */

/* A request whose target or whose header has so many bytes; *length without the terminator. */
static char *of_size(size_t target, size_t header, size_t *length) {
    static const char line[] = " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n";
    char *text = malloc(target + header + 200), *at = text + sprintf(text, "GET /health?");
    while ((size_t)(at - text) < 4 + target) *at++ = 'q';
    at += sprintf(at, "%s", line);
    if (header) {
        at += sprintf(at, "X: ");
        while ((size_t)(at - text) < header - 4) *at++ = 'x';
        at += sprintf(at, "\r\n");
    }
    at += sprintf(at, "\r\n");
    *length = (size_t)(at - text);
    return text;
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        size_t target, header;
        int status;
        const char *code;
    } cases[] = {
        {4096, 0, 200, NULL},
        {4097, 0, 414, "uri_too_long"},
        {30000, 0, 414, "uri_too_long"},
        {100000, 0, 414, NULL},
        {3000000, 0, 414, NULL},
        {20, 16384, 200, NULL},
        {20, 16385, 431, "header_too_large"},
        {20, 17000, 431, "header_too_large"},
        {20, 30000, 431, "header_too_large"},
        {20, 100000, 431, NULL},
        {20, 3000000, 431, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length;
        char *text = of_size(cases[i].target, cases[i].header, &length);
        if (cases[i].header && cases[i].header < 100000) assert_int_equal(length, cases[i].header);
        if (cases[i].code)
            check_refused(text, length, cases[i].status, cases[i].code);
        else {
            char *answer = ask(text, length);
            check_status(text, answer, cases[i].status);
            free(answer);
        }
        free(text);
    }
}

/* Anything between: an answer, always. Headers in one line, in many, as cookies, as fields of a query. */
static void test_any_size_is_answered(void **state) {
    (void)state;
    static const char *const units[] = {"X: y\r\n", "Cookie: a=b; c=d; e=f\r\n",
                                        "X-Long-Header-Name: 0123456789\r\n"};
    char *text = malloc(1 << 18);
    for (size_t size = 900; size < 120000; size += size / 9)
        for (size_t kind = 0; kind < 5; kind++) {
            char *at = text + sprintf(text, "GET /health%s", kind == 3 ? "?" : "");
            if (kind == 3)
                for (size_t i = 0; i < size; i++) *at++ = '&';
            at += sprintf(at, " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
            if (kind == 4) {
                at += sprintf(at, "Cookie: ");
                for (size_t i = 0; i < size; i++) *at++ = 'c';
                at += sprintf(at, "\r\n");
            }
            while (kind < 3 && (size_t)(at - text) < size) at += sprintf(at, "%s", units[kind]);
            at += sprintf(at, "\r\n");
            char *answer = ask(text, (size_t)(at - text));
            if (strncmp(answer, "HTTP/1.1 200 ", 13) && strncmp(answer, "HTTP/1.1 414 ", 13) &&
                strncmp(answer, "HTTP/1.1 431 ", 13))
                fail_msg("size %zu of kind %zu: '%s'", size, kind, answer);
            free(answer);
        }
    free(text);
}

/* ---- bodies nobody wants ---- */

/* Sends chunks of 64 KiB until it has sent as much, or the daemon has closed. */
static void send_chunks(int fd, size_t bytes) {
    enum { CHUNK = 65536 };
    static char chunk[CHUNK + 16];
    int head = sprintf(chunk, "%x\r\n", CHUNK);
    memset(chunk + head, ' ', CHUNK);
    memcpy(chunk + head + CHUNK, "\r\n", 2);
    for (size_t sent = 0; sent < bytes; sent += CHUNK)
        if (send(fd, chunk, (size_t)head + CHUNK + 2, MSG_NOSIGNAL) < 0) return;
}

/* Whoever sends without end gets to see why it is cut off, whatever it asked for, and is cut off. */
static void test_endless_bodies(void **state) {
    (void)state;
    static const char *const lines[] = {"POST /v1/completions", "GET /health", "PUT /nowhere"};
    static const int statuses[] = {413, 413, 404};
    for (size_t i = 0; i < 3; i++) {
        char text[128];
        size_t length;
        int fd = raw_connect(&d);
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", lines[i]);
        raw_send(fd, text);
        send_chunks(fd, 24 << 20);
        char *answer = raw_read_all(fd, &length);
        snprintf(text, sizeof text, "HTTP/1.1 %d ", statuses[i]);
        if (strncmp(answer, text, strlen(text)) != 0) fail_msg("%s: '%s'", lines[i], answer);
        assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(answer, "\"error\":{"));
        free(answer);
        close(fd);
    }
}

/* A length that is refused at once, and the body comes nevertheless. */
static void test_refused_length(void **state) {
    (void)state;
    static const char *const lines[] = {"POST /v1/completions", "GET /health", "OPTIONS /health"};
    static const int statuses[] = {413, 413, 405};
    char *body = calloc(1, 8 << 20);
    for (size_t i = 0; i < 3; i++) {
        char text[128];
        size_t length;
        int fd = raw_connect(&d);
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n\r\n", lines[i]);
        raw_send(fd, text);
        for (size_t sent = 0; sent < 8 << 20; sent += 1 << 16)
            if (send(fd, body, 1 << 16, MSG_NOSIGNAL) < 0) break;
        char *answer = raw_read_all(fd, &length);
        snprintf(text, sizeof text, "HTTP/1.1 %d ", statuses[i]);
        if (strncmp(answer, text, strlen(text)) != 0) fail_msg("%s: '%s'", lines[i], answer);
        free(answer);
        close(fd);
    }
    free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_refused_by_the_library),
        cmocka_unit_test(test_unknown_codings),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_trailing_blanks),
        cmocka_unit_test(test_expect_without_body),
        cmocka_unit_test(test_refused_with_full_memory),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_any_size_is_answered),
        cmocka_unit_test(test_endless_bodies),
        cmocka_unit_test(test_refused_length),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
