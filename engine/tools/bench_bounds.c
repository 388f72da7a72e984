/* The bounds of the machine: the figures that a benchmark is compared with. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/widest.h"
#include "engine/base/workers.h"
#include "engine/kernel/kernel.h"
#include "engine/tools/tools.h"

#define READ_BYTES  ((size_t)512 << 20)
#define READ_CHUNK  ((size_t)1 << 20)
#define REPETITIONS 5
/* Half of the smallest second-level cache of processors with these instruction sets, and more than their first. */
#define NEAR_BYTES   ((size_t)128 << 10)
#define NEAR_ROUNDS  1024
#define NEAR_SUMS    4
#define PEAK_SECONDS 0.01

struct reading {
    const uint64_t *words;
    uint64_t sums[1024]; /* of each worker, so that nothing is optimised away */
};

static void read_chunk(void *context, size_t tile, size_t worker) {
    struct reading *r = context;
    const uint64_t *from = r->words + tile * (READ_CHUNK / sizeof(uint64_t));
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < READ_CHUNK / sizeof(uint64_t); i += 8)
        for (size_t k = 0; k < 8; k++) sums[k] ^= from[i + k];
    for (size_t k = 0; k < 8; k++) r->sums[worker] ^= sums[k];
}

static enum status measure_read(struct workers *workers, double *bytes_per_s, struct error *e) {
    struct reading reading = {0};
    uint64_t *words = memory_aligned(READ_BYTES, 1, "read buffer", e);
    if (!words) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < READ_BYTES / sizeof *words; i += 512) words[i] = i;
    reading.words = words;
    *bytes_per_s = 0;
    for (size_t i = 0; i < REPETITIONS; i++) {
        double start = clock_seconds();
        workers_run(workers, read_chunk, &reading, READ_BYTES / READ_CHUNK);
        double rate = (double)READ_BYTES / (clock_seconds() - start);
        if (rate > *bytes_per_s) *bytes_per_s = rate;
    }
    free(words);
    return STATUS_OK;
}

/* What lies in each core's own cache, read again and again. */
struct near_reading {
    uint64_t *words; /* NEAR_BYTES for each worker */
    uint64_t sums[1024];
};

/* A line, in whatever registers there are. */
typedef uint64_t line __attribute__((vector_size(64), may_alias));

/* By the widest loads that there are, since narrow ones take longer than the cache; into several sums, so that none waits for
 * the one before. From a seed, or a compiler could see that all rounds are the same. */
WIDEST static uint64_t read_words(const uint64_t *from, uint64_t seed) {
    const line *lines = (const line *)(const void *)from;
    line sums[NEAR_SUMS] = {{seed}};
    for (size_t i = 0; i < NEAR_BYTES / sizeof *lines; i += NEAR_SUMS)
        for (size_t k = 0; k < NEAR_SUMS; k++) sums[k] += lines[i + k];
    for (size_t k = 1; k < NEAR_SUMS; k++) sums[0] ^= sums[k];
    for (size_t k = 1; k < sizeof(line) / sizeof *from; k++) sums[0][0] ^= sums[0][k];
    return sums[0][0];
}

static void read_near(void *context, size_t tile, size_t worker) {
    struct near_reading *r = context;
    const uint64_t *from = r->words + tile * (NEAR_BYTES / sizeof *from);
    for (size_t round = 0; round < NEAR_ROUNDS; round++) r->sums[worker] = read_words(from, r->sums[worker]);
}

static enum status measure_near(struct workers *workers, double *bytes_per_s, struct error *e) {
    struct near_reading reading = {0};
    size_t threads = workers_count(workers);
    reading.words = memory_aligned(threads, NEAR_BYTES, "read buffer", e);
    if (!reading.words) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < threads * NEAR_BYTES / sizeof *reading.words; i++) reading.words[i] = i;
    *bytes_per_s = 0;
    for (size_t i = 0; i < REPETITIONS; i++) {
        double start = clock_seconds();
        workers_run(workers, read_near, &reading, threads);
        double rate = (double)NEAR_BYTES * NEAR_ROUNDS * (double)threads / (clock_seconds() - start);
        if (rate > *bytes_per_s) *bytes_per_s = rate;
    }
    free(reading.words);
    return STATUS_OK;
}

