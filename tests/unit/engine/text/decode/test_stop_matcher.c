#include "tests/support/test_support.h"

#include "engine/text/decode/stop_matcher.h"

enum { STOPS_MAX = 4, TEXT_MAX = 40, ROUNDS = 20000 };

static uint64_t seed = 1;

static unsigned pick(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static size_t random_text(char *out, size_t length_max) {
    size_t length = pick((unsigned)length_max + 1);
    for (size_t i = 0; i < length; i++) out[i] = "ab"[pick(2)];
    out[length] = '\0';
    return length;
}

static struct stop_set *set;
static struct stop_matcher matcher;

static struct stop_matcher *matcher_of(const char *const *strings, const size_t *lengths, size_t count) {
    struct error e = {0};
    assert_ok(stop_set_create(strings, lengths, count, &set, &e));
    stop_matcher_init(&matcher, set);
    return &matcher;
}

static void release(void) {
    stop_matcher_deinit(&matcher);
    stop_set_destroy(set);
}

struct stops {
    char texts[STOPS_MAX][8];
    const char *strings[STOPS_MAX];
    size_t lengths[STOPS_MAX], count;
};

static void random_stops(struct stops *s) {
    s->count = pick(STOPS_MAX + 1);
    for (size_t i = 0; i < s->count; i++) {
        do s->lengths[i] = random_text(s->texts[i], 5);
        while (s->lengths[i] == 0);
        s->strings[i] = s->texts[i];
    }
}

static bool ends_with(const char *text, size_t length, const char *end, size_t end_length) {
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

/* The rule of the header, told the slow way: *length becomes what may be said. */
static int naive(const struct stops *s, const char *text, size_t *length) {
    for (size_t end = 1; end <= *length; end++) {
        int found = -1;
        for (size_t i = 0; i < s->count; i++)
            if (ends_with(text, end, s->strings[i], s->lengths[i]) &&
                (found < 0 || s->lengths[i] > s->lengths[found]))
                found = (int)i;
        if (found < 0) continue;
        *length = end - s->lengths[found];
        return found;
    }
    return -1;
}

/* The longest end of the text that a stop string begins with. */
static size_t naive_hold(const struct stops *s, const char *text, size_t length) {
    size_t longest = 0;
    for (size_t i = 0; i < s->count; i++)
        for (size_t part = 1; part < s->lengths[i]; part++)
            if (ends_with(text, length, s->strings[i], part) && part > longest) longest = part;
    return longest;
}

static void check_round(void) {
    struct stops stops;
    char text[TEXT_MAX + 1], said[TEXT_MAX + 1];
    const char *piece;
    size_t length = random_text(text, TEXT_MAX), piece_length, said_length = 0, expected_length = length;
    int found = -1, expected;
    random_stops(&stops);
    expected = naive(&stops, text, &expected_length);
    struct stop_matcher *m = matcher_of(stops.strings, stops.lengths, stops.count);
    for (size_t at = 0, next; at < length && found < 0; at = next) {
        next = at + pick(4);
        if (next > length) next = length;
        found = stop_matcher_push(m, text + at, next - at, &piece, &piece_length);
        memcpy(said + said_length, piece, piece_length);
        said_length += piece_length;
        if (found < 0) assert_int_equal(said_length, next - naive_hold(&stops, text, next));
    }
    if (found < 0) {
        stop_matcher_finish(m, &piece, &piece_length);
        memcpy(said + said_length, piece, piece_length);
        said_length += piece_length;
    }
    assert_int_equal(found, expected);
    assert_int_equal(said_length, expected_length);
    assert_memory_equal(said, text, said_length);
    release();
}

static void test_against_naive_search(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS; i++) check_round();
}

static void test_longest_of_those_that_end_together(void **state) {
    (void)state;
    const char *text;
    size_t length;
    struct stop_matcher *m =
        matcher_of((const char *const[]){"c", "bc", "abcd", "bc"}, (const size_t[]){1, 2, 4, 2}, 4);
    assert_int_equal(stop_matcher_push(m, "xabc", 4, &text, &length), 1);
    assert_int_equal(length, 2);
    assert_memory_equal(text, "xa", 2);
    release();
}

static void test_without_strings_all_passes(void **state) {
    (void)state;
    const char *text;
    size_t length;
    struct stop_matcher *m = matcher_of(NULL, NULL, 0);
    assert_int_equal(stop_matcher_push(m, "abc", 3, &text, &length), -1);
    assert_int_equal(length, 3);
    assert_int_equal(stop_matcher_push(m, NULL, 0, &text, &length), -1);
    assert_int_equal(length, 0);
    stop_matcher_finish(m, &text, &length);
    assert_int_equal(length, 0);
    release();
}

/* A long partial match that fails gives all of it back, in one piece, and the search goes on within it. */
static void test_partial_match_is_given_back(void **state) {
    (void)state;
    const char *text;
    size_t length;
    struct stop_matcher *m = matcher_of((const char *const[]){"aaab"}, (const size_t[]){4}, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stop_matcher_push(m, "a", 1, &text, &length), -1);
        assert_int_equal(length, 0);
    }
    assert_int_equal(stop_matcher_push(m, "a", 1, &text, &length), -1);
    assert_int_equal(length, 1);
    assert_int_equal(stop_matcher_push(m, "b", 1, &text, &length), 0);
    assert_int_equal(length, 0);
    release();
}

