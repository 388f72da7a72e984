/* Folding a block of rows, in double precision (the header has the mathematics). */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/widest.h"
#include "engine/fold/folded_model.h"
#include "engine/fold/row_product.h"

static size_t in_of(const struct folded_linear *l) {
    return l->in + (l->compress_in ? 1 : 0);
}

bool folded_linear_has_bias(const struct folded_linear *l) {
    for (size_t p = 0; p < l->part_count; p++)
        if (l->part[p].bias.tensor) return true;
    return l->shift != NULL;
}

/* Rows and columns that are read together where sums of them are needed: they stay in the first-level cache, and
 * additions of one row need not wait for each other. Rows are odd cache lines apart. */
#define READ_ROWS    8
#define READ_COLUMNS 256

struct reading {
    double at[READ_ROWS][READ_COLUMNS + 8];
};

static size_t lower(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The part that a row of the stacked ones lies in. *row becomes its row there, *count no more than there are from it. */
static const struct linear_view *part_of(const struct folded_linear *l, size_t *row, size_t *count) {
    const struct linear_view *part = l->part;
    for (; *row >= part->weight.out; part++) {
        *row -= part->weight.out;
        assert(part + 1 < l->part + l->part_count);
    }
    *count = lower(*count, part->weight.out - *row);
    return part;
}

/* Of the stacked parts as the checkpoint has them. */
static void read_weights(const struct folded_linear *l, const struct matrix_part *wanted, double *weights,
                         size_t stride) {
    for (size_t done = 0, count; done < wanted->count; done += count) {
        struct matrix_part part = *wanted;
        part.first += done;
        part.count -= done;
        const struct linear_view *from = part_of(l, &part.first, &part.count);
        count = part.count;
        matrix_read_part(&from->weight, &part, weights + done * stride, stride);
    }
}

static void read_bias(const struct folded_linear *l, size_t first, size_t count, double *bias) {
    for (size_t done = 0, rows; done < count; done += rows) {
        size_t row = first + done;
        rows = count - done;
        const struct linear_view *from = part_of(l, &row, &rows);
        vector_read_part(&from->bias, row, rows, bias + done);
    }
}

/* ---- what is known of whole rows ---- */

struct whole_rows {
    struct row_sums products; /* with the shift */
    double sum, last;         /* behind the gain */
};

WIDEST static void multiply(double *restrict row, const double *restrict by, size_t count) {
    for (size_t k = 0; k < count; k++) row[k] *= by[k];
}

WIDEST static void add_products(struct row_sums *sums, const double *a, const double *b, size_t count) {
    row_sums_add(sums, a, b, count);
}

/* Each row's sum in ascending order, all of them side by side. */
static void add_sums(const struct reading *read, size_t columns, struct whole_rows *rows) {
    double sums[READ_ROWS];
    for (size_t r = 0; r < READ_ROWS; r++) sums[r] = rows[r].sum;
    for (size_t k = 0; k < columns; k++)
        for (size_t r = 0; r < READ_ROWS; r++) sums[r] += read->at[r][k];
    for (size_t r = 0; r < READ_ROWS; r++) rows[r].sum = sums[r], rows[r].last = read->at[r][columns - 1];
}

static void add_columns(const struct folded_linear *l, const struct matrix_part *part, struct reading *read,
                        struct whole_rows *rows) {
    for (size_t r = 0; r < part->count; r++) {
        if (l->shift) add_products(&rows[r].products, read->at[r], l->shift + part->column, part->columns);
        if (l->gain && l->compress_in) multiply(read->at[r], l->gain + part->column, part->columns);
    }
    if (l->compress_in) add_sums(read, part->columns, rows);
}

/* Of READ_ROWS rows at most. */
static void sum_rows(const struct folded_linear *l, size_t first, size_t count, struct whole_rows *rows) {
    const size_t in = in_of(l);
    struct reading read;
    struct matrix_part part = {.first = first, .count = count};
    if (count < READ_ROWS) memset(&read, 0, sizeof read);
    memset(rows, 0, READ_ROWS * sizeof *rows);
    for (; part.column < in; part.column += part.columns) {
        part.columns = lower(in - part.column, READ_COLUMNS);
        read_weights(l, &part, read.at[0], READ_COLUMNS + 8);
        add_columns(l, &part, &read, rows);
    }
}

/* What is subtracted from every column of a row as the last column is dropped: the last column itself, or in
 * the orthonormal basis mean - last_share * (last - mean). */
static double dropped_share(const struct folded_linear *l, const struct whole_rows *row) {
    const double in = (double)in_of(l);
    return l->last_share == 0 ? row->last : row->sum / in - l->last_share * (row->last - row->sum / in);
}

/* The bias: b + W shift, scaled, centred. */
static void fold_bias(const struct folded_block *b, size_t row, double product) {
    const struct folded_linear *l = b->linear;
    double *bias = b->bias + (row - b->from);
    if (l->shift) *bias += product;
    if (l->out_scale) *bias *= l->out_scale[row];
    if (l->centre_out) *bias -= l->bias_mean;
    *bias *= l->bias_scale;
}

void folded_block_begin(struct folded_block *b, const struct folded_linear *l, size_t first, size_t count) {
    *b = (struct folded_block){.linear = l,
                               .first = first,
                               .count = count,
                               .from = first,
                               .end = first + count,
                               .bias = b->bias,
                               .dropped = b->dropped};
    rotation_cover(&l->rotate_out, &b->from, &b->end);
    read_bias(l, b->from, b->end - b->from, b->bias);
    for (size_t row = b->from; row < b->end; row += READ_ROWS) {
        struct whole_rows rows[READ_ROWS] = {0};
        const size_t together = lower(b->end - row, READ_ROWS);
        if (l->shift || l->compress_in) sum_rows(l, row, together, rows);
        for (size_t r = 0; r < together; r++) {
            fold_bias(b, row + r, row_sums_total(&rows[r].products));
            if (l->compress_in) b->dropped[row + r - b->from] = dropped_share(l, &rows[r]);
        }
    }
    struct rotation rotation = l->rotate_out;
    rotation.lanes = 1;
    rotation_apply(&rotation, b->bias, 1, b->from, b->end);
}

/* ---- stretches of columns ---- */

/* W diag(gain), without the last column, scaled, centred. */
WIDEST static void fold_row(const struct folded_linear *l, double dropped, double scale, size_t column,
                            size_t columns, double *restrict row) {
    const double *restrict gain = l->gain ? l->gain + column : NULL;
    const double *restrict quiet = l->quiet ? l->quiet + column : NULL;
    const double *restrict mean = l->centre_out ? l->column_mean + column : NULL;
    const double weight_scale = l->weight_scale;
    for (size_t k = 0; gain && k < columns; k++) row[k] *= gain[k];
    for (size_t k = 0; l->compress_in && k < columns; k++) row[k] -= dropped;
    for (size_t k = 0; l->out_scale && k < columns; k++) row[k] *= scale;
    for (size_t k = 0; mean && k < columns; k++) row[k] -= mean[k];
    for (size_t k = 0; weight_scale != 1 && k < columns; k++) row[k] *= weight_scale;
    for (size_t k = 0; quiet && k < columns; k++) row[k] *= quiet[k];
}

size_t folded_columns_end(const struct folded_linear *l, size_t column, size_t wanted) {
    const struct rotation *r = &l->rotate_in;
    if (!r->order) return lower(column + wanted, l->in);
    size_t first = column / r->lanes, end = lower((column + wanted + r->lanes - 1) / r->lanes, r->count);
    assert(r->first == 0 && r->count * r->lanes == l->in && column % r->lanes == 0);
    rotation_cover(r, &first, &end);
    assert(first * r->lanes == column);
    return end * r->lanes;
}

void folded_block_columns(const struct folded_block *b, size_t column, size_t columns, double *weights,
                          size_t stride) {
    const struct folded_linear *l = b->linear;
    const struct rotation *in = &l->rotate_in;
    const struct matrix_part part = {b->from, b->end - b->from, column, columns};
    read_weights(l, &part, weights, stride);
    for (size_t r = 0; r < part.count; r++) {
        double *row = weights + r * stride;
        fold_row(l, l->compress_in ? b->dropped[r] : 0, l->out_scale ? l->out_scale[b->from + r] : 1, column,
                 columns, row);
        if (in->order) rotation_apply(in, row, in->lanes, column / in->lanes, (column + columns) / in->lanes);
    }
    struct rotation rows = l->rotate_out;
    rows.lanes = columns;
    rotation_apply(&rows, weights, stride, b->from, b->end);
}

void folded_linear_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                        double *bias) {
    size_t from = first, end = first + count;
    rotation_cover(&l->rotate_out, &from, &end);
    struct folded_block block = {.bias = bias, .dropped = weights + (end - from) * l->in};
    folded_block_begin(&block, l, first, count);
    folded_block_columns(&block, 0, l->in, weights, l->in);
    if (from == first) return;
    memmove(weights, weights + (first - from) * l->in, count * l->in * sizeof *weights);
    memmove(bias, bias + (first - from), count * sizeof *bias);
}

