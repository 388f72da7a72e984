/* Narrow weights with AMX. A tile instruction multiplies 16 rows of activations, 64 bytes of each, by 16
 * columns of weights. The interleaving by 4 bytes of a panel is the one that it reads: 64 bytes of k are
 * three tiles side by side, taken as they are stored (int4 is unpacked before).
 *
 * Tiles are configured and released within a call: nothing of theirs lives between calls. */
#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include "engine/kernel/vector_avx512.h"
#include "engine/kernel/narrow_tile.h"

#define TILE_ROWS   16
#define TILE_BYTES  64                       /* of a row of a tile */
#define PANEL_STEP  (KERNEL_PANEL * 4)       /* bytes from one row of a panel's tiles to the next */
#define BLOCK_BYTES (TILE_ROWS * PANEL_STEP) /* of a panel, that 64 bytes of a row of activations meet */
/* Fewer rows leave most of a tile empty: VNNI takes them. */
#define INT8_ROWS_MIN 5
#define INT4_ROWS_MIN 9

/* What LDTILECFG reads. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* gcc 12 believes that loading a tile reads no memory: what was written for it must be there. */
VECTOR_INLINE void written_for_tiles(void) {
    __asm__ volatile("" : : : "memory");
}

/* Said in assembly, because the intrinsic of gcc 12 says that it reads 8 bytes, and drops the others. */
static void configure(const struct tile_config *config) {
    written_for_tiles();
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}

/* ---- asking memory for weights before they are needed ----
 * One pass over a panel asks for what comes PREFETCH_AHEAD bytes later. Where rows take several passes,
 * memory would be idle while a panel is read again from the cache: each asks for its share of the panel that
 * is read next, in streams some pages apart, as the processor then runs ahead in each of them. */
#define STREAMS 6

struct stream {
    const unsigned char *next; /* line of the first stream; NULL: ask for this panel */
    size_t spacing, lines;     /* bytes from stream to stream; lines of each, to ask for with a block of k */
};

static struct stream stream_of_pass(const unsigned char *next, size_t panel_bytes, size_t blocks, size_t pass,
                                    size_t passes) {
    const size_t lines = (panel_bytes / 64 + STREAMS - 1) / STREAMS;
    const size_t step = (lines + passes * blocks - 1) / (passes * blocks);
    if (passes == 1 || !next) return (struct stream){0};
    return (struct stream){next + pass * blocks * step * 64, lines * 64, step};
}

/* Before block w of a panel. */
VECTOR_INLINE void stream_block(struct stream *s, const unsigned char *w) {
    if (!s->next) {
        for (size_t i = 0; i < BLOCK_BYTES; i += 64) {
            prefetch_bytes(w + i);
            /* The loads of tiles alone do not keep enough requests on their way. */
            _mm_prefetch((const char *)w + i, _MM_HINT_T0);
        }
        return;
    }
    for (size_t line = 0; line < s->lines; line++, s->next += 64)
        KERNEL_EACH (i, STREAMS) _mm_prefetch((const char *)s->next + i * s->spacing, _MM_HINT_T1);
}

/* ---- bf16 and int8: sums over all of k stay in tiles ---- */

/* One panel by up to two tiles of rows. Its sums (integers, or floats for bf16) are finished while the next
 * pass fills the tiles: that takes other units of the core, and time in which weights arrive. */
struct pass {
    size_t column;        /* of the output, where the panel begins */
    size_t first, second; /* rows where the tiles begin; with one tile all rows are below first + 16 */
    size_t row, end;      /* rows to be finished */
    size_t rows_a_block;  /* of the pass before, to be finished with each block of this one */
    const float *weight_scales;
    _Alignas(KERNEL_ALIGN) int32_t sums[2 * TILE_ROWS][KERNEL_PANEL];
};

