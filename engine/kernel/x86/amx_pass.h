/* One pass of AMX: a slice of k of one panel by one or two tiles of rows. A tile instruction multiplies 16
 * rows of activations, 64 bytes of each, by 16 columns of weights. It reads weights interleaved by 4 bytes,
 * as panels are: 64 bytes of k are three tiles side by side, loaded as they are stored (int4 is unpacked to
 * bytes before). */
#pragma once

#include "engine/kernel/x86/int4_unpack.h"

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/prefetch.h"

#define TILE_ROWS   16
#define TILE_BYTES  64                       /* of a row of a tile */
#define LINE_BYTES  (KERNEL_PANEL * 4)       /* from one row of the tiles of a panel to the next */
#define BLOCK_BYTES (TILE_ROWS * LINE_BYTES) /* of a panel, for 64 bytes of a row of activations */
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
static void configure(const struct tile_config *config) {
    tile_barrier();
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}

/* ---- prefetching weights and activations ----
 * One pass over a panel prefetches at PREFETCH_MEMORY_DISTANCE. Where rows take several passes, memory would
 * be idle while weights are read again from the cache: each pass prefetches its share of the weights that are
 * read next, in streams. So does a single pass over int4, where unpacking leaves the processor no room to run
 * ahead. Of the activations that the next slice of k takes, each panel prefetches a part. */

struct pass_prefetch {
    const unsigned char *next; /* weights: line of the first stream; NULL: prefetch within this panel */
    size_t spacing, lines;     /* bytes from stream to stream; lines of each, with every block of k */
    ptrdiff_t rows_ahead;      /* activations: bytes from what is read to what is prefetched; 0: none */
    size_t row, row_step;      /* rows row, row + row_step, ... of each tile */
};

static struct pass_prefetch prefetch_of_pass(const unsigned char *next, size_t bytes, size_t blocks,
                                             size_t pass, size_t passes) {
    const size_t lines = (bytes / CACHE_LINE + PREFETCH_STREAMS - 1) / PREFETCH_STREAMS;
    const size_t step = (lines + passes * blocks - 1) / (passes * blocks);
    if (!next) return (struct pass_prefetch){0};
    return (struct pass_prefetch){
        .next = next + pass * blocks * step * CACHE_LINE, .spacing = lines * CACHE_LINE, .lines = step};
}

VECTOR_INLINE void prefetch_next_weights(struct pass_prefetch *p) {
    for (size_t line = 0; line < p->lines; line++, p->next += CACHE_LINE) prefetch_lines(p->next, p->spacing);
}

VECTOR_INLINE void prefetch_rows(const struct pass_prefetch *p, const unsigned char *x, size_t row_bytes) {
    if (p->rows_ahead == 0) return;
    for (size_t r = p->row; r < TILE_ROWS; r += p->row_step)
        __builtin_prefetch(x + (ptrdiff_t)(r * row_bytes) + p->rows_ahead, 0, 2);
}

/* Before block w of a panel, when few rows take it. */
VECTOR_INLINE void prefetch_block(const unsigned char *w) {
    for (size_t i = 0; i < BLOCK_BYTES; i += CACHE_LINE) {
        prefetch_weights(w + i);
        /* The loads of tiles alone do not keep enough cache lines in flight. */
        _mm_prefetch((const char *)w + i, _MM_HINT_T0);
    }
}

/* ---- one panel by one or two tiles of rows ---- */

/* One panel by up to two tiles of rows. The epilogue of its sums (integers, or floats for bf16) runs during
 * the pass that follows the last of its slices of k: it takes other units of the core, and time in which
 * weights arrive. */
struct pass {
    size_t column;              /* of the output, where the panel begins */
    size_t first, second;       /* rows where the tiles begin; with one tile all rows are below first + 16 */
    size_t row, end;            /* rows whose epilogue is due */
    const float *weight_scales; /* of int8 [groups][48], of int4 [48] */
    /* Integers of int4; floats of bf16 and int8. */
    _Alignas(KERNEL_ALIGN) int32_t sums[2 * TILE_ROWS][KERNEL_PANEL];
};

