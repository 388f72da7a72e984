/* A batch: queries that attention with AMX computes together, and the chunk of keys that it is at. */
#pragma once

#include <math.h>

#include "engine/kernel/x86/amx_tiles.h"
#include "engine/kernel/x86/vector_avx512.h"

#include "engine/kernel/template/attention_state.h"
#include "engine/kernel/template/convert.h"

#define QUERIES_MAX  (2 * TILE_ROWS) /* that go together */
#define QUERIES_MIN  4               /* fewer are left to vectors */
#define HEAD_DIM_MAX KERNEL_TILES_HEAD_DIM_MAX
#define PAIR_BYTES   (2 * sizeof(uint16_t))
#define VALUE_ROWS   (KERNEL_LANES / 2) /* of a tile of values: pairs of positions */
#define AHEAD        4                  /* blocks from what is computed to what is prefetched */
_Static_assert(QUERIES_MAX == KERNEL_TILES_GROUP_MAX, "the queries of a row go together");

/* Elements from one query to the next: an odd number of cache lines apart. */
#define QUERY_STRIDE (HEAD_DIM_MAX + KERNEL_ALIGN / sizeof(uint16_t))
#define SCORE_STRIDE (KERNEL_ATTENTION_CHUNK + KERNEL_LANES)
#define VALUE_STRIDE (HEAD_DIM_MAX + KERNEL_LANES)

struct query {
    const float *q;
    float *out;
    const float *alibi; /* of its head, or NULL */
    size_t position, oldest;
};

/* Queries that go together. */
struct batch {
    const struct attention *a;
    const uint32_t *pages;
    size_t count, head_dim, dim; /* dim: as it is stored */
    bool cold;                   /* keys and values are not in a cache yet */
    bool plain;                  /* scores are dot products times the scale, which is positive */
    /* Positions that some of them sees, and where rows do not follow one another what lies between: oldest <= position <=
     * newest. Blocks that each sees all of: all_first <= block < all_end. */
    size_t oldest, newest, all_first, all_end;
    /* The chunk at hand: its blocks that some see, first <= block < end, their keys and their values; those that not each
     * sees all of are first <= block < edge_end and edge_first <= block < end. Bit i: query i sees some of it. */
    size_t first, end, edge_end, edge_first;
    uint32_t seen;
    const unsigned char *keys[ATTENTION_CHUNK_BLOCKS], *values[ATTENTION_CHUNK_BLOCKS];
    /* Keys and values, in the order in which they are read, are prefetched so many blocks ahead; behind those of the chunk the
     * first keys of the next, or of the next call. NULL: where nothing is. */
    const unsigned char *ahead[2 * ATTENTION_CHUNK_BLOCKS + AHEAD];