/* Tiles 0 to 2 are the sums of the first rows, 3 to 5 those of the second, 6 activations, 7 weights. */
static void configure_whole(size_t rows) {
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

static void store_sums(struct pass *p, bool both) {
    _tile_stored(0, p->sums[0], PANEL_STEP);
    _tile_stored(1, p->sums[0] + KERNEL_LANES, PANEL_STEP);
    _tile_stored(2, p->sums[0] + 2 * KERNEL_LANES, PANEL_STEP);
    if (!both) return;
    _tile_stored(3, p->sums[TILE_ROWS], PANEL_STEP);
    _tile_stored(4, p->sums[TILE_ROWS] + KERNEL_LANES, PANEL_STEP);
    _tile_stored(5, p->sums[TILE_ROWS] + 2 * KERNEL_LANES, PANEL_STEP);
}

/* The next rows of a pass. The offset of int8 weights is taken out: 128 times the sum of the row. */
VECTOR_INLINE void finish_rows(const struct narrow_matmul *m, enum weight_type type, struct pass *p,
                               size_t count) {
    const size_t padded = narrow_padded(m->rest.k), row_bytes = kernel_row_bytes(type, m->rest.k);
    const bool integers = type == WEIGHT_TYPE_INT8;
    for (; count > 0 && p->row < p->end; count--, p->row++) {
        const bool in_first = p->row < p->first + TILE_ROWS;
        const int32_t *sums = p->sums[in_first ? p->row - p->first : TILE_ROWS + p->row - p->second];
        const unsigned char *x = m->x + p->row * row_bytes;
        const __m512i offset = _mm512_set1_epi32(integers ? 128 * narrow_sum(x, padded, 0) : 0);
        const float scale = integers ? narrow_scale(x, padded) : 1.0f;
        for (size_t c = 0; c < KERNEL_PANEL && p->column + c < m->rest.n; c += KERNEL_LANES) {
            const __m512i sum = _mm512_load_si512(sums + c);
            struct vector v = {_mm512_castsi512_ps(sum)};
            if (integers) {
                v.lanes = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset));
                v = vector_multiply(v, vector_load(p->weight_scales + c));
            }
            narrow_finish(m, p->row, p->column + c, scale, v);
        }
    }
}

/* One block of k by one tile of rows, or by two. Tiles are literals of the instructions. */
#define ADD_FIRST(dot, x, w)                                                                                 \
    do {                                                                                                     \
        _tile_loadd(6, x, row_bytes);                                                                        \
        _tile_loadd(7, w, PANEL_STEP);                                                                       \
        dot(0, 6, 7);                                                                                        \
        _tile_loadd(7, w + TILE_BYTES, PANEL_STEP);                                                          \
        dot(1, 6, 7);                                                                                        \
        _tile_loadd(7, w + 2 * TILE_BYTES, PANEL_STEP);                                                      \
        dot(2, 6, 7);                                                                                        \
    } while (0)

#define ADD_BOTH(dot, column, other, x, y, w)                                                                \
    do {                                                                                                     \
        _tile_loadd(7, w + column * TILE_BYTES, PANEL_STEP);                                                 \
        _tile_loadd(6, x, row_bytes);                                                                        \
        dot(column, 6, 7);                                                                                   \
        _tile_loadd(6, y, row_bytes);                                                                        \
        dot(other, 6, 7);                                                                                    \
    } while (0)

/* The sums of a pass, and meanwhile the rows of the one before. w: the panel. */
#define DEFINE_RUN(name, type, dot)                                                                          \
    static void name(const struct narrow_matmul *m, struct pass *now, struct pass *before,                   \
                     const unsigned char *w, size_t blocks, struct stream s) {                               \
        const size_t row_bytes = kernel_row_bytes(type, m->rest.k);                                          \
        const unsigned char *x = m->x + now->first * row_bytes, *y = m->x + now->second * row_bytes;         \
        const bool both = now->end > now->first + TILE_ROWS;                                                 \
        clear_sums();                                                                                        \
        for (size_t block = 0; block < blocks; block++, w += BLOCK_BYTES) {                                  \
            stream_block(&s, w);                                                                             \
            if (both) {                                                                                      \
                ADD_BOTH(dot, 0, 3, x, y, w);                                                                \
                ADD_BOTH(dot, 1, 4, x, y, w);                                                                \
                ADD_BOTH(dot, 2, 5, x, y, w);                                                                \
            } else {                                                                                         \
                ADD_FIRST(dot, x, w);                                                                        \
            }                                                                                                \
            x += TILE_BYTES, y += TILE_BYTES;                                                                \
            finish_rows(m, type, before, now->rows_a_block);                                                 \
        }                                                                                                    \
        store_sums(now, both);                                                                               \
        finish_rows(m, type, before, SIZE_MAX);                                                              \
    }
