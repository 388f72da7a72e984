/* Each name is noted once, and only so many. */
#include "tests/support/test_support.h"

#include "engine/base/log.h"
#include "server/api/unknown_fields.h"

static void test_once_a_name(void **state) {
    (void)state;
    static struct unknown_fields u;
    unknown_fields_init(&u);
    assert_true(unknown_fields_note(&u, "frobnicate"));
    assert_false(unknown_fields_note(&u, "frobnicate"));
    assert_true(unknown_fields_note(&u, "frobnicat"));
    assert_int_equal(u.count, 2);
    unknown_fields_deinit(&u);
}

/* After the last name one line says that no more follow; names that were there are still known. */
static void test_the_number_of_names_is_bounded(void **state) {
    (void)state;
    static struct unknown_fields u;
    char name[32];
    unsigned lines = 0;
    unknown_fields_init(&u);
    for (int i = 0; i < 10 * UNKNOWN_FIELDS_MAX; i++) {
        snprintf(name, sizeof name, "field-%d", i);
        lines += unknown_fields_note(&u, name);
        assert_false(unknown_fields_note(&u, "field-0"));
    }
    assert_int_equal(u.count, UNKNOWN_FIELDS_MAX);
    assert_int_equal(lines, UNKNOWN_FIELDS_MAX + 1); /* one says that no more follow */
    unknown_fields_deinit(&u);
}

/* Long names are cut: they take no more room, and differ only in what is kept. */
static void test_long_names(void **state) {
    (void)state;
    static struct unknown_fields u;
    char name[1000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    unknown_fields_init(&u);
    assert_true(unknown_fields_note(&u, name));
    name[900] = 'y';
    assert_false(unknown_fields_note(&u, name));
    assert_int_equal(strlen(u.names[0]), UNKNOWN_FIELD_BYTES_MAX - 1);
    unknown_fields_deinit(&u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_a_name),
        cmocka_unit_test(test_the_number_of_names_is_bounded),
        cmocka_unit_test(test_long_names),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
