/* The functions over rows, once for every instruction set (see vector_scalar.h). */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/kernel/template/announce.h"
#include "engine/kernel/template/vector_math.h"

#define ROWS_ARGMAX_CHUNK 1024
#define HADAMARD_ITEMS    8 /* vectors that go through three levels at once */

/* Lanes that remain from column i on. */
VECTOR_INLINE size_t rows_lanes(size_t i, size_t width) {
    return width - i < KERNEL_LANES ? width - i : KERNEL_LANES;
}

/* Lane sums of x and of (x - center)^2. */
VECTOR_INLINE void rows_sums(const float *x, size_t width, float center, float *sum, float *squares) {
    struct vector sums = vector_splat(0.0f), square_sums = vector_splat(0.0f);
    const struct vector centers = vector_splat(center);
    size_t i = 0;
    for (; i + KERNEL_LANES <= width; i += KERNEL_LANES) {
        struct vector v = vector_load(x + i), d = vector_subtract(v, centers);
        sums = vector_add(sums, v);
        square_sums = vector_fma(d, d, square_sums);
    }
    if (i < width) {
        struct vector v = vector_load_first(x + i, width - i);
        struct vector d =
            vector_select(mask_range(0, width - i), vector_subtract(v, centers), vector_splat(0.0f));
        sums = vector_add(sums, v);
        square_sums = vector_fma(d, d, square_sums);
    }
    *sum = vector_sum(sums);
    *squares = vector_sum(square_sums);
}

VECTOR_INLINE float rows_scale(enum row_norm norm, float sum, float squares, float divisor, float eps) {
    if (norm == ROW_NORM_NONE) return 1.0f;
    if (norm == ROW_NORM_CRMS) squares = fmaf(sum, sum, squares);
    return 1.0f / sqrtf(squares / divisor + eps);
}

void KERNEL_FUNCTION(row_scales)(enum row_norm norm, const float *x, size_t stride, size_t rows, size_t width,
                                 float divisor, float eps, float *scale) {
    announce_read_floats(x, stride, rows, width);
    announce_write_floats(scale, 0, 1, rows);
    for (size_t r = 0; r < rows; r++) {
        float sum = 0.0f, squares = 0.0f;
        if (norm != ROW_NORM_NONE) rows_sums(x + r * stride, width, 0.0f, &sum, &squares);
        scale[r] = rows_scale(norm, sum, squares, divisor, eps);
    }
}

/* x . direction */
VECTOR_INLINE float rows_product(const float *x, const float *direction, size_t columns) {
    struct vector sums = vector_splat(0.0f);
    for (size_t i = 0; i < columns; i += KERNEL_LANES) {
        const size_t lanes = rows_lanes(i, columns);
        sums = vector_fma(vector_load_first(direction + i, lanes), vector_load_first(x + i, lanes), sums);
    }
    return vector_sum(sums);
}

/* out += t * direction */
VECTOR_INLINE void rows_add_direction(float t, const float *direction, size_t columns, float *out) {
    const struct vector factor = vector_splat(t);
    for (size_t i = 0; i < columns; i += KERNEL_LANES) {
        const size_t lanes = rows_lanes(i, columns);
        const struct vector d = vector_load_first(direction + i, lanes),
                            o = vector_load_first(out + i, lanes);
        vector_store_first(out + i, vector_fma(factor, d, o), lanes);
    }
}

void KERNEL_FUNCTION(scale_directions)(const struct row_directions *d, const float *x, size_t x_stride,
                                       size_t rows, size_t width, const float *factors, float *out,
                                       size_t out_stride) {
    announce_read_floats(x, x_stride, rows, width);
    announce_read_floats(d->entries, 0, 1, d->count * d->columns);
    announce_read_floats(factors, 0, 1, d->count);
    announce_write_floats(out, out_stride, rows, width);
    for (size_t r = 0; r < rows; r++, x += x_stride, out += out_stride) {
        memcpy(out, x, width * sizeof *out);
        for (size_t i = 0; i < d->count; i++) {
            const float *direction = d->entries + i * d->columns;
            const float product = rows_product(x + d->first[i], direction, d->columns);
            rows_add_direction(factors[i] * product, direction, d->columns, out + d->first[i]);
        }
    }
}

