/* Folding and packing of rows of a linear: a block of rows, and of it a stretch of columns, goes through all that is done to
 * it while it is in a near cache. The same bits, however rows are cut. */
#pragma once

#include "engine/pack/packed_model.h"
#include "engine/pack/panels/feedback.h"

/* Doubles of scratch for any linear of the model. */
size_t pack_rows_scratch(const struct folded_model *c);

/* Rows [first, +count) of `to`, and their biases, which are those of `from` from first_row + first on. first is a multiple of
 * KERNEL_PANEL; count too, but for the last rows. feedback: of the stream's blocks, for int8 weights of a linear that reads it, or
 * NULL. scratch: pack_rows_scratch() doubles. Any thread, with its own scratch. False where something is no finite number as it is
 * packed. */
bool pack_rows(const struct folded_linear *from, size_t first_row, const struct packed_linear *to,
               size_t first, size_t count, const struct feedback_block *feedback, double *scratch);
