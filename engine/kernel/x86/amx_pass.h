/* One pass of AMX: a slice of k of one panel by one or two tiles of rows. A tile instruction multiplies 16
 * rows of activations, 64 bytes of each, by 16 columns of weights. It reads weights interleaved by 4 bytes,
 * as panels are: 64 bytes of k are three tiles side by side, loaded as they are stored (int4 is unpacked to
 * bytes before). */
#pragma once

#include "engine/kernel/x86/amx_tiles.h"
#include "engine/kernel/x86/int4_unpack.h"

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/prefetch.h"

#define LINE_BYTES  (KERNEL_PANEL * 4)       /* from one row of the tiles of a panel to the next */
#define BLOCK_BYTES (TILE_ROWS * LINE_BYTES) /* of a panel, for 64 bytes of a row of activations */

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

/* One panel by up to two tiles of rows. */
struct pass {
    size_t column;              /* of the output, where the panel begins */
    size_t first, second;       /* rows where the tiles begin; with one tile all rows are below first + 16 */
    size_t row, end;            /* rows whose epilogue is due */
    bool both;                  /* it has two tiles */
    const float *weight_scales; /* of int8 [groups][48], of int4 [48] */
    /* Integers of int4; floats of bf16 and int8. */
    _Alignas(KERNEL_ALIGN) int32_t sums[2 * TILE_ROWS][KERNEL_PANEL];
};

/* The pass that begins at `row` of rows [row_first, row_end). The last tile begins early enough to be a whole
 * one: rows that it has in common with the one before are computed twice, to the same bits, and stored once. */
static void pass_init(struct pass *p, size_t row_first, size_t row_end, size_t row) {
    const size_t last = row_end - row_first < TILE_ROWS ? row_first : row_end - TILE_ROWS;
    p->first = row < last ? row : last;
    p->second = row + TILE_ROWS < last ? row + TILE_ROWS : last;
    p->row = row;
    p->end = row_end - row < 2 * TILE_ROWS ? row_end : row + 2 * TILE_ROWS;
    p->both = p->end > p->first + TILE_ROWS;
}

/* Where a pass has a row's sums. */
VECTOR_INLINE size_t pass_place(const struct pass *p, size_t row) {
    return row < p->first + TILE_ROWS ? row - p->first : TILE_ROWS + row - p->second;
}

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
    for (size_t tile = 0; tile < TILE_COUNT; tile++) {
        config.row_bytes[tile] = TILE_BYTES;
        config.rows[tile] = tile == 7 ? TILE_ROWS : (uint8_t)rows;
    }
    configure(&config);
}

/* ---- what the vector units do while the tiles multiply ----
 * The tiles go through units: a slice of a pass, of int8 a group of it. What they hold at the end of a unit is stored during
 * the first block of the next one, tile by tile, each before it starts anew: so none waits for another. During the
 * blocks after that, a few rows each, int8 adds the group to the sums of its pass, and a pass that is complete goes through
 * the epilogue. */

/* The integer sums of a group. Weights are stored with 128 added: the compensation is -128 times the sum of the activations of
 * the row's group. */
struct group_sums {
    struct pass *pass; /* or NULL */
    size_t group, row; /* rows from `row` on are due, to the end of the pass */
    bool ends;         /* it is the last */
    _Alignas(KERNEL_ALIGN) int32_t sums[2 * TILE_ROWS][KERNEL_PANEL];
};

struct pipeline {
    const struct lowp_gemm *m;
    size_t padded, row_bytes;
    int32_t (*held)[KERNEL_PANEL]; /* where what the tiles hold is to be stored, or NULL */
    bool held_both;
    struct pass *ended, *due; /* what they hold completes it; it goes through the epilogue; or NULL */
    struct group_sums group;  /* of int8 */
};

static void store_held(struct pipeline *p) {
    if (!p->held) return;
    _tile_stored(0, p->held[0], LINE_BYTES);
    _tile_stored(1, p->held[0] + KERNEL_LANES, LINE_BYTES);
    _tile_stored(2, p->held[0] + 2 * KERNEL_LANES, LINE_BYTES);
    if (p->held_both) {
        _tile_stored(3, p->held[TILE_ROWS], LINE_BYTES);
        _tile_stored(4, p->held[TILE_ROWS] + KERNEL_LANES, LINE_BYTES);
        _tile_stored(5, p->held[TILE_ROWS] + 2 * KERNEL_LANES, LINE_BYTES);
    }
    tile_barrier();
    p->held = NULL;
}

