/* GEMMs of low-precision weights with AMX. Tiles are configured and released within a call: nothing of theirs
 * lives between calls. */
#include "engine/kernel/x86/amx_pass.h"

/* Fewer rows leave most of a tile empty: VNNI is faster. Tiles take whole panels: VNNI takes some columns too. */
#define INTEGER_ROWS_MIN 5

static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    _mm256_storeu_si256((__m256i *)(void *)(row + i * sizeof(uint16_t)),
                        (__m256i)_mm512_cvtneps_pbh(v.lanes));
}

void convert_bf16_amx(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, bf16_store);
}

/* ---- the loops ----
 * Rows are cut into chunks, panels into groups, k into slices: the activations of a slice stay in the
 * second-level cache while the panels of a group pass, and the weights of a slice while the rows pass. So a
 * weight comes from memory once, and an activation from the third-level cache once a group, which is larger where all k of
 * a chunk's activations is more than a slice may have. Sums are stored between slices, which changes no bit. A single pass
 * takes all k at once. */
#define CHUNK_PASSES      8
#define CHUNK_ROWS        (CHUNK_PASSES * 2 * TILE_ROWS)
#define GROUP_PASSES      32                  /* over all its panels: 200 KiB of sums */
#define WIDE_GROUP_PASSES 96                  /* likewise: 588 KiB */
#define SLICE_ROWS_BYTES  ((size_t)512 << 10) /* of activations, at most, and */
#define SLICE_BLOCKS_MAX  64                  /* 192 KiB of weights */

/* Rows of a chunk, panels of a group. passes: of the chunk over a panel. */
struct group {
    const struct lowp_gemm *m;
    enum weight_type type;
    size_t padded, panel_bytes, block_bytes; /* block: as it is stored */
    size_t blocks, slice_blocks;             /* of all k, of a slice */
    size_t row_first, row_end, passes;
    size_t panel_first, panels;
    const unsigned char *after; /* weights that are read after the group's, or NULL */
};

/* Passes of a group that have sums: two while slices are all of k, and a third of int8, whose epilogue begins later. */
struct sums {
    struct pass *passes;
    size_t room, ring, next; /* passes that there is room for; that go round; the next of these */
    struct pipeline pipeline;
};

static const unsigned char *panel_of(const struct group *g, size_t panel) {
    return g->m->panels + (g->panel_first + panel) * g->panel_bytes;
}

/* Whole groups of int8, so that a slice of all k may be longer than that: the last group may be shorter. */
static size_t slice_blocks(const struct group *g) {
    if (g->passes == 1) return g->blocks;
    const size_t unit = g->type == WEIGHT_TYPE_INT8 ? kernel_int8_group_k(g->padded) / TILE_BYTES : 1;
    size_t most = SLICE_ROWS_BYTES / (g->passes * 2 * TILE_ROWS * TILE_BYTES);
    if (most > SLICE_BLOCKS_MAX) most = SLICE_BLOCKS_MAX;
    if (g->type == WEIGHT_TYPE_INT4) most = UNPACKED_BLOCKS;
    const size_t slices = (g->blocks + most - 1) / most;
    return ((g->blocks + slices - 1) / slices + unit - 1) / unit * unit;
}

static struct group group_of(const struct lowp_gemm *m, enum weight_type type, size_t row_first,
                             size_t rows) {
    struct group g = {.m = m,
                      .type = type,
                      .padded = kernel_padded_k(m->base.k),
                      .panel_bytes = kernel_panel_bytes(type, m->base.k),
                      .block_bytes = type == WEIGHT_TYPE_INT4 ? BLOCK_BYTES / 2 : BLOCK_BYTES,
                      .row_first = row_first,
                      .row_end = row_first + rows,
                      .passes = (rows + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS)};
    g.blocks = g.padded * (type == WEIGHT_TYPE_BF16 ? sizeof(uint16_t) : 1) / TILE_BYTES;
    g.slice_blocks = slice_blocks(&g);
    return g;
}

/* What is read after a slice: of the next panel, of the next slice, of the next group. NULL: not known. */
static const unsigned char *weights_after(const struct group *g, size_t panel, const struct slice *s) {
    if (panel + 1 < g->panels) return panel_of(g, panel + 1) + s->first * g->block_bytes;
    return s->ends ? g->after : panel_of(g, 0) + (s->first + s->blocks) * g->block_bytes;
}

