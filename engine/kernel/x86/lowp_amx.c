/* GEMMs of low-precision weights with AMX. A tile instruction multiplies 16 rows of activations, 64 bytes of
 * each, by 16 columns of weights. It reads weights interleaved by 4 bytes, as panels are: 64 bytes of k are
 * three tiles side by side, loaded as they are stored (int4 is unpacked to bytes before).
 *
 * Tiles are configured and released within a call: nothing of theirs lives between calls. */
#include "engine/kernel/x86/int_avx512.h"

#include "engine/kernel/template/lowp.h"
#include "engine/kernel/template/prefetch.h"

#define TILE_ROWS   16
#define TILE_BYTES  64                       /* of a row of a tile */
#define LINE_BYTES  (KERNEL_PANEL * 4)       /* from one row of the tiles of a panel to the next */
#define BLOCK_BYTES (TILE_ROWS * LINE_BYTES) /* of a panel, for 64 bytes of a row of activations */
/* Fewer rows leave most of a tile empty: VNNI is faster. */
#define INTEGER_ROWS_MIN 5

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

/* ---- prefetching weights ----
 * One pass over a panel prefetches at PREFETCH_MEMORY_DISTANCE. Where rows take several passes, memory would
 * be idle while a panel is read again from the cache: each prefetches its share of the panel that is read
 * next, in streams. So does a single pass over int4, where unpacking leaves the processor no room to run
 * ahead. */

struct panel_prefetch {
    const unsigned char *next; /* line of the first stream; NULL: prefetch within this panel */
    size_t spacing, lines;     /* bytes from stream to stream; lines of each, with every block of k */
};

static struct panel_prefetch prefetch_of_pass(const unsigned char *next, size_t panel_bytes, size_t blocks,
                                              size_t pass, size_t passes) {
    const size_t lines = (panel_bytes / CACHE_LINE + PREFETCH_STREAMS - 1) / PREFETCH_STREAMS;
    const size_t step = (lines + passes * blocks - 1) / (passes * blocks);
    if (!next) return (struct panel_prefetch){0};
    return (struct panel_prefetch){next + pass * blocks * step * CACHE_LINE, lines * CACHE_LINE, step};
}

VECTOR_INLINE void prefetch_next_panel(struct panel_prefetch *p) {
    for (size_t line = 0; line < p->lines; line++, p->next += CACHE_LINE) prefetch_lines(p->next, p->spacing);
}

/* Before block w of a panel. */
VECTOR_INLINE void prefetch_block(struct panel_prefetch *p, const unsigned char *w) {
    if (p->next) {
        prefetch_next_panel(p);
        return;
    }
    for (size_t i = 0; i < BLOCK_BYTES; i += CACHE_LINE) {
        prefetch_weights(w + i);
        /* The loads of tiles alone do not keep enough cache lines in flight. */
        _mm_prefetch((const char *)w + i, _MM_HINT_T0);
    }
}

/* ---- one panel by one or two tiles of rows ---- */

/* One panel by up to two tiles of rows. The epilogue of its sums (integers, or floats for bf16) runs during
 * the next pass over the tiles: it takes other units of the core, and time in which weights arrive. */
