/* What is added to rows, against the same sum term by term; over ranks and widths that fill tiles and do not. */
#include "engine/model/low_rank.h"

#include "engine/checkpoint/tensor_list.h"
#include "tests/support/test_support.h"

#define ROWS_MAX    21
#define RANK_MAX    9
#define COLUMNS_MAX 600

static float left_values[ROWS_MAX * RANK_MAX], right_values[RANK_MAX * COLUMNS_MAX];
static double found[ROWS_MAX * COLUMNS_MAX], expected[ROWS_MAX * COLUMNS_MAX];

static double number(size_t i) {
    return (double)((i * 2654435761u + 12345u) % 10007) / 10007 - 0.5;
}

static void fill(float *values, size_t count, size_t seed) {
    for (size_t i = 0; i < count; i++) values[i] = (float)number(i + seed);
}

/* [rows, columns], or the same values stored the other way round. */
static struct tensor matrix(const float *values, size_t rows, size_t columns, bool swapped) {
    struct tensor t = {.dtype = DTYPE_F32, .rank = 2, .shape = {rows, columns}, .data = values};
    tensor_set_contiguous(&t);
    if (swapped) {
        t.stride[0] = 1;
        t.stride[1] = rows;
    }
    return t;
}

static double element(const struct tensor *t, size_t row, size_t column) {
    return ((const float *)t->data)[row * t->stride[0] + column * t->stride[1]];
}

static void check(size_t rank, size_t columns, const uint32_t *rows, size_t first, size_t count,
                  bool swapped) {
    struct low_rank l = {.left = matrix(left_values, ROWS_MAX, rank, swapped),
                         .right = matrix(right_values, rank, columns, swapped),
                         .scale = 0.75};
    for (size_t i = 0; i < count * columns; i++) found[i] = expected[i] = number(i);
    for (size_t r = 0; r < count; r++)
        for (size_t k = 0; k < columns; k++)
            for (size_t j = 0; j < rank; j++)
                expected[r * columns + k] +=
                    element(&l.left, rows ? rows[r] : first + r, j) * l.scale * element(&l.right, j, k);
    const struct low_rank_part part = {rows, first, count, 0, columns};
    low_rank_add(&l, &part, found, columns);
    assert_memory_equal(found, expected, count * columns * sizeof *found);
}

static void test_the_sum_term_by_term(void **state) {
    (void)state;
    static const size_t widths[] = {1, 7, 255, 256, 257, COLUMNS_MAX};
    static const uint32_t scattered[] = {20, 3, 3, 0, 11};
    for (size_t rank = 1; rank <= RANK_MAX; rank++)
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
            for (int swapped = 0; swapped < 2; swapped++) {
                check(rank, widths[i], NULL, 0, ROWS_MAX, swapped);
                check(rank, widths[i], NULL, 4, 1, swapped);
                check(rank, widths[i], scattered, 99, 5, swapped);
            }
}

/* The same bits, whatever rows and columns are read together. */
static void test_rows_alone_and_together(void **state) {
    (void)state;
    struct low_rank l = {.left = matrix(left_values, ROWS_MAX, 6, false),
                         .right = matrix(right_values, 6, 300, false),
                         .scale = 1.0 / 3};
    memset(found, 0, sizeof found);
    memset(expected, 0, sizeof expected);
    const struct low_rank_part whole = {NULL, 0, ROWS_MAX, 0, 300};
    low_rank_add(&l, &whole, found, 300);
    for (size_t r = 0; r < ROWS_MAX; r++)
        for (size_t column = 0; column < 300; column += 77) {
            const size_t left = 300 - column;
            const struct low_rank_part part = {NULL, r, 1, column, left < 77 ? left : 77};
            low_rank_add(&l, &part, expected + r * 300 + column, 300);
        }
    assert_memory_equal(found, expected, ROWS_MAX * 300 * sizeof *found);
    assert_true(found[0] != 0);
}

int main(void) {
    fill(left_values, ROWS_MAX * RANK_MAX, 1);
    fill(right_values, RANK_MAX * COLUMNS_MAX, 1000);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sum_term_by_term),
        cmocka_unit_test(test_rows_alone_and_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
