#include "server/cli/progress.h"

#include <math.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "tests/support/test_support.h"

static void test_bar(void **state) {
    (void)state;
    char text[128];
    progress_bar("reading", 0, text, sizeof text);
    assert_string_equal(text, "[----------------------------------------]   0 % reading");
    progress_bar("converting", 0.256, text, sizeof text);
    assert_string_equal(text, "[##########------------------------------]  25 % converting");
    size_t length = progress_bar("x", 1, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "[########################################] 100 % x");
}

static void test_bar_of_shares_out_of_range(void **state) {
    (void)state;
    char text[128], small[8];
    progress_bar("x", -1, text, sizeof text);
    assert_non_null(strstr(text, "]   0 % x"));
    progress_bar("x", 7, text, sizeof text);
    assert_non_null(strstr(text, "] 100 % x"));
    progress_bar("x", (double)NAN, text, sizeof text);
    assert_non_null(strstr(text, "]   0 % x"));
    assert_int_equal(progress_bar("x", 0.5, small, sizeof small), sizeof small - 1);
    assert_int_equal(strlen(small), sizeof small - 1);
}

/* What a function writes to stderr, which is then a pipe. */
static size_t capture(void (*act)(struct progress *p), struct progress *p, char *out, size_t size) {
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    act(p);
    dup2(saved, STDERR_FILENO);
    close(ends[1]), close(saved);
    ssize_t length = read(ends[0], out, size - 1);
    close(ends[0]);
    out[length > 0 ? length : 0] = '\0';
    return strlen(out);
}

static void report_stages(struct progress *p) {
    progress_init(p);
    for (int i = 0; i <= 100; i++) progress_report(p, "reading", i / 100.0);
    for (int i = 0; i <= 100; i++) progress_report(p, "packing", i / 100.0);
}

static void test_a_log_line_for_each_stage_where_there_is_no_terminal(void **state) {
    (void)state;
    struct progress p;
    char text[4096];
    capture(report_stages, &p, text, sizeof text);
    char *reading = strstr(text, "model: reading\n"), *packing = strstr(text, "model: packing\n");
    assert_true(reading && packing && reading < packing);
    assert_null(strchr(text, '\r'));
    assert_int_equal(strcspn(packing, "\n") + 1, strlen(packing)); /* nothing after it */
}

static void report_on_terminal(struct progress *p) {
    *p = (struct progress){.terminal = true};
    for (int i = 0; i <= 1000; i++) progress_report(p, "reading", i / 1000.0);
}

static void test_the_bar_is_drawn_now_and_then_and_wiped_at_the_end(void **state) {
    (void)state;
    struct progress p;
    char text[65536];
    capture(report_on_terminal, &p, text, sizeof text);
    assert_int_equal(strncmp(text, "[----", 5), 0);
    assert_true(strlen(text) < 10000); /* not a thousand bars */
    static const char wiped[] = "\r\x1b[K\r";
    assert_string_equal(text + strlen(text) - strlen(wiped), wiped);
    assert_null(strchr(text, '\n'));
}

static void fail_half_way(struct progress *p) {
    *p = (struct progress){.terminal = true};
    progress_report(p, "reading", 0.5);
    progress_end(p);
    progress_end(p);
}

static void test_a_bar_that_never_fills_is_wiped_once(void **state) {
    (void)state;
    struct progress p;
    char text[1024], bar[128], expected[256];
    capture(fail_half_way, &p, text, sizeof text);
    progress_bar("reading", 0.5, bar, sizeof bar);
    snprintf(expected, sizeof expected, "%s\x1b[K\r\x1b[K\r", bar);
    assert_string_equal(text, expected);
}

static void log_over_the_bar(struct progress *p) {
    *p = (struct progress){.terminal = true};
    progress_report(p, "reading", 0.5);
    log_say("a line");
    progress_end(p);
    log_say("after it");
}

/* What a terminal shows of it: the bar is wiped before the line and drawn again behind it. */
static void test_a_line_over_the_bar(void **state) {
    (void)state;
    struct progress p;
    char text[1024], bar[128], expected[512];
    capture(log_over_the_bar, &p, text, sizeof text);
    progress_bar("reading", 0.5, bar, sizeof bar);
    snprintf(expected, sizeof expected, "%s\x1b[K\r\x1b[Ka line\n%s\x1b[K\r\x1b[K\rafter it\n", bar, bar);
    assert_string_equal(text, expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar),
        cmocka_unit_test(test_bar_of_shares_out_of_range),
        cmocka_unit_test(test_a_log_line_for_each_stage_where_there_is_no_terminal),
        cmocka_unit_test(test_the_bar_is_drawn_now_and_then_and_wiped_at_the_end),
        cmocka_unit_test(test_a_bar_that_never_fills_is_wiped_once),
        cmocka_unit_test(test_a_line_over_the_bar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
