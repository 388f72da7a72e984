/* Folding a block of rows, in double precision (the header has the mathematics). */
#include <assert.h>
#include <math.h>
#include <string.h>

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

/* Rows [first, +count) of the stacked parts as the checkpoint has them. */
static void read_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                      double *bias) {
    size_t start = 0;
    for (size_t p = 0; p < l->part_count && count > 0; p++) {
        const struct matrix_view *m = &l->part[p].weight;
        if (first < start + m->out) {
            size_t from = first - start, rows = m->out - from < count ? m->out - from : count;
            matrix_read(m, from, rows, weights);
            vector_read_part(&l->part[p].bias, from, rows, bias);
            weights += rows * m->in;
            bias += rows;
            first += rows;
            count -= rows;
        }
        start += m->out;
    }
    assert(count == 0);
}

/* b + W shift, then W diag(gain). */
static void fold_norm(const struct folded_linear *l, size_t count, double *weights, double *bias) {
    size_t in = in_of(l);
    for (size_t r = 0; l->shift && r < count; r++) bias[r] += row_product(weights + r * in, l->shift, in);
    if (!l->gain) return;
    for (size_t r = 0; r < count; r++)
        for (size_t k = 0; k < in; k++) weights[r * in + k] *= l->gain[k];
}

/* What is subtracted from every column of a row as the last column is dropped: the last column itself, or in
 * the orthonormal basis mean - last_share * (last - mean). */
static double dropped_share(const struct folded_linear *l, const double *row, size_t in) {
    double sum = 0, last = row[in - 1];
    if (l->last_share == 0) return last;
    for (size_t k = 0; k < in; k++) sum += row[k];
    return sum / (double)in - l->last_share * (last - sum / (double)in);
}

/* In place: each row becomes shorter, so the rows move together. */
static void compress_columns(const struct folded_linear *l, size_t count, size_t in, double *weights) {
    for (size_t r = 0; r < count; r++) {
        const double *from = weights + r * in;
        double *to = weights + r * (in - 1), offset = dropped_share(l, from, in);
        for (size_t k = 0; k + 1 < in; k++) to[k] = from[k] - offset;
    }
}

static void scale_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                       double *bias) {
    for (size_t r = 0; l->out_scale && r < count; r++) {
        for (size_t k = 0; k < l->in; k++) weights[r * l->in + k] *= l->out_scale[first + r];
        bias[r] *= l->out_scale[first + r];
    }
}

static void centre_rows(const struct folded_linear *l, size_t count, double *weights, double *bias) {
    for (size_t r = 0; r < count; r++) {
        for (size_t k = 0; k < l->in; k++) weights[r * l->in + k] -= l->column_mean[k];
        bias[r] -= l->bias_mean;
    }
}

/* All but rotations. */
static void plain_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                       double *bias) {
    read_rows(l, first, count, weights, bias);
    fold_norm(l, count, weights, bias);
    if (l->compress_in) compress_columns(l, count, in_of(l), weights);
    scale_rows(l, first, count, weights, bias);
    if (l->centre_out) centre_rows(l, count, weights, bias);
    for (size_t i = 0; l->weight_scale != 1 && i < count * l->in; i++) weights[i] *= l->weight_scale;
    for (size_t r = 0; r < count; r++) bias[r] *= l->bias_scale;
}

void folded_linear_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                        double *bias) {
    const struct rotation *in = &l->rotate_in, *out = &l->rotate_out;
    size_t from = first, end = first + count;
    rotation_cover(out, &from, &end);
    plain_rows(l, from, end - from, weights, bias);
    for (size_t r = 0; r < end - from; r++) rotation_apply(in, weights + r * l->in, in->lanes, 0, in->count);
    struct rotation rows = *out;
    rows.lanes = l->in;
    rotation_apply(&rows, weights, l->in, from, end);
    rows.lanes = 1;
    rotation_apply(&rows, bias, 1, from, end);
    if (from == first) return;
    memmove(weights, weights + (first - from) * l->in, count * l->in * sizeof *weights);
    memmove(bias, bias + (first - from), count * sizeof *bias);
}

/* What is subtracted from each row of an output projection: the mean of all rows, in the orthonormal basis
 * mean - last_share * (last row - mean). */
static double centre_of(const struct folded_linear *l, double mean, double last) {
    return mean - l->last_share * (last - mean);
}

/* Scales a row of an output projection as scale_rows will; returns its bias, scaled too. */
static double scale_row(const struct folded_linear *l, size_t index, double *row) {
    double bias, scale = l->out_scale ? l->out_scale[index] : 1;
    vector_read_part(&l->part[0].bias, index, 1, &bias);
    for (size_t k = 0; scale != 1 && k < l->in; k++) row[k] *= scale;
    return bias * scale;
}

void folded_linear_prepare(struct folded_linear *l, double *scratch, size_t rows) {
    if (!l->centre_out) return;
    assert(l->part_count == 1 && !l->shift);
    const struct matrix_view *m = &l->part[0].weight;
    memset(l->column_mean, 0, l->in * sizeof *l->column_mean);
    memset(l->column_rms, 0, l->in * sizeof *l->column_rms);
    double bias_sum = 0, bias = 0;
    const double *row = scratch; /* after the loop: the last row; bias is that of the last row too */
    for (size_t first = 0, count; first < m->out; first += count) {
        count = m->out - first < rows ? m->out - first : rows;
        matrix_read(m, first, count, scratch);
        for (size_t r = 0; r < count; r++) {
            row = scratch + r * l->in;
            bias = scale_row(l, first + r, scratch + r * l->in);
            for (size_t k = 0; k < l->in; k++) {
                l->column_mean[k] += row[k];
                l->column_rms[k] += row[k] * row[k];
            }
            bias_sum += bias;
        }
    }
    for (size_t k = 0; k < l->in; k++) {
        double gain = l->gain ? l->gain[k] : 1, rows_mean = l->column_mean[k] / (double)m->out;
        l->column_rms[k] =
            fabs(gain) * sqrt(fmax(0, l->column_rms[k] / (double)m->out - rows_mean * rows_mean));
        l->column_mean[k] = centre_of(l, l->column_mean[k] * (gain / (double)m->out), row[k] * gain);
    }
    l->bias_mean = centre_of(l, bias_sum / (double)m->out, bias);
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
