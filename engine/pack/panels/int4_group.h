/* How a group of weights becomes int4. */
#pragma once

#include "engine/kernel/kernel.h"

/* Weights x in units of their row's scale (finite, of magnitude 127 at most), and what they are stored as:
 * m * q + c, of magnitude 127 at most (see kernel.h). */
struct int4_group {
    float x[KERNEL_INT4_GROUP];
    int8_t q[KERNEL_INT4_GROUP]; /* -8 .. 7 */
    int8_t m, c;                 /* scale, 1 .. 16, and offset */
};

/* Finds m, c and q for x, with nearly the least squared error. */
void int4_group_fit(struct int4_group *group);