DEFINE_RUN(run_int8, WEIGHT_TYPE_INT8, _tile_dpbsud)
DEFINE_RUN(run_bf16, WEIGHT_TYPE_BF16, _tile_dpbf16ps)

/* The pass that begins at `row` of rows [row_first, row_end). The last tile begins early enough to be a whole
 * one: rows that it has in common with the one before are computed twice, to the same bits, and finished
 * once.
 */
static void pass_init(struct pass *p, size_t row_first, size_t row_end, size_t row) {
    const size_t last = row_end - row_first < TILE_ROWS ? row_first : row_end - TILE_ROWS;
    p->first = row < last ? row : last;
    p->second = row + TILE_ROWS < last ? row + TILE_ROWS : last;
    p->row = row;
    p->end = row_end - row < 2 * TILE_ROWS ? row_end : row + 2 * TILE_ROWS;
}

/* Panels outside, rows inside. */
VECTOR_INLINE void multiply_whole(const struct narrow_matmul *m, enum weight_type type, size_t row_first,
                                  size_t row_count, size_t panel_first, size_t panel_count) {
    const size_t panel_bytes = kernel_panel_bytes(type, m->rest.k), row_end = row_first + row_count;
    const size_t k_bytes = narrow_padded(m->rest.k) * (type == WEIGHT_TYPE_BF16 ? sizeof(uint16_t) : 1);
    const size_t blocks = k_bytes / TILE_BYTES, passes = (row_count + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS);
    struct pass both[2], *now = &both[0], *before = &both[1];
    if (row_count == 0) return; /* there are no tiles of no rows */
    before->row = before->end = 0;
    configure_whole(row_count < TILE_ROWS ? row_count : TILE_ROWS);
    for (size_t i = 0; i < panel_count * passes; i++) {
        const size_t panel = panel_first + i / passes, pass = i % passes;
        const unsigned char *w = m->panels + panel * panel_bytes;
        pass_init(now, row_first, row_end, row_first + pass * 2 * TILE_ROWS);
        now->column = panel * KERNEL_PANEL;
        now->weight_scales = (const float *)(const void *)(w + k_bytes * KERNEL_PANEL);
        now->rows_a_block = (before->end - before->row + blocks - 1) / blocks;
        const unsigned char *next = i / passes + 1 < panel_count ? w + panel_bytes : m->rest.ahead;
        struct stream s = stream_of_pass(next, panel_bytes, blocks, pass, passes);
        if (type == WEIGHT_TYPE_BF16)
            run_bf16(m, now, before, w, blocks, s);
        else
            run_int8(m, now, before, w, blocks, s);
        struct pass *done = now;
        now = before, before = done;
    }
    _tile_release();
    finish_rows(m, type, before, SIZE_MAX);
}

void matmul_bf16_amx(const struct narrow_matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                     size_t panel_count) {
    multiply_whole(m, WEIGHT_TYPE_BF16, row_first, row_count, panel_first, panel_count);
}

void matmul_int8_amx(const struct narrow_matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                     size_t panel_count) {
    if (row_count < INT8_ROWS_MIN)
        matmul_int8_avx512vnni(m, row_first, row_count, panel_first, panel_count);
    else
        multiply_whole(m, WEIGHT_TYPE_INT8, row_first, row_count, panel_first, panel_count);
}

static void store_bf16(unsigned char *row, size_t i, struct vector v) {
    _mm256_storeu_si256((__m256i *)(void *)(row + i * sizeof(uint16_t)),
                        (__m256i)_mm512_cvtneps_pbh(v.lanes));
}

void prepare_bf16_amx(const struct narrow_rows *rows, size_t row_first, size_t row_count) {
    narrow_round(rows, row_first, row_count, store_bf16);
}

/* ---- int4: every group is summed apart ---- */

