/* Which table runs here. On x86 the CPU's word alone is not enough: the operating system must also save the
 * wide registers, which XGETBV tells. */
#include "engine/kernel/kernel.h"

#include <stdio.h>
#include <string.h>

#include "engine/kernel/isa.h"

enum level { LEVEL_SCALAR, LEVEL_NEON, LEVEL_AVX2, LEVEL_AVX512, LEVEL_AVX512_VNNI, LEVEL_AVX512_BF16 };

#if defined(__x86_64__)
#include <cpuid.h>

#include <sys/syscall.h>
#include <unistd.h>

#ifndef bit_AMX_BF16 /* clang 14 */
#define bit_AMX_BF16 (1u << 22)
#define bit_AMX_TILE (1u << 24)
#define bit_AMX_INT8 (1u << 25)
#endif

#define XCR0_SSE_AVX 0x06u /* xmm, upper halves of ymm */
#define XCR0_AVX512  0xe6u /* and the mask registers, upper halves of zmm, zmm 16 to 31 */
#define XCR0_TILES   0x60000u
/* arch_prctl(2): the system saves the state of tiles only for a process that has asked. */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_TILE_DATA  18

static unsigned extended_state(void) {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static enum level detect_level(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return LEVEL_SCALAR;
    const unsigned base = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if ((c & base) != base) return LEVEL_SCALAR;
    unsigned state = extended_state();
    if ((state & XCR0_SSE_AVX) != XCR0_SSE_AVX) return LEVEL_SCALAR;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return LEVEL_SCALAR;
    const unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((b & wide) != wide || (state & XCR0_AVX512) != XCR0_AVX512) return LEVEL_AVX2;
    if (!(c & bit_AVX512VNNI)) return LEVEL_AVX512;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & bit_AVX512BF16)) return LEVEL_AVX512_VNNI;
    return LEVEL_AVX512_BF16;
}
/* Processors that have tiles for bf16 (AMX) run the vector instruction at half the rate of fused
 * multiply-adds, so that widening is faster there; the others run it at twice that rate. */
static bool has_fast_bf16(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && !(d & bit_AMX_BF16);
}

/* Apart from the levels: CPUs have it with AVX-512 or without. */
static bool has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & bit_AVXVNNI;
}

/* Asks the system too; threads have what the process was given. */
static bool has_amx(void) {
    unsigned a, b, c, d;
    const unsigned tiles = bit_AMX_TILE | bit_AMX_INT8 | bit_AMX_BF16;
    return detect_level() == LEVEL_AVX512_BF16 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & tiles) == tiles && (extended_state() & XCR0_TILES) == XCR0_TILES &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA) == 0;
}
#else
static bool has_fast_bf16(void) {
    return true;
}

static bool has_amx(void) {
    return false;
}

static bool has_avx_vnni(void) {
    return false;
}

#if defined(__aarch64__)
#include <sys/auxv.h>

static enum level detect_level(void) {
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? LEVEL_NEON : LEVEL_SCALAR;
}
#else
static enum level detect_level(void) {
    return LEVEL_SCALAR;
}
#endif
#endif

size_t kernel_available(const struct kernel_table *tables[8]) {
    size_t count = 0;
    enum level level = detect_level();
    tables[count++] = kernel_scalar();
    if (level >= LEVEL_NEON && kernel_neon()) tables[count++] = kernel_neon();
    if (level >= LEVEL_AVX2 && kernel_avx2()) tables[count++] = kernel_avx2();
    if (level >= LEVEL_AVX2 && has_avx_vnni() && kernel_avxvnni()) tables[count++] = kernel_avxvnni();
    if (level >= LEVEL_AVX512 && kernel_avx512()) tables[count++] = kernel_avx512();
    bool bf16 = level >= LEVEL_AVX512_BF16 && kernel_avx512bf16(), bf16_last = bf16 && has_fast_bf16();
    if (bf16 && !bf16_last) tables[count++] = kernel_avx512bf16();
    if (level >= LEVEL_AVX512_VNNI && kernel_avx512vnni()) tables[count++] = kernel_avx512vnni();
    if (bf16_last) tables[count++] = kernel_avx512bf16();
    if (has_amx() && kernel_amx()) tables[count++] = kernel_amx();
    return count;
}

enum status kernel_select(const char *forced, const struct kernel_table **out, struct error *e) {
    const struct kernel_table *tables[8];
    size_t count = kernel_available(tables);
    if (!forced || strcmp(forced, "auto") == 0) {
        *out = tables[count - 1];
        return STATUS_OK;
    }
    char available[128] = "auto";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(forced, tables[i]->name) == 0) {
            *out = tables[i];
            return STATUS_OK;
        }
        size_t length = strlen(available);
        snprintf(available + length, sizeof available - length, ", %s", tables[i]->name);
    }
    return error_set(e, STATUS_INVALID_ARGUMENT, "kernels", "found '%s', expected one of: %s", forced,
                     available);
}

const char *kernel_features(void) {
    switch (detect_level()) {
    case LEVEL_AVX512_BF16:
        if (has_amx())
            return "avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16 "
                   "amx_tile amx_int8 amx_bf16";
        return "avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16";
    case LEVEL_AVX512_VNNI:
        return "avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni";
    case LEVEL_AVX512:
        return "avx2 fma f16c avx512f avx512bw avx512dq avx512vl";
    case LEVEL_AVX2:
        return has_avx_vnni() ? "avx2 fma f16c avx_vnni" : "avx2 fma f16c";
    case LEVEL_NEON:
        return "asimd asimddp";
    case LEVEL_SCALAR:
        break;
    }
    return "";
}
