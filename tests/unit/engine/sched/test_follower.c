/* What a sequence says next, guessed from what was said: places, odds, and what is counted. */
#include "tests/support/test_support.h"

#include <stdlib.h>

#include "engine/sched/follower.h"

static struct follower follower;
static struct follower_text said, prediction;
static int32_t tokens[FOLLOWER_SEARCH_MAX + 100];

static void begin(bool is_prediction) {
    follower_init(&follower, is_prediction);
    said = (struct follower_text){tokens, 0};
}

static void say(int32_t token) {
    tokens[said.count++] = token;
    follower_see(&follower, follower.is_prediction ? &prediction : &said, &said);
}

static void say_all(const char *letters) {
    for (; *letters; letters++) say(*letters);
}

/* What is guessed next, as letters. */
static const char *guesses(size_t most) {
    static char text[64];
    double chances[32];
    int32_t ids[32];
    const struct follower_text *text_of = follower.is_prediction ? &prediction : &said;
    size_t count = follower_chances(&follower, text_of, most, chances);
    for (size_t i = 1; i < count; i++) assert_true(chances[i] <= chances[i - 1]);
    for (size_t i = 0; i < count; i++) assert_true(chances[i] > 0 && chances[i] <= 1);
    /* As the scheduler has them: behind what was said. */
    int32_t *out = follower.is_prediction ? ids : tokens + said.count;
    follower_guess(&follower, text_of, count, out);
    for (size_t i = 0; i < count; i++) text[i] = (char)out[i];
    text[count] = '\0';
    return text;
}

static double first_chance(void) {
    double chances[1];
    return follower_chances(&follower, &said, 1, chances) ? chances[0] : 0;
}

static void nothing_is_guessed_of_what_was_not_said(void **state) {
    (void)state;
    begin(false);
    assert_string_equal(guesses(8), "");
    say_all("abcdefg");
    assert_string_equal(guesses(8), "");
    say_all("xc"); /* one token that agrees is not enough */
    assert_string_equal(guesses(8), "");
    say('d');
    assert_string_equal(guesses(4), "efgx");
    assert_string_equal(guesses(0), "");
}

static void the_longest_place_is_followed_and_of_equals_the_newest(void **state) {
    (void)state;
    begin(false);
    say_all("xabc1 yabc2 zbc3 abc");
    assert_string_equal(guesses(1), "2");
    say_all("4 xabc");
    assert_string_equal(guesses(1), "1");
}

static void a_repetition_goes_on_beyond_its_end(void **state) {
    (void)state;
    begin(false);
    say_all("ababa");
    assert_string_equal(guesses(7), "bababab");
    begin(false);
    say_all("zzz");
    assert_string_equal(guesses(4), "zzzz");
}

static void it_goes_on_while_it_is_right_and_looks_again_where_it_is_wrong(void **state) {
    (void)state;
    begin(false);
    say_all("once upon a time. once upon");
    assert_string_equal(guesses(7), " a time");
    say_all(" a ");
    assert_string_equal(guesses(4), "time");
    size_t right = follower.right;
    assert_true(right >= 8);
    say('d');
    assert_int_equal(follower.right, right);
    assert_string_equal(guesses(4), "ime."); /* as if one letter were another */
    say('x');
    assert_string_equal(guesses(4), "");
}

/* A number or a name is another, and the text goes on behind it as it did before: if much had agreed, and if no place is
 * found that has been right more often. */
static void a_text_is_followed_behind_a_token_that_was_another(void **state) {
    (void)state;
    begin(false);
    say_all("day 1: rain. day 2");
    assert_string_equal(guesses(6), ": rain");
    say_all(": rain. day 3: ");
    assert_string_equal(guesses(5), "rain.");
    begin(false);
    say_all("abcd, xbce"); /* one token had agreed, or two */
    assert_string_equal(guesses(4), "");
}

