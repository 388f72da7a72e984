/* Limits that control groups put on this process, version 2 and version 1, read afresh at each call (start-up
 * and rare reports only). A group is held to its own limit and to those of all its ancestors, so every
 * function walks up to the root and returns the tightest. Files that are not there, or that are not
 * understood, limit nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* root is put before /proc and /sys: "" for the real ones, a folder in tests. */

/* What memory limits leave beyond what is used now (pages of files count as unused: the
 * kernel drops them, recently read ones too, before it refuses memory).
 * False when there is no limit. */
bool cgroup_memory_left(const char *root, size_t *bytes);

/* The CPU quota in cores. False when there is none. */
bool cgroup_cpu_cores(const char *root, double *cores);
