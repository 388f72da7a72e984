/* The features of this CPU that kernels need, where the operating system lets them be used. */
#pragma once

#include <stddef.h>

/* One bit each. */
enum cpu_feature {
    CPU_AVX2 = 1u << 0,
    CPU_FMA = 1u << 1,
    CPU_F16C = 1u << 2,
    CPU_AVX_VNNI = 1u << 3,
    CPU_AVX512F = 1u << 4,
    CPU_AVX512BW = 1u << 5,
    CPU_AVX512DQ = 1u << 6,
    CPU_AVX512VL = 1u << 7,
    CPU_AVX512_VNNI = 1u << 8,
    CPU_AVX512_BF16 = 1u << 9,
    CPU_AMX_TILE = 1u << 10,
    CPU_AMX_INT8 = 1u << 11,
    CPU_AMX_BF16 = 1u << 12,
    CPU_ASIMD = 1u << 13,
    CPU_ASIMDDP = 1u << 14,
    /* Vector instructions for bf16 at twice the rate of fused multiply-adds. Intel's cores since Golden Cove, which have
     * tiles for bf16 (AMX), run them at half that rate, so that widening to f32 is faster there, and where a hypervisor
     * hides the tiles as well. */
    CPU_FAST_BF16 = 1u << 15,
};

/* What instruction sets are made of. */
#define CPU_AVX2_SET   (CPU_AVX2 | CPU_FMA | CPU_F16C)
#define CPU_AVX512_SET (CPU_AVX2_SET | CPU_AVX512F | CPU_AVX512BW | CPU_AVX512DQ | CPU_AVX512VL)
#define CPU_AMX_SET    (CPU_AMX_TILE | CPU_AMX_INT8 | CPU_AMX_BF16)
#define CPU_DOTPROD    (CPU_ASIMD | CPU_ASIMDDP)

/* Bits of enum cpu_feature. Asks the system for AMX where the CPU has it; threads have what the process was
 * given. */
unsigned cpu_features(void);

/* Their names as /proc/cpuinfo spells them, separated by spaces, cut to size. */
void cpu_feature_names(unsigned features, char *out, size_t size);
