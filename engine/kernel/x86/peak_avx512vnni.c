#include <immintrin.h>

#define KERNEL_SET avx512vnni
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void add_dot(__m512i *sum) {
    __asm__ volatile("vpdpbusd %0, %0, %0" : "+v"(*sum));
}

PEAK_FUNCTION(peak_int8, __m512i, add_dot, 2.0 * 64)
PEAK_AS_INT8(peak_int4)