struct pass {
    size_t column;        /* of the output, where the panel begins */
    size_t first, second; /* rows where the tiles begin; with one tile all rows are below first + 16 */
    size_t row, end;      /* rows whose epilogue is due */
    size_t rows_a_block;  /* of the pass before: epilogues during each block of this one */
    const float *weight_scales;
    _Alignas(KERNEL_ALIGN) int32_t sums[2 * TILE_ROWS][KERNEL_PANEL];
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

static void load_sums(const struct pass *p, bool both) {
    _tile_loadd(0, p->sums[0], LINE_BYTES);
    _tile_loadd(1, p->sums[0] + KERNEL_LANES, LINE_BYTES);
    _tile_loadd(2, p->sums[0] + 2 * KERNEL_LANES, LINE_BYTES);
    if (!both) return;
    _tile_loadd(3, p->sums[TILE_ROWS], LINE_BYTES);
    _tile_loadd(4, p->sums[TILE_ROWS] + KERNEL_LANES, LINE_BYTES);
    _tile_loadd(5, p->sums[TILE_ROWS] + 2 * KERNEL_LANES, LINE_BYTES);
}

static void store_sums(struct pass *p, bool both) {
    _tile_stored(0, p->sums[0], LINE_BYTES);
    _tile_stored(1, p->sums[0] + KERNEL_LANES, LINE_BYTES);
    _tile_stored(2, p->sums[0] + 2 * KERNEL_LANES, LINE_BYTES);
    if (!both) return;
    _tile_stored(3, p->sums[TILE_ROWS], LINE_BYTES);
    _tile_stored(4, p->sums[TILE_ROWS] + KERNEL_LANES, LINE_BYTES);
    _tile_stored(5, p->sums[TILE_ROWS] + 2 * KERNEL_LANES, LINE_BYTES);
}

/* The epilogue of the next rows of a pass. int8 weights are stored with 128 added: the compensation is 128
 * times the sum of the row. */
VECTOR_INLINE void pass_epilogue(const struct lowp_gemm *m, enum weight_type type, struct pass *p,
                                 size_t count) {
    const size_t padded = kernel_padded_k(m->base.k), row_bytes = kernel_row_bytes(type, m->base.k);
    const bool integers = type != WEIGHT_TYPE_BF16;
    for (; count > 0 && p->row < p->end; count--, p->row++) {
        const bool in_first = p->row < p->first + TILE_ROWS;
        const int32_t *sums = p->sums[in_first ? p->row - p->first : TILE_ROWS + p->row - p->second];
        const unsigned char *x = m->x + p->row * row_bytes;
        const bool compensates = type == WEIGHT_TYPE_INT8;
        const __m512i compensation = _mm512_set1_epi32(compensates ? 128 * lowp_row_sum(x, padded, 0) : 0);
        const float scale = integers ? lowp_row_scale(x, padded) : 1.0f;
        for (size_t c = 0; c < KERNEL_PANEL && p->column + c < m->base.n; c += KERNEL_LANES) {
            const __m512i sum = _mm512_load_si512(sums + c);
            struct vector v = {_mm512_castsi512_ps(sum)};
            if (integers) {
                v.lanes = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, compensation));
                v = vector_multiply(v, vector_load(p->weight_scales + c));
            }
            lowp_epilogue(m, p->row, p->column + c, scale, v);
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

/* The sums of a pass, and meanwhile the epilogue of the one before. w: the panel. */
#define DEFINE_RUN(name, type, dot)                                                                          \
    static void name(const struct lowp_gemm *m, struct pass *now, struct pass *before,                       \
                     const unsigned char *w, size_t blocks, struct panel_prefetch prefetch) {                \
        const size_t row_bytes = kernel_row_bytes(type, m->base.k);                                          \
        const unsigned char *x = m->x + now->first * row_bytes, *y = m->x + now->second * row_bytes;         \
        const bool both = now->end > now->first + TILE_ROWS;                                                 \
        clear_sums();                                                                                        \
        for (size_t block = 0; block < blocks; block++, w += BLOCK_BYTES) {                                  \
            prefetch_block(&prefetch, w);                                                                    \
            if (both) {                                                                                      \
                ADD_BOTH(dot, 0, 3, x, y, w);                                                                \
                ADD_BOTH(dot, 1, 4, x, y, w);                                                                \
                ADD_BOTH(dot, 2, 5, x, y, w);                                                                \
            } else {                                                                                         \
                ADD_FIRST(dot, x, w);                                                                        \
            }                                                                                                \
            x += TILE_BYTES, y += TILE_BYTES;                                                                \
            pass_epilogue(m, type, before, now->rows_a_block);                                               \
        }                                                                                                    \
        store_sums(now, both);                                                                               \
        pass_epilogue(m, type, before, SIZE_MAX);                                                            \
    }
DEFINE_RUN(run_int8, WEIGHT_TYPE_INT8, _tile_dpbsud)
DEFINE_RUN(run_bf16, WEIGHT_TYPE_BF16, _tile_dpbf16ps)

/* The pass that begins at `row` of rows [row_first, row_end). The last tile begins early enough to be a whole
 * one: rows that it has in common with the one before are computed twice, to the same bits, and stored once.
 */
static void pass_init(struct pass *p, size_t row_first, size_t row_end, size_t row) {
    const size_t last = row_end - row_first < TILE_ROWS ? row_first : row_end - TILE_ROWS;
    p->first = row < last ? row : last;
    p->second = row + TILE_ROWS < last ? row + TILE_ROWS : last;
    p->row = row;
    p->end = row_end - row < 2 * TILE_ROWS ? row_end : row + 2 * TILE_ROWS;
}

static void pass_set_panel(struct pass *p, size_t panel, const float *weight_scales) {
    p->column = panel * KERNEL_PANEL;
    p->weight_scales = weight_scales;
}

static size_t passes_of(size_t rows) {
    return (rows + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS);
}

/* The loop over panels is outside that over rows. */
VECTOR_INLINE void gemm_by_panels(const struct lowp_gemm *m, enum weight_type type, size_t row_first,
                                  size_t row_count, size_t panel_first, size_t panel_count) {
    const size_t panel_bytes = kernel_panel_bytes(type, m->base.k), row_end = row_first + row_count;
    const size_t k_bytes = kernel_padded_k(m->base.k) * (type == WEIGHT_TYPE_BF16 ? sizeof(uint16_t) : 1);
    const size_t blocks = k_bytes / TILE_BYTES, passes = passes_of(row_count);
    struct pass both[2], *now = &both[0], *before = &both[1];
    if (row_count == 0) return; /* there are no tiles of no rows */
    before->row = before->end = 0;
    configure_tiles(row_count < TILE_ROWS ? row_count : TILE_ROWS);
    for (size_t i = 0; i < panel_count * passes; i++) {
        const size_t panel = panel_first + i / passes, pass = i % passes;
        const unsigned char *w = m->panels + panel * panel_bytes;
        pass_init(now, row_first, row_end, row_first + pass * 2 * TILE_ROWS);
        pass_set_panel(now, panel, (const float *)(const void *)(w + k_bytes * KERNEL_PANEL));
        /* A single pass over bf16 waits for memory: stores in between would only delay its prefetches. */
        const bool at_last = type == WEIGHT_TYPE_BF16 && passes == 1;
        now->rows_a_block = at_last ? 0 : (before->end - before->row + blocks - 1) / blocks;
        const unsigned char *next = i / passes + 1 < panel_count ? w + panel_bytes : m->base.prefetch;
        if (passes == 1) next = NULL;
        struct panel_prefetch prefetch = prefetch_of_pass(next, panel_bytes, blocks, pass, passes);
        if (type == WEIGHT_TYPE_BF16)
            run_bf16(m, now, before, w, blocks, prefetch);
        else
            run_int8(m, now, before, w, blocks, prefetch);
        struct pass *done = now;
        now = before, before = done;
    }
    _tile_release();
    pass_epilogue(m, type, before, SIZE_MAX);
}

void gemm_bf16_amx(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    gemm_by_panels(m, WEIGHT_TYPE_BF16, row_first, row_count, panel_first, panel_count);
}

void gemm_int8_amx(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    if (row_count < INTEGER_ROWS_MIN)
        gemm_int8_avx512vnni(m, row_first, row_count, panel_first, panel_count);
    else
        gemm_by_panels(m, WEIGHT_TYPE_INT8, row_first, row_count, panel_first, panel_count);
}

static void bf16_store(unsigned char *row, size_t i, struct vector v) {
    _mm256_storeu_si256((__m256i *)(void *)(row + i * sizeof(uint16_t)),
                        (__m256i)_mm512_cvtneps_pbh(v.lanes));
}

void convert_bf16_amx(const struct activation_rows *rows, size_t row_first, size_t row_count) {
    convert_rows_bf16(rows, row_first, row_count, bf16_store);
}

/* ---- int4: unpacked to signed bytes ----
 * For many rows a slice of k is unpacked at a time, and sums are stored between slices. */

#define GROUP_LINES  (KERNEL_INT4_GROUP / 4) /* rows of a tile that a group fills */
#define SLICE_BLOCKS 16                      /* unpacked for all rows of a chunk: 48 KiB */
#define RING_BLOCKS  2 /* unpacked for a single pass: they stay in the first-level cache */
#define CHUNK_PASSES 16
#define CHUNK_ROWS   (CHUNK_PASSES * 2 * TILE_ROWS)

/* The buffers of a call for int4. The epilogues of a pass run while another panel is begun: one more than
 * there are passes. */
struct int4_work {
    _Alignas(KERNEL_ALIGN) int8_t weights[SLICE_BLOCKS][TILE_ROWS][LINE_BYTES];
    struct pass passes[CHUNK_PASSES + 1];
};

/* Part of the k of a panel, in blocks; its passes follow one another. */
struct slice {
    const unsigned char *packed; /* of the panel, from the slice's first block on */
    const int8_t *groups;        /* scales and offsets */
    size_t first, blocks, ring;
    bool ends; /* the panel */
};

/* Sixteen columns of a group: scale * q + offset from q + 8, as (q + 8) * scale - (8 scale - offset). No
 * product exceeds a byte, so two of them fit into one multiplication of 16 bits. */
VECTOR_INLINE void unpack_columns(const unsigned char *packed, const int8_t *groups, int8_t *to) {
    const __m512i low_half = _mm512_set1_epi8(15), low_bytes = _mm512_set1_epi16(255);
    const __m512i pair = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)groups));
    const __m512i scale = _mm512_shuffle_epi8(pair, _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0));
    const __m512i offset =
        _mm512_shuffle_epi8(pair, _mm512_set4_epi32(0x0d0d0d0d, 0x09090909, 0x05050505, 0x01010101));
    const __m512i factor = _mm512_and_si512(scale, low_bytes);
    const __m512i subtracted = _mm512_sub_epi8(_mm512_slli_epi16(scale, 3), offset);
    KERNEL_EACH (line, GROUP_LINES / 2) {
        const __m512i bytes = load_bytes(packed + line * LINE_BYTES);
        const __m512i low = _mm512_and_si512(bytes, low_half);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low_half);
        int8_t *low_to = to + line * LINE_BYTES, *high_to = low_to + GROUP_LINES / 2 * LINE_BYTES;
        _mm512_store_si512((void *)low_to, _mm512_sub_epi8(_mm512_mullo_epi16(low, factor), subtracted));
        _mm512_store_si512((void *)high_to, _mm512_sub_epi8(_mm512_mullo_epi16(high, factor), subtracted));
    }
}

