/* Element types of checkpoints, and their exact widening to double. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_OTHER };

/* Bytes of one element; 0 for DTYPE_OTHER. */
size_t dtype_size(enum dtype dtype);
const char *dtype_name(enum dtype dtype);

/* dst[i] = src[i * stride] for i < count; stride in elements, 0 repeats one element. dtype is not
 * DTYPE_OTHER. Exact for every value, subnormals and infinities included (a NaN stays some NaN). src may be
 * unaligned and must not overlap dst. Little-endian elements, as in every format that is read here. */
void dtype_read(enum dtype dtype, const void *src, size_t stride, size_t count, double *dst);
