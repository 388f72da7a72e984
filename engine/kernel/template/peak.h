/* What the instructions of a set could do if nothing were read or written: chains that do not wait for each other, in
 * registers. The including file defines KERNEL_SET. Each function does `rounds` rounds and says how many operations those
 * were; a multiplication and its addition are two. */
#pragma once

#include "engine/kernel/variant.h"

/* More than the latency of the instructions times how many begin at once, on all processors that are known. */
enum { PEAK_CHAINS = 12 };

/* chain(&sum): one instruction, or the few that stand for one, on a register of this type, volatile to the compiler. */
#define PEAK_FUNCTION(name, type, chain, operations)                                                         \
    double KERNEL_FUNCTION(name)(size_t rounds) {                                                            \
        type sum[PEAK_CHAINS] = {0};                                                                         \
        for (size_t round = 0; round < rounds; round++)                                                      \
            KERNEL_EACH (i, PEAK_CHAINS) chain(&sum[i]);                                                     \
        return (double)rounds * PEAK_CHAINS * (operations);                                                  \
    }

/* A type without instructions of its own is widened to f32. */
#define PEAK_AS_F32(name)                                                                                    \
    double KERNEL_FUNCTION(name)(size_t rounds) {                                                            \
        return KERNEL_FUNCTION(peak_f32)(rounds);                                                            \
    }

/* int4 that is multiplied by the instructions of int8. */
#define PEAK_AS_INT8(name)                                                                                   \
    double KERNEL_FUNCTION(name)(size_t rounds) {                                                            \
        return KERNEL_FUNCTION(peak_int8)(rounds);                                                           \
    }