/* ---- means of the rows of output projections ---- */

/* What is subtracted from each row of an output projection: the mean of all rows, in the orthonormal basis
 * mean - last_share * (last row - mean). */
static double centre_of(const struct folded_linear *l, double mean, double last) {
    return mean - l->last_share * (last - mean);
}

/* Scaled as fold_row will; returns its bias, scaled too. */
static double scaled_bias(const struct folded_linear *l, size_t row) {
    double bias;
    vector_read_part(&l->part[0].bias, row, 1, &bias);
    return bias * (l->out_scale ? l->out_scale[row] : 1);
}

static void prepare_bias(struct folded_linear *l) {
    const size_t out = l->part[0].weight.out;
    double sum = 0, bias = 0;
    for (size_t row = 0; row < out; row++) {
        bias = scaled_bias(l, row);
        sum += bias;
    }
    l->bias_mean = centre_of(l, sum / (double)out, bias);
}

WIDEST static void add_row(double *restrict row, double scale, size_t count, double *restrict sums,
                           double *restrict squares) {
    for (size_t k = 0; scale != 1 && k < count; k++) row[k] *= scale;
    for (size_t k = 0; k < count; k++) {
        sums[k] += row[k];
        squares[k] += row[k] * row[k];
    }
}

/* Sums of at most READ_COLUMNS columns become the means. last: of the last row. */
static void finish_columns(struct folded_linear *l, size_t column, size_t columns, const double *last) {
    const double out = (double)l->part[0].weight.out;
    for (size_t k = column; k < column + columns; k++) {
        double gain = l->gain ? l->gain[k] : 1, rows_mean = l->column_mean[k] / out;
        l->column_rms[k] = fabs(gain) * sqrt(fmax(0, l->column_rms[k] / out - rows_mean * rows_mean));
        l->column_mean[k] = centre_of(l, l->column_mean[k] * (gain / out), last[k - column] * gain);
    }
}

