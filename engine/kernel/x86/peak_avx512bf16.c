#include <immintrin.h>

#define KERNEL_SET avx512bf16
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void add_dot(__m512 *sum) {
    __asm__ volatile("vdpbf16ps %0, %0, %0" : "+v"(*sum));
}

PEAK_FUNCTION(peak_bf16, __m512, add_dot, 2.0 * 32)
