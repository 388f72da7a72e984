#include "tests/support/test_support.h"

#include <math.h>

#include "engine/sample/logprobs.h"

enum { ROWS = 1003, SAMPLEABLE = 990 };

static void fill(float *row) {
    srand(3);
    for (size_t i = 0; i < ROWS; i++) row[i] = (float)(rand() % 4000) / 200 - 10;
}

static void normaliser_counts_padding_rows_too(void **state) {
    (void)state;
    float row[ROWS];
    fill(row);
    row[ROWS - 1] = 12; /* padding, and the largest */
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) sum += exp(row[i]);
    assert_true(fabs(logprobs_normaliser(kernel_scalar(), row, ROWS) - log(sum)) < 1e-5);
}

static void best_are_sampleable_sorted_and_the_same_floats(void **state) {
    (void)state;
    float row[ROWS];
    fill(row);
    for (size_t i = SAMPLEABLE; i < ROWS; i++) row[i] = 50;
    double normaliser = logprobs_normaliser(kernel_scalar(), row, ROWS);
    struct candidate best[20];
    assert_int_equal(logprobs_best(row, SAMPLEABLE, 20, normaliser, best), 20);
    for (size_t i = 0; i < 20; i++) {
        assert_true(best[i].id < SAMPLEABLE);
        float own = logprobs_of(row[best[i].id], normaliser);
        assert_memory_equal(&best[i].value, &own, sizeof own);
        if (i > 0)
            assert_true(best[i - 1].value > best[i].value ||
                        (best[i - 1].value == best[i].value && best[i - 1].id < best[i].id));
    }
}

static void unsound_rows_are_known(void **state) {
    (void)state;
    float row[ROWS];
    fill(row);
    assert_true(logprobs_row_is_sound(row, ROWS));
    row[5] = -INFINITY;
    assert_true(logprobs_row_is_sound(row, ROWS));
    row[ROWS - 1] = NAN;
    assert_false(logprobs_row_is_sound(row, ROWS));
    row[ROWS - 1] = INFINITY;
    assert_false(logprobs_row_is_sound(row, ROWS));
}

static void all_minus_infinity_is_no_crash(void **state) {
    (void)state;
    const float row[3] = {-INFINITY, -INFINITY, -INFINITY};
    struct candidate best[3];
    double normaliser = logprobs_normaliser(kernel_scalar(), row, 3);
    assert_true(normaliser == -INFINITY);
    assert_int_equal(logprobs_best(row, 3, 3, normaliser, best), 0);
}

static void the_rank_is_the_place_among_the_best(void **state) {
    (void)state;
    float row[ROWS];
    struct candidate best[SAMPLEABLE];
    fill(row);
    row[4] = row[7]; /* a tie: to the lower id */
    row[ROWS - 1] = 50;
    size_t count = logprobs_best(row, SAMPLEABLE, SAMPLEABLE, 0, best);
    for (size_t i = 0; i < count; i++) assert_int_equal(logprobs_rank(row, SAMPLEABLE, best[i].id), i + 1);
    assert_int_equal(logprobs_rank(row, SAMPLEABLE, ROWS - 1), 1); /* no sampleable id is as large */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normaliser_counts_padding_rows_too),
        cmocka_unit_test(best_are_sampleable_sorted_and_the_same_floats),
        cmocka_unit_test(unsound_rows_are_known),
        cmocka_unit_test(all_minus_infinity_is_no_crash),
        cmocka_unit_test(the_rank_is_the_place_among_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
