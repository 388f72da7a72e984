#include "tests/http/support_http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FLAGS_MAX = 40 };

void sleep_ms(unsigned ms) {
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* ---- the daemon ---- */

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    assert_non_null(file);
    assert_non_null(text);
    text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void start_process(struct daemon *d, const char *program, const char *const *flags) {
    char *arguments[FLAGS_MAX + 2] = {(char *)program};
    for (int i = 0; flags[i]; i++) {
        assert_true(i < FLAGS_MAX);
        arguments[i + 1] = (char *)flags[i];
    }
    char path[] = "/tmp/prenorm-log-XXXXXX";
    int log = mkstemp(path);
    assert_true(log >= 0);
    d->log = strdup(path);
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing behind */
        dup2(log, STDERR_FILENO);
        execv(program, arguments);
        _exit(127);
    }
    close(log);
}

void daemon_start(struct daemon *d, const char *program, const char *const *flags) {
    *d = (struct daemon){0};
    start_process(d, program, flags);
    for (int i = 0; i < PATIENCE_SECONDS * 100; i++) {
        char *text = read_text(d->log), *at = strstr(text, "listening on ");
        bool is_unix = at && strncmp(at, "listening on unix:", 18) == 0;
        if (at && strchr(at, '\n')) {
            d->is_tls = strncmp(at, "listening on https:", 19) == 0;
            if (!is_unix) d->port = atoi(strstr(at, "127.0.0.1:") + 10);
            free(text);
            return;
        }
        if (waitpid(d->pid, NULL, WNOHANG) == d->pid) fail_msg("the daemon has ended: %s", text);
        free(text);
        sleep_ms(10);
    }
    fail_msg("the daemon does not listen");
}

void daemon_wait_ready(const struct daemon *d) {
    for (int i = 0; i < PATIENCE_SECONDS * 20; i++) {
        struct answer a = http_get(d, "/ready");
        long status = a.status;
        answer_free(&a);
        if (status == 200) return;
        sleep_ms(50);
    }
    fail_msg("the daemon does not get ready");
}

/* Behind those there are. */
static void add_flags(const char **flags, int count, va_list more) {
    for (const char *flag; (flag = va_arg(more, const char *));) {
        assert_true(count < FLAGS_MAX);
        flags[count++] = flag;
    }
}

void daemon_start_fake(struct daemon *d, const char *settings, ...) {
    const char *flags[FLAGS_MAX + 1] = {"--port", "0", "--model", settings, "--model-name", "tales"};
    va_list args;
    va_start(args, settings);
    add_flags(flags, 6, args);
    va_end(args);
    daemon_start(d, PRENORMD_FAKE, flags);
    daemon_wait_ready(d);
}

void daemon_start_tales(struct daemon *d, ...) {
    const char *flags[FLAGS_MAX + 1] = {
        "serve", "--port", "0", "--model", test_source_path("deploy/models/tales"), "--kv-cache-mib", "64"};
    va_list args;
    va_start(args, d);
    add_flags(flags, 7, args);
    va_end(args);
    daemon_start(d, PRENORMD, flags);
    daemon_wait_ready(d);
}

int daemon_wait(struct daemon *d, char **log) {
    int status = 0;
    for (int i = 0; i < PATIENCE_SECONDS * 100; i++) {
        pid_t pid = waitpid(d->pid, &status, WNOHANG);
        if (pid == d->pid) break;
        if (i == PATIENCE_SECONDS * 100 - 1) {
            kill(d->pid, SIGKILL);
            fail_msg("the daemon does not end");
        }
        sleep_ms(10);
    }
    char *text = read_text(d->log);
    if (!WIFEXITED(status) || strstr(text, "Sanitizer")) fail_msg("the daemon has crashed: %s", text);
    unlink(d->log);
    free(d->log);
    if (log)
        *log = text;
    else
        free(text);
    return WEXITSTATUS(status);
}

void daemon_kill(struct daemon *d) {
    kill(d->pid, SIGKILL);
    assert_int_equal(waitpid(d->pid, NULL, 0), d->pid);
    unlink(d->log);
    free(d->log);
}

void daemon_stop(struct daemon *d) {
    kill(d->pid, SIGTERM);
    assert_int_equal(daemon_wait(d, NULL), 0);
}

/* ---- libcurl ---- */

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct answer *a = context;
    a->body = realloc(a->body, a->length + size * count + 1);
    assert_non_null(a->body);
    memcpy(a->body + a->length, data, size * count);
    a->length += size * count;
    a->body[a->length] = '\0';
    return size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *context) {
    struct answer *a = context;
    size_t length = a->headers ? strlen(a->headers) : 0;
    a->headers = realloc(a->headers, length + size * count + 1);
    assert_non_null(a->headers);
    memcpy(a->headers + length, data, size * count);
    a->headers[length + size * count] = '\0';
    return size * count;
}

/* Comments, which a stream has after seconds of silence: on a busy machine anywhere. */
static void leave_pings_out(struct answer *a) {
    static const char ping[] = ": ping\n\n";
    char *at = a->body ? strstr(a->body, ping) : NULL;
    while (at) {
        const bool is_ping = at == a->body || at[-1] == '\n';
        const char *rest = at + sizeof ping - 1;
        if (is_ping) {
            memmove(at, rest, (size_t)(a->body + a->length - rest) + 1);
            a->length -= sizeof ping - 1;
        }
        at = strstr(is_ping ? at : at + 1, ping);
    }
}

