/* Weights in double precision to the panels that kernels read (engine/kernel/kernel.h says how they lie).
 * Needs the kernels' types alone, nothing of a model. */
#pragma once

#include <stdbool.h>

#include "engine/pack/panels/feedback.h"

/* A part of a [n, k] matrix: rows [row, +rows) and of them columns [column, +columns), row * stride apart in w. column
 * and columns are multiples of panels_columns_step(), but where the part ends with the row. */
struct panels_part {
    enum weight_type type;
    size_t n, k;
    size_t row, rows, column, columns;
    const double *w;
    size_t stride;
    const double *largest; /* int4: [rows], of whole rows, by panels_measure */
    /* int8: [(k + FEEDBACK_COLUMNS - 1) / FEEDBACK_COLUMNS], of the whole row; or NULL: all weights are rounded to the nearest. */
    const struct feedback_block *feedback;
};

/* Columns that are packed with each other, since they share a scale. */
size_t panels_columns_step(enum weight_type type, size_t k);

/* The largest magnitude of each row of the part, or NaN where one is not finite, joined with what there is: largest[rows],
 * 0 at first. */
void panels_measure(const struct panels_part *part, double *largest);

/* Packs a part. Rows beyond the last, and columns, are written with those that they follow; rows of a panel in ascending
 * order. So when all parts are packed, every byte of the panels is written. Each weight is rounded once, to the type that
 * is stored (int4: to float, then to a level). False where one is not finite, or is more than the type holds. */
bool panels_pack_part(const struct panels_part *part, void *panels);

/* Packs rows [first, +count), given as w [count, k]. first is a multiple of KERNEL_PANEL; the last call pads its panel. */
void panels_pack(enum weight_type type, const double *w, size_t first, size_t count, size_t k, void *panels);
