#include "engine/fold/row_squares.h"

#include "engine/base/widest.h"
#include "engine/fold/row_product.h"

/* The part of a row's columns that is read, its first. */
#define READ_PART    4
#define READ_COLUMNS 256

WIDEST static void add_square(struct row_sums *sums, const double *row, size_t count) {
    row_sums_add(sums, row, row, count);
}

void row_squares_read(const struct matrix_view *m, size_t first, size_t count, double *squares) {
    const size_t columns = (m->in + READ_PART - 1) / READ_PART;
    double rows[ROW_SQUARES_ROWS * READ_COLUMNS];
    struct row_sums sums[ROW_SQUARES_ROWS] = {0};
    struct matrix_part part = {.first = first, .count = count};
    for (; part.column < columns; part.column += part.columns) {
        part.columns = columns - part.column < READ_COLUMNS ? columns - part.column : READ_COLUMNS;
        matrix_read_part(m, &part, rows, READ_COLUMNS);
        for (size_t r = 0; r < count; r++) add_square(&sums[r], rows + r * READ_COLUMNS, part.columns);
    }
    for (size_t r = 0; r < count; r++) squares[r] = row_sums_total(&sums[r]);
}
