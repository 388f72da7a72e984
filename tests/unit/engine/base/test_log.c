/* Log lines, read back from a pipe in the place of stderr. */
#include "engine/base/log.h"

#include "tests/support/test_support.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct capture {
    int saved, read_end;
};

static struct capture capture_begin(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct capture c = {dup(STDERR_FILENO), ends[0]};
    assert_true(c.saved >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return c;
}

/* What was written since, NUL-terminated. */
static size_t capture_end(struct capture *c, char *text, size_t size) {
    dup2(c->saved, STDERR_FILENO);
    close(c->saved);
    size_t length = 0;
    ssize_t got;
    while (length < size - 1 && (got = read(c->read_end, text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    close(c->read_end);
    text[length] = '\0';
    return length;
}

static void test_format(void **state) {
    (void)state;
    char text[256];
    time_t before = time(NULL);
    struct capture c = capture_begin();
    log_info("loaded %d tensors from %s", 3, "x");
    size_t length = capture_end(&c, text, sizeof text);
    struct tm stamp = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &stamp);
    assert_non_null(rest);
    assert_in_range(timegm(&stamp), before, before + 5);
    unsigned milliseconds;
    int used = 0;
    assert_int_equal(sscanf(rest, ".%3uZ%n", &milliseconds, &used), 1);
    assert_int_equal(used, 5);
    assert_string_equal(rest + used, " info  loaded 3 tensors from x\n");
    assert_int_equal(length, strlen("2026-01-31T12:00:00.123Z info  loaded 3 tensors from x\n"));
}

static void test_levels(void **state) {
    (void)state;
    char text[1024];
    struct capture c = capture_begin();
    log_set_level(LOG_LEVEL_WARN);
    log_error("one");
    log_warn("two");
    log_info("three");
    log_debug("four");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("five");
    log_set_level(LOG_LEVEL_INFO);
    capture_end(&c, text, sizeof text);
    assert_non_null(strstr(text, "Z error one\n"));
    assert_non_null(strstr(text, "Z warn  two\n"));
    assert_null(strstr(text, "three"));
    assert_null(strstr(text, "four"));
    assert_non_null(strstr(text, "Z debug five\n"));
    assert_true(log_enabled(LOG_LEVEL_INFO));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
}

static void test_hostile_bytes(void **state) {
    (void)state;
    char text[256];
    struct capture c = capture_begin();
    log_info("%s", "a\nb\x1b[2Jc\xc3\x28\x7f");
    capture_end(&c, text, sizeof text);
    assert_non_null(strstr(text, " info  a?b?[2Jc?(?\n"));
}

static void test_long_lines_are_cut(void **state) {
    (void)state;
    char text[8192];
    struct capture c = capture_begin();
    log_info("%5000d", 7);
    size_t length = capture_end(&c, text, sizeof text);
    assert_int_equal(length, 2048 - 1);
    assert_string_equal(text + length - 4, "...\n");
    assert_ptr_equal(strchr(text, '\n'), text + length - 1);
}

static void test_names_in_other_scripts(void **state) {
    (void)state;
    char text[8192];
    struct capture c = capture_begin();
    log_info("%s", "/modèles/模型\xe2\x80\xae");
    log_say("prenormd: %s\n", "модель");
    capture_end(&c, text, sizeof text);
    assert_non_null(strstr(text, " info  /modèles/模型???\n"));
    assert_non_null(strstr(text, "\nprenormd: модель?\n"));
}

static void test_a_cut_leaves_whole_characters(void **state) {
    (void)state;
    char text[8192], name[3001];
    for (size_t i = 0; i < sizeof name - 1; i++) name[i] = "\xe6\xa8\xa1"[i % 3];
    name[sizeof name - 1] = '\0';
    for (size_t shift = 0; shift < 3; shift++) {
        struct capture c = capture_begin();
        log_say("%.*s%s", (int)shift, "xx", name);
        size_t length = capture_end(&c, text, sizeof text);
        assert_in_range(length, 2048 - 4, 2048);
        assert_string_equal(text + length - 7, "\xe6\xa8\xa1...\n");
    }
}

/* ---- a reader that does not read ---- */

static size_t count_lines(const char *text, const char *part) {
    size_t count = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n'), *found = strstr(line, part);
        assert_non_null(end); /* no line is torn */
        count += found && found < end;
    }
    return count;
}

/* Writes lines until the first is dropped; the number of those that were taken. */
static size_t fill(void) {
    uint64_t before = log_lines_dropped();
    size_t written = 0;
    while (log_lines_dropped() == before) {
        log_info("line %zu of those that fill it %0100d", written, 7);
        written++;
    }
    return written - 1;
}

static void check_full_stream(int ends[2]) {
    static char text[1 << 22];
    size_t length = 0;
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    uint64_t before = log_lines_dropped();
    log_open();
    size_t taken = fill();
    for (int i = 0; i < 41; i++) log_info("lost");
    assert_int_equal(log_lines_dropped() - before, 42);
    log_tell_dropped(); /* cannot be said yet */
    assert_true(fcntl(STDERR_FILENO, F_GETFL) >= 0);
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK); /* others have the same description */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    log_info("seen");
    log_tell_dropped(); /* said already */
    dup2(saved, STDERR_FILENO);
    close(saved);
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    assert_int_equal(count_lines(text, "of those that fill it"), taken);
    assert_int_equal(count_lines(text, "lost"), 0);
    assert_int_equal(count_lines(text, "Z warn  log: lines dropped because nobody read them: 42"), 1);
    assert_int_equal(count_lines(text, "lines dropped"), 1);
    assert_int_equal(count_lines(text, "seen"), 1);
    assert_true(strstr(text, "lines dropped") < strstr(text, "seen"));
}

static void test_full_pipe(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    check_full_stream(ends);
}

/* As systemd gives one. */
static void test_full_socket(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_full_stream(ends);
}

/* Nobody has to ask for it: the notice comes by itself as soon as there is room. */
static void test_notice_without_a_line(void **state) {
    (void)state;
    static char text[1 << 22];
    struct capture c = capture_begin();
    fill();
    fcntl(c.read_end, F_SETFL, O_NONBLOCK);
    while (read(c.read_end, text, sizeof text) > 0) continue;
    log_tell_dropped();
    capture_end(&c, text, sizeof text);
    assert_non_null(strstr(text, "Z warn  log: lines dropped because nobody read them: 1\n"));
    assert_int_equal(strcspn(text, "\n") + 1, strlen(text));
}

static void test_closed_stderr_is_no_error(void **state) {
    (void)state;
    char text[16];
    struct capture c = capture_begin();
    close(STDERR_FILENO);
    log_error("nobody hears this");
    assert_int_equal(capture_end(&c, text, sizeof text), 0);
}

/* The same lines as JSON, and with the priorities that the journal reads. */
static void test_json(void **state) {
    (void)state;
    char text[4096];
    struct capture c = capture_begin();
    log_set_format(LOG_FORMAT_JSON);
    log_warn("a \"quoted\" \\ \x1b[2J line");
    log_say("prenormd: no");
    log_set_format(LOG_FORMAT_TEXT);
    capture_end(&c, text, sizeof text);
    assert_int_equal(strncmp(text, "{\"time\":\"20", 11), 0);
    assert_non_null(
        strstr(text, "Z\",\"level\":\"warn\",\"message\":\"a \\\"quoted\\\" \\\\ ?[2J line\"}\n{\"time\""));
    assert_non_null(strstr(text, "\"level\":\"error\",\"message\":\"prenormd: no\"}\n"));
}

static void test_long_json_stays_json(void **state) {
    (void)state;
    char text[8192], quotes[4096];
    for (size_t size = 900; size < sizeof quotes; size += 7) {
        memset(quotes, '"', size);
        quotes[size - 1] = '\0';
        struct capture c = capture_begin();
        log_set_format(LOG_FORMAT_JSON);
        log_info("%s", quotes);
        log_set_format(LOG_FORMAT_TEXT);
        size_t length = capture_end(&c, text, sizeof text);
        assert_true(length <= 2048);
        assert_string_equal(text + length - 3, "\"}\n");
        size_t slashes = 0;
        for (const char *at = strstr(text, "message"); *at; at++) slashes += *at == '\\';
        const char *end = text + length - 3, *dots = strstr(text, "...");
        if (dots) assert_ptr_equal(dots + 3, end);
        if (!dots) assert_int_equal(slashes, size - 1);
        assert_true(dots || size < 1100);
    }
}

/* A file in the place of stderr: of a pipe log_open would keep a description of its own. */
static void test_journal(void **state) {
    (void)state;
    char text[1024], stream[64];
    struct stat info;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open();
    log_error("one");
    log_info("two");
    log_set_format(LOG_FORMAT_JSON);
    log_warn("three");
    log_set_format(LOG_FORMAT_TEXT);
    setenv("JOURNAL_STREAM", "1:1", 1); /* inherited from who had another stderr */
    log_open();
    log_info("four");
    unsetenv("JOURNAL_STREAM");
    log_open();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(strncmp(text, "<3>20", 5), 0);
    assert_non_null(strstr(text, "Z error one\n<6>20"));
    assert_non_null(strstr(text, "Z info  two\n<4>{\"time\":\"20"));
    assert_non_null(strstr(text, "\"three\"}\n20"));
    assert_non_null(strstr(text, "Z info  four\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_json_stays_json),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_names_in_other_scripts),
        cmocka_unit_test(test_a_cut_leaves_whole_characters),
        cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_full_socket),
        cmocka_unit_test(test_notice_without_a_line),
        cmocka_unit_test(test_closed_stderr_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
