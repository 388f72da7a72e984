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
const struct kernel_table *kernel_neon(void);
const struct kernel_table *kernel_avx2(void);
const struct kernel_table *kernel_avx512(void);
/* The same with other products of low-precision weights. */
const struct kernel_table *kernel_avxvnni(void);
const struct kernel_table *kernel_avx512vnni(void);
const struct kernel_table *kernel_avx512bf16(void);
const struct kernel_table *kernel_amx(void);

/* What narrow_*.c give to the tables. */
typedef void kernel_prepare_fn(const struct activation_rows *rows, size_t row_first, size_t row_count);
typedef void kernel_narrow_fn(const struct lowp_gemm *m, size_t row_first, size_t row_count,
                              size_t panel_first, size_t panel_count);

kernel_prepare_fn prepare_bf16_scalar, prepare_int8_scalar, prepare_bf16_avx2, prepare_int8_avx2,
    prepare_bf16_avx512, prepare_int8_avx512, prepare_bf16_avx512bf16, prepare_bf16_neon, prepare_int8_neon,
    prepare_bf16_amx;
kernel_narrow_fn matmul_bf16_scalar, matmul_int8_scalar, matmul_int4_scalar, matmul_bf16_avx2,
    matmul_int8_avx2, matmul_int4_avx2, matmul_bf16_avx512, matmul_int8_avx512, matmul_int4_avx512,
    matmul_int8_avx512vnni, matmul_int4_avx512vnni, matmul_bf16_avx512bf16, matmul_int8_avxvnni,
    matmul_int4_avxvnni, matmul_bf16_neon, matmul_int8_neon, matmul_int4_neon, matmul_bf16_amx,
    matmul_int8_amx, matmul_int4_amx;
