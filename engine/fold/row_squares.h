/* How large rows of a matrix are, by a part of their columns: enough to tell those that stand out. */
#pragma once

#include "engine/model/tensor_views.h"

#define ROW_SQUARES_ROWS 8 /* that are read together */

/* Squares of the sizes of rows [first, +count), ROW_SQUARES_ROWS at most, by the first quarter of their columns. In double
 * precision, the same on any machine. What is not finite gives what is not finite. */
void row_squares_read(const struct matrix_view *m, size_t first, size_t count, double *squares);