/* Part of the k of a panel, in blocks; its passes follow one another. */
struct slice {
    const unsigned char *weights; /* from the slice's first block on */
    const int8_t *groups;         /* of int4: scales and offsets, likewise */
    const int8_t *next_groups;    /* of the slice that follows: a hint */
    size_t first, blocks;
    bool ends; /* the panel */
};

/* Tiles 0 to 2 are the sums of the first rows, 3 to 5 those of the second, 6 activations, 7 weights. */
static void configure_tiles(size_t rows) {
    struct tile_config config = {.palette = 1};
    for (size_t tile = 0; tile < 8; tile++) {
        config.row_bytes[tile] = TILE_BYTES;
        config.rows[tile] = tile == 7 ? TILE_ROWS : (uint8_t)rows;
    }
    configure(&config);
}

static void clear_sums(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
}

static void load_sums(const int32_t (*sums)[KERNEL_PANEL], bool both) {
    _tile_loadd(0, sums[0], LINE_BYTES);
    _tile_loadd(1, sums[0] + KERNEL_LANES, LINE_BYTES);
    _tile_loadd(2, sums[0] + 2 * KERNEL_LANES, LINE_BYTES);
    if (!both) return;
    _tile_loadd(3, sums[TILE_ROWS], LINE_BYTES);
    _tile_loadd(4, sums[TILE_ROWS] + KERNEL_LANES, LINE_BYTES);
    _tile_loadd(5, sums[TILE_ROWS] + 2 * KERNEL_LANES, LINE_BYTES);
}

static void store_sums(int32_t (*sums)[KERNEL_PANEL], bool both) {
    _tile_stored(0, sums[0], LINE_BYTES);
    _tile_stored(1, sums[0] + KERNEL_LANES, LINE_BYTES);
    _tile_stored(2, sums[0] + 2 * KERNEL_LANES, LINE_BYTES);
    if (!both) return;
    _tile_stored(3, sums[TILE_ROWS], LINE_BYTES);
    _tile_stored(4, sums[TILE_ROWS] + KERNEL_LANES, LINE_BYTES);
    _tile_stored(5, sums[TILE_ROWS] + 2 * KERNEL_LANES, LINE_BYTES);
}

static void start_sums(const struct pass *p, const struct slice *slice, bool both) {
    if (slice->first == 0)
        clear_sums();
    else
        load_sums((const int32_t(*)[KERNEL_PANEL])p->sums, both);
}

/* The epilogue of the next rows of a pass. Of some columns all were computed, and only those are stored. */
VECTOR_INLINE void pass_epilogue(const struct lowp_gemm *m, enum weight_type type, struct pass *p,
                                 size_t count) {
    const size_t padded = kernel_padded_k(m->base.k), row_bytes = kernel_row_bytes(type, m->base.k);
    const struct panel_columns columns = kernel_columns(&m->base);
    const bool integers = type == WEIGHT_TYPE_INT4;
    for (; count > 0 && p->row < p->end; count--, p->row++) {
        const bool in_first = p->row < p->first + TILE_ROWS;
        const int32_t *sums = p->sums[in_first ? p->row - p->first : TILE_ROWS + p->row - p->second];
        const float scale = integers ? lowp_row_scale(m->x + p->row * row_bytes, padded) : 1.0f;
        for (size_t c = columns.first; c < columns.end && p->column + c < m->base.n; c += KERNEL_LANES) {
            const size_t n = p->column + c,
                         lanes = m->base.n - n < KERNEL_LANES ? m->base.n - n : KERNEL_LANES;
            const __m512i sum = _mm512_load_si512(sums + c);
            const struct vector v = {integers ? int_scaled(sum, p->weight_scales + c)
                                              : _mm512_castsi512_ps(sum)};
            epilogue_lanes(&m->base, p->row, n, lanes, vector_multiply(v, vector_splat(scale)));
        }
    }
}