static void prepare_columns(struct folded_linear *l, size_t column, size_t columns) {
    const struct matrix_view *m = &l->part[0].weight;
    struct reading read;
    struct matrix_part part = {.column = column, .columns = columns};
    const double *last = read.at[0];
    memset(l->column_mean + column, 0, columns * sizeof *l->column_mean);
    memset(l->column_rms + column, 0, columns * sizeof *l->column_rms);
    for (; part.first < m->out; part.first += part.count) {
        part.count = lower(m->out - part.first, READ_ROWS);
        matrix_read_part(m, &part, read.at[0], READ_COLUMNS + 8);
        for (size_t r = 0; r < part.count; r++)
            add_row(read.at[r], l->out_scale ? l->out_scale[part.first + r] : 1, columns,
                    l->column_mean + column, l->column_rms + column);
        last = read.at[part.count - 1];
    }
    finish_columns(l, column, columns, last);
}

void folded_linear_prepare_columns(struct folded_linear *l, size_t column, size_t columns) {
    if (!l->centre_out) return;
    assert(l->part_count == 1 && !l->shift);
    if (column == 0) prepare_bias(l);
    for (size_t end = column + columns; column < end; column += READ_COLUMNS)
        prepare_columns(l, column, lower(end - column, READ_COLUMNS));
}

void folded_linear_prepare(struct folded_linear *l) {
    folded_linear_prepare_columns(l, 0, l->in);
}

static void widest(const struct folded_linear *l, size_t *width) {
    if (in_of(l) > *width) *width = in_of(l);
}

size_t folded_scratch(const struct folded_model *c, size_t rows) {
    size_t width = c->description->width;
    for (size_t i = 0; i < c->description->layers; i++) {
        widest(&c->layers[i].qkv, &width);
        widest(&c->layers[i].attention.output, &width);
        widest(&c->layers[i].up, &width);
        widest(&c->layers[i].mlp.output, &width);
    }
    widest(&c->head, &width);
    widest(&c->project_out, &width);
    return width * (rows + (c->rotated ? ROTATION_COVER_MAX : 0));
}