/* The epilogue of the next rows of the pass that is due. Of some columns all were computed, and only those are stored. */
VECTOR_INLINE void run_epilogue(const struct pipeline *p, enum weight_type type, size_t count) {
    struct pass *due = p->due;
    if (!due || due->row == due->end) return;
    const size_t end = due->end - due->row < count ? due->end : due->row + count;
    const unsigned char *x = p->m->x + due->row * p->row_bytes;
    for (size_t row = due->row; row < end; row++, x += p->row_bytes) {
        int32_t *sums = due->sums[pass_place(due, row)];
        if (type == WEIGHT_TYPE_INT4)
            for (size_t c = 0; c < KERNEL_PANEL; c += KERNEL_LANES)
                _mm512_storeu_ps(sums + c, int_scaled(_mm512_load_si512(sums + c), due->weight_scales + c));
        epilogue_panel_sums(&p->m->base, row, due->column,
                            type == WEIGHT_TYPE_INT4 ? lowp_row_scale(x, p->padded) : 1.0f,
                            (const float *)(const void *)sums, true);
    }
    due->row = end;
}

/* Rows [row, end) of a group, which are of one tile. */
VECTOR_INLINE void add_group_tile(const struct pipeline *p, size_t row, size_t end, bool starts, bool ends) {
    const struct group_sums *g = &p->group;
    const struct gemm *m = &p->m->base;
    const size_t column = g->pass->column;
    const size_t row_bytes = p->row_bytes, sum_bytes = kernel_int8_groups(p->padded) * sizeof(float),
                 place = pass_place(g->pass, row);
    const float *scales = g->pass->weight_scales + g->group * KERNEL_PANEL;
    const unsigned char *at = p->m->x + row * row_bytes + p->padded + g->group * sizeof(float);
    const int32_t(*now)[KERNEL_PANEL] = g->sums + place;
    float(*sums)[KERNEL_PANEL] = (float(*)[KERNEL_PANEL])(void *)(g->pass->sums + place);
    __m512 weight_scale[EPILOGUE_VECTORS];
    KERNEL_EACH (i, EPILOGUE_VECTORS) weight_scale[i] = _mm512_loadu_ps(scales + i * KERNEL_LANES);
    for (; row < end; row++, at += row_bytes, now++, sums++) {
        int32_t sum_of_x;
        memcpy(&sum_of_x, at + sum_bytes, sizeof sum_of_x);
        const __m512i compensation = _mm512_set1_epi32(-128 * sum_of_x);
        const __m512 scale = _mm512_set1_ps(lowp_group_scale(at, 0, 0));
        struct vector v[EPILOGUE_VECTORS];
        KERNEL_EACH (i, EPILOGUE_VECTORS) {
            const __m512i sum = _mm512_add_epi32(compensation, _mm512_load_si512(*now + i * KERNEL_LANES));
            const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), weight_scale[i]);
            const __m512 before = starts ? _mm512_setzero_ps() : _mm512_loadu_ps(*sums + i * KERNEL_LANES);
            v[i].lanes = _mm512_fmadd_ps(scaled, scale, before);
        }
        if (ends) {
            epilogue_panel(m, row, column, v, true);
        } else {
            KERNEL_EACH (i, EPILOGUE_VECTORS) _mm512_storeu_ps(*sums + i * KERNEL_LANES, v[i].lanes);
        }
    }
}

/* Not inlined, so that each has all registers for itself. */
#define DEFINE_ADD(name, starts, ends)                                                                       \
    static __attribute__((noinline)) void name(const struct pipeline *p, size_t row, size_t end) {           \
        add_group_tile(p, row, end, starts, ends);                                                           \
    }
DEFINE_ADD(add_only_group, true, true)
DEFINE_ADD(add_first_group, true, false)
DEFINE_ADD(add_group, false, false)
DEFINE_ADD(add_last_group, false, true)

/* Whether rows of the last group go through the epilogue as they are: not of a part of a panel, nor where there is so much
 * to compute that it is better spread over the blocks of all groups. */
VECTOR_INLINE bool group_goes_through(const struct pipeline *p) {
    return p->m->base.activation == ACTIVATION_NONE && p->group.pass->column + KERNEL_PANEL <= p->m->base.n;
}

/* The next rows of the group join the sums of the pass. */
VECTOR_INLINE void add_group_sums(struct pipeline *p, size_t count) {
    struct group_sums *g = &p->group;
    while (g->pass && g->row < g->pass->end && count > 0) {
        const size_t of_first = g->pass->first + TILE_ROWS,
                     limit = g->row < of_first && of_first < g->pass->end ? of_first : g->pass->end,
                     end = limit - g->row < count ? limit : g->row + count;
        const bool ends = g->ends && group_goes_through(p);
        if (g->group == 0 && ends)
            add_only_group(p, g->row, end);
        else if (g->group == 0)
            add_first_group(p, g->row, end);
        else if (ends)
            add_last_group(p, g->row, end);
        else
            add_group(p, g->row, end);
        count -= end - g->row;
        g->row = end;
    }
}

