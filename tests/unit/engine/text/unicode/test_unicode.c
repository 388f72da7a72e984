#include "tests/support/test_support.h"

#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/unicode/unicode.h"

static void test_every_code_point_there_and_back(void **state) {
    (void)state;
    for (int32_t point = 0; point <= 0x10FFFF; point++) {
        char bytes[UTF8_BYTES_MAX];
        size_t at = 0, used;
        if (point >= 0xD800 && point <= 0xDFFF) continue;
        size_t length = utf8_encode(point, bytes);
        assert_int_equal(utf8_classify((unsigned char *)bytes, length, &used), UTF8_WHOLE);
        assert_int_equal(used, length);
        assert_int_equal(utf8_next(bytes, length, &at), point);
        assert_int_equal(utf8_point((unsigned char *)bytes, length), point);
        assert_int_equal(at, length);
        assert_int_equal(utf8_previous(bytes, length), 0);
        if (length == 1) continue;
        assert_int_equal(utf8_classify((unsigned char *)bytes, length - 1, &used), UTF8_INCOMPLETE);
        assert_int_equal(used, length - 1);
    }
}

/* The length of the maximal part that one U+FFFD stands for (Unicode, table 3-8). */
static void test_broken_sequences(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t used;
    } cases[] = {
        {"\x80", 1},         {"\xC0\xAF", 1},     {"\xC1\x80", 1},      {"\xE0\x80\xAF", 1},
        {"\xED\xA0\x80", 1}, {"\xF0\x80\x80", 1}, {"\xF4\x90\x80", 1},  {"\xF5\x80\x80", 1},
        {"\xC3(", 1},        {"\xE2\x82(", 2},    {"\xF0\x9F\x98(", 3}, {"\xFF", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t used;
        assert_int_equal(utf8_classify((const unsigned char *)cases[i].bytes, strlen(cases[i].bytes), &used),
                         UTF8_BROKEN);
        assert_int_equal(used, cases[i].used);
        assert_int_equal(utf8_valid_prefix(cases[i].bytes, strlen(cases[i].bytes)), 0);
    }
    assert_int_equal(utf8_valid_prefix("aé\xC3", 4), 3);
    assert_int_equal(utf8_count("aé中😀", strlen("aé中😀")), 4);
}

static void test_bytes_as_characters(void **state) {
    (void)state;
    bool seen[0x200] = {false};
    for (int byte = 0; byte < 256; byte++) {
        int32_t point = byte_level_point((unsigned char)byte);
        assert_int_equal(byte_level_byte(point), byte);
        assert_in_range(point, 0x21, 0x143);
        assert_false(seen[point]);
        seen[point] = true;
    }
    assert_int_equal(byte_level_point(' '), 0x120); /* the "Ġ" of GPT-2 */
    assert_int_equal(byte_level_point('\n'), 0x10A);
    assert_int_equal(byte_level_point(0xAD), 0x143);
    assert_int_equal(byte_level_byte(' '), -1);
    assert_int_equal(byte_level_byte(0x144), -1);
    assert_int_equal(byte_level_byte(0xAD), -1);
    assert_int_equal(byte_level_byte(0x4E2D), -1);
}

static void test_classes(void **state) {
    (void)state;
    assert_true(unicode_is_whitespace(0x85) && unicode_is_whitespace(0x3000) &&
                !unicode_is_whitespace(0x180E));
    assert_true(unicode_is_word('_') && unicode_is_word(0x24B6) && unicode_is_word(0x200D) &&
                unicode_is_word(0x301));
    assert_false(unicode_is_word('-') || unicode_is_word(0xB2));
    assert_true(unicode_is_numeric(0xB2) && unicode_is_numeric(0x2167) && unicode_is_numeric(0x663));
    assert_false(unicode_is_numeric('a') || unicode_is_numeric(0x4E00));
    assert_true(unicode_is_punctuation('$') && unicode_is_punctuation(0x2014) &&
                !unicode_is_punctuation(0xA2));
    assert_true(unicode_is_mark(0x903) && !unicode_is_nonspacing_mark(0x903) &&
                unicode_is_nonspacing_mark(0x301));
    assert_true(unicode_is_other(0) && unicode_is_other(0xAD) && unicode_is_other(0xE000));
    assert_false(unicode_is_other(0x378) || unicode_is_other('a')); /* unassigned is not "other" */
}

static void test_lower_case(void **state) {
    (void)state;
    int32_t out[2];
    assert_int_equal(unicode_lower('A', out), 1);
    assert_int_equal(out[0], 'a');
    assert_int_equal(unicode_lower(0x130, out), 2);
    assert_true(out[0] == 'i' && out[1] == 0x307);
    assert_int_equal(unicode_lower(0x3A3, out), 1);
    assert_int_equal(out[0], 0x3C3); /* never the final form */
    assert_int_equal(unicode_lower(0x1E9E, out), 1);
    assert_int_equal(out[0], 0xDF);
    assert_int_equal(unicode_lower(0xA7DC, out), 1);
    assert_int_equal(out[0], 0x19B); /* Unicode 16 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point_there_and_back),
        cmocka_unit_test(test_broken_sequences),
        cmocka_unit_test(test_bytes_as_characters),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