/* Where what comes behind such a token is never the same it is known soon. */
static void odds_behind_such_a_token_are_counted_apart(void **state) {
    (void)state;
    begin(false);
    for (int i = 0; i < 40; i++) {
        say_all("the same ");
        say(1000 + 2 * i);
        if (i > 30) assert_true(follower.length == 0 && first_chance() < 0.1);
        say(1001 + 2 * i);
        say_all("end ");
    }
    assert_true(follower.hits[0] == 0 && follower.trials[0] > 10);
    assert_true(follower.hits[3] > 0);
}

/* Whether it was right is counted without any draft. */
static void the_odds_follow_what_came(void **state) {
    (void)state;
    begin(false);
    say_all("0123456789012");
    double unknown = first_chance();
    for (int i = 0; i < 1000; i++) say('0' + (3 + i) % 10);
    double right = first_chance();
    assert_true(right > unknown && right > 0.9);
    begin(false);
    say_all("0123456789");
    srand(3);
    double last = 1;
    for (int i = 0; i < 3000; i++) {
        say('0' + rand() % 10);
        if (first_chance() > 0 && follower.length < 4) last = first_chance();
    }
    assert_true(last < 0.2); /* one in ten is right */
}

/* As where a text is repeated and then is not. */
static void old_odds_are_forgotten(void **state) {
    (void)state;
    begin(false);
    for (int i = 0; i < 5000; i++) say('0' + i % 10);
    for (size_t i = 0; i < FOLLOWER_CLASSES; i++) assert_true(follower.trials[i] < 200);
}

static void a_prediction_is_expected_from_its_start(void **state) {
    (void)state;
    static int32_t expected[64];
    const char *text = "the cat sat on the mat and slept";
    for (prediction.count = 0; text[prediction.count]; prediction.count++)
        expected[prediction.count] = text[prediction.count];
    prediction.tokens = expected;
    begin(true);
    assert_string_equal(guesses(7), "the cat");
    say_all("the ");
    assert_string_equal(guesses(3), "cat");
    say_all("dog sat");
    assert_string_equal(guesses(12), " on the mat ");
    say_all(" on the mat and sle");
    assert_string_equal(guesses(9), "pt"); /* no more than there is */
    size_t right = follower.right;
    say_all("pt");
    assert_int_equal(follower.right, right + 2);
    assert_string_equal(guesses(9), "");
    assert_true(follower.right < prediction.count); /* "cat" never came */
}

/* Behind its end, or before a place that it has left, it finds what is said there again. */
static void a_prediction_is_found_again_from_its_start(void **state) {
    (void)state;
    static const int32_t expected[] = {'a', 'b', 'c', 'd'};
    prediction = (struct follower_text){expected, 4};
    begin(true);
    say_all("abcd");
    assert_string_equal(guesses(4), "");
    say_all("-ab");
    assert_string_equal(guesses(4), "cd");
    assert_int_equal(follower.right, 4);
}

static void a_long_text_is_looked_through_to_its_bound(void **state) {
    (void)state;
    begin(false);
    say_all("ab!");
    for (int i = 0; i < FOLLOWER_SEARCH_MAX; i++) tokens[said.count++] = 1000 + i;
    say_all("ab");
    assert_string_equal(guesses(1), "");
    begin(false);
    say_all("ab!");
    for (int i = 0; i < FOLLOWER_SEARCH_MAX - 10; i++) tokens[said.count++] = 1000 + i;
    say_all("ab");
    assert_string_equal(guesses(1), "!");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_guessed_of_what_was_not_said),
        cmocka_unit_test(the_longest_place_is_followed_and_of_equals_the_newest),
        cmocka_unit_test(a_repetition_goes_on_beyond_its_end),
        cmocka_unit_test(it_goes_on_while_it_is_right_and_looks_again_where_it_is_wrong),
        cmocka_unit_test(a_text_is_followed_behind_a_token_that_was_another),
        cmocka_unit_test(odds_behind_such_a_token_are_counted_apart),
        cmocka_unit_test(the_odds_follow_what_came),
        cmocka_unit_test(old_odds_are_forgotten),
        cmocka_unit_test(a_prediction_is_expected_from_its_start),
        cmocka_unit_test(a_prediction_is_found_again_from_its_start),
        cmocka_unit_test(a_long_text_is_looked_through_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
