/* Words that must not come. */
#include "completion_fixture.h"

/* In ids; behind a blank only where that is another first id of as many, which here it never is: a byte is an
 * id. */
static void test_bad_words(void **state) {
    (void)state;
    struct completion *c = prepare("{\"prompt\":\"a\",\"bad_words\":[\"no\",\"  x\"]}");
    assert_int_equal(c->ban_count, 2);
    assert_int_equal(c->bans[0].count, 2);
    assert_int_equal(c->bans[0].ids[1], 'o');
    assert_int_equal(c->bans[1].count, 1);
    assert_int_equal(c->bans[1].ids[0], 'x');
    completion_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_words),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
