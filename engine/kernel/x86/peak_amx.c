/* Six tiles of sums by two of factors: what a tile multiplication reads and writes stays in the unit. */
#include <immintrin.h>
#include <stdint.h>

#define KERNEL_SET amx
#include "engine/kernel/template/peak.h"

/* What LDTILECFG reads. */
struct tile_layout {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

enum { TILES = 8, SUMS = 6, TILE_ROWS = 16, TILE_ROW_BYTES = 64 };

static void begin(void) {
    struct tile_layout layout = {.palette = 1};
    for (size_t i = 0; i < TILES; i++) layout.row_bytes[i] = TILE_ROW_BYTES, layout.rows[i] = TILE_ROWS;
    __asm__ volatile("ldtilecfg %0" : : "m"(layout));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
}

/* Products of bytes in one instruction; of bf16 half as many. */
static const double int8_products = (double)TILE_ROWS * TILE_ROWS * TILE_ROW_BYTES;

double peak_int8_amx(size_t rounds) {
    begin();
    for (size_t round = 0; round < rounds; round++) {
        _tile_dpbssd(0, 6, 7);
        _tile_dpbssd(1, 6, 7);
        _tile_dpbssd(2, 6, 7);
        _tile_dpbssd(3, 6, 7);
        _tile_dpbssd(4, 6, 7);
        _tile_dpbssd(5, 6, 7);
    }
    _tile_release();
    return 2 * int8_products * SUMS * (double)rounds;
}

double peak_bf16_amx(size_t rounds) {
    begin();
    for (size_t round = 0; round < rounds; round++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
        _tile_dpbf16ps(4, 6, 7);
        _tile_dpbf16ps(5, 6, 7);
    }
    _tile_release();
    return int8_products * SUMS * (double)rounds;
}

PEAK_AS_INT8(peak_int4)
