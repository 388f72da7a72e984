#include <immintrin.h>

#define KERNEL_SET avx2
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void multiply_add(__m256 *sum) {
    __asm__ volatile("vfmadd231ps %0, %0, %0" : "+x"(*sum));
}

/* As int8_winograd.h multiplies: of the ways to multiply bytes it needs the fewest cycles, since additions have more ports
 * than multiplications. */
VECTOR_INLINE void add_crossed(__m256i *sum) {
    __m256i even, odd;
    __asm__ volatile("vpaddw %0, %0, %1\n\tvpaddw %0, %0, %2\n\tvpmaddwd %1, %2, %1\n\tvpaddd %1, %0, %0"
                     : "+x"(*sum), "=&x"(even), "=&x"(odd));
}

/* As int4_bytes.h multiplies: products of half bytes fit into 16 bits until a group ends. */
VECTOR_INLINE void add_pairs(__m256i *sum) {
    __m256i pairs;
    __asm__ volatile("vpmaddubsw %0, %0, %1\n\tvpaddw %1, %0, %0" : "+x"(*sum), "=&x"(pairs));
}

PEAK_FUNCTION(peak_f32, __m256, multiply_add, 2.0 * 8)
PEAK_AS_F32(peak_bf16)
PEAK_FUNCTION(peak_int8, __m256i, add_crossed, 2.0 * 32)
PEAK_FUNCTION(peak_int4, __m256i, add_pairs, 2.0 * 32)