/* ---- instructions ---- */

struct multiplying {
    double (*peak)(size_t rounds);
    size_t rounds;
    double operations[1024]; /* of each worker */
};

static void multiply(void *context, size_t tile, size_t worker) {
    struct multiplying *m = context;
    (void)tile;
    m->operations[worker] += m->peak(m->rounds);
}

/* Rounds that take PEAK_SECONDS. */
static size_t rounds_of(double (*peak)(size_t rounds)) {
    size_t rounds = 64;
    for (;;) {
        double start = clock_seconds();
        peak(rounds);
        if (clock_seconds() - start > PEAK_SECONDS || rounds > SIZE_MAX / 4) return rounds;
        rounds *= 2;
    }
}

static double measure_peak(struct workers *workers, double (*peak)(size_t rounds)) {
    double best = 0;
    const size_t rounds = rounds_of(peak);
    for (size_t i = 0; i < REPETITIONS; i++) {
        struct multiplying m = {.peak = peak, .rounds = rounds};
        double start = clock_seconds(), operations = 0;
        workers_run(workers, multiply, &m, workers_count(workers));
        double seconds = clock_seconds() - start;
        for (size_t k = 0; k < workers_count(workers); k++) operations += m.operations[k];
        if (operations / seconds > best) best = operations / seconds;
    }
    return best;
}

static void measure_peaks(struct workers *workers, const struct kernel_table *k,
                          double flop_per_s[WEIGHT_TYPE_COUNT]) {
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        enum weight_type same = 0; /* several types may be multiplied by the same instructions */
        while (k->peak[same] != k->peak[type]) same++;
        flop_per_s[type] = same < type ? flop_per_s[same] : measure_peak(workers, k->peak[type]);
    }
}

double bench_bound_seconds(const struct bench_bounds *bounds, double bytes,
                           const double flops[WEIGHT_TYPE_COUNT]) {
    double reading = bytes / bounds->read_bytes_per_s, computing = 0;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        computing += flops[type] / bounds->flop_per_s[type];
    return reading > computing ? reading : computing;
}

/* The C library asks the processor, the kernel of a virtual machine what the host lets it see: what is larger
 * counts, as weights that may lie in it do not measure the memory. */
static size_t cache_bytes(void) {
    size_t largest = 0, kib;
    const int levels[] = {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        long bytes = sysconf(levels[i]);
        if (bytes > 0 && (size_t)bytes > largest) largest = (size_t)bytes;
    }
    for (int index = 2; index < 5; index++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%zuK", &kib) == 1 && kib << 10 > largest) largest = kib << 10;
        if (file) fclose(file);
    }
    return largest;
}

/* The best of several runs: a bound is what can be reached, and other work on the machine only takes away
 * from it. */
enum status bench_measure_bounds(size_t threads, enum kernel_isa isa, struct bench_bounds *out,
                                 struct error *e) {
    struct workers *workers;
    const struct kernel_table *kernels;
    enum status status = kernel_select(isa, &kernels, e);
    if (status != STATUS_OK) return status;
    out->cache_bytes = cache_bytes();
    out->threads = threads ? threads : workers_default_count();
    status = workers_create(out->threads, &workers, e);
    if (status != STATUS_OK) return status;
    measure_peaks(workers, kernels, out->flop_per_s);
    status = measure_near(workers, &out->near_bytes_per_s, e);
    if (status == STATUS_OK) status = measure_read(workers, &out->read_bytes_per_s, e);
    workers_destroy(workers);
    return status;
}