#define GROUP_ROWS   (KERNEL_GROUP / 4) /* rows of a tile of weights */
#define GROUP_BYTES  (GROUP_ROWS * PANEL_STEP)
#define SLICE_GROUPS 8   /* unpacked at a time: 12 KiB */
#define CHUNK_ROWS   128 /* rows that one unpacking serves: 24 KiB of sums */

/* What a call for int4 works in: a slice of k of one panel, and the float sums so far, by tiles of rows. */
struct int4_work {
    _Alignas(KERNEL_ALIGN) int8_t weights[SLICE_GROUPS][GROUP_ROWS][PANEL_STEP];
    _Alignas(KERNEL_ALIGN) int32_t group_sums[4][TILE_ROWS][KERNEL_LANES];
    _Alignas(KERNEL_ALIGN) float sums[CHUNK_ROWS][KERNEL_PANEL];
    size_t groups;          /* of the slice */
    const uint16_t *scales; /* [groups][48] */
};

/* Tiles 0 and 1 are sums, 2 and 3 activations, 4 and 5 weights. */
static void configure_groups(size_t rows) {
    struct tile_config config = {.palette = 1};
    for (size_t tile = 0; tile < 6; tile++) {
        const bool activations = tile == 2 || tile == 3, weights = tile >= 4;
        config.row_bytes[tile] = activations ? KERNEL_GROUP : TILE_BYTES;
        config.rows[tile] = weights ? GROUP_ROWS : (uint8_t)rows;
    }
    configure(&config);
}

/* Groups from `packed` on to signed bytes, in the order that tiles read. */
static void unpack_slice(struct int4_work *work, const unsigned char *packed) {
    const __m512i low_half = _mm512_set1_epi8(15), offset = _mm512_set1_epi8(8);
    for (size_t g = 0; g < work->groups; g++)
        for (size_t row = 0; row < GROUP_ROWS / 2; row++)
            for (size_t i = 0; i < PANEL_STEP; i += 64, packed += 64) {
                prefetch_bytes(packed);
                const __m512i pair = load_bytes(packed);
                const __m512i low = _mm512_and_si512(pair, low_half);
                const __m512i high = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low_half);
                int8_t *to = &work->weights[g][row][i];
                _mm512_store_si512((void *)to, _mm512_sub_epi8(low, offset));
                _mm512_store_si512((void *)(to + GROUP_BYTES / 2), _mm512_sub_epi8(high, offset));
            }
    written_for_tiles();
}

/* sum = fma(group, scale, sum) by rows. Their number is a constant where this is inlined, here and below. */
VECTOR_INLINE void add_scaled(int32_t (*group)[KERNEL_LANES], const uint16_t *scales, size_t rows,
                              __m512 *sum) {
    const __m512 scale = widen_bf16(scales);
    KERNEL_EACH (r, rows)
        sum[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(group[r])), scale, sum[r]);
}

/* Two groups from x and w on: their sums, exact, to group_sums[at] and the next. */
VECTOR_INLINE void multiply_groups(struct int4_work *work, const unsigned char *x, size_t row_bytes,
                                   const int8_t *w, size_t at) {
    _tile_zero(0);
    _tile_loadd(2, x, row_bytes);
    _tile_loadd(4, w, PANEL_STEP);
    _tile_dpbssd(0, 2, 4);
    _tile_stored(0, work->group_sums[at], TILE_BYTES);
    _tile_zero(1);
    _tile_loadd(3, x + KERNEL_GROUP, row_bytes);
    _tile_loadd(5, w + GROUP_BYTES, PANEL_STEP);
    _tile_dpbssd(1, 3, 5);
    _tile_stored(1, work->group_sums[at + 1], TILE_BYTES);
}

/* A tile of rows by sixteen columns, over the groups of a slice, two at a time; they are scaled while the
 * next two are multiplied. */
