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

/* Adds the rows `rows[i]`, or first_row + i where rows is NULL, for i < count, to out [count, columns]. The
 * terms of an element are added one by one in the order of the ranks, whatever rows are read together. Any
 * thread. */
void low_rank_add(const struct low_rank *l, const uint32_t *rows, size_t first_row, size_t count,
                  double *out);
