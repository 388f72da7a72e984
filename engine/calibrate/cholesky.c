#include "engine/calibrate/cholesky.h"

#include <math.h>

/* Columns that are finished at a time, and the side of the tiles of what is left. A tile's two strips stay in the
 * second-level cache. */
#define BLOCK 64
/* A part of a tile whose sums stay in registers. */
#define PART_ROWS    2
#define PART_COLUMNS 8

struct factoring {
    double *a;
    size_t n, first, end; /* columns [first, end) are at work */
};

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static bool factor_diagonal(const struct factoring *f) {
    for (size_t i = f->first; i < f->end; i++) {
        double *row = f->a + i * f->n;
        for (size_t j = f->first; j <= i; j++) {
            const double *other = f->a + j * f->n;
            double sum = row[j];
            for (size_t k = f->first; k < j; k++) sum -= row[k] * other[k];
            if (j < i) {
                row[j] = sum / other[j];
                continue;
            }
            if (!(sum > 0) || !isfinite(sum)) return false;
            row[i] = sqrt(sum);
        }
    }
    return true;
}

/* The rows of a tile below the diagonal block: x L' = row, so x = row / L'. */
static void solve_rows(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct factoring *f = context;
    const size_t begin = f->end + tile * BLOCK, end = lower(begin + BLOCK, f->n), width = f->end - f->first;
    double x[BLOCK * BLOCK]; /* transposed: all rows of the tile go on together */
    const size_t rows = end - begin;
    for (size_t k = 0; k < width; k++)
        for (size_t r = 0; r < rows; r++) x[k * BLOCK + r] = f->a[(begin + r) * f->n + f->first + k];
    for (size_t j = 0; j < width; j++) {
        const double *factor = f->a + (f->first + j) * f->n + f->first;
        for (size_t k = 0; k < j; k++)
            for (size_t r = 0; r < rows; r++) x[j * BLOCK + r] -= factor[k] * x[k * BLOCK + r];
        for (size_t r = 0; r < rows; r++) x[j * BLOCK + r] /= factor[j];
    }
    for (size_t k = 0; k < width; k++)
        for (size_t r = 0; r < rows; r++) f->a[(begin + r) * f->n + f->first + k] = x[k * BLOCK + r];
}

/* PART_ROWS rows less the products of theirs with PART_COLUMNS others, which are given as [width][BLOCK]. */
static inline void subtract_part(double *const rows[PART_ROWS], const double *const left[PART_ROWS],
                                 const double *right, size_t width) {
    double sums[PART_ROWS][PART_COLUMNS];
    for (size_t r = 0; r < PART_ROWS; r++)
        for (size_t c = 0; c < PART_COLUMNS; c++) sums[r][c] = rows[r][c];
    for (size_t k = 0; k < width; k++)
        for (size_t r = 0; r < PART_ROWS; r++)
            for (size_t c = 0; c < PART_COLUMNS; c++) sums[r][c] -= left[r][k] * right[k * BLOCK + c];
    for (size_t r = 0; r < PART_ROWS; r++)
        for (size_t c = 0; c < PART_COLUMNS; c++) rows[r][c] = sums[r][c];
}

/* Part of a tile at its edges, or whole: every element by the same operations in the same order. */
static void subtract_rows(const struct factoring *f, size_t row, size_t column, size_t columns,
                          const double *right) {
    const double *left = f->a + row * f->n + f->first;
    double *out = f->a + row * f->n + column;
    for (size_t c = 0; c < columns; c++) {
        double sum = out[c];
        for (size_t k = 0; k < f->end - f->first; k++) sum -= left[k] * right[k * BLOCK + c];
        out[c] = sum;
    }
}

static void subtract_tile(const struct factoring *f, size_t row, size_t column) {
    const size_t row_end = lower(row + BLOCK, f->n), column_end = lower(column + BLOCK, f->n);
    const size_t width = f->end - f->first;
    double right[BLOCK * BLOCK];
    for (size_t c = column; c < column_end; c++)
        for (size_t k = 0; k < width; k++) right[k * BLOCK + c - column] = f->a[c * f->n + f->first + k];
    for (; row + PART_ROWS <= row_end; row += PART_ROWS) {
        const double *left[PART_ROWS];
        size_t c = column;
        for (size_t r = 0; r < PART_ROWS; r++) left[r] = f->a + (row + r) * f->n + f->first;
        for (; c + PART_COLUMNS <= column_end; c += PART_COLUMNS) {
            double *rows[PART_ROWS];
            for (size_t r = 0; r < PART_ROWS; r++) rows[r] = f->a + (row + r) * f->n + c;
            subtract_part(rows, left, right + c - column, width);
        }
        for (size_t r = 0; r < PART_ROWS; r++)
            subtract_rows(f, row + r, c, column_end - c, right + c - column);
    }
    for (; row < row_end; row++) subtract_rows(f, row, column, column_end - column, right);
}

/* A row of tiles up to the diagonal: the part of the last one above it is computed too, and not read. */
static void subtract_tiles(void *context, size_t tile, size_t worker) {
    (void)worker;
    const struct factoring *f = context;
    const size_t tiles = (f->n - f->end + BLOCK - 1) / BLOCK, row = f->end + (tiles - 1 - tile) * BLOCK;
    for (size_t column = f->end; column <= row; column += BLOCK) subtract_tile(f, row, column);
}

// NOLINTNEXTLINE(readability-non-const-parameter): written by the threads
bool cholesky_factor(double *a, size_t n, struct workers *workers) {
    for (size_t first = 0; first < n; first += BLOCK) {
        struct factoring f = {.a = a, .n = n, .first = first, .end = lower(first + BLOCK, n)};
        if (!factor_diagonal(&f)) return false;
        const size_t tiles = (n - f.end + BLOCK - 1) / BLOCK;
        if (!tiles) continue;
        workers_run(workers, solve_rows, &f, tiles);
        workers_run(workers, subtract_tiles, &f, tiles);
    }
    return true;
}