    uint32_t merged; /* bit i: query i has seen chunks before */
    struct attention_state state[QUERIES_MAX];
    struct query query[QUERIES_MAX];
    _Alignas(KERNEL_ALIGN) float largest[QUERIES_MAX];            /* score of the chunk */
    _Alignas(KERNEL_ALIGN) float sums[QUERIES_MAX][KERNEL_LANES]; /* of the chunk's weights, by lanes */
    _Alignas(KERNEL_ALIGN) uint16_t q[QUERIES_MAX][QUERY_STRIDE];
    _Alignas(KERNEL_ALIGN) float scores[QUERIES_MAX][SCORE_STRIDE]; /* then, as bf16, weights */
    _Alignas(KERNEL_ALIGN) float out[QUERIES_MAX][VALUE_STRIDE];    /* weighted values of the chunk */
    /* Values of the blocks where the oldest and the newest position lie, with zeros for what nobody sees. */
    _Alignas(KERNEL_ALIGN) uint16_t edges[2][VALUE_ROWS][HEAD_DIM_MAX][2];
    _Alignas(KERNEL_ALIGN) uint16_t unit[VALUE_ROWS][KERNEL_LANES][2]; /* the unit matrix */
    _Alignas(KERNEL_ALIGN) uint16_t tail[ATTENTION_CHUNK_BLOCKS][TILE_ROWS][KERNEL_LANES][2];
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* ---- queries -------------------------------------------------------------------------------------------- */

static void round_query(struct batch *b, size_t i) {
    for (size_t d = 0; d < b->dim; d += KERNEL_BF16_BLOCK) {
        KERNEL_EACH (half, 2) {
            const size_t at = d + half * KERNEL_LANES;
            struct vector v = vector_splat(0.0f);
            if (at < b->head_dim)
                v = vector_load_first(b->query[i].q + at, smaller(b->head_dim - at, KERNEL_LANES));
            _mm256_store_si256((void *)(b->q[i] + at), (__m256i)_mm512_cvtneps_pbh(convert_flush(v).lanes));
        }
    }
}

/* The queries of some rows. */
static void set_batch(struct batch *b, size_t row, size_t rows) {
    const struct attention *a = b->a;
    b->count = 0;
    b->merged = 0;
    b->pages = a->rows[row].pages;
    for (const struct attention_row *r = a->rows + row; r < a->rows + row + rows; r++)
        for (size_t head = 0; head < a->group; head++) {
            const size_t column = a->column + head * a->head_dim;
            struct query *query = &b->query[b->count++];
            *query = (struct query){.q = r->q + column,
                                    .out = r->out + column,
                                    .position = r->position,
                                    .oldest = attention_oldest(a, r->position),
                                    .alibi = a->alibi ? a->alibi + head * a->alibi_stride : NULL};
            if (a->alibi && a->alibi_last) query->alibi += a->alibi_last - r->position;
        }
    const struct query *first = &b->query[0], *last = &b->query[b->count - 1];
    b->oldest = first->oldest;
    b->newest = last->position;
    b->all_first = (last->oldest + KERNEL_LANES - 1) / KERNEL_LANES;
    b->all_end = (first->position + 1) / KERNEL_LANES;
}

/* Queries that there are not are zeros. */
static void set_queries(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) round_query(b, i);
    for (size_t i = b->count; i % TILE_ROWS != 0; i++) memset(b->q[i], 0, sizeof b->q[i]);
}

/* ---- values that not all see ---------------------------------------------------------------------------- */

/* Where the values of a block lie. */
static const unsigned char *values_of(const struct batch *b, size_t block) {
    return attention_page(b->a, b->pages, block) + b->a->cache.values + attention_block_offset(b->a, block);
}

/* Halves of a row of pairs that some query sees. */
static __mmask32 seen_halves(const struct batch *b, size_t block, size_t row) {
    const size_t position = block * KERNEL_LANES + 2 * row;
    const bool first = position >= b->oldest && position <= b->newest,
               second = position + 1 >= b->oldest && position + 1 <= b->newest;
    return (first ? 0x55555555u : 0u) | (second ? 0xaaaaaaaau : 0u);
}

/* Values of a block, two by two; what nobody sees, and columns that there are not, as zeros. */
static __m512i seen_values(const struct batch *b, const unsigned char *values, __mmask32 seen, size_t row,
                           size_t column) {
    const size_t columns = b->head_dim - column;
    if (columns < KERNEL_LANES) seen &= (UINT32_C(1) << 2 * columns) - 1;
    return _mm512_maskz_loadu_epi16(seen, values + (row * b->dim + column) * PAIR_BYTES);
}

/* Whether all values are finite that some see of a block. */
static bool block_is_finite(const struct batch *b, size_t block) {
    const unsigned char *values = values_of(b, block);
    const __m512i infinite = _mm512_set1_epi16(0x7f80);
    __mmask32 found = 0;
    for (size_t row = 0; row < VALUE_ROWS; row++) {
        const __mmask32 seen = seen_halves(b, block, row);
        for (size_t column = 0; column < b->head_dim; column += KERNEL_LANES) {
            const __m512i exponents = _mm512_and_si512(seen_values(b, values, seen, row, column), infinite);
            found |= _mm512_cmpeq_epi16_mask(exponents, infinite);
        }
    }
    return found == 0;
}

static bool blocks_are_finite(const struct batch *b, size_t first, size_t end) {
    for (size_t block = first; block < end; block++)
        if (!block_is_finite(b, block)) return false;
    return true;
}

