/* What takes how much of the memory, line by line: made before the cache is, so that the cache gets what
 * everything else leaves, and printed at start. Pure but for the log. */
#pragma once

#include <stddef.h>

#include "engine/base/log.h"

enum { MEMORY_PLAN_LINES_MAX = 16 };

struct memory_line {
    const char *name; /* static */
    size_t bytes;
};

struct memory_plan {
    size_t available_bytes; /* for all lines that are not held yet, together; 0: not known */
    struct memory_line lines[MEMORY_PLAN_LINES_MAX];
    size_t count;
};

/* Rounded down, so that small differences of what else the process has touched do not give each start
 * another cache. What is known not to be 0 stays so. */
size_t memory_plan_round(size_t available_bytes);

/* A line that is still to be taken from what is available. Lines of 0 bytes are left out. */
void memory_plan_add(struct memory_plan *plan, const char *name, size_t bytes);

/* Sum of the lines; SIZE_MAX where it cannot be expressed. */
size_t memory_plan_total(const struct memory_plan *plan);

/* What is left beside all lines; 0 where they do not fit, SIZE_MAX where nobody knows. */
size_t memory_plan_left(const struct memory_plan *plan);

/* One line each in the log, in MiB: what is held already, the lines, what is left. */
void memory_plan_log(const struct memory_plan *plan, size_t weights_bytes);
