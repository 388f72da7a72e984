#include "engine/model/low_rank.h"

/* Ranks and columns that are widened together: a tile of 8 KiB beside as many columns of the rows. */
#define RANKS   4
#define COLUMNS 256

struct tile {
    double right[RANKS][COLUMNS];
    size_t ranks, columns;
};

static const char *element(const struct tensor *t, size_t row, size_t column) {
    return (const char *)t->data + (row * t->stride[0] + column * t->stride[1]) * dtype_size(t->dtype);
}

static void read_tile(const struct low_rank *l, size_t rank, size_t column, size_t end, struct tile *tile) {
    size_t ranks = l->right.shape[0] - rank, columns = end - column;
    tile->ranks = ranks < RANKS ? ranks : RANKS;
    tile->columns = columns < COLUMNS ? columns : COLUMNS;
    for (size_t j = 0; j < tile->ranks; j++)
        dtype_read(l->right.dtype, element(&l->right, rank + j, column), l->right.stride[1], tile->columns,
                   tile->right[j]);
}

/* Four at a time is faster, and the same sum: each element takes its terms in the same order. */
static void add_tile(const struct tile *tile, const double *factors, double *restrict out) {
    const double(*right)[COLUMNS] = tile->right;
    if (tile->ranks == RANKS) {
        for (size_t k = 0; k < tile->columns; k++)
            out[k] = (((out[k] + factors[0] * right[0][k]) + factors[1] * right[1][k]) +
                      factors[2] * right[2][k]) +
                     factors[3] * right[3][k];
        return;
    }
    for (size_t j = 0; j < tile->ranks; j++)
        for (size_t k = 0; k < tile->columns; k++) out[k] += factors[j] * right[j][k];
}

void low_rank_add(const struct low_rank *l, const struct low_rank_part *part, double *out, size_t stride) {
    const size_t end = part->column + part->columns;
    struct tile tile;
    for (size_t column = part->column; column < end; column += COLUMNS)
        for (size_t rank = 0; rank < l->right.shape[0]; rank += RANKS) {
            read_tile(l, rank, column, end, &tile);
            for (size_t r = 0; r < part->count; r++) {
                double factors[RANKS] = {0};
                size_t row = part->rows ? part->rows[r] : part->first_row + r;
                dtype_read(l->left.dtype, element(&l->left, row, rank), l->left.stride[1], tile.ranks,
                           factors);
                for (size_t j = 0; j < RANKS; j++) factors[j] *= l->scale;
                add_tile(&tile, factors, out + r * stride + (column - part->column));
            }
        }
}
