/* A panel of weights to int8 or int4 by error feedback (factor.h): each weight is moved by what those behind it have
 * left, and each row stays as it was where that is no better. */
#pragma once

#include "engine/calibrate/factor.h"

/* Whether there is rounding to this type. */
bool round_panel_rounds(enum weight_type type);

/* Floats of scratch for linears of up to `in` inputs; aligned to KERNEL_ALIGN. */
size_t round_panel_scratch(size_t in);

/* rows [count][in]: weights as they should be, rows of one panel, divided by the smoothing scales. panel: the same as
 * int8 or int4 (engine/kernel/kernel.h); rounded again in place, in units of the scales that its rows (int4), or their
 * groups (int8), have. Rows without a scale that is a normal number, and those with one that is not finite, stay as they
 * are. Returns how many rows have changed. Any thread, with its own scratch. */
size_t round_panel(const struct factor *f, const struct kernel_table *kernels, enum weight_type type,
                   const double *rows, size_t count, void *panel, float *scratch);
