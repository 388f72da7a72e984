#include "engine/sample/logprobs.h"

#include <math.h>

bool logprobs_row_is_sound(const float *row, size_t rows) {
    int unsound = 0;
    for (size_t i = 0; i < rows; i++) unsound |= !(row[i] < INFINITY);
    return !unsound;
}

double logprobs_normaliser(const struct kernel_table *kernels, const float *row, size_t rows) {
    float max = row[kernels->argmax(row, rows)];
    if (max == -INFINITY) return -INFINITY;
    return (double)max + log((double)kernels->exp_sum(row, rows, max, 1.0f));
}

uint32_t logprobs_rank(const float *row, size_t sampleable, int32_t id) {
    float value = row[id];
    size_t own = (size_t)id < sampleable ? (size_t)id : sampleable;
    uint32_t before = 0;
    for (size_t i = 0; i < own; i++) before += row[i] >= value;
    for (size_t i = own; i < sampleable; i++) before += row[i] > value;
    return before + 1;
}

size_t logprobs_best(const float *row, size_t sampleable, size_t wanted, double normaliser,
                     struct candidate *out) {
    size_t count = selection_best(row, sampleable, wanted, out);
    for (size_t i = 0; i < count; i++) out[i].value = logprobs_of(out[i].value, normaliser);
    return count;
}
