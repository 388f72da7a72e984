/* A panel of weights to int4 by error feedback (factor.h): each group's scale and offset are those of some
 * candidates that leave the least error after all that is behind, and each row stays as it was where that is no
 * better. */
#pragma once

#include "engine/calibrate/factor.h"

/* Floats of scratch for linears of up to `in` inputs; aligned to KERNEL_ALIGN. */
size_t round_panel_scratch(size_t in);

/* rows [rows][in]: weights as they should be, rows of one panel, divided by the smoothing scales. panel: the same as
 * int4 (engine/kernel/kernel.h); rounded again in place, in units of the rows' scales that it has. Rows whose scale is
 * 0 or not finite stay as they are. Returns how many rows are other now. Any thread. */
size_t round_panel(const struct factor *f, const struct kernel_table *kernels, const double *rows,
                   size_t count, void *panel, float *scratch);
