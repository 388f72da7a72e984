/* The largest few of a row, without sorting it: a heap of the best so far, whose root is the threshold. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct candidate {
    float value;
    int32_t id; /* index in the row */
};

/* The `wanted` largest of row[0 .. count-1], best first, ties to the lower index; -infinity and NaN are never
 * chosen. out has room for min(wanted, count). Returns how many there are. O(count + changes log wanted). */
size_t selection_best(const float *row, size_t count, size_t wanted, struct candidate *out);