/* So many rows that all are done in so many blocks less the first, when nothing is stored yet. */
VECTOR_INLINE size_t rows_a_block(size_t rows, size_t blocks) {
    return blocks < 2 ? rows : (rows + blocks - 2) / (blocks - 1);
}

/* All that is left of the group, whose pass may then be due. */
VECTOR_INLINE void finish_group(struct pipeline *p) {
    struct group_sums *g = &p->group;
    if (!g->pass) return;
    add_group_sums(p, SIZE_MAX);
    if (g->ends) {
        run_epilogue(p, WEIGHT_TYPE_INT8, SIZE_MAX);
        p->due = group_goes_through(p) ? NULL : g->pass;
    }
    g->pass = NULL;
}

/* ---- int4: unpacked to signed bytes ---- */

#define UNPACKED_BLOCKS 16 /* unpacked for all rows of a chunk: 48 KiB */
#define RING_BLOCKS     2  /* unpacked for a single pass: they stay in the first-level cache */

/* Unpacked weights of a slice, or a ring of blocks of a single pass. */
struct unpacked {
    _Alignas(KERNEL_ALIGN) unsigned char weights[UNPACKED_BLOCKS][TILE_ROWS][LINE_BYTES];
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
    tile_barrier();
}

/* ---- units ---- */

struct unit {
    struct pass *pass;
    const struct slice *slice;
    size_t first, blocks; /* first: in the slice */
    bool waits;           /* for memory: stores in between would only delay its prefetches */
    /* Of int4. The first pass of a slice unpacks it, a block before it is used. */
    struct unpacked *unpacked;
    size_t ring;
    bool unpacks;
};

/* Of weights as they are stored, and of rows, before a block. */
VECTOR_INLINE void prefetch_for_block(struct pass_prefetch *prefetch, const unsigned char *x,
                                      const unsigned char *y, bool both, size_t row_bytes,
                                      const unsigned char *w) {
    if (prefetch->next)
        prefetch_next_weights(prefetch);
    else if (w)
        prefetch_block(w);
    prefetch_rows(prefetch, x, row_bytes);
    if (both) prefetch_rows(prefetch, y, row_bytes);
}

/* Tiles are literals of the instructions. */
#define DOT(tile)                                                                                            \
    do {                                                                                                     \
        if (type == WEIGHT_TYPE_BF16)                                                                        \
            _tile_dpbf16ps(tile, 6, 7);                                                                      \
        else if (type == WEIGHT_TYPE_INT8)                                                                   \
            _tile_dpbsud(tile, 6, 7);                                                                        \
        else                                                                                                 \
            _tile_dpbssd(tile, 6, 7);                                                                        \
    } while (0)

/* The tile's last sums are stored, and it starts anew, or with those of the slice before. */
#define START(tile, row, column)                                                                             \
    do {                                                                                                     \
        if (held) _tile_stored(tile, held[row] + column * KERNEL_LANES, LINE_BYTES);                         \
        if (resumed)                                                                                         \
            _tile_loadd(tile, resumed[row] + column * KERNEL_LANES, LINE_BYTES);                             \
        else                                                                                                 \
            _tile_zero(tile);                                                                                \
    } while (0)
#define GO_ON(tile, row, column) (void)0

/* One block of k by one tile of rows, or by two. The second begins with the weights that the first ended with: three loads of
 * weights for the first, two for the second. */
#define MULTIPLY_FIRST(start)                                                                                \
    do {                                                                                                     \
        _tile_loadd(6, x, row_bytes);                                                                        \
        _tile_loadd(7, w, LINE_BYTES);                                                                       \
        start(0, 0, 0);                                                                                      \
        DOT(0);                                                                                              \
        _tile_loadd(7, w + TILE_BYTES, LINE_BYTES);                                                          \
        start(1, 0, 1);                                                                                      \
        DOT(1);                                                                                              \
        _tile_loadd(7, w + 2 * TILE_BYTES, LINE_BYTES);                                                      \
        start(2, 0, 2);                                                                                      \
        DOT(2);                                                                                              \
    } while (0)
