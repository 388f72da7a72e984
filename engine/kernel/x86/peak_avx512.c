#include <immintrin.h>

#define KERNEL_SET avx512
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void multiply_add(__m512 *sum) {
    __asm__ volatile("vfmadd231ps %0, %0, %0" : "+v"(*sum));
}

/* As gemm_int8 multiplies: the sign of the weights to the activations, products of bytes in 16 bits, pairs of them in 32, and
 * their sum. */
VECTOR_INLINE void add_dot(__m512i *sum) {
    __m512i pairs;
    __asm__ volatile("vpsubb %0, %0, %1\n\tvpmaddubsw %1, %1, %1\n\tvpmaddwd %1, %1, %1\n\tvpaddd %1, %0, %0"
                     : "+v"(*sum), "=&v"(pairs));
}

/* As int4_bytes.h multiplies: products of half bytes fit into 16 bits until a group ends. */
VECTOR_INLINE void add_pairs(__m512i *sum) {
    __m512i pairs;
    __asm__ volatile("vpmaddubsw %0, %0, %1\n\tvpaddw %1, %0, %0" : "+v"(*sum), "=&v"(pairs));
}

PEAK_FUNCTION(peak_f32, __m512, multiply_add, 2.0 * 16)
PEAK_AS_F32(peak_bf16)
PEAK_FUNCTION(peak_int8, __m512i, add_dot, 2.0 * 64)
PEAK_FUNCTION(peak_int4, __m512i, add_pairs, 2.0 * 64)
