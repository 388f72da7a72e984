/* Tiles of AMX, and what of them gcc 12 has to be told. They are configured and released within a call: nothing of theirs
 * lives between calls. */
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "engine/kernel/variant.h"

#define TILE_COUNT 8
#define TILE_ROWS  16
#define TILE_BYTES 64 /* of a row of a tile */

/* What LDTILECFG reads. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* gcc 12 takes the loading of a tile for an instruction that reads no memory: stores for it must be complete
 * before, and must not be moved ahead of it. */
VECTOR_INLINE void tile_barrier(void) {
    __asm__ volatile("" : : : "memory");
}

/* In assembly, because the intrinsic of gcc 12 declares that 8 bytes are read, and the stores of the others
 * are dropped. */
VECTOR_INLINE void configure(const struct tile_config *config) {
    tile_barrier();
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}
