#include "engine/base/printable.h"

#include "tests/support/test_support.h"

static void check(const char *text, const char *expected) {
    char copy[256];
    size_t length = strlen(text);
    memcpy(copy, text, length + 1);
    printable_text(copy, length);
    assert_string_equal(copy, expected);
}

static void check_survives(const char *text) {
    check(text, text);
}

static void test_names_of_all_scripts_survive(void **state) {
    (void)state;
    check_survives("plain ~ text");
    check_survives("Märchen/Žluťoučký kůň/модель");
    check_survives("模型/物語/모델");
    check_survives("می\xe2\x80\x8cخواهم"); /* with its joiner */
    check_survives("क\xe2\x80\x8d्ष");
    check_survives("\xc2\xa0\xc2\xa1\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd");   /* ends of ranges; U+FFFD */
    check_survives("\xf0\x9f\x91\xbb \xf0\x90\x80\x80 \xf3\xa0\x84\x80"); /* ghost, Linear B, a variation */
}

static void test_control_characters(void **state) {
    (void)state;
    check("a\nb\tc\x1b[2J\x7f", "a?b?c?[2J?");
    check("\xc2\x80|\xc2\x9b|\xc2\x9f",
          "??|??|??"); /* C1: U+009B begins a terminal's sequence as ESC [ does */
    check("a\xc2\xad.", "a??.");
}

static void test_what_turns_or_hides_text(void **state) {
    (void)state;
    check("\xe2\x80\xae|\xe2\x80\xaa|\xe2\x81\xa6|\xe2\x81\xa9|\xe2\x80\x8e|\xd8\x9c",
          "???|???|???|???|???|??");
    check("\xe2\x80\x8b|\xe2\x81\xa0|\xef\xbb\xbf|\xf3\xa0\x81\x81",
          "???|???|???|????");                     /* invisible; a tag */
    check("\xe2\x80\xa8|\xe2\x80\xa9", "???|???"); /* line ends */
    check("\xee\x80\x80|\xf3\xb0\x80\x80|\xef\xbf\xbf|\xf0\x9f\xbf\xbe",
          "???|????|???|????"); /* private, none */
}

static void test_invalid_bytes(void **state) {
    (void)state;
    check("\x80|\xbf|\xff|\xfe|\xc0\x80|\xc1\xbf", "?|?|?|?|??|??");
    check("\xc3(|\xe2\x82|\xf0\x9f\x91", "?(|??|???");                        /* cut off */
    check("\xe0\x9f\xbf|\xf0\x8f\xbf\xbf", "???|????");                       /* overlong */
    check("\xed\xa0\x80|\xf4\x90\x80\x80|\xf5\x80\x80\x80", "???|????|????"); /* surrogate, beyond */
}

/* A NUL and what follows it belong to the text too. */
static void test_length_rules(void **state) {
    (void)state;
    char text[] = "a\0\xc3\xa4\xc3";
    printable_text(text, 5);
    assert_memory_equal(text, "a?\xc3\xa4?", 5);
    printable_text(text, 0);
    assert_memory_equal(text, "a?\xc3\xa4?", 5);
}

static void test_cut_leaves_whole_characters(void **state) {
    (void)state;
    static const char whole[] = "x\xc3\xa4\xe6\xa8\xa1\xf0\x9f\x91\xbb"; /* of 1, 2, 3 and 4 bytes */
    static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
    for (size_t length = 0; length <= 10; length++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        assert_int_equal(printable_cut(text, length), ends[length]);
        assert_memory_equal(text, whole, ends[length]);
    }
    char broken[] = "a\xbf\xbf\xbf\xbf";
    assert_int_equal(printable_cut(broken, 5), 5);
    assert_string_equal(broken, "a????");
    char never[] = "a\xe0\x9f"; /* what begins no character is not the beginning of one */
    assert_int_equal(printable_cut(never, 3), 3);
    assert_string_equal(never, "a??");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_all_scripts_survive),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_what_turns_or_hides_text),
        cmocka_unit_test(test_invalid_bytes),
        cmocka_unit_test(test_length_rules),
        cmocka_unit_test(test_cut_leaves_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