/* One block of k by one tile of rows, or by two. Tiles are literals of the instructions. */
#define ADD_FIRST(dot, x, w)                                                                                 \
    do {                                                                                                     \
        _tile_loadd(6, x, row_bytes);                                                                        \
        _tile_loadd(7, w, LINE_BYTES);                                                                       \
        dot(0, 6, 7);                                                                                        \
        _tile_loadd(7, w + TILE_BYTES, LINE_BYTES);                                                          \
        dot(1, 6, 7);                                                                                        \
        _tile_loadd(7, w + 2 * TILE_BYTES, LINE_BYTES);                                                      \
        dot(2, 6, 7);                                                                                        \
    } while (0)

#define ADD_BOTH(dot, column, other, x, y, w)                                                                \
    do {                                                                                                     \
        _tile_loadd(7, w + column * TILE_BYTES, LINE_BYTES);                                                 \
        _tile_loadd(6, x, row_bytes);                                                                        \
        dot(column, 6, 7);                                                                                   \
        _tile_loadd(6, y, row_bytes);                                                                        \
        dot(other, 6, 7);                                                                                    \
    } while (0)

#define ADD_BLOCK(dot, x, y, w)                                                                              \
    do {                                                                                                     \
        if (both) {                                                                                          \
            ADD_BOTH(dot, 0, 3, x, y, w);                                                                    \
            ADD_BOTH(dot, 1, 4, x, y, w);                                                                    \
            ADD_BOTH(dot, 2, 5, x, y, w);                                                                    \
        } else {                                                                                             \
            ADD_FIRST(dot, x, w);                                                                            \
        }                                                                                                    \
    } while (0)

/* Of weights as they are stored, and of rows, before a block. */
VECTOR_INLINE void prefetch_for_block(struct pass_prefetch *prefetch, const unsigned char *x,
                                      const unsigned char *y, bool both, size_t row_bytes,
                                      const unsigned char *w) {
    if (prefetch->next)
        prefetch_next_weights(prefetch);
    else
        prefetch_block(w);
    prefetch_rows(prefetch, x, row_bytes);
    if (both) prefetch_rows(prefetch, y, row_bytes);
}

/* What runs: a pass over a slice, and meanwhile the epilogue of the pass before where it is complete. */
struct run {
    const struct lowp_gemm *m;
    struct pass *now, *due; /* due: or NULL */
    size_t rows_a_block;    /* of the epilogue, during each block */
    struct slice slice;
    struct pass_prefetch prefetch;
};

static void run_bf16(const struct run *r) {
    const size_t row_bytes = kernel_row_bytes(WEIGHT_TYPE_BF16, r->m->base.k),
                 at = r->slice.first * TILE_BYTES;
    const unsigned char *x = r->m->x + r->now->first * row_bytes + at;
    const unsigned char *y = r->m->x + r->now->second * row_bytes + at, *w = r->slice.weights;
    const bool both = r->now->end > r->now->first + TILE_ROWS;
    struct pass_prefetch prefetch = r->prefetch;
    start_sums(r->now, &r->slice, both);
    for (size_t block = 0; block < r->slice.blocks; block++, w += BLOCK_BYTES) {
        prefetch_for_block(&prefetch, x, y, both, row_bytes, w);
        ADD_BLOCK(_tile_dpbf16ps, x, y, w);
        x += TILE_BYTES, y += TILE_BYTES;
        if (r->due) pass_epilogue(r->m, WEIGHT_TYPE_BF16, r->due, r->rows_a_block);
    }
    store_sums(r->now->sums, both);
    if (r->due) pass_epilogue(r->m, WEIGHT_TYPE_BF16, r->due, SIZE_MAX);
}

/* ---- int8: sums of groups of k ---- */

