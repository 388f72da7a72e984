/* Block Hadamard rotations: orthonormal maps that spread a few large channels over many, so that one scale can
 * hold a row of activations in 8 bits (QuaRot, Ashkboos et al. 2024, arXiv 2404.00456). In double precision, as
 * folding is; the transform of activations at run time is hadamard_rows in engine/kernel. */
#pragma once

#include <stddef.h>

#include "engine/kernel/kernel.h"

#define ROTATION_ORDER_MAX KERNEL_HADAMARD_ORDER
/* Rows beyond those asked for that a block, and the last block's overlap, may need at both ends. */
#define ROTATION_COVER_MAX (3 * ROTATION_ORDER_MAX)

/* An axis of `count` items of `lanes` entries each, the first of them item `first` of what holds it. Blocks of
 * `order` items, a power of two, have the signs of some changed (KERNEL_HADAMARD_SIGNS) and go through a
 * Hadamard transform divided by sqrt(order). Where they do not come out even, another such transform of the
 * last `order` items follows. order 0: no rotation. */
struct rotation {
    size_t first, count, lanes, order;
};

/* The largest power of two that is not more than count and ROTATION_ORDER_MAX; 0 for 0. */
size_t rotation_order(size_t count);

/* Widens [*first, *end) to the items that those depend on, within the holder's; what lies outside of the axis
 * depends on itself alone. */
void rotation_cover(const struct rotation *r, size_t *first, size_t *end);

/* The end of the items that are best rotated together with item `at` of the holder: its block, and what overlaps with
 * that. Outside of the axis it is `at + step`, or where the axis begins. */
size_t rotation_block_end(const struct rotation *r, size_t at, size_t step);

/* Undoes it, of a whole axis of single entries that its holder begins with: x [count], in place. */
void rotation_undo(const struct rotation *r, double *x);

/* Rotates items [first, end) of the holder, a cover, in place: item i begins at x + (i - first) * stride. */
void rotation_apply(const struct rotation *r, double *x, size_t stride, size_t first, size_t end);
