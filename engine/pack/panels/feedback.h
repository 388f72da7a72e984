/* Rounding of int8 weights with error feedback (LDLQ: Chee et al. 2023, arXiv 2307.13304; the last column first): what the
 * rounding of a weight gets wrong along a few directions is made good by those that are rounded after it. With e the errors of a
 * row's block, it keeps e' H e small for H = I + importance * (sum of d d' over the directions d). */
#pragma once

#include <stddef.h>

#include "engine/kernel/kernel.h"

#define FEEDBACK_COLUMNS 64 /* of a block */
#define FEEDBACK_RANK    4  /* directions of a block, at most */
#define FEEDBACK_ROWS    24 /* that are rounded together: half a panel */
_Static_assert(KERNEL_PANEL % FEEDBACK_ROWS == 0, "a panel is whole sets of rows");

/* H = L D L' of a block in 2 rank numbers a column: entry (i, j) of L, i > j, is the sum of along[r][i] * back[r][j]. */
struct feedback_block {
    size_t rank; /* 0: weights are rounded to the nearest */
    float along[FEEDBACK_RANK][FEEDBACK_COLUMNS], back[FEEDBACK_RANK][FEEDBACK_COLUMNS];
};

/* directions: rank of them, of finite entries; columns beyond a row's last are 0. importance: of a direction of length 1. */
void feedback_block_set(struct feedback_block *b, size_t rank, const double directions[][FEEDBACK_COLUMNS],
                        double importance);

/* Weights of a block in units of their scale, of magnitude 127 at most, to levels -127 .. 127, in place. What becomes of a row
 * depends on that row alone. In float, so that the same bits come out of any instruction set. rank: 1 and more. */
struct feedback_rows {
    float at[FEEDBACK_COLUMNS][FEEDBACK_ROWS];
};
void feedback_round(const struct feedback_block *b, struct feedback_rows *rows);
