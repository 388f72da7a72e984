/* What engine/kernel/x86 takes of AMX, as avx512.h, which includes it, has the rest. */
#pragma once

/* As LDTILECFG reads it. */
struct emulated_layout {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static _Thread_local struct {
    struct emulated_layout layout;
    union emulated tiles[8][16];
} emulated_amx;

EMULATED void emulated_ldtilecfg(const void *layout) {
    memset(&emulated_amx, 0, sizeof emulated_amx);
    memcpy(&emulated_amx.layout, layout, sizeof emulated_amx.layout);
    if (emulated_amx.layout.palette != 1) abort();
    for (size_t t = 0; t < 8; t++)
        if (emulated_amx.layout.row_bytes[t] > 64 || emulated_amx.layout.rows[t] > 16) abort();
}

EMULATED void emulated_tile_release(void) {
    memset(&emulated_amx, 0, sizeof emulated_amx);
}

/* The rows of a tile that is in use. */
EMULATED size_t emulated_tile_rows(size_t tile) {
    if (emulated_amx.layout.palette == 0 || emulated_amx.layout.rows[tile] == 0) abort();
    return emulated_amx.layout.rows[tile];
}

EMULATED void emulated_tile_zero(size_t tile) {
    emulated_tile_rows(tile);
    memset(emulated_amx.tiles[tile], 0, sizeof emulated_amx.tiles[tile]);
}

EMULATED void emulated_tile_loadd(size_t tile, const void *from, size_t stride) {
    emulated_tile_zero(tile);
    for (size_t r = 0; r < emulated_tile_rows(tile); r++)
        memcpy(emulated_amx.tiles[tile] + r, (const char *)from + r * stride,
               emulated_amx.layout.row_bytes[tile]);
}

#define emulated_tile_stream_loadd emulated_tile_loadd

EMULATED void emulated_tile_stored(size_t tile, void *to, size_t stride) {
    for (size_t r = 0; r < emulated_tile_rows(tile); r++)
        memcpy((char *)to + r * stride, emulated_amx.tiles[tile] + r, emulated_amx.layout.row_bytes[tile]);
}

/* The shapes that a multiplication takes; others trap. */
EMULATED void emulated_tile_shapes(size_t sums, size_t a, size_t b) {
    const struct emulated_layout *l = &emulated_amx.layout;
    if (emulated_tile_rows(sums) != emulated_tile_rows(a) || l->row_bytes[a] != 4 * emulated_tile_rows(b) ||
        l->row_bytes[sums] != l->row_bytes[b])
        abort();
}

/* Products of four bytes of a row of a by a row of b. */
EMULATED void emulated_tile_add_bytes(size_t sums, size_t a, size_t b, bool b_is_signed) {
    emulated_tile_shapes(sums, a, b);
    for (size_t r = 0; r < emulated_tile_rows(sums); r++) {
        union emulated *to = &emulated_amx.tiles[sums][r];
        for (size_t k = 0; k < emulated_tile_rows(b); k++) {
            const __m256i four = _mm256_set1_epi32(emulated_amx.tiles[a][r].i32[k]);
            const union emulated *row = &emulated_amx.tiles[b][k];
            to->int_half[0] = emulated_add_bytes(to->int_half[0], row->int_half[0], four, b_is_signed);
            to->int_half[1] = emulated_add_bytes(to->int_half[1], row->int_half[1], four, b_is_signed);
        }
    }
}

#define emulated_tile_dpbssd(sums, a, b) emulated_tile_add_bytes(sums, a, b, true)
#define emulated_tile_dpbsud(sums, a, b) emulated_tile_add_bytes(sums, a, b, false)

/* The sums over even and over odd k begin at 0; then both are added to what was there. */
EMULATED void emulated_tile_dpbf16ps(size_t sums, size_t a, size_t b) {
    emulated_tile_shapes(sums, a, b);
    for (size_t r = 0; r < emulated_tile_rows(sums); r++)
        for (size_t half = 0; half < 2; half++) {
            __m256 *to = &emulated_amx.tiles[sums][r].half[half], even = _mm256_setzero_ps(), odd = even;
            for (size_t k = 0; k < emulated_tile_rows(b); k++) {
                const __m256i pair = _mm256_set1_epi32(emulated_amx.tiles[a][r].i32[k]);
                const __m256i row = emulated_amx.tiles[b][k].int_half[half];
                even = emulated_add_products(even, pair, row, false);
                odd = emulated_add_products(odd, pair, row, true);
            }
            const __m256 sum = emulated_flush_eight(_mm256_add_ps(even, odd));
            *to = emulated_flush_eight(_mm256_add_ps(emulated_flush_eight(*to), sum));
        }
}
