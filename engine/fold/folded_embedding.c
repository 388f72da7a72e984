/* The embedding: token and position rows are read from the mapped checkpoint, added in double precision, then
 * centred and compressed. The tables are never copied: a tied embedding stays as the checkpoint has it. */
#include "engine/fold/folded_model.h"

#include <math.h>
#include <string.h>

#include "engine/fold/row_product.h"

size_t folded_embedding_scratch(const struct folded_model *c) {
    const struct model_description *d = c->description;
    return 2 * (d->width > d->embedding_width ? d->width : d->embedding_width);
}

void folded_norm_apply(const struct folded_norm *norm, const double *x, double *out) {
    double sum = 0, squares = 0, n = (double)norm->divisor;
    for (size_t i = 0; i < norm->width; i++) sum += x[i];
    double mean = norm->kind == ROW_NORM_LAYERNORM ? sum / n : 0;
    for (size_t i = 0; i < norm->width; i++) squares += (x[i] - mean) * (x[i] - mean);
    if (norm->kind == ROW_NORM_CRMS) squares += sum * sum;
    double scale = 1 / sqrt(squares / n + norm->eps);
    for (size_t i = 0; i < norm->width; i++) {
        out[i] = (x[i] - mean) * scale;
        if (norm->gain) out[i] *= norm->gain[i];
        if (norm->shift) out[i] += norm->shift[i];
    }
}

static void centre(double *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += row[i];
    for (size_t i = 0; i < width; i++) row[i] -= sum / (double)width;
}

void folded_stream_convert(const struct folded_model *c, double *row) {
    size_t width = c->description->width;
    if (folded_model_is_centred(c)) centre(row, width);
    for (size_t i = 0; i < c->stream_width; i++) row[i] += c->last_share * row[width - 1];
}

/* [sin | cos] of p 10000^(-i / (d/2 - 1)); an odd width ends in 0 (XGLM). */
static void add_sinusoidal_halves(double position, size_t width, double *row) {
    size_t half = width / 2;
    for (size_t i = 0; i < half; i++) {
        double angle = position * pow(10000, -(double)i / ((double)half - 1));
        row[i] += sin(angle);
        row[half + i] += cos(angle);
    }
}

/* Sines of the even indices, then cosines of the odd ones, of p 10000^(-2 floor(i/2) / d) (CTRL). */
static void add_sinusoidal_ctrl(double position, size_t width, double *row) {
    size_t sines = (width + 1) / 2;
    for (size_t i = 0; i < width; i++) {
        size_t pair = i / 2;
        double angle = position * pow(10000, -2.0 * (double)pair / (double)width);
        if (i % 2 == 0)
            row[i / 2] += sin(angle);
        else
            row[sines + i / 2] += cos(angle);
    }
}

static void add_position(const struct folded_model *c, size_t position, double *row, double *scratch) {
    const struct model_description *d = c->description;
    double offset_position = (double)(position + d->position_offset);
    switch (d->position) {
    case POSITION_LEARNED:
        matrix_read(&c->views->position, position, 1, scratch);
        for (size_t i = 0; i < d->width; i++) row[i] += scratch[i];
        break;
    case POSITION_SINUSOIDAL_HALVES:
        add_sinusoidal_halves(offset_position, d->width, row);
        break;
    case POSITION_SINUSOIDAL_CTRL:
        add_sinusoidal_ctrl(offset_position, d->width, row);
        break;
    default:
        break; /* not added to the embedding */
    }
}

void folded_embedding(const struct folded_model *c, size_t token, size_t position, double *row,
                      double *scratch) {
    const struct model_description *d = c->description;
    double *sum = scratch, *other = scratch + folded_embedding_scratch(c) / 2;
    matrix_read(&c->views->embedding, token, 1, sum);
    for (size_t i = 0; i < d->embedding_width; i++) sum[i] *= d->embedding_scale;
    if (c->project_in) {
        for (size_t i = 0; i < d->width; i++)
            other[i] = row_product(c->project_in + i * d->embedding_width, sum, d->embedding_width);
        double *projected = other;
        other = sum;
        sum = projected;
    }
    add_position(c, position, sum, other);
    if (c->embedding_norm.width) folded_norm_apply(&c->embedding_norm, sum, sum);
    /* The post-LN stream of residual_dual is read without a norm, so its mean counts. */
    if (c->folded_from == 0 && d->placement != PLACEMENT_RESIDUAL_DUAL) folded_stream_convert(c, sum);
    rotation_apply(&c->stream, sum, 1, 0, c->stream.count);
    memcpy(row, sum, folded_stream_width(c, 0) * sizeof *row);
}

void folded_dual_embedding(const struct folded_model *c, const double *row, double *dual) {
    const struct model_description *d = c->description;
    for (size_t i = 0; i < d->width; i++) dual[i] = d->dual_scale * row[i];
    if (folded_model_is_centred(c)) centre(dual, d->width);
}