struct answer http_request(const struct daemon *d, const char *method, const char *path,
                           const char *const *headers, const char *body, size_t length) {
    struct answer a = {0};
    char url[1024];
    struct curl_slist *list = NULL;
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    snprintf(url, sizeof url, "%s://127.0.0.1:%d%s", d->is_tls ? "https" : "http", d->port, path);
    if (body) list = curl_slist_append(list, "Content-Type: application/json");
    for (size_t i = 0; headers && headers[i]; i++) list = curl_slist_append(list, headers[i]);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)(3 * PATIENCE_SECONDS));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &a);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    }
    if (strcmp(method, "HEAD") == 0) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    a.error = (int)curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(list);
    leave_pings_out(&a);
    return a;
}

struct answer http_get(const struct daemon *d, const char *path) {
    return http_request(d, "GET", path, NULL, NULL, 0);
}

struct answer http_post(const struct daemon *d, const char *path, const char *body) {
    return http_request(d, "POST", path, NULL, body, strlen(body));
}

void answer_free(struct answer *a) {
    free(a->headers);
    free(a->body);
    *a = (struct answer){0};
}

const char *answer_header(const struct answer *a, const char *name) {
    static char value[1024];
    size_t length = strlen(name);
    for (const char *line = a->headers; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncasecmp(line, name, length) != 0 || line[length] != ':') continue;
        line += length + 1 + strspn(line + length + 1, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r\n"), line);
        return value;
    }
    return NULL;
}

json_t *answer_json(const struct answer *a) {
    json_error_t at;
    json_t *json = json_loadb(a->body ? a->body : "", a->length, JSON_ALLOW_NUL, &at);
    if (!json) fail_msg("the answer is not JSON (%s): %s", at.text, a->body ? a->body : "");
    return json;
}

json_t *post_json(const struct daemon *d, const char *path, const char *body) {
    struct answer a = http_post(d, path, body);
    if (a.status != 200) fail_msg("%s: status %ld: %s", path, a.status, a.body ? a.body : "");
    json_t *json = answer_json(&a);
    answer_free(&a);
    return json;
}

json_t *complete(const struct daemon *d, const char *body) {
    return post_json(d, "/v1/completions", body);
}

void expect_json(const json_t *found, const char *expected) {
    json_t *json = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    if (!json_equal(found, json)) {
        char *text = json_dumps(found, JSON_ENCODE_ANY);
        fail_msg("%s, not %s", text ? text : "nothing", expected);
    }
    json_decref(json);
}

const json_t *choice_value(const json_t *answer, size_t index, const char *name) {
    return json_object_get(json_array_get(json_object_get(answer, "choices"), index), name);
}

const char *choice_text(const json_t *answer, size_t index) {
    const char *text = json_string_value(choice_value(answer, index, "text"));
    assert_non_null(text);
    return text;
}

double metric(const struct daemon *d, const char *name) {
    struct answer a = http_get(d, "/metrics");
    assert_int_equal(a.status, 200);
    double value = -1;
    size_t length = strlen(name);
    for (const char *line = a.body; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ' ') value = atof(line + length + 1);
    answer_free(&a);
    return value;
}

void wait_metric(const struct daemon *d, const char *name, double value) {
    double found = -1;
    for (int i = 0; i < PATIENCE_SECONDS * 50; i++) {
        found = metric(d, name);
        if (found == value) return;
        sleep_ms(20);
    }
    fail_msg("%s is %g, not %g", name, found, value);
}

void wait_metric_above(const struct daemon *d, const char *name, double value) {
    double found = -1, largest = -1;
    for (int i = 0; i < PATIENCE_SECONDS * 50; i++) {
        found = metric(d, name);
        if (found > value) return;
        if (found > largest) largest = found;
        sleep_ms(20);
    }
    fail_msg("%s is %g, and was %g at most; expected more than %g", name, found, largest, value);
}

bool has_logged(const struct daemon *d, const char *text) {
    FILE *file = fopen(d->log, "re");
    char line[400];
    bool is_there = false;
    while (file && fgets(line, sizeof line, file)) is_there |= strstr(line, text) != NULL;
    if (file) fclose(file);
    return is_there;
}

void wait_logged(const struct daemon *d, const char *text) {
    for (int i = 0; i < PATIENCE_SECONDS * 50; i++) {
        if (has_logged(d, text)) return;
        sleep_ms(20);
    }
    fail_msg("the log has no \"%s\"", text);
}

/* ---- sockets ---- */

int raw_connect(const struct daemon *d) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)d->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void raw_send(int fd, const char *text) {
    size_t length = strlen(text);
    assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

void raw_post(int fd, const char *body) {
    char head[256];
    snprintf(head, sizeof head,
             "POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: "
             "application/json\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    raw_send(fd, head);
    raw_send(fd, body);
}

/* Bytes read; 0 at the end of file. */
static size_t read_some(int fd, char *out, size_t size) {
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};
    if (poll(&poll_for, 1, PATIENCE_SECONDS * 1000) != 1) fail_msg("nothing comes from the daemon");
    ssize_t length = recv(fd, out, size, 0);
    if (length < 0 && errno == ECONNRESET) return 0;
    assert_true(length >= 0);
    return (size_t)length;
}

const char *raw_read_until(int fd, const char *text) {
    static char buffer[1 << 20];
    size_t length = 0;
    buffer[0] = '\0';
    while (!strstr(buffer, text)) {
        assert_true(length < sizeof buffer - 1);
        size_t got = read_some(fd, buffer + length, sizeof buffer - 1 - length);
        if (!got) fail_msg("end of file instead of '%s' after: %s", text, buffer);
        length += got;
        buffer[length] = '\0';
    }
    return buffer;
}

char *raw_read_all(int fd, size_t *length) {
    char *data = NULL;
    size_t got, size = 65536;
    *length = 0;
    do {
        if (*length + 65536 > size) size *= 2;
        data = realloc(data, size + 1);
        assert_non_null(data);
        got = read_some(fd, data + *length, size - *length);
        *length += got;
        data[*length] = '\0';
    } while (got);
    return data;
}