/* ((x - center) * scale) * gain + bias on up to 16 columns from i on. */
VECTOR_INLINE void rows_normalize_lanes(const float *x, size_t i, size_t lanes, float center, float scale,
                                        const float *gain, const float *bias, float *out) {
    struct vector v = vector_subtract(vector_load_first(x + i, lanes), vector_splat(center));
    v = vector_multiply(v, vector_splat(scale));
    if (gain && bias)
        v = vector_fma(v, vector_load_first(gain + i, lanes), vector_load_first(bias + i, lanes));
    else if (gain)
        v = vector_multiply(v, vector_load_first(gain + i, lanes));
    else if (bias)
        v = vector_add(v, vector_load_first(bias + i, lanes));
    vector_store_first(out + i, v, lanes);
}

void KERNEL_FUNCTION(normalize_rows)(enum row_norm norm, const float *x, size_t x_stride, size_t rows,
                                     size_t width, float divisor, float eps, const float *gain,
                                     const float *bias, float *out, size_t out_stride) {
    announce_read_floats(x, x_stride, rows, width);
    announce_read_floats(gain, 0, 1, width);
    announce_read_floats(bias, 0, 1, width);
    announce_write_floats(out, out_stride, rows, width);
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        float center = 0.0f, sum, squares;
        if (norm == ROW_NORM_LAYERNORM) {
            rows_sums(row, width, 0.0f, &sum, &squares);
            center = sum / (float)width;
        }
        rows_sums(row, width, center, &sum, &squares);
        enum row_norm form = norm == ROW_NORM_LAYERNORM ? ROW_NORM_RMS : norm;
        float scale = rows_scale(form, sum, squares, divisor, eps);
        for (size_t i = 0; i < width; i += KERNEL_LANES)
            rows_normalize_lanes(row, i, rows_lanes(i, width), center, scale, gain, bias,
                                 out + r * out_stride);
    }
}

void KERNEL_FUNCTION(gate_rows)(enum activation activation, const float *gate, const float *up, size_t stride,
                                size_t rows, size_t width, float *out, size_t out_stride) {
    announce_read_floats(gate, stride, rows, width);
    announce_read_floats(up, stride, rows, width);
    announce_write_floats(out, out_stride, rows, width);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i += KERNEL_LANES) {
            size_t lanes = rows_lanes(i, width);
            struct vector g = vector_activate(activation, vector_load_first(gate + r * stride + i, lanes));
            g = vector_multiply(g, vector_load_first(up + r * stride + i, lanes));
            vector_store_first(out + r * out_stride + i, g, lanes);
        }
}

/* One level of items, those of a pair so far apart. */
VECTOR_INLINE void hadamard_level(struct vector *item, size_t items, size_t apart) {
    KERNEL_EACH (i, items / 2) {
        const size_t block = i / apart, first = block * 2 * apart + i % apart;
        const struct vector a = item[first], b = item[first + apart], sum = vector_add(a, b),
                            difference = vector_subtract(a, b);
        item[first] = block % 2 ? difference : sum;
        item[first + apart] = block % 2 ? sum : difference;
    }
}

/* The levels of h, 2 h .. items / 2 * h, of items that are h apart and stay in registers meanwhile. scale: 0 where other levels
 * follow, else what all are multiplied by. */
VECTOR_INLINE void hadamard_levels(float *x, size_t order, size_t h, size_t items, float scale) {
    const size_t step = h * KERNEL_LANES, half = items / 2;
    for (size_t block = 0; block * items * h < order; block++) {
        /* hadamard_level() takes each of these for the first: of the others every second is stored with halves exchanged. */
        float *from = x + block * items * step, *sums = block % 2 ? from + half * step : from,
              *differences = block % 2 ? from : from + half * step;
        for (size_t i = 0; i < step; i += KERNEL_LANES) {
            struct vector item[HADAMARD_ITEMS];
            KERNEL_EACH (k, items) item[k] = vector_load(from + k * step + i);
            for (size_t apart = 1; apart < items; apart *= 2) hadamard_level(item, items, apart);
            if (scale != 0.0f)
                KERNEL_EACH (k, items) item[k] = vector_multiply(item[k], vector_splat(scale));
            KERNEL_EACH (k, half) {
                vector_store(sums + k * step + i, item[k]);
                vector_store(differences + k * step + i, item[half + k]);
            }
        }
    }
}

VECTOR_INLINE void hadamard_block(float *x, size_t order, float scale) {
    size_t h = 1;
    for (; h * HADAMARD_ITEMS < order; h *= HADAMARD_ITEMS)
        hadamard_levels(x, order, h, HADAMARD_ITEMS, 0.0f);
    if (h * 8 == order)
        hadamard_levels(x, order, h, 8, scale);
    else if (h * 4 == order)
        hadamard_levels(x, order, h, 4, scale);
    else if (h * 2 == order)
        hadamard_levels(x, order, h, 2, scale);
}

