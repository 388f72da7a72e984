/* Standard streams that are closed, or that nobody reads. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"

#define MODEL PRENORM_SOURCE_DIR "/tests/golden/families/gpt2" /* small: it is started a dozen times */

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

/* GET of a path over the socket once something listens there; the answer is the caller's to free. */
static char *get(struct command *c, const char *socket_path, const char *path) {
    char request[256];
    size_t length;
    int fd;
    for (int i = 0; (fd = connect_unix(socket_path)) < 0; i++) {
        assert_true(i < PATIENCE_SECONDS * 100);
        assert_int_equal(waitpid(c->pid, &c->status, WNOHANG), 0);
        sleep_ms(10);
    }
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path);
    raw_send(fd, request);
    char *answer = raw_read_all(fd, &length);
    close(fd);
    return answer;
}

static void wait_ready(struct command *c, const char *socket_path) {
    for (int i = 0; i < PATIENCE_SECONDS * 100; i++) {
        char *answer = get(c, socket_path, "/ready");
        bool ready = strncmp(answer, "HTTP/1.1 200", 12) == 0;
        free(answer);
        if (ready) return;
        sleep_ms(10);
    }
    fail_msg("the daemon does not get ready");
}

/* Every way in which the three can be closed: it serves, and ends as it is told to. */
static void test_serve_with_closed_descriptors(void **state) {
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        char *folder = test_folder_create(), socket_path[100];
        snprintf(socket_path, sizeof socket_path, "%s/s", folder);
        struct command c = {.words = {PRENORMD, "serve", "--model", MODEL, "--unix-socket", socket_path,
                                      "--log-level", "debug"},
                            .closed = closed};
        command_start(&c);
        wait_ready(&c, socket_path);
        for (int i = 0; i < 20; i++) {
            char *answer = get(&c, socket_path, "/health");
            assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
            free(answer);
        }
        kill(c.pid, SIGTERM);
        command_wait(&c);
        if (!WIFEXITED(c.status) || WEXITSTATUS(c.status) != 0)
            fail_msg("closed %u: status %d: %s", closed, c.status, c.error_text);
        assert_string_equal(c.output_text, "");
        if (closed & 4)
            assert_string_equal(c.error_text, "");
        else
            assert_non_null(strstr(c.error_text, "SIGTERM"));
        command_free(&c);
        test_folder_remove(folder);
    }
}

/* At once, not when the text has been generated. */
static void check_output_is_missed(struct command c) {
    c.closed = 2;
    assert_int_equal(command_run(&c), 1);
    assert_string_equal(c.error_text, "prenormd: standard output: is not open for writing\n");
    command_free(&c);
}

static void test_closed_output(void **state) {
    (void)state;
    check_output_is_missed((struct command){
        .words = {PRENORMD, "generate", "--model", MODEL, "--max-tokens", "3", "Once upon a time"}});
    check_output_is_missed((struct command){.words = {PRENORMD, "verify", "--model", MODEL}});
    check_output_is_missed((struct command){.words = {PRENORMD, "bench", "--model", MODEL}});
    struct command c = {.words = {PRENORMD, "--version"}, .closed = 2};
    assert_int_equal(command_run(&c), 1);
    assert_string_equal(c.error_text, "prenormd: standard output: Bad file descriptor\n");
    command_free(&c);
}

static void test_closed_input(void **state) {
    (void)state;
    struct command c = {.words = {PRENORMD, "generate", "--model", MODEL}, .closed = 1};
    assert_int_equal(command_run(&c), 1);
    assert_string_equal(c.error_text, "prenormd: standard input: Bad file descriptor\n");
    command_free(&c);
}

/* ---- a reader that does not read ---- */

static void check_lines(const char *text) {
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        const char *end = strchr(line, '\n');
        assert_non_null(end); /* no line is torn */
        int used = 0;
        sscanf(line, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ %*5[a-z ] %n", &used);
        if (used != 31 && strncmp(line, "prenormd: ", 10) != 0)
            fail_msg("no log line: %.*s", (int)(end - line), line);
    }
}

/* What the log says was dropped: each line counts those since the one before. */
static double lines_told(const char *text) {
    static const char notice[] = "Z warn  log: lines dropped because nobody read them: ";
    double sum = 0;
    for (const char *told = text; (told = strstr(told, notice)); told += sizeof notice - 1)
        sum += atof(told + sizeof notice - 1);
    return sum;
}