/* Texts of several choices against one automaton do not meet. */
static void test_matchers_share_a_set(void **state) {
    (void)state;
    struct error e = {0};
    struct stop_matcher two[2];
    const char *text;
    size_t length;
    assert_ok(stop_set_create((const char *const[]){"abc", "bd"}, (const size_t[]){3, 2}, 2, &set, &e));
    for (int i = 0; i < 2; i++) stop_matcher_init(&two[i], set);
    assert_int_equal(stop_matcher_push(&two[0], "ab", 2, &text, &length), -1);
    assert_int_equal(length, 0);
    assert_int_equal(stop_matcher_push(&two[1], "ab", 2, &text, &length), -1);
    assert_int_equal(stop_matcher_push(&two[0], "c", 1, &text, &length), 0);
    assert_int_equal(length, 0);
    assert_int_equal(stop_matcher_push(&two[1], "d", 1, &text, &length),
                     1); /* within what was the start of "abc" */
    assert_int_equal(length, 1);
    for (int i = 0; i < 2; i++) stop_matcher_deinit(&two[i]);
    stop_set_destroy(set);
}

/* Every byte is possible, and strings as long as the API allows. */
static void test_long_strings_of_any_bytes(void **state) {
    (void)state;
    enum { LENGTH = 4096, COUNT = 16 };
    static char strings[COUNT][LENGTH];
    const char *list[COUNT], *text;
    size_t lengths[COUNT], length;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < LENGTH; j++) strings[i][j] = (char)(j * 7 + (j / 256));
        strings[i][LENGTH - 1] = (char)(240 + i);
        list[i] = strings[i], lengths[i] = LENGTH;
    }
    struct stop_matcher *m = matcher_of(list, lengths, COUNT);
    assert_int_equal(stop_matcher_push(m, "xx", 2, &text, &length), -1);
    assert_int_equal(length, 2);
    assert_int_equal(stop_matcher_push(m, strings[0], LENGTH - 1, &text, &length), -1);
    assert_int_equal(length, 0);
    assert_int_equal(stop_matcher_push(m, &strings[9][LENGTH - 1], 1, &text, &length), 9);
    assert_int_equal(length, 0);
    release();
}

/* A string that ends in text that is passed over is none; one that only begins in it is found, and its
 * beginning has been held back. */
static void test_what_is_passed_over_counts_as_a_beginning(void **state) {
    (void)state;
    const char *text;
    size_t length;
    struct stop_matcher *m = matcher_of((const char *const[]){"abab", "ba"}, (const size_t[]){4, 2}, 2);
    assert_int_equal(stop_matcher_pass(m, "xababa", 6, &text, &length), -1);
    assert_int_equal(length, 3); /* "aba" may become "abab" */
    assert_memory_equal(text, "xab", 3);
    assert_int_equal(stop_matcher_push(m, "bx", 2, &text, &length), 0);
    assert_int_equal(length, 0);
    release();
}

/* Of a string that was passed over whole, only what another may go on from is held back. */
static void test_what_was_passed_over_is_given_out(void **state) {
    (void)state;
    const char *text;
    size_t length;
    struct stop_matcher *m =
        matcher_of((const char *const[]){"xaba", "bc", "abad"}, (const size_t[]){4, 2, 4}, 3);
    assert_int_equal(stop_matcher_pass(m, "xaba", 4, &text, &length), -1);
    assert_int_equal(length, 1); /* "aba" may become "abad" */
    assert_int_equal(stop_matcher_push(m, "d", 1, &text, &length), 2);
    assert_int_equal(length, 0);
    release();
    m = matcher_of((const char *const[]){"ab", "bc"}, (const size_t[]){2, 2}, 2);
    assert_int_equal(stop_matcher_pass(m, "ab", 2, &text, &length), -1);
    assert_int_equal(length, 1);
    assert_int_equal(stop_matcher_push(m, "c", 1, &text, &length), 1);
    assert_int_equal(length, 0);
    release();
    m = matcher_of((const char *const[]){"ab"}, (const size_t[]){2}, 1);
    assert_int_equal(stop_matcher_pass(m, "ab", 2, &text, &length), -1);
    assert_int_equal(length, 2); /* nothing goes on from it */
    assert_memory_equal(text, "ab", 2);
    release();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive_search),
        cmocka_unit_test(test_longest_of_those_that_end_together),
        cmocka_unit_test(test_without_strings_all_passes),
        cmocka_unit_test(test_partial_match_is_given_back),
        cmocka_unit_test(test_what_is_passed_over_counts_as_a_beginning),
        cmocka_unit_test(test_what_was_passed_over_is_given_out),
        cmocka_unit_test(test_matchers_share_a_set),
        cmocka_unit_test(test_long_strings_of_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