/* The integer sums of a group, which join those of the pass while the tiles take the next group. Weights are stored
 * with 128 added: the compensation is 128 times the sum of the row's group. */
struct group_sums {
    size_t group, row, rows; /* rows from `row` on are due */
    _Alignas(KERNEL_ALIGN) int32_t sums[2 * TILE_ROWS][KERNEL_PANEL];
};

VECTOR_INLINE void add_group_sums(const struct run *r, struct group_sums *g, size_t count) {
    const size_t k = r->m->base.k, padded = kernel_padded_k(k), groups = kernel_int8_groups(k);
    const float *scales = r->now->weight_scales + g->group * KERNEL_PANEL;
    for (; count > 0 && g->row < g->rows; count--, g->row++) {
        const size_t row = g->row < TILE_ROWS ? r->now->first + g->row : r->now->second + g->row - TILE_ROWS;
        const unsigned char *x = r->m->x + row * kernel_row_bytes(WEIGHT_TYPE_INT8, k);
        const __m512i compensation = _mm512_set1_epi32(128 * lowp_group_sum(x, padded, groups, g->group));
        const float scale = lowp_group_scale(x, padded, g->group);
        float *sums = (float *)(void *)r->now->sums[g->row];
        for (size_t c = 0; c < KERNEL_PANEL; c += KERNEL_LANES) {
            const __m512i sum = _mm512_sub_epi32(_mm512_load_si512(g->sums[g->row] + c), compensation);
            int_add_scaled(sum, scales + c, scale, g->group == 0, sums + c);
        }
    }
}

/* A group by the tiles; meanwhile the sums of the one before it are added. */
VECTOR_INLINE void run_group_int8(const struct run *r, size_t first, size_t blocks, bool both,
                                  struct pass_prefetch *prefetch, struct group_sums *before) {
    const size_t row_bytes = kernel_row_bytes(WEIGHT_TYPE_INT8, r->m->base.k), at = first * TILE_BYTES;
    const unsigned char *x = r->m->x + r->now->first * row_bytes + at;
    const unsigned char *y = r->m->x + r->now->second * row_bytes + at;
    const unsigned char *w = r->slice.weights + (first - r->slice.first) * BLOCK_BYTES;
    const size_t rows_a_block = (before->rows + blocks - 1) / blocks;
    const size_t group = first * TILE_BYTES / kernel_int8_group_k(r->m->base.k);
    prefetch_near(r->now->weight_scales + group * KERNEL_PANEL, LINE_BYTES);
    clear_sums();
    for (size_t block = 0; block < blocks; block++, w += BLOCK_BYTES) {
        prefetch_for_block(prefetch, x, y, both, row_bytes, w);
        ADD_BLOCK(_tile_dpbsud, x, y, w);
        x += TILE_BYTES, y += TILE_BYTES;
        add_group_sums(r, before, rows_a_block);
        if (r->due) pass_epilogue(r->m, WEIGHT_TYPE_INT8, r->due, r->rows_a_block);
    }
}

static void run_int8(const struct run *r) {
    const size_t group_blocks = kernel_int8_group_k(r->m->base.k) / TILE_BYTES;
    const size_t end = r->slice.first + r->slice.blocks, rows = r->now->end - r->now->first;
    const bool both = rows > TILE_ROWS;
    struct pass_prefetch prefetch = r->prefetch;
    struct group_sums sums;
    sums.group = sums.row = sums.rows = 0;
    for (size_t first = r->slice.first, blocks; first < end; first += blocks) {
        blocks = end - first < group_blocks ? end - first : group_blocks;
        run_group_int8(r, first, blocks, both, &prefetch, &sums);
        add_group_sums(r, &sums, SIZE_MAX);
        store_sums(sums.sums, both);
        tile_barrier();
        sums.group = first / group_blocks;
        sums.row = 0;
        sums.rows = both ? 2 * TILE_ROWS : rows;
    }
    add_group_sums(r, &sums, SIZE_MAX);
    if (r->due) pass_epilogue(r->m, WEIGHT_TYPE_INT8, r->due, SIZE_MAX);
}