static void unpack_block(struct int4_work *work, const struct slice *s, size_t block) {
    const unsigned char *packed = s->packed + block * BLOCK_BYTES / 2;
    const int8_t *groups = s->groups + block * TILE_BYTES / KERNEL_INT4_GROUP * KERNEL_PANEL * 2;
    int8_t(*to)[LINE_BYTES] = work->weights[block % s->ring];
    tile_barrier();
    for (size_t group = 0; group < TILE_BYTES / KERNEL_INT4_GROUP; group++) {
        KERNEL_EACH (column, KERNEL_PANEL / KERNEL_LANES)
            unpack_columns(packed + column * 64, groups + column * 2 * KERNEL_LANES, to[0] + column * 64);
        packed += BLOCK_BYTES / 4, groups += 2 * KERNEL_PANEL, to += GROUP_LINES;
    }
}

/* The sums of a pass over a slice; the first pass unpacks it, a block before it is used. During the slice
 * that ends a panel run the epilogues of the pass before. */
static void run_int4(const struct lowp_gemm *m, struct int4_work *work, struct pass *now, struct pass *before,
                     const struct slice *slice, bool unpacks, struct panel_prefetch prefetch) {
    const size_t row_bytes = kernel_row_bytes(WEIGHT_TYPE_INT4, m->base.k), at = slice->first * TILE_BYTES;
    const unsigned char *x = m->x + now->first * row_bytes + at, *y = m->x + now->second * row_bytes + at;
    const bool both = now->end > now->first + TILE_ROWS;
    if (slice->first == 0)
        clear_sums();
    else
        load_sums(now, both);
    if (unpacks) unpack_block(work, slice, 0);
    for (size_t block = 0; block < slice->blocks; block++, x += TILE_BYTES, y += TILE_BYTES) {
        const int8_t *w = work->weights[block % slice->ring][0];
        prefetch_next_panel(&prefetch);
        if (unpacks && block + 1 < slice->blocks) unpack_block(work, slice, block + 1);
        tile_barrier();
        if (both) {
            ADD_BOTH(_tile_dpbssd, 0, 3, x, y, w);
            ADD_BOTH(_tile_dpbssd, 1, 4, x, y, w);
            ADD_BOTH(_tile_dpbssd, 2, 5, x, y, w);
        } else {
            ADD_FIRST(_tile_dpbssd, x, w);
        }
        if (slice->ends) pass_epilogue(m, WEIGHT_TYPE_INT4, before, now->rows_a_block);
    }
    store_sums(now, both);
    if (slice->ends) pass_epilogue(m, WEIGHT_TYPE_INT4, before, SIZE_MAX);
}

