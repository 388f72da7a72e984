#include <arm_neon.h>

#define KERNEL_SET neon
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void multiply_add(float32x4_t *sum) {
    __asm__ volatile("fmla %0.4s, %0.4s, %0.4s" : "+w"(*sum));
}

VECTOR_INLINE void add_dot(int32x4_t *sum) {
    __asm__ volatile("sdot %0.4s, %0.16b, %0.16b" : "+w"(*sum));
}

PEAK_FUNCTION(peak_f32, float32x4_t, multiply_add, 2.0 * 4)
PEAK_AS_F32(peak_bf16)
PEAK_FUNCTION(peak_int8, int32x4_t, add_dot, 2.0 * 16)
PEAK_AS_INT8(peak_int4)
