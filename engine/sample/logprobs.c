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

size_t logprobs_best(const float *row, size_t sampleable, size_t wanted, double normaliser,
                     struct candidate *out) {
    size_t count = selection_best(row, sampleable, wanted, out);
    for (size_t i = 0; i < count; i++) out[i].value = logprobs_of(out[i].value, normaliser);
    return count;
}
