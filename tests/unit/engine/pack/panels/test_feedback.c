/* Rounding with error feedback gives the levels of LDLQ with a factor of all of H, keeps errors out of its directions, and gives
 * a row the same levels whatever others are rounded with it. */
#include "engine/pack/panels/feedback.h"

#include <math.h>

#include "tests/kernels/kernel_test.h"

enum { N = FEEDBACK_COLUMNS };
#define IMPORTANCE 99.0

static struct random source = {41};

/* Of length 1, as columns of a Hadamard rotation are, but for the last of them. */
static void make_directions(size_t rank, double directions[][N]) {
    for (size_t r = 0; r < rank; r++) {
        double square = 0;
        for (size_t i = 0; i < N; i++) {
            directions[r][i] = __builtin_parityll(i & (7 * r + 5)) ? -1 : 1;
            if (r == 2) directions[r][i] = (double)random_float(&source);
            square += directions[r][i] * directions[r][i];
        }
        for (size_t i = 0; i < N; i++) directions[r][i] /= sqrt(square);
    }
}

/* L of H = L D L', by elimination of all of H. */
static void factor_of(size_t rank, double directions[][N], double l[N][N]) {
    static double h[N][N];
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            h[i][j] = i == j;
            for (size_t r = 0; r < rank; r++) h[i][j] += IMPORTANCE * directions[r][i] * directions[r][j];
        }
    for (size_t k = 0; k < N; k++) {
        for (size_t i = k; i < N; i++) l[i][k] = h[i][k] / h[k][k];
        for (size_t i = k + 1; i < N; i++)
            for (size_t j = k + 1; j < N; j++) h[i][j] -= l[i][k] * l[j][k] * h[k][k];
    }
}

/* One row in double. margin: how near a target comes to where its level would be another one. */
static void round_plainly(double l[N][N], const float *x, double *levels, double *margin) {
    double errors[N];
    *margin = 1;
    for (size_t j = N; j-- > 0;) {
        double target = (double)x[j];
        for (size_t i = j + 1; i < N; i++) target -= errors[i] * l[i][j];
        levels[j] = fmin(127, fmax(-127, nearbyint(target)));
        errors[j] = levels[j] - (double)x[j];
        if (fabs(target) < 127) *margin = fmin(*margin, 0.5 - fabs(target - nearbyint(target)));
    }
}

static void fill(struct feedback_rows *rows, float size) {
    for (size_t i = 0; i < N; i++)
        for (size_t n = 0; n < FEEDBACK_ROWS; n++) rows->at[i][n] = size * random_float(&source);
}

/* But for rows where a target lies nearer to the middle of two levels than floats tell; they are few. */
static void test_levels_of_a_whole_factor(void **state) {
    (void)state;
    size_t compared = 0, all = 0;
    for (size_t rank = 1; rank <= FEEDBACK_RANK; rank++) {
        double directions[FEEDBACK_RANK][N];
        static double l[N][N];
        struct feedback_block block;
        make_directions(rank, directions);
        factor_of(rank, directions, l);
        feedback_block_set(&block, rank, (const double(*)[N])directions, IMPORTANCE);
        for (int round = 0; round < 20; round++) {
            struct feedback_rows rows, before;
            fill(&rows, round % 2 ? 127 : 3);
            before = rows;
            feedback_round(&block, &rows);
            for (size_t n = 0; n < FEEDBACK_ROWS; n++, all++) {
                float x[N];
                double levels[N], margin;
                for (size_t i = 0; i < N; i++) x[i] = before.at[i][n];
                round_plainly(l, x, levels, &margin);
                if (margin < 1e-3) continue;
                for (size_t i = 0; i < N; i++) assert_true((double)rows.at[i][n] == levels[i]);
                compared++;
            }
        }
    }
    assert_true(compared > all * 3 / 4);
}

/* Beside rounding to the nearest: next to nothing along the directions, and little more in all. */
static void test_errors_along_the_directions(void **state) {
    (void)state;
    double directions[2][N], along = 0, along_nearest = 0, square = 0, square_nearest = 0;
    struct feedback_block block;
    make_directions(2, directions);
    feedback_block_set(&block, 2, (const double(*)[N])directions, IMPORTANCE);
    for (int round = 0; round < 50; round++) {
        struct feedback_rows rows, before;
        fill(&rows, 60);
        before = rows;
        feedback_round(&block, &rows);
        for (size_t n = 0; n < FEEDBACK_ROWS; n++)
            for (size_t r = 0; r < 2; r++) {
                double sum = 0, nearest = 0;
                for (size_t i = 0; i < N; i++) {
                    const double x = (double)before.at[i][n], error = (double)rows.at[i][n] - x;
                    sum += error * directions[r][i], nearest += (nearbyint(x) - x) * directions[r][i];
                    square += error * error, square_nearest += (nearbyint(x) - x) * (nearbyint(x) - x);
                }
                along += sum * sum, along_nearest += nearest * nearest;
            }
    }
    assert_true(along < 0.1 * along_nearest);
    assert_true(square < 1.3 * square_nearest);
}

static void test_a_row_depends_on_itself_alone(void **state) {
    (void)state;
    double directions[FEEDBACK_RANK][N];
    struct feedback_block block;
    struct feedback_rows rows, others;
    make_directions(FEEDBACK_RANK, directions);
    feedback_block_set(&block, FEEDBACK_RANK, (const double(*)[N])directions, IMPORTANCE);
    fill(&rows, 100);
    fill(&others, 127);
    for (size_t i = 0; i < N; i++) others.at[i][17] = rows.at[i][3];
    feedback_round(&block, &rows);
    feedback_round(&block, &others);
    for (size_t i = 0; i < N; i++) assert_true(others.at[i][17] == rows.at[i][3]);
}

/* Columns that no direction has are rounded to the nearest; so zeros behind a row's last column stay. */
static void test_columns_without_a_direction(void **state) {
    (void)state;
    double directions[1][N];
    struct feedback_block block;
    struct feedback_rows rows, before;
    make_directions(1, directions);
    for (size_t i = 40; i < N; i++) directions[0][i] = 0;
    feedback_block_set(&block, 1, (const double(*)[N])directions, IMPORTANCE);
    fill(&rows, 100);
    before = rows;
    feedback_round(&block, &rows);
    for (size_t i = 40; i < N; i++)
        for (size_t n = 0; n < FEEDBACK_ROWS; n++) assert_true(rows.at[i][n] == nearbyintf(before.at[i][n]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_of_a_whole_factor),
        cmocka_unit_test(test_errors_along_the_directions),
        cmocka_unit_test(test_a_row_depends_on_itself_alone),
        cmocka_unit_test(test_columns_without_a_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
