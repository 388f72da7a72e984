/* Sets of code points, as ranges. Memory that cannot be had is remembered in `failed`, which is looked at once, when the
 * set is used; a failed set takes nothing more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/grammar/rules/rules.h"

struct point_set {
    struct rules_range *ranges;
    size_t count, capacity;
    bool failed;
};

/* A set begins as zeroes. */
void point_set_deinit(struct point_set *s);
void point_set_add(struct point_set *s, uint32_t first, uint32_t last);
void point_set_add_all(struct point_set *s, const struct point_set *other);
/* Ascending, apart from each other. */
void point_set_sort(struct point_set *s);
/* All that is not in it. Sorts it. */
void point_set_invert(struct point_set *s);
/* What is in both. Sorts both. */
void point_set_intersect(struct point_set *s, struct point_set *other);
