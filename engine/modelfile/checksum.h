/* The checksum of every byte of a converted file: XXH64 (https://github.com/Cyan4973/xxHash,
 * doc/xxhash_spec.md) with seed 0 of each block of CHECKSUM_BLOCK bytes. It finds damage, not malice. The
 * same value on every processor. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/workers.h"

#define CHECKSUM_BLOCK ((size_t)65536)

uint64_t checksum_of(const void *data, size_t size);

/* Blocks of size bytes; the last may be shorter. */
size_t checksum_blocks(size_t size);

typedef void (*checksum_progress_fn)(void *context, double share);

/* Index of the first block of data whose checksum is not sums[index] (8 bytes each, little-endian,
 * unaligned); checksum_blocks(size) where all are as they should be. Spread over the workers; progress (may
 * be NULL) is called from the calling thread. */
size_t checksum_first_damaged(const void *data, size_t size, const void *sums, struct workers *workers,
                              checksum_progress_fn progress, void *context);
