/* One pass of AMX: a slice of k of one panel by one or two tiles of rows. A tile instruction multiplies 16
 * rows of activations, 64 bytes of each, by 16 columns of weights. It reads weights interleaved by 4 bytes,
 * as panels are: 64 bytes of k are three tiles side by side, loaded as they are stored (int4 is unpacked to
 * bytes before). */
#pragma once

#include "engine/kernel/x86/amx_pipeline.h"
#include "engine/kernel/x86/int4_unpack.h"

/* Part of the k of a panel, in blocks; its passes follow one another. */
struct slice {
    const unsigned char *weights; /* from the slice's first block on */
    const int8_t *groups;         /* of int4: scales and offsets, likewise */
    const int8_t *next_groups;    /* of the slice that follows: a hint */
    size_t first, blocks;
    bool ends; /* the panel */
};

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

/* Before a block; w: its weights as they are stored, or NULL. */
VECTOR_INLINE void prefetch_for_block(struct pass_prefetch *prefetch, const unsigned char *w) {
    if (prefetch->next)
        prefetch_next_weights(prefetch);
    else if (w)
        prefetch_block(w);
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
 * weights for the first, two for the second. meanwhile: what the vectors do. */
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
#define MULTIPLY_SECOND(start, meanwhile)                                                                    \
    do {                                                                                                     \
        _tile_loadd(6, y, row_bytes);                                                                        \
        start(5, TILE_ROWS, 2);                                                                              \
        DOT(5);                                                                                              \
        _tile_loadd(7, w + TILE_BYTES, LINE_BYTES);                                                          \
        start(4, TILE_ROWS, 1);                                                                              \
        DOT(4);                                                                                              \
        meanwhile;                                                                                           \
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
    struct group_join join = {.left = 0}; /* of int8 */
    if (type == WEIGHT_TYPE_INT4 && u->unpacks) unpack_block(u->unpacked, u->slice, 0, u->ring);
    for (size_t block = 0; block < u->blocks; block++, x += TILE_BYTES, y += TILE_BYTES) {
        const unsigned char *w = type == WEIGHT_TYPE_INT4
                                     ? u->unpacked->weights[block % u->ring][0]
                                     : u->slice->weights + (u->first + block) * BLOCK_BYTES;
        prefetch_for_block(prefetch, type == WEIGHT_TYPE_INT4 ? NULL : w);
        if (type == WEIGHT_TYPE_INT4 && u->unpacks && block + 1 < u->blocks)
            unpack_block(u->unpacked, u->slice, block + 1, u->ring);
        if (block == 0) {
            MULTIPLY_FIRST(START);
            if (both) MULTIPLY_SECOND(START, (void)0);
            tile_barrier();
            p->held = NULL;
            if (p->ended) p->due = p->ended;
            p->ended = NULL;
            if (type == WEIGHT_TYPE_INT8) join = group_join_of(p);
            if (p->group.pass) group_rows = rows_a_block(p->group.pass->end - p->group.row, u->blocks);
            if (p->due && !u->waits)
                epilogue_rows = rows_a_block(p->due->end - p->due->row,
                                             type == WEIGHT_TYPE_INT8 ? u->slice->blocks : u->blocks);
            continue;
        }
        MULTIPLY_FIRST(GO_ON);
        group_join_some(&join);
        if (both) MULTIPLY_SECOND(GO_ON, group_join_some(&join));
        group_join_some(&join);
        if (type == WEIGHT_TYPE_INT8) end_group(p, group_rows);
        run_epilogue(p, type, epilogue_rows);
    }
    group_join_rest(&join);
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
