/* Tiles by sixteen columns of a panel, for where there are fewer panels than threads. */
#pragma once

#include "engine/kernel/variant.h"

/* Registers that such a tile takes at once: no more than `most`, for which a tile has accumulators. Constants both where this
 * is inlined. */
VECTOR_INLINE size_t strip_registers(size_t most) {
    size_t count = KERNEL_LANES / REGISTER_LANES;
    while (count > most) count /= 2;
    return count;
}