#define MULTIPLY_SECOND(start)                                                                               \
    do {                                                                                                     \
        _tile_loadd(6, y, row_bytes);                                                                        \
        start(5, TILE_ROWS, 2);                                                                              \
        DOT(5);                                                                                              \
        _tile_loadd(7, w + TILE_BYTES, LINE_BYTES);                                                          \
        start(4, TILE_ROWS, 1);                                                                              \
        DOT(4);                                                                                              \
        _tile_loadd(7, w, LINE_BYTES);                                                                       \
        start(3, TILE_ROWS, 0);                                                                              \
        DOT(3);                                                                                              \
    } while (0)

VECTOR_INLINE void run_unit(struct pipeline *p, enum weight_type type, const struct unit *u,
                            struct pass_prefetch *prefetch) {
    struct pass *now = u->pass;
    const bool both = now->both;
    const size_t row_bytes = p->row_bytes, at = (u->slice->first + u->first) * TILE_BYTES;
    const unsigned char *x = p->m->x + now->first * row_bytes + at,
                        *y = p->m->x + now->second * row_bytes + at;
    if (p->held && p->held_both != both) store_held(p);
    int32_t(*const held)[KERNEL_PANEL] = p->held;
    const int32_t(*const resumed)[KERNEL_PANEL] =
        type != WEIGHT_TYPE_INT8 && u->slice->first > 0 ? (const int32_t(*)[KERNEL_PANEL])now->sums : NULL;
    size_t group_rows = 0, epilogue_rows = 0;
    if (type == WEIGHT_TYPE_INT4 && u->unpacks) unpack_block(u->unpacked, u->slice, 0, u->ring);
    for (size_t block = 0; block < u->blocks; block++, x += TILE_BYTES, y += TILE_BYTES) {
        const unsigned char *w = type == WEIGHT_TYPE_INT4
                                     ? u->unpacked->weights[block % u->ring][0]
                                     : u->slice->weights + (u->first + block) * BLOCK_BYTES;
        prefetch_for_block(prefetch, x, y, both, row_bytes, type == WEIGHT_TYPE_INT4 ? NULL : w);
        if (type == WEIGHT_TYPE_INT4 && u->unpacks && block + 1 < u->blocks)
            unpack_block(u->unpacked, u->slice, block + 1, u->ring);
        if (block == 0) {
            MULTIPLY_FIRST(START);
            if (both) MULTIPLY_SECOND(START);
            tile_barrier();
            p->held = NULL;
            if (p->ended) p->due = p->ended;
            p->ended = NULL;
            if (p->group.pass) group_rows = rows_a_block(p->group.pass->end - p->group.row, u->blocks);
            if (p->due && !u->waits)
                epilogue_rows = rows_a_block(p->due->end - p->due->row,
                                             type == WEIGHT_TYPE_INT8 ? u->slice->blocks : u->blocks);
            continue;
        }
        MULTIPLY_FIRST(GO_ON);
        if (both) MULTIPLY_SECOND(GO_ON);
        if (type == WEIGHT_TYPE_INT8) add_group_sums(p, group_rows);
        run_epilogue(p, type, epilogue_rows);
    }
    if (type == WEIGHT_TYPE_INT8)
        finish_group(p);
    else
        run_epilogue(p, type, SIZE_MAX);
}

/* A pass over a slice. */
VECTOR_INLINE void run_pass(struct pipeline *p, enum weight_type type, struct unit *u,
                            struct pass_prefetch prefetch) {
    const size_t end = u->slice->blocks,
                 group_blocks = type == WEIGHT_TYPE_INT8 ? kernel_int8_group_k(p->padded) / TILE_BYTES : end;
    for (u->first = 0; u->first < end; u->first += u->blocks) {
        u->blocks = end - u->first < group_blocks ? end - u->first : group_blocks;
        const size_t group = (u->slice->first + u->first) / group_blocks;
        if (type == WEIGHT_TYPE_INT8)
            prefetch_near(u->pass->weight_scales + group * KERNEL_PANEL, LINE_BYTES);
        run_unit(p, type, u, &prefetch);
        const bool ends = u->slice->ends && u->first + u->blocks == end;
        p->held = u->pass->sums;
        p->held_both = u->pass->both;
        if (type == WEIGHT_TYPE_INT8) {
            p->held = p->group.sums;
            p->group.pass = u->pass;
            p->group.group = group;
            p->group.row = u->pass->row;
            p->group.ends = ends;
        } else if (ends) {
            p->ended = u->pass;
        }
    }
}

/* What is left when there are no more units. */
VECTOR_INLINE void finish_pipeline(struct pipeline *p, enum weight_type type) {
    store_held(p);
    _tile_release();
    if (type == WEIGHT_TYPE_INT8)
        finish_group(p);
    else if (p->ended)
        p->due = p->ended;
    run_epilogue(p, type, SIZE_MAX);
}
