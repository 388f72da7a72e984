#include "engine/model/alibi.h"

#include <math.h>
#include <string.h>

static size_t power_of_two_below(size_t n) {
    size_t power = 1;
    while (power * 2 <= n) power *= 2;
    return power;
}

/* Heads beyond a power of two take the odd steps of the next one. */
static double bloom_slope(size_t head, size_t heads) {
    size_t power = power_of_two_below(heads);
    if (head < power) return exp2(-8.0 * (double)(head + 1) / (double)power);
    return exp2(-8.0 * (double)(2 * (head - power) + 1) / (double)(2 * power));
}

/* The slopes of the next power of two: its 2nd, 4th, ... first, then its 1st, 3rd, ..., cut to the heads. */
static double mpt_slope(size_t head, size_t heads, double bias_max) {
    size_t power = power_of_two_below(heads);
    if (power == heads) return exp2(-bias_max * (double)(head + 1) / (double)heads);
    power *= 2;
    size_t step = head < power / 2 ? 2 * head + 2 : 2 * (head - power / 2) + 1;
    return exp2(-bias_max * (double)step / (double)power);
}

/* To the nearest bfloat16, ties to even. */
static double round_bf16(double value) {
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits += 0x7fffu + ((bits >> 16) & 1);
    bits &= 0xffff0000u;
    memcpy(&single, &bits, sizeof bits);
    return single;
}

static double falcon_bias(size_t head, size_t heads, size_t position) {
    return round_bf16(round_bf16(bloom_slope(head, heads)) * round_bf16((double)position));
}

bool alibi_is_relative(const struct model_description *d) {
    return d->alibi.kind != ALIBI_FALCON;
}

double alibi_bias(const struct model_description *d, size_t head, size_t key, size_t query,
                  double attention_scale) {
    double distance = (double)key - (double)query;
    switch (d->alibi.kind) {
    case ALIBI_FALCON:
        return d->alibi.factor * attention_scale *
               (falcon_bias(head, d->heads, key) - falcon_bias(head, d->heads, query));
    case ALIBI_MPT:
        return mpt_slope(head, d->heads, d->alibi.bias_max) * distance;
    default:
        return bloom_slope(head, d->heads) * distance;
    }
}
