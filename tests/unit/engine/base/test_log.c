/* Log lines, read back from a pipe in the place of stderr. */
#include "engine/base/log.h"

#include "tests/support/test_support.h"

#include <fcntl.h>
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

static void test_closed_stderr_is_no_error(void **state) {
    (void)state;
    char text[16];
    struct capture c = capture_begin();
    close(STDERR_FILENO);
    log_error("nobody hears this");
    assert_int_equal(capture_end(&c, text, sizeof text), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_closed_stderr_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
