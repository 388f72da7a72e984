#include "engine/model/rotary.h"

#include <math.h>
#include <stdlib.h>

/* Width that a yarn ramp of no width gets, as in the library. */
#define RAMP_WIDTH_MIN 0.001

static size_t length_of(const struct rotary *rotary, size_t length) {
    if (rotary->dimensions == 0 || length <= rotary->scaling_context) return 0;
    if (rotary->scaling == ROTARY_SCALING_DYNAMIC) return length;
    return rotary->scaling == ROTARY_SCALING_LONGROPE ? rotary->scaling_context + 1 : 0;
}

size_t rotary_length(const struct model_description *d, size_t length) {
    size_t global = length_of(&d->rotary, length), local = length_of(&d->local_rotary, length);
    return global > local ? global : local;
}

/* All of theta^(-2i/r). */
static void plain_frequencies(double theta, size_t dimensions, double *frequencies) {
    for (size_t i = 0; i < dimensions / 2; i++)
        frequencies[i] = pow(theta, -2.0 * (double)i / (double)dimensions);
}

static double dynamic_theta(const struct rotary *rotary, size_t length) {
    double n = (double)length, limit = (double)rotary->scaling_context, r = (double)rotary->dimensions;
    if (n <= limit) return rotary->theta;
    return rotary->theta * pow(rotary->factor * n / limit - (rotary->factor - 1), r / (r - 2));
}

/* Wavelengths longer than the context / slow are stretched by the factor, those shorter than the context / fast
 * stay, and between them the frequency is interpolated (Llama 3.1). */
static double llama3_frequency(const struct rotary *rotary, double frequency) {
    double turns = (double)rotary->scaling_context * frequency / (2 * M_PI);
    double share = (turns - rotary->slow) / (rotary->fast - rotary->slow);
    share = fmax(0, fmin(1, share));
    return (1 - share) * frequency / rotary->factor + share * frequency;
}

/* The pair, as a real number, that turns so many times within the context. */
static double yarn_pair(const struct rotary *rotary, double turns) {
    double context = (double)rotary->scaling_context, r = (double)rotary->dimensions;
    return r * log(context / (turns * 2 * M_PI)) / (2 * log(rotary->theta));
}

/* Pairs before the ramp keep their frequency, those behind it are divided by the factor. The library bounds the
 * ramp by the number of dimensions, not of pairs. */
static void yarn_frequencies(const struct rotary *rotary, double *frequencies) {
    double low = yarn_pair(rotary, rotary->fast), high = yarn_pair(rotary, rotary->slow);
    if (rotary->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)rotary->dimensions - 1);
    double width = high == low ? RAMP_WIDTH_MIN : high - low;
    for (size_t i = 0; i < rotary->dimensions / 2; i++) {
        double ramp = fmax(0, fmin(1, ((double)i - low) / width));
        frequencies[i] *= ramp / rotary->factor + (1 - ramp);
    }
}

static void scale_each(const struct rotary *rotary, size_t length, double *frequencies) {
    const double *factors = length > rotary->scaling_context ? rotary->long_factor : rotary->short_factor;
    for (size_t i = 0; i < rotary->dimensions / 2; i++) {
        if (rotary->scaling == ROTARY_SCALING_LINEAR) frequencies[i] /= rotary->factor;
        if (rotary->scaling == ROTARY_SCALING_LLAMA3)
            frequencies[i] = llama3_frequency(rotary, frequencies[i]);
        if (rotary->scaling == ROTARY_SCALING_LONGROPE) frequencies[i] /= factors[i];
    }
}

void rotary_frequencies(const struct rotary *rotary, size_t length, double *frequencies) {
    double theta = rotary->scaling == ROTARY_SCALING_DYNAMIC ? dynamic_theta(rotary, length) : rotary->theta;
    plain_frequencies(theta, rotary->dimensions, frequencies);
    if (rotary->scaling == ROTARY_SCALING_YARN)
        yarn_frequencies(rotary, frequencies);
    else
        scale_each(rotary, length, frequencies);
}

const struct rotary *rotary_of_layer(const struct model_description *d, size_t layer) {
    return d->layer[layer].local ? &d->local_rotary : &d->rotary;
}

void rotary_deinit(struct rotary *rotary) {
    free(rotary->short_factor);
    free(rotary->long_factor);
    rotary->short_factor = rotary->long_factor = NULL;
}
