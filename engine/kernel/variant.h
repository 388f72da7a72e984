/* What the files of the kernels share among themselves: the functions that kernels.def lists, declared, and
 * how the texts in template/ become functions of one set of vector registers. */
#pragma once

#include "engine/kernel/kernel.h"

/* A loop over registers, unrolled in full: count is a constant after inlining. */
#if defined(__clang__)
#define KERNEL_EACH(i, count) _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (count); i++)
#else
#define KERNEL_EACH(i, count) _Pragma("GCC unroll 64") for (size_t i = 0; i < (count); i++)
#endif

/* Inlined into each other everywhere, a file of kernels becomes hundreds of thousands of instructions, which a sanitizer
 * multiplies: its builds, and all of the scalar kernels (cmake/kernel_flags.cmake), keep the functions apart. The same
 * operations, the same bits. */
#ifdef KERNEL_OUTLINED
#define VECTOR_INLINE static inline __attribute__((unused))
#else
#define VECTOR_INLINE static inline __attribute__((always_inline, unused))
#endif

/* For what innermost loops are made of, which stays together in every build. */
#define INNERMOST_INLINE static inline __attribute__((always_inline, unused))

/* Of a pair of bf16, or of what is summed in pairs: the first, or the second. */
enum parity { EVEN, ODD };

/* For sets that have no masked stores of 16 bits: vector_store_bf16_first() of what vector_store() has left. */
static inline void kernel_store_bf16_first(uint16_t *to, enum parity parity, const float *floats,
                                           size_t count) {
    uint32_t bits[KERNEL_LANES];
    memcpy(bits, floats, sizeof bits);
    for (size_t i = 0; i < KERNEL_LANES; i++)
        bits[i] |= ((bits[i] & 0x7fffffff) > 0x7f800000) << 22; /* NaN, whose upper half could be infinity */
    for (size_t i = 0; i < count; i++) to[2 * i + parity] = (uint16_t)(bits[i] >> 16);
}

/* Of the registers that a vector_*.h defines, besides the sixteen lanes of struct vector: lanes of 32 bits,
 * that is columns of a panel. */
#define REGISTER_BYTES  (REGISTER_LANES * 4)
#define PANEL_REGISTERS (KERNEL_PANEL / REGISTER_LANES)

/* The rows of kernels.def that are built here. */
#define KERNEL_ON_ANY(...) __VA_ARGS__
#if defined(__x86_64__)
#define KERNEL_ON_X86(...) __VA_ARGS__
#else
#define KERNEL_ON_X86(...)
#endif
#if defined(__aarch64__)
#define KERNEL_ON_ARM(...) __VA_ARGS__
#else
#define KERNEL_ON_ARM(...)
#endif

/* Functions are called operation_set: gemm_f32_avx2, gemm_int8_avx512vnni. In template/
 * KERNEL_FUNCTION(operation) is the one of KERNEL_SET, which the including file defines. */
#define KERNEL_PASTE(operation, set)    operation##_##set
#define KERNEL_FUNCTION_OF(name, set)   KERNEL_PASTE(name, set)
#define KERNEL_FUNCTION(operation)      KERNEL_FUNCTION_OF(operation, KERNEL_SET)
#define KERNEL_DECLARE(operation, set)  __typeof__(*((struct kernel_table *)0)->operation) operation##_##set;
#define KERNEL_DECLARE_PEAK(name)       __typeof__(*((struct kernel_table *)0)->peak[0]) name;
#define KERNEL_DECLARE_CONVERSION(name) __typeof__(*((struct kernel_table *)0)->convert_activations[0]) name;
#define KERNEL_DECLARE_GEMM(name)       __typeof__(*((struct kernel_table *)0)->gemm_lowp[0]) name;

#define KERNEL_VECTORS(architecture, set, rows)                                                              \
    KERNEL_ON_##architecture(                                                                                \
        KERNEL_DECLARE(gemm_f32, set) KERNEL_DECLARE(epilogue_rows, set) KERNEL_DECLARE(                     \
            join_int8_groups, set) KERNEL_DECLARE(row_scales, set) KERNEL_DECLARE(scale_directions, set)     \
            KERNEL_DECLARE(normalize_rows, set) KERNEL_DECLARE(gate_rows, set) KERNEL_DECLARE(soft_cap, set) \
                KERNEL_DECLARE(hadamard_rows, set) KERNEL_DECLARE(rotate, set) KERNEL_DECLARE(store_kv, set) \
                    KERNEL_DECLARE(attention, set) KERNEL_DECLARE(attention_chunk, set)                      \
                        KERNEL_DECLARE(attention_merge, set) KERNEL_DECLARE(argmax, set)                     \
                            KERNEL_DECLARE(exp_sum, set) KERNEL_DECLARE_CONVERSION(convert_int8_##set)       \
                                KERNEL_DECLARE_CONVERSION(convert_int4_##set)                                \
                                    KERNEL_DECLARE_PEAK(peak_f32_##set))
#include "engine/kernel/kernels.def"

#define KERNEL_CONVERSION_bf16(set) KERNEL_DECLARE_CONVERSION(convert_bf16_##set)
#define KERNEL_CONVERSION_int8(set) KERNEL_DECLARE(gemm_int8_groups, set)
#define KERNEL_CONVERSION_int4(set)
#define KERNEL_PEAK_bf16(set) KERNEL_DECLARE_PEAK(peak_bf16_##set)
#define KERNEL_PEAK_int8(set) KERNEL_DECLARE_PEAK(peak_int8_##set)
#define KERNEL_PEAK_int4(set) KERNEL_DECLARE_PEAK(peak_int4_##set)
#define KERNEL_GEMM(architecture, type, set, rows, strip_rows)                                               \
    KERNEL_ON_##architecture(KERNEL_DECLARE_GEMM(gemm_##type##_##set) KERNEL_CONVERSION_##type(set)          \
                                 KERNEL_PEAK_##type(set))
#include "engine/kernel/kernels.def"

#define KERNEL_ATTENTION(architecture, set)                                                                  \
    KERNEL_ON_##architecture(KERNEL_DECLARE(attention, set) KERNEL_DECLARE(attention_chunk, set))
#include "engine/kernel/kernels.def"

/* The columns rows and strip_rows. */
enum {
#define KERNEL_MANY_ROWS                        0x7fffffff
#define KERNEL_VECTORS(architecture, set, rows) KERNEL_ROWS_f32_##set = rows,
#define KERNEL_GEMM(architecture, type, set, rows, strip_rows)                                               \
    KERNEL_ROWS_##type##_##set = rows, KERNEL_STRIP_ROWS_##type##_##set = strip_rows,
#include "engine/kernel/kernels.def"
};
