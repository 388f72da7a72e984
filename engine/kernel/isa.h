/* What the files of engine/kernel share among themselves: the tables that kernel.c chooses from. Whether a
 * CPU can run a table is for kernel.c to find out; where the compiler cannot build it there is none. */
#pragma once

#include "engine/kernel/kernel.h"

/* A loop over registers, unrolled in full: count is a constant after inlining. */
#if defined(__clang__)
#define KERNEL_EACH(i, count) _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++)
#else
#define KERNEL_EACH(i, count) _Pragma("GCC unroll 64") for (size_t i = 0; i < (count); i++)
#endif

/* NULL when not built for this architecture. */
const struct kernel_table *kernel_avx2(void);
const struct kernel_table *kernel_avx512(void);