VECTOR_INLINE void add_columns(struct int4_work *work, const unsigned char *x, size_t row_bytes, size_t rows,
                               size_t column, float (*sums)[KERNEL_PANEL]) {
    const uint16_t *scales = work->scales + column;
    __m512 sum[TILE_ROWS];
    KERNEL_EACH (r, rows) sum[r] = _mm512_load_ps(sums[r] + column);
    multiply_groups(work, x, row_bytes, &work->weights[0][0][column * 4], 0);
    for (size_t g = 0; g < work->groups; g += 2, scales += 2 * KERNEL_PANEL) {
        const size_t at = g % 4, next = g + 2;
        if (next < work->groups)
            multiply_groups(work, x + next * KERNEL_GROUP, row_bytes, &work->weights[next][0][column * 4],
                            next % 4);
        add_scaled(work->group_sums[at], scales, rows, sum);
        add_scaled(work->group_sums[at + 1], scales + KERNEL_PANEL, rows, sum);
    }
    KERNEL_EACH (r, rows) _mm512_store_ps(sums[r] + column, sum[r]);
}

static void add_tile_of(struct int4_work *work, const unsigned char *x, size_t row_bytes, size_t rows,
                        float (*sums)[KERNEL_PANEL]) {
    for (size_t column = 0; column < KERNEL_PANEL; column += KERNEL_LANES)
        if (rows <= TILE_ROWS / 2)
            add_columns(work, x, row_bytes, TILE_ROWS / 2, column, sums);
        else
            add_columns(work, x, row_bytes, TILE_ROWS, column, sums);
}

/* Row where a tile begins: as above, the last one is a whole one where there are rows enough. */
VECTOR_INLINE size_t tile_start(size_t tile, size_t rows) {
    const size_t row = tile * TILE_ROWS, last = rows < TILE_ROWS ? 0 : rows - TILE_ROWS;
    return row < last ? row : last;
}

/* Up to CHUNK_ROWS rows from `row` on by one panel. */
static void multiply_int4(const struct narrow_matmul *m, size_t row, size_t rows, size_t panel,
                          struct int4_work *work) {
    const size_t row_bytes = kernel_row_bytes(WEIGHT_TYPE_INT4, m->rest.k), padded = narrow_padded(m->rest.k);
    const size_t groups = padded / KERNEL_GROUP, tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const unsigned char *packed = m->panels + panel * kernel_panel_bytes(WEIGHT_TYPE_INT4, m->rest.k);
    const uint16_t *scales = (const uint16_t *)(const void *)(packed + padded / 2 * KERNEL_PANEL);
    const unsigned char *x = m->x + row * row_bytes;
    memset(work->sums, 0, tiles * TILE_ROWS * sizeof work->sums[0]);
    for (size_t g = 0; g < groups; g += work->groups) {
        work->groups = groups - g < SLICE_GROUPS ? groups - g : SLICE_GROUPS;
        work->scales = scales + g * KERNEL_PANEL;
        unpack_slice(work, packed + g * KERNEL_GROUP / 2 * KERNEL_PANEL);
        for (size_t tile = 0; tile < tiles; tile++)
            add_tile_of(work, x + tile_start(tile, rows) * row_bytes + g * KERNEL_GROUP, row_bytes, rows,
                        work->sums + tile * TILE_ROWS);
    }
    for (size_t r = 0; r < rows; r++) {
        const size_t tile = r / TILE_ROWS;
        narrow_finish_row(m, row + r, panel, narrow_scale(x + r * row_bytes, padded),
                          work->sums[tile * TILE_ROWS + r - tile_start(tile, rows)]);
    }
}

void matmul_int4_amx(const struct narrow_matmul *m, size_t row_first, size_t row_count, size_t panel_first,
                     size_t panel_count) {
    if (row_count < INT4_ROWS_MIN) {
        matmul_int4_avx512vnni(m, row_first, row_count, panel_first, panel_count);
        return;
    }
    struct int4_work work;
    memset(work.group_sums, 0, sizeof work.group_sums);
    for (size_t panel = panel_first; panel < panel_first + panel_count; panel++)
        for (size_t row = 0, rows; row < row_count; row += rows) {
            rows = row_count - row < CHUNK_ROWS ? row_count - row : CHUNK_ROWS;
            configure_groups(rows < TILE_ROWS ? rows : TILE_ROWS);
            multiply_int4(m, row_first + row, rows, panel, &work);
        }
    _tile_release();
}
#endif
