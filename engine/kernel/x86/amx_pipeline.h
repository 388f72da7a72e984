/* What AMX's tiles hold becomes the output: panels by one or two tiles of rows, and what the vector units do with their sums
 * while the tiles multiply.
 *
 * The tiles go through units: a slice of a pass, of int8 a group of it. What they hold at the end of a unit is stored during
 * the first block of the next one, tile by tile, each before it starts anew: so none waits for another. During the blocks
 * after that the group of int8 joins the sums of its pass, a few rows between two multiplications, and a pass that is complete
 * goes through the epilogue, a few rows a block. */
#pragma once

#include "engine/kernel/x86/amx_prefetch.h"

#include "engine/kernel/template/lowp.h"

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

/* Tiles 0 to 2 are the sums of the first rows, 3 to 5 those of the second, 6 activations, 7 weights. */
static void configure_tiles(size_t rows) {
    struct tile_config config = {.palette = 1};
    for (size_t tile = 0; tile < TILE_COUNT; tile++) {
        config.row_bytes[tile] = TILE_BYTES;
        config.rows[tile] = tile == 7 ? TILE_ROWS : (uint8_t)rows;
    }
    configure(&config);
}

/* The integer sums of a group. Weights are stored with 128 added: the compensation, 128 times the sum of the activations of
 * the row's group, is taken from them. */
struct group_sums {
    struct pass *pass; /* or NULL */
    size_t group, row; /* rows from `row` on are due, to the end of the pass; none once it joins */
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

/* Whether rows of the last group go through the epilogue as they are: not of a part of a panel, nor where there is so much
 * to compute that it is better spread over the blocks of all groups. */
VECTOR_INLINE bool group_goes_through(const struct pipeline *p) {
    return p->group.ends && p->m->base.activation == ACTIVATION_NONE &&
           p->group.pass->column + KERNEL_PANEL <= p->m->base.n;
}

/* A group that joins the sums of its pass: those of the first tile, then of the second. Rows that both have join twice. */
struct group_join {
    size_t left;                     /* rows of tiles */
    bool starts;                     /* it is the first group */
    const unsigned char *x, *second; /* scale of the next row for the group; of the second tile's first row */
    size_t row_bytes, sum_bytes;     /* from row to row; from the scale to the sum of the row's numbers */
    const int32_t (*now)[KERNEL_PANEL];
    float (*sums)[KERNEL_PANEL];
    __m512 weight_scale[EPILOGUE_VECTORS];
};

#define JOIN_ROWS 4 /* at once, between multiplications */

/* Takes the group that is stored; none is left where there is none, or it goes through the epilogue. */
VECTOR_INLINE struct group_join group_join_of(struct pipeline *p) {
    struct group_sums *g = &p->group;
    struct group_join j = {.left = 0};
    if (!g->pass || g->row == g->pass->end || group_goes_through(p)) return j;
    const float *scales = g->pass->weight_scales + g->group * KERNEL_PANEL;
    const unsigned char *x = p->m->x + p->padded + g->group * sizeof(float);
    j.left = g->pass->both ? 2 * TILE_ROWS : g->pass->end - g->pass->first;
    j.starts = g->group == 0;
    j.x = x + g->pass->first * p->row_bytes;
    j.row_bytes = p->row_bytes;
    j.sum_bytes = kernel_int8_groups(p->padded) * sizeof(float);
    j.second = x + g->pass->second * p->row_bytes;
    j.now = g->sums;
    j.sums = (float(*)[KERNEL_PANEL])(void *)g->pass->sums;
    KERNEL_EACH (i, EPILOGUE_VECTORS) j.weight_scale[i] = _mm512_loadu_ps(scales + i * KERNEL_LANES);
    g->row = g->pass->end;
    return j;
}

VECTOR_INLINE __m512 group_joined(__m512i sum, __m512i compensation, __m512 weight_scale, __m512 scale,
                                  __m512 before) {
    const __m512 scaled =
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, compensation)), weight_scale);
    return _mm512_fmadd_ps(scaled, scale, before);
}

VECTOR_INLINE __m512i group_compensation(const unsigned char *x, size_t sum_bytes) {
    int32_t sum_of_x;
    memcpy(&sum_of_x, x + sum_bytes, sizeof sum_of_x);
    return _mm512_slli_epi32(_mm512_set1_epi32(sum_of_x), 7);
}