static const int8_t *groups_of(const struct group *g, size_t panel, size_t block) {
    return lowp_int4(panel_of(g, panel), g->padded).groups +
           block * TILE_BYTES / KERNEL_INT4_GROUP * KERNEL_PANEL * 2;
}

static struct slice slice_of(const struct group *g, size_t panel, size_t first) {
    const size_t left = g->blocks - first;
    struct slice slice = {.weights = panel_of(g, panel) + first * g->block_bytes,
                          .first = first,
                          .blocks = left < g->slice_blocks ? left : g->slice_blocks};
    slice.ends = slice.blocks == left;
    if (g->type != WEIGHT_TYPE_INT4) return slice;
    slice.groups = groups_of(g, panel, first);
    slice.next_groups = panel + 1 < g->panels ? groups_of(g, panel + 1, first)
                                              : groups_of(g, 0, slice.ends ? 0 : first + slice.blocks);
    return slice;
}

/* A single pass of bf16 and int8 prefetches within the panel. */
static struct pass_prefetch prefetch_of(const struct group *g, size_t panel, const struct slice *s,
                                        size_t pass) {
    const bool whole = s->first == 0 && s->ends, within = g->passes == 1 && g->type != WEIGHT_TYPE_INT4;
    /* All of a panel in one slice: with what lies behind its weights. */
    const size_t bytes = whole ? g->panel_bytes : s->blocks * g->block_bytes;
    return prefetch_of_pass(within ? NULL : weights_after(g, panel, s), bytes, s->blocks, pass, g->passes);
}

static const float *weight_scales(const struct group *g, size_t panel) {
    if (g->type == WEIGHT_TYPE_INT4) return lowp_int4(panel_of(g, panel), g->padded).scales;
    return (const float *)(const void *)(panel_of(g, panel) + g->padded * KERNEL_PANEL);
}

/* type: the group's, but as a constant, for which the loops below are compiled. */
VECTOR_INLINE void run_slice(const struct group *g, enum weight_type type, size_t panel,
                             const struct slice *slice, struct sums *sums, struct unpacked *unpacked) {
    struct unit unit = {.slice = slice,
                        .waits = type == WEIGHT_TYPE_BF16 && g->passes == 1,
                        .unpacked = unpacked,
                        .ring = g->passes == 1 ? RING_BLOCKS : UNPACKED_BLOCKS};
    for (size_t pass = 0; pass < g->passes; pass++) {
        unit.pass = &sums->passes[(sums->next + panel * g->passes + pass) % sums->ring];
        unit.unpacks = pass == 0;
        if (slice->first == 0) {
            pass_init(unit.pass, g->row_first, g->row_end, g->row_first + pass * 2 * TILE_ROWS);
            unit.pass->column = (g->panel_first + panel) * KERNEL_PANEL;
            if (type != WEIGHT_TYPE_BF16) unit.pass->weight_scales = weight_scales(g, panel);
        }
        run_pass(&sums->pipeline, type, &unit, prefetch_of(g, panel, slice, pass));
    }
}

VECTOR_INLINE void run_group(const struct group *g, enum weight_type type, struct sums *sums,
                             struct unpacked *unpacked) {
    for (size_t block = 0; block < g->blocks; block += g->slice_blocks)
        for (size_t panel = 0; panel < g->panels; panel++) {
            const struct slice slice = slice_of(g, panel, block);
            run_slice(g, type, panel, &slice, sums, unpacked);
        }
    sums->next = (sums->next + g->panels * g->passes) % sums->ring;
}

/* Rows of a chunk by all panels. */
VECTOR_INLINE void gemm_chunk(struct group *g, enum weight_type type, size_t panel_first, size_t panel_count,
                              const unsigned char *after, struct sums *sums, struct unpacked *unpacked) {
    const size_t panel_end = panel_first + panel_count, rows = g->row_end - g->row_first;
    const size_t few = type == WEIGHT_TYPE_INT8 ? 3 : 2, most = (sums->room - few + 1) / g->passes;
    struct pipeline *p = &sums->pipeline;
    p->m = g->m;
    p->padded = g->padded;
    p->row_bytes = kernel_row_bytes(type, g->padded);
    p->held = NULL;
    p->ended = p->due = p->group.pass = NULL;
    sums->ring = g->slice_blocks >= g->blocks ? few : sums->room;
    sums->next = 0;
    configure_tiles(rows < TILE_ROWS ? rows : TILE_ROWS);
    for (g->panel_first = panel_first; g->panel_first < panel_end; g->panel_first += g->panels) {
        const size_t left = panel_end - g->panel_first;
        g->panels = left < most ? left : most;
        g->after = g->panels < left ? panel_of(g, g->panels) : after;
        run_group(g, type, sums, unpacked);
    }
    finish_pipeline(p, type);
}

