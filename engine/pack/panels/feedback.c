/* Compiled as if all numbers were finite, which they are, as int4_group.c is: only so the compiler vectorizes the rows.
 *
 * Eliminating column j of H leaves I + U M U' of the columns behind it, U their entries of the directions: so only M, of
 * rank by rank, has to be kept, and the errors' products with the directions while rows are rounded. */
#include "engine/pack/panels/feedback.h"

#include <string.h>

#include "engine/pack/panels/rounding.h"

#define LEVEL_MAX 127

/* Column j: u its entries of the directions. back = M u / (1 + u' M u); then M becomes M - M u u' M / (1 + u' M u). */
static void eliminate(double m[FEEDBACK_RANK][FEEDBACK_RANK], const double u[FEEDBACK_RANK], size_t rank,
                      double back[FEEDBACK_RANK]) {
    double product[FEEDBACK_RANK], pivot = 1;
    for (size_t r = 0; r < rank; r++) {
        product[r] = 0;
        for (size_t s = 0; s < rank; s++) product[r] += m[r][s] * u[s];
        pivot += u[r] * product[r];
    }
    for (size_t r = 0; r < rank; r++) {
        back[r] = product[r] / pivot;
        for (size_t s = 0; s < rank; s++) m[r][s] -= product[r] * product[s] / pivot;
    }
}

void feedback_block_set(struct feedback_block *b, size_t rank, const double directions[][FEEDBACK_COLUMNS],
                        double importance) {
    double m[FEEDBACK_RANK][FEEDBACK_RANK] = {{0}};
    *b = (struct feedback_block){.rank = rank};
    for (size_t r = 0; r < rank; r++) m[r][r] = importance;
    for (size_t j = 0; j < FEEDBACK_COLUMNS; j++) {
        double u[FEEDBACK_RANK], back[FEEDBACK_RANK];
        for (size_t r = 0; r < rank; r++) u[r] = directions[r][j];
        eliminate(m, u, rank, back);
        for (size_t r = 0; r < rank; r++) {
            b->along[r][j] = (float)u[r];
            b->back[r][j] = (float)back[r];
        }
    }
}

/* rank is a constant where this is called, and all loops but that of rows are unrolled. */
WIDEST_INLINE void round_rank(const struct feedback_block *b, struct feedback_rows *rows, size_t rank) {
    float errors[FEEDBACK_RANK][FEEDBACK_ROWS]; /* their products with the directions so far */
    memset(errors, 0, sizeof errors);
    for (size_t j = FEEDBACK_COLUMNS; j-- > 0;)
        for (size_t n = 0; n < FEEDBACK_ROWS; n++) {
            const float x = rows->at[j][n];
            float target = x;
            for (size_t r = 0; r < rank; r++) target -= errors[r][n] * b->back[r][j];
            const float level = rounded(clamped(target, -LEVEL_MAX, LEVEL_MAX)), error = level - x;
            for (size_t r = 0; r < rank; r++) errors[r][n] += error * b->along[r][j];
            rows->at[j][n] = level;
        }
}

WIDEST static void round_1(const struct feedback_block *b, struct feedback_rows *rows) {
    round_rank(b, rows, 1);
}

WIDEST static void round_2(const struct feedback_block *b, struct feedback_rows *rows) {
    round_rank(b, rows, 2);
}

WIDEST static void round_most(const struct feedback_block *b, struct feedback_rows *rows) {
    round_rank(b, rows, FEEDBACK_RANK); /* the directions that there are not are 0 */
}

void feedback_round(const struct feedback_block *b, struct feedback_rows *rows) {
    if (b->rank == 1)
        round_1(b, rows);
    else if (b->rank == 2)
        round_2(b, rows);
    else
        round_most(b, rows);
}
