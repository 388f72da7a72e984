#include <immintrin.h>

#define KERNEL_SET avxvnni
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void add_dot(__m256i *sum) {
    __asm__ volatile("%{vex%} vpdpbusd %0, %0, %0" : "+x"(*sum));
}

PEAK_FUNCTION(peak_int8, __m256i, add_dot, 2.0 * 32)
PEAK_AS_INT8(peak_int4)