/* Chunks follow one another by the same panels. */
VECTOR_INLINE void gemm_chunks(const struct lowp_gemm *m, enum weight_type type, size_t row_first,
                               size_t row_count, size_t panel_first, size_t panel_count, struct sums *sums,
                               struct unpacked *unpacked) {
    size_t chunks = (row_count + CHUNK_ROWS - 1) / CHUNK_ROWS;
    for (size_t rows; chunks > 0; row_first += rows, row_count -= rows, chunks--) {
        rows = (row_count + chunks - 1) / chunks;
        struct group group = group_of(m, type, row_first, rows);
        const unsigned char *first = m->panels + panel_first * group.panel_bytes;
        gemm_chunk(&group, type, panel_first, panel_count, chunks > 1 ? first : m->base.prefetch, sums,
                   unpacked);
    }
}

/* Whether all k of a chunk's activations is more than a slice may have. */
static bool chunk_is_wide(const struct lowp_gemm *m, enum weight_type type, size_t row_count) {
    const size_t chunks = (row_count + CHUNK_ROWS - 1) / CHUNK_ROWS, rows = (row_count + chunks - 1) / chunks,
                 bytes = kernel_padded_k(m->base.k) * (type == WEIGHT_TYPE_BF16 ? sizeof(uint16_t) : 1);
    return rows * bytes > SLICE_ROWS_BYTES;
}

/* What needs a large stack stands apart, so that others need not touch it. */
#define DEFINE_ROOM(name, type, passes_max)                                                                  \
    static __attribute__((noinline)) void name(const struct lowp_gemm *m, size_t row_first,                  \
                                               size_t row_count, size_t panel_first, size_t panel_count) {   \
        struct pass passes[passes_max];                                                                      \
        struct unpacked unpacked;                                                                            \
        struct sums sums;                                                                                    \
        sums.passes = passes, sums.room = passes_max;                                                        \
        gemm_chunks(m, type, row_first, row_count, panel_first, panel_count, &sums, &unpacked);              \
    }
#define DEFINE_GEMM(name, type)                                                                              \
    DEFINE_ROOM(name##_single, type, 3)                                                                      \
    DEFINE_ROOM(name##_several, type, GROUP_PASSES + 2)                                                      \
    DEFINE_ROOM(name##_wide, type, WIDE_GROUP_PASSES + 2)                                                    \
    static void name(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,      \
                     size_t panel_count) {                                                                   \
        announce_lowp_gemm(m, type, row_first, row_count, panel_first, panel_count);                         \
        if (row_count <= 2 * TILE_ROWS)                                                                      \
            name##_single(m, row_first, row_count, panel_first, panel_count);                                \
        else if (chunk_is_wide(m, type, row_count))                                                          \
            name##_wide(m, row_first, row_count, panel_first, panel_count);                                  \
        else                                                                                                 \
            name##_several(m, row_first, row_count, panel_first, panel_count);                               \
    }
DEFINE_GEMM(gemm_bf16, WEIGHT_TYPE_BF16)
DEFINE_GEMM(gemm_int8, WEIGHT_TYPE_INT8)
DEFINE_GEMM(gemm_int4, WEIGHT_TYPE_INT4)

void gemm_bf16_amx(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    gemm_bf16(m, row_first, row_count, panel_first, panel_count);
}

static bool is_for_vnni(const struct lowp_gemm *m, size_t rows) {
    return rows < INTEGER_ROWS_MIN || !kernel_columns_are_all(kernel_columns(&m->base));
}

void gemm_int8_amx(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    if (is_for_vnni(m, row_count))
        gemm_int8_avx512vnni(m, row_first, row_count, panel_first, panel_count);
    else
        gemm_int8(m, row_first, row_count, panel_first, panel_count);
}

void gemm_int4_amx(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    if (is_for_vnni(m, row_count))
        gemm_int4_avx512vnni(m, row_first, row_count, panel_first, panel_count);
    else
        gemm_int4(m, row_first, row_count, panel_first, panel_count);
}

void gemm_int8_groups_amx(const struct lowp_gemm *m, size_t row, size_t panel, size_t first, size_t end,
                          float *products) {
    gemm_int8_groups_avx512vnni(m, row, panel, first, end, products);
}