void KERNEL_FUNCTION(hadamard_rows)(float *x, size_t stride, size_t rows, size_t width) {
    announce_write_floats(x, stride, rows, width);
    const size_t vectors = width / KERNEL_LANES;
    size_t order = 1;
    while (order * 2 <= vectors && order < KERNEL_HADAMARD_ORDER) order *= 2;
    const float scale = (float)(1 / sqrt((double)order));
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * stride;
        for (size_t i = 0; i + order <= vectors; i += order)
            hadamard_block(row + i * KERNEL_LANES, order, scale);
        if (vectors % order) hadamard_block(row + (vectors - order) * KERNEL_LANES, order, scale);
    }
}

void KERNEL_FUNCTION(soft_cap)(float *x, size_t count, float cap) {
    announce_write_floats(x, 0, 1, count);
    const float inverse = 1.0f / cap;
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        size_t lanes = rows_lanes(i, count);
        vector_store_first(x + i, vector_soft_cap(vector_load_first(x + i, lanes), cap, inverse), lanes);
    }
}

/* Pairs (i, i + pairs). */
static void rotate_halves(float *head, size_t pairs, const float *cosine, const float *sine) {
    float *other = head + pairs;
    for (size_t i = 0; i < pairs; i += KERNEL_LANES) {
        const size_t lanes = rows_lanes(i, pairs);
        const struct vector x = vector_load_first(head + i, lanes), y = vector_load_first(other + i, lanes);
        const struct vector c = vector_load_first(cosine + i, lanes), s = vector_load_first(sine + i, lanes);
        const struct vector turned = vector_multiply(vector_multiply(y, s), vector_splat(-1.0f));
        vector_store_first(head + i, vector_fma(x, c, turned), lanes);
        vector_store_first(other + i, vector_fma(y, c, vector_multiply(x, s)), lanes);
    }
}

/* Pairs (2i, 2i + 1). */
static void rotate_neighbours(float *head, size_t pairs, const float *cosine, const float *sine) {
    for (size_t i = 0; i < pairs; i++) {
        const float x = head[2 * i], y = head[2 * i + 1];
        head[2 * i] = fmaf(x, cosine[i], -(y * sine[i]));
        head[2 * i + 1] = fmaf(y, cosine[i], x * sine[i]);
    }
}

void KERNEL_FUNCTION(rotate)(float *head, size_t pairs, bool interleaved, const float *cosine,
                             const float *sine) {
    announce_read_floats(cosine, 0, 1, pairs);
    announce_read_floats(sine, 0, 1, pairs);
    announce_write_floats(head, 0, 1, 2 * pairs);
    if (interleaved)
        rotate_neighbours(head, pairs, cosine, sine);
    else
        rotate_halves(head, pairs, cosine, sine);
}

VECTOR_INLINE float rows_largest(const float *x, size_t count) {
    struct vector best = vector_splat(-INFINITY);
    size_t i = 0;
    for (; i + KERNEL_LANES <= count; i += KERNEL_LANES) best = vector_max(vector_load(x + i), best);
    float largest = vector_largest(best);
    for (; i < count; i++)
        if (x[i] > largest) largest = x[i];
    return largest;
}

/* By chunks, so that the search for the index, element by element, is of one of them. */
size_t KERNEL_FUNCTION(argmax)(const float *x, size_t count) {
    announce_read_floats(x, 0, 1, count);
    float largest = -INFINITY;
    size_t chunk = 0;
    for (size_t first = 0; first < count; first += ROWS_ARGMAX_CHUNK) {
        size_t rest = count - first;
        float best = rows_largest(x + first, rest < ROWS_ARGMAX_CHUNK ? rest : ROWS_ARGMAX_CHUNK);
        if (best > largest) largest = best, chunk = first;
    }
    for (size_t i = chunk; i < count; i++)
        if (x[i] == largest) return i;
    return 0; /* nothing but NaN */
}

float KERNEL_FUNCTION(exp_sum)(const float *x, size_t count, float max, float factor) {
    announce_read_floats(x, 0, 1, count);
    struct vector sums = vector_splat(0.0f);
    for (size_t i = 0; i < count; i += KERNEL_LANES) {
        size_t lanes = rows_lanes(i, count);
        struct vector v = vector_subtract(vector_load_first(x + i, lanes), vector_splat(max));
        v = vector_exp(vector_multiply(v, vector_splat(factor)));
        sums = vector_add(sums, vector_select(mask_range(0, lanes), v, vector_splat(0.0f)));
    }
    return vector_sum(sums);
}