/* All that is in the descriptor, until nothing more comes or its writers are gone; appended to text. */
static void drain(int fd, char *text, size_t size, bool to_end) {
    size_t length = strlen(text);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, to_end ? PATIENCE_SECONDS * 1000 : 0) == 1) {
        assert_true(length < size - 1);
        ssize_t got = read(fd, text + length, size - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
        text[length] = '\0';
    }
}

/* A terminal gets a bar, too, while the model is loaded: what follows that, without what wipes it. */
static const char *without_bar(char *text) {
    static const char wipe[] = "\x1b[K\r";
    char *lines = strchr(strstr(text, "ready: "), '\n') + 1;
    for (char *at; (at = strstr(lines, wipe));)
        memmove(at, at + sizeof wipe - 1, strlen(at + sizeof wipe - 1) + 1);
    return lines;
}

static double dropped_after_requests(const struct daemon *d, int requests) {
    for (int i = 0; i < requests; i++) {
        struct answer a = http_get(d, "/health");
        assert_int_equal(a.error, 0);
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    return metric(d, "prenorm_log_lines_dropped_total");
}

/* Log lines into a stderr that nobody reads, of requests until it is full and some more: all are answered; what was lost is
 * said when it can be, and counted. */
static void check_unread_stderr(int ends[2]) {
    enum { AT_ONCE = 300, AT_MOST = 6000 };
    static char text[1 << 22];
    char *folder = test_folder_create(), path[1200];
    snprintf(path, sizeof path, "%s/s", folder);
    bool is_terminal = isatty(ends[1]);
    text[0] = '\0';
    struct command c = {.words = {PRENORMD, "serve", "--model", MODEL, "--port", "0", "--log-level", "debug"},
                        .errors = ends[1]};
    command_start(&c);
    close(ends[1]);
    struct daemon d = {0};
    while (!strstr(text, "ready: ")) drain(ends[0], text, sizeof text, false), sleep_ms(10);
    d.port = atoi(strstr(text, "127.0.0.1:") + 10);
    double dropped = 0;
    for (int i = 0; i < AT_MOST && !(dropped > 0); i += AT_ONCE)
        dropped = dropped_after_requests(&d, AT_ONCE);
    assert_true(dropped > 0);
    dropped = dropped_after_requests(&d, AT_ONCE);
    drain(ends[0], text, sizeof text, false);
    kill(c.pid, SIGTERM);
    drain(ends[0], text, sizeof text, true);
    command_wait(&c);
    assert_true(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 0);
    check_lines(is_terminal ? without_bar(text) : text);
    assert_true(lines_told(text) >= dropped);
    close(ends[0]);
    command_free(&c);
    test_folder_remove(folder);
}

static void test_unread_pipe(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    check_unread_stderr(ends);
}

static void test_unread_socket(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_unread_stderr(ends);
}

/* As with "docker run -t", where what the terminal shows is fetched by another process. */
static void test_unread_terminal(void **state) {
    (void)state;
    struct termios raw;
    int ends[2];
    assert_true((ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0);
    assert_int_equal(grantpt(ends[0]), 0);
    assert_int_equal(unlockpt(ends[0]), 0);
    assert_true((ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0);
    assert_int_equal(tcgetattr(ends[1], &raw), 0);
    cfmakeraw(&raw); /* lines end as they were written */
    assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
    check_unread_stderr(ends);
}

/* A command that fails does not wait for somebody to read why. */
static void test_a_failure_that_nobody_reads(void **state) {
    (void)state;
    int ends[2];
    char byte = 'x';
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int flags = fcntl(ends[1], F_GETFL);
    fcntl(ends[1], F_SETFL, flags | O_NONBLOCK);
    while (write(ends[1], &byte, 1) == 1) continue;
    fcntl(ends[1], F_SETFL, flags);
    struct command c = {.words = {PRENORMD, "serve", "--model", "/nonexistent", "--port", "0"},
                        .errors = ends[1]};
    assert_int_equal(command_run(&c), 2);
    close(ends[0]);
    close(ends[1]);
    command_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serve_with_closed_descriptors),
        cmocka_unit_test(test_closed_output),
        cmocka_unit_test(test_closed_input),
        cmocka_unit_test(test_unread_pipe),
        cmocka_unit_test(test_unread_socket),
        cmocka_unit_test(test_unread_terminal),
        cmocka_unit_test(test_a_failure_that_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
