/* The scalar table computes everything by its fused multiply-add. */
#include "engine/kernel/scalar/vector_scalar.h"

#define KERNEL_SET scalar
#include "engine/kernel/template/peak.h"

VECTOR_INLINE void multiply_add(struct vector *sum) {
    const struct vector x = vector_splat(1.5F);
    *sum = vector_fma(x, x, *sum);
    __asm__ volatile("" : "+m"(*sum));
}

PEAK_FUNCTION(peak_f32, struct vector, multiply_add, 2.0 * KERNEL_LANES)
PEAK_AS_F32(peak_bf16)
PEAK_AS_F32(peak_int8)
PEAK_AS_F32(peak_int4)
