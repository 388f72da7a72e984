/* Sets of tokens against a look at each bit, of dense and of nearly empty ones, with any number of words. */
#include "tests/support/test_support.h"

#include "engine/grammar/match/token_set.h"

enum { WORDS_MAX = 70, BITS_MAX = 32 * WORDS_MAX };

static void check(const uint32_t *bits, size_t words) {
    uint32_t expected[BITS_MAX], listed[BITS_MAX], joined[WORDS_MAX] = {0};
    size_t count = 0;
    for (uint32_t i = 0; i < 32 * words; i++)
        if (bits[i >> 5] >> (i & 31) & 1) expected[count++] = i;
    assert_int_equal(token_bits_count(bits, words, BITS_MAX + 1), count);
    token_bits_list(bits, words, listed);
    if (count > 0) assert_memory_equal(listed, expected, count * sizeof *listed);
    const struct token_set set = {.tokens = listed, .count = count};
    token_bits_join(joined, words, &set);
    if (words > 0) assert_memory_equal(joined, bits, words * sizeof *bits);
    token_bits_remove(joined, listed, count);
    assert_int_equal(token_bits_count(joined, words, 1), 0);
}

static void tokens_are_counted_and_listed(void **state) {
    (void)state;
    unsigned seed = 1;
    for (size_t words = 0; words <= WORDS_MAX; words++) {
        uint32_t bits[WORDS_MAX] = {0};
        check(bits, words);
        for (int round = 0; round < 40 && words > 0; round++) {
            bits[(size_t)rand_r(&seed) % words] |= (uint32_t)1 << (rand_r(&seed) & 31);
            check(bits, words);
        }
    }
}

/* It may be as many as there are, once it is known that there are so many. */
static void counting_may_end_early(void **state) {
    (void)state;
    uint32_t bits[WORDS_MAX];
    memset(bits, 0xFF, sizeof bits);
    assert_true(token_bits_count(bits, WORDS_MAX, 100) >= 100);
    assert_int_equal(token_bits_count(bits, WORDS_MAX, BITS_MAX + 1), BITS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_counted_and_listed),
        cmocka_unit_test(counting_may_end_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
