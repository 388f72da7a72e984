#include "server/http/traceparent.h"

#include "tests/support/test_support.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void test_good(void **state) {
    (void)state;
    static const char *const values[] = {"00-" TRACE "-" PARENT "-01",       "00-" TRACE "-" PARENT "-00",
                                         "00-" TRACE "-" PARENT "-ff",       "01-" TRACE "-" PARENT "-01",
                                         "cc-" TRACE "-" PARENT "-01-later", "fe-" TRACE "-" PARENT "-01-"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char id[TRACE_ID_BYTES + 1] = "";
        assert_true(traceparent_read(values[i], strlen(values[i]), id));
        assert_string_equal(id, TRACE);
    }
}

static void test_bad(void **state) {
    (void)state;
    static const char *const values[] = {"",
                                         "00",
                                         "00-" TRACE "-" PARENT "-0",
                                         "00-" TRACE "-" PARENT "-011",
                                         "00-" TRACE "-" PARENT "-01-more",
                                         "01-" TRACE "-" PARENT "-01.more",
                                         "ff-" TRACE "-" PARENT "-01",
                                         "0g-" TRACE "-" PARENT "-01",
                                         "00_" TRACE "-" PARENT "-01",
                                         "00-" TRACE "_" PARENT "-01",
                                         "00-" TRACE "-" PARENT "_01",
                                         "00-" TRACE "-" PARENT "-0x",
                                         "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
                                         "00-00000000000000000000000000000000-" PARENT "-01",
                                         "00-" TRACE "-0000000000000000-01",
                                         "00-" TRACE "-00F067AA0BA902B7-01",
                                         " 00-" TRACE "-" PARENT "-01",
                                         "00-4bf92f3577b34da6a3ce929d0e0e473\n-" PARENT "-01"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char id[TRACE_ID_BYTES + 1] = "untouched";
        assert_false(traceparent_read(values[i], strlen(values[i]), id));
        assert_string_equal(id, "untouched");
    }
}

/* Every cut of a good one is none. */
static void test_cut(void **state) {
    (void)state;
    static const char value[] = "00-" TRACE "-" PARENT "-01";
    char id[TRACE_ID_BYTES + 1];
    for (size_t length = 0; length < sizeof value - 1; length++)
        assert_false(traceparent_read(value, length, id));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
