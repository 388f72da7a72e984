#include "engine/pack/smoothing.h"

#include <math.h>

/* Part of the columns' mean square that is added to each, so that a column of zeros gets a scale too. */
#define LEAST_SHARE 0x1p-12

bool smoothing_is_used(const struct folded_linear *from, enum weight_type type) {
    bool whole = type == WEIGHT_TYPE_INT8 || type == WEIGHT_TYPE_INT4;
    if (from->rotate_in.order) return false;
    if (from->column_rms) return whole;
    return whole && from->gain && !(from->compress_in && from->last_share == 0);
}

/* Smoothing scales. One scale quantizes a whole row of activations, so its largest channel decides the step;
 * but how much a channel matters is its size times that of its column of weights. So a channel is multiplied
 * by the size of its column relative to the mean, and the column is divided by it. folded_linear_prepare has
 * measured the columns of output projections. */
static void set_output_smoothing(const struct folded_linear *from, float *smoothing) {
    double squares = 0;
    for (size_t k = 0; k < from->in; k++) squares += from->column_rms[k] * from->column_rms[k];
    const double mean_square = squares / (double)from->in, least = mean_square * LEAST_SHARE;
    for (size_t k = 0; k < from->in; k++) {
        double relative = (from->column_rms[k] * from->column_rms[k] + least) / mean_square;
        smoothing[k] = mean_square > 0 ? (float)sqrt(relative) : 1.0f;
    }
}

/* The size of a column of an input projection is estimated from the folded gain, and from what the
 * orthonormal basis adds to every column: a share of the dropped one and the rows' mean. (A channel with a
 * small gain is often large: the gain compensated for that, and is in the weights now.) */
static void set_input_smoothing(const struct folded_linear *from, float *smoothing) {
    const size_t width = from->in + (from->compress_in ? 1 : 0);
    double squares = 0, last = from->compress_in ? from->last_share * from->gain[width - 1] : 0;
    for (size_t k = 0; k < width; k++) squares += from->gain[k] * from->gain[k];
    const double mean_square = squares / (double)width, least = last * last + mean_square / (double)width;
    for (size_t k = 0; k < from->in; k++) {
        double relative = (from->gain[k] * from->gain[k] + least) / mean_square;
        smoothing[k] = mean_square > 0 ? (float)sqrt(relative) : 1.0f;
    }
}

void smoothing_set(const struct folded_linear *from, float *smoothing) {
    if (from->column_rms)
        set_output_smoothing(from, smoothing);
    else
        set_input_smoothing(from, smoothing);
}
