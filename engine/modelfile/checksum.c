#include "engine/modelfile/checksum.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* Constants and steps of the specification. */
#define PRIME_1 0x9E3779B185EBCA87u
#define PRIME_2 0xC2B2AE3D27D4EB4Fu
#define PRIME_3 0x165667B19E3779F9u
#define PRIME_4 0x85EBCA77C2B2AE63u
#define PRIME_5 0x27D4EB2F165667C5u

#define LANES        4
#define STRIPE_BYTES (LANES * sizeof(uint64_t))

static uint64_t rotate(uint64_t value, unsigned bits) {
    return value << bits | value >> (64 - bits);
}

static uint64_t read_word(const unsigned char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static uint64_t mix(uint64_t lane, uint64_t word) {
    return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

static uint64_t join(const uint64_t lanes[LANES]) {
    uint64_t sum = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    for (size_t i = 0; i < LANES; i++) sum = (sum ^ mix(0, lanes[i])) * PRIME_1 + PRIME_4;
    return sum;
}

/* The whole stripes; *bytes moves behind them. */
static uint64_t sum_stripes(const unsigned char **bytes, size_t stripes) {
    uint64_t lanes[LANES] = {PRIME_1 + PRIME_2, PRIME_2, 0, 0 - PRIME_1};
    for (size_t i = 0; i < stripes; i++, *bytes += STRIPE_BYTES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] = mix(lanes[lane], read_word(*bytes + lane * sizeof(uint64_t)));
    return join(lanes);
}

/* Less than a stripe. */
static uint64_t sum_tail(uint64_t sum, const unsigned char *bytes, size_t size) {
    for (; size >= 8; bytes += 8, size -= 8)
        sum = rotate(sum ^ mix(0, read_word(bytes)), 27) * PRIME_1 + PRIME_4;
    if (size >= 4) {
        uint32_t half;
        memcpy(&half, bytes, sizeof half);
        sum = rotate(sum ^ half * PRIME_1, 23) * PRIME_2 + PRIME_3;
        bytes += 4, size -= 4;
    }
    for (; size; bytes++, size--) sum = rotate(sum ^ *bytes * PRIME_5, 11) * PRIME_1;
    return sum;
}

uint64_t checksum_of(const void *data, size_t size) {
    const unsigned char *bytes = data;
    uint64_t sum = size >= STRIPE_BYTES ? sum_stripes(&bytes, size / STRIPE_BYTES) : PRIME_5;
    sum = sum_tail(sum + size, bytes, size % STRIPE_BYTES);
    sum = (sum ^ sum >> 33) * PRIME_2;
    sum = (sum ^ sum >> 29) * PRIME_3;
    return sum ^ sum >> 32;
}

size_t checksum_blocks(size_t size) {
    return size / CHECKSUM_BLOCK + (size % CHECKSUM_BLOCK != 0);
}

/* ---- many blocks ---- */

#define TILE_BLOCKS 64

struct check {
    const unsigned char *data, *sums;
    size_t size, blocks, tiles;
    atomic_size_t damaged; /* the lowest found so far */
    atomic_size_t done;
    checksum_progress_fn progress;
    void *context;
};

static void report_damaged(struct check *c, size_t block) {
    size_t lowest = atomic_load(&c->damaged);
    while (block < lowest && !atomic_compare_exchange_weak(&c->damaged, &lowest, block)) {
    }
}

static void check_tile(void *context, size_t tile, size_t worker) {
    struct check *c = context;
    size_t first = tile * TILE_BLOCKS,
           end = first + TILE_BLOCKS < c->blocks ? first + TILE_BLOCKS : c->blocks;
    size_t begin = first * CHECKSUM_BLOCK, last = end == c->blocks ? c->size : end * CHECKSUM_BLOCK;
    /* A mapped file: its pages in one call instead of a fault each. Where the system can't, they fault. */
    (void)madvise((void *)(uintptr_t)(c->data + begin), last - begin, MADV_POPULATE_READ);
    for (size_t i = first; i < end; i++) {
        size_t offset = i * CHECKSUM_BLOCK, left = c->size - offset;
        uint64_t sum = checksum_of(c->data + offset, left < CHECKSUM_BLOCK ? left : CHECKSUM_BLOCK);
        if (sum != read_word(c->sums + i * sizeof sum)) report_damaged(c, i);
    }
    size_t done = atomic_fetch_add_explicit(&c->done, 1, memory_order_relaxed) + 1;
    if (c->progress && worker == 0) c->progress(c->context, (double)done / (double)c->tiles);
}

size_t checksum_first_damaged(const void *data, size_t size, const void *sums, struct workers *workers,
                              checksum_progress_fn progress, void *context) {
    size_t blocks = checksum_blocks(size);
    struct check c = {
        .data = data,
        .sums = sums,
        .size = size,
        .blocks = blocks,
        .tiles = (blocks + TILE_BLOCKS - 1) / TILE_BLOCKS,
        .damaged = blocks,
        .progress = progress,
        .context = context,
    };
    workers_run(workers, check_tile, &c, c.tiles);
    return atomic_load(&c.damaged);
}