/* Whether what some see and others do not is finite, of blocks [first, end). */
static bool edge_is_finite(const struct batch *b, size_t first, size_t end) {
    const size_t edge_end = smaller(b->all_first, end);
    return blocks_are_finite(b, first, edge_end) &&
           blocks_are_finite(b, larger(first, larger(b->all_end, edge_end)), end);
}

static const unsigned char *copy_edge(struct batch *b, size_t block, uint16_t (*to)[HEAD_DIM_MAX][2]) {
    const unsigned char *values = values_of(b, block);
    for (size_t row = 0; row < VALUE_ROWS; row++) {
        const __mmask32 seen = seen_halves(b, block, row);
        /* as far apart as in the cache */
        unsigned char *line = (unsigned char *)to + row * b->dim * PAIR_BYTES;
        for (size_t column = 0; column < b->head_dim; column += KERNEL_LANES) {
            const struct vector pairs = {_mm512_castsi512_ps(seen_values(b, values, seen, row, column))};
            vector_store_first((float *)(void *)(line + column * PAIR_BYTES), pairs, b->head_dim - column);
        }
    }
    return (const unsigned char *)to;
}

/* ---- a chunk -------------------------------------------------------------------------------------------- */

/* Blocks of a chunk that some see. */
static void set_chunk(struct batch *b, size_t chunk) {
    const size_t first = chunk * ATTENTION_CHUNK_BLOCKS, end = first + ATTENTION_CHUNK_BLOCKS;
    b->first = larger(first, b->oldest / KERNEL_LANES);
    b->end = smaller(end, b->newest / KERNEL_LANES + 1);
    b->edge_end = smaller(larger(b->all_first, b->first), b->end);
    b->edge_first = smaller(larger(b->all_end, b->edge_end), b->end);
    b->seen = 0;
    for (size_t i = 0; i < b->count; i++)
        b->seen |= (uint32_t)(b->query[i].position >= first * KERNEL_LANES &&
                              b->query[i].oldest < end * KERNEL_LANES)
                   << i;
}

/* Before values are copied. */
static void set_ahead(struct batch *b) {
    const size_t blocks = b->end - b->first;
    memset(b->ahead, 0, sizeof b->ahead);
    if (!b->cold) return;
    memcpy(b->ahead, b->keys, blocks * sizeof *b->keys);
    memcpy(b->ahead + blocks, b->values, blocks * sizeof *b->values);
    const struct attention *next = b->a;
    size_t block = b->end, end = b->newest / KERNEL_LANES + 1;
    const uint32_t *pages = b->pages;
    if (block == end && b->a->prefetch) {
        next = b->a->prefetch;
        pages = next->rows->pages;
        block = attention_oldest(next, next->rows->position) / KERNEL_LANES;
        end = next->rows->position / KERNEL_LANES + 1;
    }
    for (size_t i = 0; i < AHEAD && block < end; i++, block++)
        b->ahead[2 * blocks + i] =
            attention_page(next, pages, block) + next->cache.keys + attention_block_offset(next, block);
}

static void set_blocks(struct batch *b) {
    const struct attention *a = b->a;
    size_t page = b->first * KERNEL_LANES / a->page_tokens, slot = b->first * KERNEL_LANES % a->page_tokens;
    for (size_t block = 0; block < b->end - b->first; block++) {
        const unsigned char *at =
            a->pool + b->pages[page] * a->page_stride + slot * b->dim * sizeof(uint16_t);
        b->keys[block] = at + a->cache.keys;
        b->values[block] = at + a->cache.values;
        slot += KERNEL_LANES;
        if (slot < a->page_tokens) continue;
        slot = 0;
        page++;
    }
    set_ahead(b);
    const size_t oldest = b->oldest / KERNEL_LANES, newest = b->newest / KERNEL_LANES;
    if (oldest >= b->first && oldest < b->end && b->oldest % KERNEL_LANES > 0)
        b->values[oldest - b->first] = copy_edge(b, oldest, b->edges[0]);
    if (newest >= b->first && newest < b->end && b->newest % KERNEL_LANES < KERNEL_LANES - 1)
        b->values[newest - b->first] = copy_edge(b, newest, b->edges[1]);
}
