/* How groups of weights become int4: those of several rows at once. */
#pragma once

#include "engine/kernel/kernel.h"

#define INT4_ROWS 16 /* a third of a panel */
_Static_assert(KERNEL_PANEL % INT4_ROWS == 0, "a panel is whole sets of rows");

/* Of each row the weights x of a group, in units of their row's scale (finite, of magnitude 127 at most), and what they
 * are stored as: m * q + c, of magnitude 127 at most (see kernel.h). All but x are integers. */
struct int4_groups {
    float x[KERNEL_INT4_GROUP][INT4_ROWS];
    float q[KERNEL_INT4_GROUP][INT4_ROWS]; /* -8 .. 7 */
    float m[INT4_ROWS], c[INT4_ROWS];      /* scale, 1 .. 16, and offset */
};

/* Finds m, c and q for each row's x, with nearly the least squared error. What it finds for a row depends on that row
 * alone. */
void int4_groups_fit(struct int4_groups *groups);
