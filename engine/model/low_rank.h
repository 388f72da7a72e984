/* What a LoRA adapter (Hu et al. 2021, arXiv 2106.09685) adds to a matrix of the checkpoint: scale * left right,
 * of low rank. It is added to rows as they are read, in double precision, so that no second copy of the matrix
 * exists. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/checkpoint/checkpoint.h"

/* Views of the adapter's tensors, whose data it borrows. */
struct low_rank {
    struct tensor left;  /* [rows of the matrix, rank] */
    struct tensor right; /* [rank, columns] */
    double scale;
};

/* Rows `rows[i]`, or first_row + i where rows is NULL, for i < count, and of them columns [column, +columns). */
struct low_rank_part {
    const uint32_t *rows;
    size_t first_row, count, column, columns;
};

/* Adds the part to out, `stride` doubles from one row to the next. The terms of an element are added one by one in
 * the order of the ranks, whatever is read together. Any thread. */
void low_rank_add(const struct low_rank *l, const struct low_rank_part *part, double *out, size_t stride);
