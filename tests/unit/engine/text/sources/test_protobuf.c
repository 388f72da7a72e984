#include "engine/text/sources/protobuf.h"

#include "tests/support/test_support.h"

static struct protobuf message(const char *bytes, size_t length) {
    return protobuf_message("test", bytes, bytes, length);
}

static void test_fields_in_order(void **state) {
    (void)state;
    static const char bytes[] = "\x08\x96\x01"                         /* 1: 150 */
                                "\x12\x03"                             /* 2: */
                                "abc"                                  /* three bytes */
                                "\x1D\x00\x00\x80\xBF"                 /* 3: -1.0 */
                                "\x21\x01\x02\x03\x04\x05\x06\x07\x08" /* 4: eight bytes */
                                "\x12\x00"                             /* 2: nothing */
                                "\xF8\xFF\xFF\xFF\x0F\x7F";            /* the highest number there is: 127 */
    struct protobuf p = message(bytes, sizeof bytes - 1);
    struct protobuf_field f;
    struct error e = {0};
    bool found;
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_true(found && f.number == 1 && f.kind == PROTOBUF_VARINT && f.value == 150);
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_true(f.number == 2 && f.kind == PROTOBUF_BYTES && f.length == 3 && memcmp(f.bytes, "abc", 3) == 0);
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_true(f.number == 3 && f.kind == PROTOBUF_FIXED32 && protobuf_float(&f) == -1.0f);
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_true(f.kind == PROTOBUF_FIXED64 && f.value == 0x0807060504030201u);
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_true(f.number == 2 && f.length == 0);
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_true(f.number == (1u << 29) - 1 && f.value == 127);
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_false(found);
}

static void test_what_is_no_message(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *fragment;
    } cases[] = {
        {"\x08", 1, "byte 1: ends within a number"},
        {"\x08\xFF", 2, "ends within a number"},
        {"\x80", 1, "ends within a number"},
        {"\x1D\x01\x02\x03", 4, "ends within a number"},
        {"\x21\x01\x02\x03", 4, "ends within a number"},
        {"\x12\x04"
         "abc",
         5, "goes beyond its end"},
        {"\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, "goes beyond its end"},
        {"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11, "more than 64 bits"},
        {"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12, "more than 64 bits"},
        {"\x00\x01", 2, "not the number of a field"},
        {"\x80\x80\x80\x80\x10\x01", 6, "not the number of a field"},
        {"\x0B", 1, "not a kind"},
        {"\x0C", 1, "not a kind"},
        {"\x0F", 1, "not a kind"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct protobuf p = message(cases[i].bytes, cases[i].length);
        struct protobuf_field f;
        struct error e = {0};
        bool found;
        assert_int_equal(protobuf_next(&p, &f, &found, &e), STATUS_MALFORMED);
        assert_string_equal(e.where, "test");
        if (!strstr(e.text, cases[i].fragment)) fail_msg("case %zu: '%s'", i, e.text);
    }
}

static void test_a_kind_that_was_expected(void **state) {
    (void)state;
    struct protobuf p = message("\x08\x01", 2);
    struct protobuf_field f;
    struct error e = {0};
    bool found;
    assert_ok(protobuf_next(&p, &f, &found, &e));
    assert_ok(protobuf_expect(&p, &f, PROTOBUF_VARINT, &e));
    assert_int_equal(protobuf_expect(&p, &f, PROTOBUF_BYTES, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "field 1 is of kind 0, expected 2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields_in_order),
                                       cmocka_unit_test(test_what_is_no_message),
                                       cmocka_unit_test(test_a_kind_that_was_expected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