/* So many rows. count is a constant where this is inlined, and where rows join between multiplications starts too. */
VECTOR_INLINE void group_join_rows(struct group_join *j, size_t count, bool starts) {
    KERNEL_EACH (r, count) {
        const __m512i compensation = group_compensation(j->x, j->sum_bytes);
        const __m512 scale = _mm512_set1_ps(lowp_group_scale(j->x, 0, 0));
        KERNEL_EACH (i, EPILOGUE_VECTORS) {
            float *sums = j->sums[r] + i * KERNEL_LANES;
            const __m512 before = starts ? _mm512_setzero_ps() : _mm512_loadu_ps(sums);
            _mm512_storeu_ps(sums, group_joined(_mm512_load_si512(j->now[r] + i * KERNEL_LANES), compensation,
                                                j->weight_scale[i], scale, before));
        }
        j->x += j->row_bytes;
    }
    j->now += count, j->sums += count, j->left -= count;
    if (j->left == TILE_ROWS) j->x = j->second;
}

VECTOR_INLINE void group_join_some(struct group_join *j) {
    if (j->left < JOIN_ROWS) return;
    if (j->starts)
        group_join_rows(j, JOIN_ROWS, true);
    else
        group_join_rows(j, JOIN_ROWS, false);
}

VECTOR_INLINE void group_join_rest(struct group_join *j) {
    while (j->left >= JOIN_ROWS) group_join_some(j);
    while (j->left > 0) group_join_rows(j, 1, j->starts);
}

/* Rows [row, end) of the last group, which are of one tile, through the epilogue. */
VECTOR_INLINE void end_group_tile(const struct pipeline *p, size_t row, size_t end, bool starts) {
    const struct group_sums *g = &p->group;
    const size_t column = g->pass->column, place = pass_place(g->pass, row),
                 sum_bytes = kernel_int8_groups(p->padded) * sizeof(float);
    const float *scales = g->pass->weight_scales + g->group * KERNEL_PANEL;
    const unsigned char *x = p->m->x + row * p->row_bytes + p->padded + g->group * sizeof(float);
    const int32_t(*now)[KERNEL_PANEL] = g->sums + place;
    const float(*sums)[KERNEL_PANEL] = (const float(*)[KERNEL_PANEL])(const void *)(g->pass->sums + place);
    __m512 weight_scale[EPILOGUE_VECTORS];
    KERNEL_EACH (i, EPILOGUE_VECTORS) weight_scale[i] = _mm512_loadu_ps(scales + i * KERNEL_LANES);
    for (; row < end; row++, x += p->row_bytes, now++, sums++) {
        const __m512i compensation = group_compensation(x, sum_bytes);
        const __m512 scale = _mm512_set1_ps(lowp_group_scale(x, 0, 0));
        struct vector v[EPILOGUE_VECTORS];
        KERNEL_EACH (i, EPILOGUE_VECTORS) {
            const __m512 before = starts ? _mm512_setzero_ps() : _mm512_loadu_ps(*sums + i * KERNEL_LANES);
            v[i].lanes = group_joined(_mm512_load_si512(*now + i * KERNEL_LANES), compensation,
                                      weight_scale[i], scale, before);
        }
        epilogue_panel(&p->m->base, row, column, v, true);
    }
}

/* Not inlined, so that each has all registers for itself. */
static __attribute__((noinline)) void end_only_group(const struct pipeline *p, size_t row, size_t end) {
    end_group_tile(p, row, end, true);
}
static __attribute__((noinline)) void end_last_group(const struct pipeline *p, size_t row, size_t end) {
    end_group_tile(p, row, end, false);
}

/* The next rows of the group, where it goes through the epilogue. */
VECTOR_INLINE void end_group(struct pipeline *p, size_t count) {
    struct group_sums *g = &p->group;
    while (g->pass && g->row < g->pass->end && count > 0) {
        const size_t of_first = g->pass->first + TILE_ROWS,
                     limit = g->row < of_first && of_first < g->pass->end ? of_first : g->pass->end,
                     end = limit - g->row < count ? limit : g->row + count;
        if (g->group == 0)
            end_only_group(p, g->row, end);
        else
            end_last_group(p, g->row, end);
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
    struct group_join join = group_join_of(p);
    group_join_rest(&join);
    end_group(p, SIZE_MAX);
    if (g->ends) {
        run_epilogue(p, WEIGHT_TYPE_INT8, SIZE_MAX);
        p->due = group_goes_through(p) ? NULL : g->pass;
    }
    g->pass = NULL;
}
