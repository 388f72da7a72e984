/* Where tokens start in a text of bytes, whole characters and others. */
#include "server/logprobs/text_place.h"

#include "tests/support/test_support.h"

/* Tokens of up to 4 bytes, "" behind the last; where each starts, and the text's end. */
static const struct {
    const char *tokens[6];
    size_t starts[6], end, held;
} cases[] = {
    {{"ab", "c"}, {0, 2}, 3, 0},
    {{"\xe2\x82\xac", "a"}, {0, 1}, 2, 0},
    /* a character in pieces begins where its first does */
    {{"\xe2", "\x82", "\xac", "a"}, {0, 0, 0, 1}, 2, 0},
    {{"a\xf0\x9f", "\x99\x82", "b"}, {0, 1, 2}, 3, 0},
    /* a lead byte alone, before a text, another lead byte, the whole of a character */
    {{"\xe2", "a"}, {0, 1}, 2, 0},
    {{"\xe2", "\xe2", "a"}, {0, 1, 2}, 3, 0},
    {{"\xe2\x82", "\xc3", "\xa9", "a"}, {0, 1, 1, 2}, 3, 0},
    {{"\xe2", "\xc3\xa9"}, {0, 1}, 2, 0},
    /* bytes that begin nothing, and second bytes that a first one excludes */
    {{"\xa9", "\xff", "\xc0", "\x80"}, {0, 1, 2, 3}, 4, 0},
    {{"\xe0", "\x80", "a"}, {0, 1, 2}, 3, 0},
    {{"\xed", "\xa0", "\x80"}, {0, 1, 2}, 3, 0},
    {{"\xf4", "\x90"}, {0, 1}, 2, 0},
    {{"\xf0\x90", "\xe2"}, {0, 1}, 1, 1},
};

static void test_starts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text_place place = {0};
        for (size_t k = 0; cases[i].tokens[k]; k++) {
            size_t start = text_place_pass(&place, cases[i].tokens[k], strlen(cases[i].tokens[k]));
            if (start != cases[i].starts[k]) fail_msg("case %zu: token %zu starts at %zu", i, k, start);
        }
        if (place.offset != cases[i].end || place.held_count != cases[i].held)
            fail_msg("case %zu: ends at %zu, and holds %zu bytes", i, place.offset, place.held_count);
    }
}

static struct text_place behind(const char *text, size_t length, size_t longest_token) {
    struct text_place place = {0};
    for (size_t at = 0, count; at < length; at += count) {
        count = 1 + (size_t)rand() % longest_token;
        if (count > length - at) count = length - at;
        text_place_pass(&place, text + at, count);
    }
    return place;
}

/* However bytes are cut into tokens, they are as many characters. */
static void test_any_bytes(void **state) {
    (void)state;
    static const unsigned char some[] = {'a',  0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2,
                                         0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5};
    srand(3);
    for (int round = 0; round < 50000; round++) {
        char text[12];
        for (size_t i = 0; i < sizeof text; i++) text[i] = (char)some[(size_t)rand() % sizeof some];
        struct text_place single = behind(text, sizeof text, 1), cut = behind(text, sizeof text, 5);
        assert_int_equal(single.offset, cut.offset);
        assert_int_equal(single.held_count, cut.held_count);
        assert_in_range(single.offset, 3, sizeof text);
    }
}

static void test_whole_characters(void **state) {
    (void)state;
    static const char *const some[] = {"a",
                                       "\xc2\x80",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xef\xbf\xbd",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    srand(4);
    for (int round = 0; round < 1000; round++) {
        char text[64] = "";
        for (size_t i = 0; i < 12; i++) strcat(text, some[rand() % 7]);
        struct text_place place = behind(text, strlen(text), 7);
        assert_int_equal(place.offset, 12);
        assert_int_equal(place.held_count, 0);
    }
}

static void test_limits(void **state) {
    (void)state;
    static const size_t offsets[][2] = {{9, 9}, {19, 13}, {2, 5}};
    for (size_t i = 0; i < 3; i++) {
        struct text_place place = {.offset = offsets[i][0]};
        text_place_limit(&place, 5, 13);
        assert_int_equal(place.offset, offsets[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_whole_characters),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
