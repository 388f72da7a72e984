/* CPUs that this process may use, by physical core and NUMA node, as /proc and /sys tell, read afresh at each call. What
 * is not there, or not understood, is one node and a core for each CPU. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

struct topology_cpu {
    unsigned cpu, node;
    unsigned sibling; /* of the CPUs of its core that may be used, 0: the first */
};

struct topology {
    size_t count;              /* 0: nothing is known */
    struct topology_cpu cpu[]; /* first siblings before second ones, of these by node */
};

/* root is put before /proc and /sys: "" for the real ones, a folder in tests. */
enum status topology_create(const char *root, struct topology **out, struct error *e);
void topology_destroy(struct topology *t);

/* First siblings. */
size_t topology_cores(const struct topology *t);

/* Where so many threads are to be: a core each as long as there are any, then the second siblings; those of a node together,
 * by node. Of more threads than CPUs the rest begin again. places: [threads]; not where nothing is known. */
void topology_place(const struct topology *t, size_t threads, struct topology_cpu *places);

/* Binds the calling thread to the CPU of a place, or to all of its node. Where the system refuses it runs where it did. */
void topology_bind(const struct topology *t, const struct topology_cpu *place, bool own_cpu);
