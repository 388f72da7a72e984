/* Weights in double precision to the panels that kernels read (engine/kernel/kernel.h says how they lie).
 * Needs the kernels' types alone, nothing of a model. */
#pragma once

#include "engine/kernel/kernel.h"

/* Packs rows [first, +count) of a [n, k] matrix, given as w [count, k]. first is a multiple of KERNEL_PANEL;
 * the last call pads its panel with zeros: every byte of the panels is written. Each weight is rounded once,
 * to the type that is stored (int4: to float, then to a level). */
void panels_pack(enum weight_type type, const double *w, size_t first, size_t count, size_t k, void *panels);
