#include "tests/support/test_support.h"

#include <math.h>

#include "engine/sample/generator.h"

/* Known answers of Random123 (kat_vectors, philox4x32 10). */
static void matches_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expect[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct generator_block block = generator_philox(cases[i].counter, cases[i].key);
        assert_memory_equal(block.words, cases[i].expect, sizeof block.words);
    }
}

static void is_uniform_and_below_one(void **state) {
    (void)state;
    double sum = 0, square = 0;
    enum { COUNT = 20000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        double u = generator_uniform(-7, 3, i, 0);
        assert_true(u >= 0 && u < 1);
        sum += u;
        square += u * u;
    }
    assert_true(fabs(sum / COUNT - 0.5) < 0.01);
    assert_true(fabs(square / COUNT - 1.0 / 3) < 0.01);
}

static void every_argument_counts(void **state) {
    (void)state;
    double u = generator_uniform(1, 0, 0, 0);
    assert_true(u == generator_uniform(1, 0, 0, 0));
    assert_true(u != generator_uniform(2, 0, 0, 0));
    assert_true(u != generator_uniform(1 + ((int64_t)1 << 40), 0, 0, 0));
    assert_true(u != generator_uniform(1, 1, 0, 0));
    assert_true(u != generator_uniform(1, 0, 1, 0));
    assert_true(u != generator_uniform(1, 0, (uint64_t)1 << 40, 0));
    assert_true(u != generator_uniform(1, 0, 0, 1));
}

static void drawn_seeds_differ_and_survive_doubles(void **state) {
    (void)state;
    int64_t a = generator_draw_seed(), b = generator_draw_seed();
    assert_true(a != b);
    assert_true(a >= 0 && (int64_t)(double)a == a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_known_answers),
        cmocka_unit_test(is_uniform_and_below_one),
        cmocka_unit_test(every_argument_counts),
        cmocka_unit_test(drawn_seeds_differ_and_survive_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
