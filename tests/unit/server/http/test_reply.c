#include "tests/support/test_support.h"

#include "server/http/reply.h"

/* What goes in comes out, in pieces of any size, while both sides go on. */
static void test_in_is_out(void **state) {
    (void)state;
    struct reply r;
    unsigned seed = 3;
    size_t in = 0, out = 0;
    reply_init(&r, 1000, NULL);
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
    reply_init(&r, 4, NULL);
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

/* Streams together hold what their budget allows: one that has much to read waits then, one that has little
 * goes on. What is read is given back. */
static void test_total(void **state) {
    (void)state;
    struct budget total = {.max = 64 << 10};
    struct reply a, b;
    char piece[20000] = {0};
    reply_init(&a, 1 << 20, &total);
    reply_init(&b, 1 << 20, &total);
    for (int i = 0; reply_has_room(&a); i++) {
        assert_true(i < 10);
        bytes_append(&a.bytes, piece, sizeof piece);
        reply_appended(&a);
    }
    assert_true(budget_is_low(&total));
    assert_true(reply_has_room(&b));
    bytes_append(&b.bytes, piece, sizeof piece);
    reply_appended(&b);
    assert_false(reply_has_room(&b));
    assert_int_equal(budget_used(&total), a.charged + b.charged);
    assert_true(a.charged < a.bytes.capacity && a.charged + 32768 > a.bytes.capacity);
    while (reply_pending(&a)) reply_take(&a, piece, sizeof piece);
    assert_true(reply_has_room(&a) && reply_has_room(&b));
    assert_int_equal(budget_used(&total), b.charged);
    reply_deinit(&a);
    reply_deinit(&b);
    assert_int_equal(budget_used(&total), 0);
}

/* How long a reader has not read counts from when there was something to read. */
static void test_a_reader_that_has_everything(void **state) {
    (void)state;
    struct reply r;
    char out[8];
    reply_init(&r, 4, NULL);
    for (int i = 0; i < 2; i++) {
        r.taken_ns = 1; /* long ago */
        bytes_text(&r.bytes, "abcdef");
        reply_appended(&r);
        assert_int_equal(r.taken_ns, r.appended_ns);
        r.taken_ns = 1;
        bytes_text(&r.bytes, "g");
        reply_appended(&r);
        assert_int_equal(r.taken_ns, 1);
        assert_int_equal(reply_take(&r, out, 3), 3);
        assert_true(r.taken_ns > 1);
        r.taken_ns = 1;
        bytes_text(&r.bytes, "h");
        reply_appended(&r);
        assert_int_equal(r.taken_ns, 1);
        assert_int_equal(reply_take(&r, out, 8), 5);
    }
    reply_deinit(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_is_out), cmocka_unit_test(test_room),
                                       cmocka_unit_test(test_total),
                                       cmocka_unit_test(test_a_reader_that_has_everything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
