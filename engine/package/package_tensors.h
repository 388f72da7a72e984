/* Which tensors of a checkpoint a converted file has: all of those whose values are read after packing; of
 * those that were folded into the packed weights, the shape. */
#pragma once

#include "engine/model/bind.h"

enum package_part {
    PACKAGE_PART_NONE,  /* a buffer, or a copy of a tied head */
    PACKAGE_PART_VALUE, /* vectors, and the tables and matrices that the entry reads */
    PACKAGE_PART_SHAPE, /* matrices that are packed */
};

struct package_tensors {
    const struct bound_model *bound;
    const struct tensor **packed; /* sorted */
    size_t packed_count;
};

/* Borrows bound. On failure *t holds nothing. */
enum status package_tensors_init(struct package_tensors *t, const struct bound_model *bound, struct error *e);
void package_tensors_deinit(struct package_tensors *t);

enum package_part package_tensors_part(const struct package_tensors *t, const struct tensor *tensor);
