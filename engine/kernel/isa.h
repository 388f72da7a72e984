/* What the files of engine/kernel share among themselves: the tables that kernel.c chooses from. Whether a
 * CPU can run a table is for kernel.c to find out; where the compiler cannot build it there is none. */
#pragma once

#include "engine/kernel/kernel.h"

/* Full unrolling of a loop over registers whose bounds are constants. */
#if defined(__clang__)
#define KERNEL_UNROLL _Pragma("clang loop unroll(full)")
#else
#define KERNEL_UNROLL _Pragma("GCC unroll 64")
#endif

/* NULL when not built for this architecture. */
const struct kernel_table *kernel_avx2(void);
const struct kernel_table *kernel_avx512(void);