static struct slice slice_of(const unsigned char *panel, size_t k, size_t first, size_t passes) {
    const size_t padded = kernel_padded_k(k), all = padded / TILE_BYTES, left = all - first;
    const size_t blocks = passes == 1 || left < SLICE_BLOCKS ? left : SLICE_BLOCKS;
    return (struct slice){
        .packed = panel + first * BLOCK_BYTES / 2,
        .groups = lowp_int4(panel, padded).groups + first * TILE_BYTES / KERNEL_INT4_GROUP * KERNEL_PANEL * 2,
        .first = first,
        .blocks = blocks,
        .ring = passes == 1 ? RING_BLOCKS : SLICE_BLOCKS,
        .ends = first + blocks == all,
    };
}

/* Rows [row_first, row_end), not more than the passes of a chunk can take. */
static void gemm_int4_chunk(const struct lowp_gemm *m, size_t row_first, size_t row_end, size_t panel_first,
                            size_t panel_count, struct int4_work *work) {
    const size_t panel_bytes = kernel_panel_bytes(WEIGHT_TYPE_INT4, m->base.k);
    const size_t padded = kernel_padded_k(m->base.k), passes = passes_of(row_end - row_first);
    const size_t slots = passes + 1;
    struct pass *before = &work->passes[passes], *now = before;
    struct slice slice;
    before->row = before->end = 0;
    configure_tiles(row_end - row_first < TILE_ROWS ? row_end - row_first : TILE_ROWS);
    for (size_t i = 0; i < panel_count; i++) {
        const unsigned char *panel = m->panels + (panel_first + i) * panel_bytes;
        const unsigned char *next = i + 1 < panel_count ? panel + panel_bytes : m->base.prefetch;
        for (size_t block = 0; block < padded / TILE_BYTES; block += slice.blocks) {
            slice = slice_of(panel, m->base.k, block, passes);
            for (size_t pass = 0; pass < passes; pass++) {
                struct panel_prefetch prefetch = {0};
                now = &work->passes[(i * passes + pass) % slots];
                before = &work->passes[(i * passes + pass + passes) % slots];
                if (block == 0) {
                    pass_init(now, row_first, row_end, row_first + pass * 2 * TILE_ROWS);
                    pass_set_panel(now, panel_first + i, lowp_int4(panel, padded).scales);
                }
                if (slice.ends) prefetch = prefetch_of_pass(next, panel_bytes, slice.blocks, pass, passes);
                now->rows_a_block = (before->end - before->row + slice.blocks - 1) / slice.blocks;
                run_int4(m, work, now, before, &slice, pass == 0, prefetch);
            }
        }
        before = now;
    }
    _tile_release();
    pass_epilogue(m, WEIGHT_TYPE_INT4, before, SIZE_MAX);
}

