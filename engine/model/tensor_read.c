/* Rows and entries of views, widened to double: in the order in which they lie in memory where that is the faster. */
#include <assert.h>

#include "engine/model/tensor_views.h"

static const char *element(const struct tensor *t, size_t offset) {
    return (const char *)t->data + offset * dtype_size(t->dtype);
}

/* Offset of a vector's i-th entry; a matrix is read row by row. */
static size_t entry_offset(const struct tensor *t, size_t i) {
    if (t->rank < 2) return i * t->stride[0];
    return i / t->shape[1] * t->stride[0] + i % t->shape[1] * t->stride[1];
}

static size_t row_of(const uint32_t *rows, size_t first_row, size_t r) {
    return rows ? rows[r] : first_row + r;
}

/* A transposed tensor is read in tiles of so many inputs: a cache line of doubles in each row of the
 * result. */
#define TILE_INPUTS 8
#define TILE_ROWS   64

/* Part of a transposed tensor, of TILE_ROWS rows at most, from tensor row `row` on: in the order in which it lies in
 * memory. */
static void read_transposed(const struct tensor *t, size_t row, const struct matrix_part *part, double *out,
                            size_t stride) {
    double tile[TILE_INPUTS][TILE_ROWS];
    for (size_t k = 0; k < part->columns; k += TILE_INPUTS) {
        size_t inputs = part->columns - k < TILE_INPUTS ? part->columns - k : TILE_INPUTS;
        for (size_t i = 0; i < inputs; i++)
            dtype_read(t->dtype, element(t, (part->column + k + i) * t->stride[0] + row * t->stride[1]),
                       t->stride[1], part->count, tile[i]);
        for (size_t r = 0; r < part->count; r++)
            for (size_t i = 0; i < inputs; i++) out[r * stride + k + i] = tile[i][r];
    }
}

static void read_transposed_rows(const struct matrix_view *m, const struct matrix_part *part, double *out,
                                 size_t stride) {
    for (size_t r = 0; r < part->count; r += TILE_ROWS) {
        struct matrix_part tile = *part;
        tile.count = part->count - r < TILE_ROWS ? part->count - r : TILE_ROWS;
        read_transposed(m->tensor, m->first_row + part->first + r, &tile, out + r * stride, stride);
    }
}

/* Rows of a stretch of columns are far from each other, so that no hardware sees the next one coming. */
#define ROWS_AHEAD 2
#define CACHE_LINE 64

static void prefetch(const char *data, size_t bytes) {
    for (size_t at = 0; at < bytes; at += CACHE_LINE) __builtin_prefetch(data + at);
}

/* As the checkpoint has them. */
static void read_rows(const struct matrix_view *m, const struct matrix_part *part, double *out,
                      size_t stride) {
    const struct tensor *t = m->tensor;
    size_t along = m->transposed ? 0 : 1, across = 1 - along;
    for (size_t r = 0; r < part->count; r++) {
        size_t row = row_of(m->rows, m->first_row, part->first + r);
        if (r + ROWS_AHEAD < part->count && t->stride[along] == 1) {
            size_t ahead = row_of(m->rows, m->first_row, part->first + r + ROWS_AHEAD);
            prefetch(element(t, ahead * t->stride[across] + part->column),
                     part->columns * dtype_size(t->dtype));
        }
        dtype_read(t->dtype, element(t, row * t->stride[across] + part->column * t->stride[along]),
                   t->stride[along], part->columns, out + r * stride);
    }
}

void matrix_read_part(const struct matrix_view *m, const struct matrix_part *part, double *out,
                      size_t stride) {
    assert(m->tensor && part->first + part->count <= m->out && part->column + part->columns <= m->in);
    if (m->transposed && !m->rows)
        read_transposed_rows(m, part, out, stride);
    else
        read_rows(m, part, out, stride);
    if (!m->low_rank) return;
    const struct low_rank_part added = {
        .rows = m->rows ? m->rows + part->first : NULL,
        .first_row = m->first_row + part->first,
        .count = part->count,
        .column = part->column,
        .columns = part->columns,
    };
    low_rank_add(m->low_rank, &added, out, stride);
}

void matrix_read(const struct matrix_view *m, size_t first, size_t count, double *out) {
    const struct matrix_part whole = {.first = first, .count = count, .columns = m->in};
    matrix_read_part(m, &whole, out, m->in);
}

void vector_read_part(const struct vector_view *v, size_t first, size_t count, double *out) {
    const struct tensor *t = v->tensor;
    assert(first + count <= v->count);
    for (size_t i = 0; i < count; i++) {
        out[i] = 0;
        if (t)
            dtype_read(t->dtype, element(t, entry_offset(t, row_of(v->rows, v->first_row, first + i))), 1, 1,
                       out + i);
    }
}

void vector_read(const struct vector_view *v, size_t count, double fallback, double *out) {
    if (v->tensor) {
        vector_read_part(v, 0, count, out);
        return;
    }
    for (size_t i = 0; i < count; i++) out[i] = fallback;
}
