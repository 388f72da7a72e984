/* The bounds of the machine: the figures that a benchmark is compared with. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/workers.h"
#include "engine/blas/blas.h"
#include "engine/tools/tools.h"

#define READ_BYTES  ((size_t)512 << 20)
#define READ_CHUNK  ((size_t)1 << 20)
#define REPETITIONS 5

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

/* The shape of GPT-2's first MLP GEMM at a prompt of 512. */
static enum status measure_sgemm(size_t threads, double *flop_per_s, struct error *e) {
    enum { M = 512, N = 3072, K = 768 };
    const struct blas *blas;
    enum status status = blas_open(threads, &blas, e);
    if (status != STATUS_OK) return status;
    float *memory = memory_aligned(M * K + N * K + M * N, sizeof *memory, "sgemm", e);
    if (!memory) return STATUS_NO_MEMORY;
    float *a = memory, *b = a + M * K, *c = b + N * K;
    for (size_t i = 0; i < M * K + N * K; i++) memory[i] = (float)(i % 17) * 0.1f;
    *flop_per_s = 0;
    for (size_t i = 0; i < REPETITIONS * 3; i++) {
        double start = clock_seconds();
        blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, M, N, K, 1, a, K, b, K, 0, c, N);
        double rate = 2.0 * M * N * K / (clock_seconds() - start);
        if (rate > *flop_per_s) *flop_per_s = rate;
    }
    free(memory);
    return STATUS_OK;
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
enum status bench_measure_bounds(size_t threads, struct bench_bounds *out, struct error *e) {
    struct workers *workers;
    out->cache_bytes = cache_bytes();
    out->threads = threads ? threads : workers_default_count();
    enum status status = workers_create(out->threads, &workers, e);
    if (status != STATUS_OK) return status;
    status = measure_read(workers, &out->read_bytes_per_s, e);
    workers_destroy(workers);
    if (status == STATUS_OK) status = measure_sgemm(out->threads, &out->sgemm_flop_per_s, e);
    return status;
}