/* The loop over panels is outside that over the passes of a chunk: each chunk unpacks all panels. */
static __attribute__((noinline)) void gemm_int4_chunks(const struct lowp_gemm *m, size_t row_first,
                                                       size_t row_count, size_t panel_first,
                                                       size_t panel_count) {
    struct int4_work work;
    size_t chunks = (row_count + CHUNK_ROWS - 1) / CHUNK_ROWS;
    for (size_t row = row_first, rows; chunks > 0; row += rows, row_count -= rows, chunks--) {
        struct lowp_gemm chunk = *m;
        rows = (row_count + chunks - 1) / chunks;
        if (chunks > 1)
            chunk.base.prefetch = m->panels + panel_first * kernel_panel_bytes(WEIGHT_TYPE_INT4, m->base.k);
        gemm_int4_chunk(&chunk, row, row + rows, panel_first, panel_count, &work);
    }
}

void gemm_int4_amx(const struct lowp_gemm *m, size_t row_first, size_t row_count, size_t panel_first,
                   size_t panel_count) {
    if (row_count < INTEGER_ROWS_MIN)
        gemm_int4_avx512vnni(m, row_first, row_count, panel_first, panel_count);
    else
        gemm_int4_chunks(m, row_first, row_count, panel_first, panel_count);
}
