#include "tests/support/test_support.h"

#include "server/reply.h"

/* What goes in comes out, in pieces of any size, while both sides go on. */
static void test_in_is_out(void **state) {
    (void)state;
    struct reply r;
    unsigned seed = 3;
    size_t in = 0, out = 0;
    reply_init(&r, 1000);
    while (out < 100000) {
        for (int i = rand_r(&seed) % 5; i > 0 && reply_has_room(&r); i--) {
            char piece[300];
            size_t length = (size_t)(rand_r(&seed) % 300);
            for (size_t j = 0; j < length; j++) piece[j] = (char)((in + j) * 7);
            bytes_append(&r.bytes, piece, length);
            reply_appended(&r);
            in += length;
        }
        char piece[400];
        size_t length = reply_take(&r, piece, (size_t)(rand_r(&seed) % 400));
        for (size_t j = 0; j < length; j++)
            assert_int_equal((unsigned char)piece[j], (unsigned char)((out + j) * 7));
        out += length;
        assert_int_equal(reply_pending(&r), in - out);
        assert_true(reply_pending(&r) < 1000 + 300);
        assert_true(r.bytes.length < 2 * (1000 + 300) + 400); /* what was taken does not pile up */
    }
    reply_deinit(&r);
}

static void test_room(void **state) {
    (void)state;
    struct reply r;
    char out[8];
    reply_init(&r, 4);
    assert_true(reply_has_room(&r));
    bytes_text(&r.bytes, "abc");
    assert_true(reply_has_room(&r));
    bytes_text(&r.bytes, "d");
    assert_false(reply_has_room(&r));
    assert_int_equal(reply_take(&r, out, 1), 1);
    assert_true(reply_has_room(&r));
    assert_int_equal(reply_take(&r, out, 8), 3);
    assert_memory_equal(out, "bcd", 3);
    assert_int_equal(reply_take(&r, out, 8), 0);
    reply_deinit(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_is_out), cmocka_unit_test(test_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
