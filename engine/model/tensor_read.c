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

/* Rows [row, +count) of a transposed tensor, count <= TILE_ROWS: in the order in which they lie in memory. */
static void read_transposed(const struct tensor *t, size_t row, size_t count, size_t in, double *out) {
    double tile[TILE_INPUTS][TILE_ROWS];
    for (size_t k = 0; k < in; k += TILE_INPUTS) {
        size_t inputs = in - k < TILE_INPUTS ? in - k : TILE_INPUTS;
        for (size_t i = 0; i < inputs; i++)
            dtype_read(t->dtype, element(t, (k + i) * t->stride[0] + row * t->stride[1]), t->stride[1], count,
                       tile[i]);
        for (size_t r = 0; r < count; r++)
            for (size_t i = 0; i < inputs; i++) out[r * in + k + i] = tile[i][r];
    }
}

/* As the checkpoint has them. */
static void read_rows(const struct matrix_view *m, size_t first, size_t count, double *out) {
    const struct tensor *t = m->tensor;
    if (m->transposed && !m->rows) {
        for (size_t r = 0; r < count; r += TILE_ROWS)
            read_transposed(t, m->first_row + first + r, count - r < TILE_ROWS ? count - r : TILE_ROWS, m->in,
                            out + r * m->in);
        return;
    }
    size_t along = m->transposed ? 0 : 1, across = 1 - along;
    for (size_t r = 0; r < count; r++) {
        size_t row = row_of(m->rows, m->first_row, first + r);
        dtype_read(t->dtype, element(t, row * t->stride[across]), t->stride[along], m->in, out + r * m->in);
    }
}

void matrix_read(const struct matrix_view *m, size_t first, size_t count, double *out) {
    assert(m->tensor && first + count <= m->out);
    read_rows(m, first, count, out);
    if (m->low_rank)
        low_rank_add(m->low_rank, m->rows ? m->rows + first : NULL, m->first_row + first, count, out);
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