/* The pass that begins at `row` of rows [row_first, row_end). The last tile begins early enough to be a whole
 * one: rows that it has in common with the one before are computed twice, to the same bits, and stored once. */
static void pass_init(struct pass *p, size_t row_first, size_t row_end, size_t row) {
    const size_t last = row_end - row_first < TILE_ROWS ? row_first : row_end - TILE_ROWS;
    p->first = row < last ? row : last;
    p->second = row + TILE_ROWS < last ? row + TILE_ROWS : last;
    p->row = row;
    p->end = row_end - row < 2 * TILE_ROWS ? row_end : row + 2 * TILE_ROWS;
}

/* ---- int4: unpacked to signed bytes ---- */

#define SLICE_BLOCKS 16 /* unpacked for all rows of a chunk: 48 KiB */
#define RING_BLOCKS  2  /* unpacked for a single pass: they stay in the first-level cache */

/* Unpacked weights of a slice, or a ring of blocks of a single pass. */
struct unpacked {
    _Alignas(KERNEL_ALIGN) unsigned char weights[SLICE_BLOCKS][TILE_ROWS][LINE_BYTES];
};

static void unpack_block(struct unpacked *unpacked, const struct slice *s, size_t block, size_t ring) {
    const unsigned char *packed = s->weights + block * BLOCK_BYTES / 2;
    const int8_t *groups = s->groups + block * TILE_BYTES / KERNEL_INT4_GROUP * KERNEL_PANEL * 2;
    const int8_t *next_groups = s->next_groups + (groups - s->groups);
    unsigned char(*to)[LINE_BYTES] = unpacked->weights[block % ring];
    tile_barrier();
    for (size_t group = 0; group < TILE_BYTES / KERNEL_INT4_GROUP; group++) {
        int4_unpack_group(packed, groups, 0, to[0]);
        __builtin_prefetch(next_groups, 0, 2);
        packed += BLOCK_BYTES / 4, groups += 2 * KERNEL_PANEL, to += INT4_GROUP_LINES;
        next_groups += 2 * KERNEL_PANEL;
    }
}

/* The first pass of a slice unpacks it, a block before it is used. */
static void run_int4(const struct run *r, struct unpacked *unpacked, bool unpacks, size_t ring) {
    const size_t row_bytes = kernel_row_bytes(WEIGHT_TYPE_INT4, r->m->base.k),
                 at = r->slice.first * TILE_BYTES;
    const unsigned char *x = r->m->x + r->now->first * row_bytes + at;
    const unsigned char *y = r->m->x + r->now->second * row_bytes + at;
    const bool both = r->now->end > r->now->first + TILE_ROWS;
    struct pass_prefetch prefetch = r->prefetch;
    start_sums(r->now, &r->slice, both);
    if (unpacks) unpack_block(unpacked, &r->slice, 0, ring);
    for (size_t block = 0; block < r->slice.blocks; block++, x += TILE_BYTES, y += TILE_BYTES) {
        const unsigned char *w = unpacked->weights[block % ring][0];
        prefetch_next_weights(&prefetch);
        prefetch_rows(&prefetch, x, row_bytes);
        if (unpacks && block + 1 < r->slice.blocks) unpack_block(unpacked, &r->slice, block + 1, ring);
        tile_barrier();
        if (both) prefetch_rows(&prefetch, y, row_bytes);
        ADD_BLOCK(_tile_dpbssd, x, y, w);
        if (r->due) pass_epilogue(r->m, WEIGHT_TYPE_INT4, r->due, r->rows_a_block);
    }
    store_sums(r->now->sums, both);
    if (r->due) pass_epilogue(r->m, WEIGHT_TYPE_INT4, r->due, SIZE_MAX);
}
