/* Detection of CPU features. On x86 the CPU's word alone is not enough: the operating system must also save
 * the wide registers, which XGETBV tells. */
#include "engine/kernel/cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

#include <sys/syscall.h>
#include <unistd.h>

#ifndef bit_AMX_BF16 /* clang 14 */
#define bit_AMX_BF16 (1u << 22)
#define bit_AMX_TILE (1u << 24)
#define bit_AMX_INT8 (1u << 25)
#endif

#define BIT_AVX512_FP16 (1u << 23) /* of EDX, leaf 7 */

/* Register state that the system saves, by bits of XCR0. */
#define XCR0_AVX    0x06u /* xmm, upper halves of ymm */
#define XCR0_AVX512 0xe6u /* and the mask registers, upper halves of zmm, zmm 16 to 31 */
#define XCR0_AMX    0x60000u
/* arch_prctl(2): the system saves the state of tiles only for a process that has requested it. */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_TILE_DATA  18

enum cpuid_register { EAX, EBX, ECX, EDX };

static const struct {
    enum cpu_feature feature;
    const char *name;
    unsigned leaf, subleaf; /* of CPUID, and where the answer stands */
    enum cpuid_register in;
    unsigned bit, state;
} rows[] = {
    {CPU_AVX2, "avx2", 7, 0, EBX, bit_AVX2, XCR0_AVX},
    {CPU_FMA, "fma", 1, 0, ECX, bit_FMA, XCR0_AVX},
    {CPU_F16C, "f16c", 1, 0, ECX, bit_F16C, XCR0_AVX},
    {CPU_AVX_VNNI, "avx_vnni", 7, 1, EAX, bit_AVXVNNI, XCR0_AVX},
    {CPU_AVX512F, "avx512f", 7, 0, EBX, bit_AVX512F, XCR0_AVX512},
    {CPU_AVX512BW, "avx512bw", 7, 0, EBX, bit_AVX512BW, XCR0_AVX512},
    {CPU_AVX512DQ, "avx512dq", 7, 0, EBX, bit_AVX512DQ, XCR0_AVX512},
    {CPU_AVX512VL, "avx512vl", 7, 0, EBX, bit_AVX512VL, XCR0_AVX512},
    {CPU_AVX512_VNNI, "avx512_vnni", 7, 0, ECX, bit_AVX512VNNI, XCR0_AVX512},
    {CPU_AVX512_BF16, "avx512_bf16", 7, 1, EAX, bit_AVX512BF16, XCR0_AVX512},
    {CPU_AMX_TILE, "amx_tile", 7, 0, EDX, bit_AMX_TILE, XCR0_AMX},
    {CPU_AMX_INT8, "amx_int8", 7, 0, EDX, bit_AMX_INT8, XCR0_AMX},
    {CPU_AMX_BF16, "amx_bf16", 7, 0, EDX, bit_AMX_BF16, XCR0_AMX},
};

static bool cpuid_has(unsigned leaf, unsigned subleaf, enum cpuid_register in, unsigned bit) {
    unsigned r[4];
    return __get_cpuid_count(leaf, subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) && r[in] & bit;
}

/* Golden Cove and later: of Intel's CPUs with AVX512-BF16 only Cooper Lake is older. A hypervisor that hides AMX leaves
 * this. */
static bool is_intel_with_fp16(void) {
    unsigned highest, vendor[3];
    return __get_cpuid(0, &highest, &vendor[0], &vendor[2], &vendor[1]) &&
           memcmp(vendor, "GenuineIntel", sizeof vendor) == 0 && cpuid_has(7, 0, EDX, BIT_AVX512_FP16);
}

static unsigned saved_state(void) {
    unsigned low, high;
    if (!cpuid_has(1, 0, ECX, bit_OSXSAVE)) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

unsigned cpu_features(void) {
    const unsigned state = saved_state();
    unsigned found = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((state & rows[i].state) == rows[i].state &&
            cpuid_has(rows[i].leaf, rows[i].subleaf, rows[i].in, rows[i].bit))
            found |= rows[i].feature;
    if (found & CPU_AVX512_BF16 && !is_intel_with_fp16()) found |= CPU_FAST_BF16;
    if ((found & CPU_AMX_SET) == CPU_AMX_SET &&
        syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA) != 0)
        found &= ~(unsigned)CPU_AMX_SET;
    return found;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

static const struct {
    enum cpu_feature feature;
    const char *name;
    unsigned long bit;
} rows[] = {{CPU_ASIMD, "asimd", HWCAP_ASIMD}, {CPU_ASIMDDP, "asimddp", HWCAP_ASIMDDP}};

unsigned cpu_features(void) {
    unsigned found = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (getauxval(AT_HWCAP) & rows[i].bit) found |= rows[i].feature;
    return found;
}

#else
static const struct {
    enum cpu_feature feature;
    const char *name;
} rows[1];

unsigned cpu_features(void) {
    return 0;
}
#endif

void cpu_feature_names(unsigned features, char *out, size_t size) {
    size_t length = 0;
    *out = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(features & rows[i].feature)) continue;
        snprintf(out + length, size - length, "%s%s", length ? " " : "", rows[i].name);
        length = strlen(out);
    }
}
