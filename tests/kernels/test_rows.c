/* Functions over rows: every table against the scalar one bit by bit, and the scalar one against double
 * precision. */
#include "tests/kernels/kernel_test.h"

#define EACH_TABLE                                                                                           \
    const struct kernel_table *tables[KERNEL_ISA_COUNT];                                                     \
    size_t table_count = kernel_available(tables);                                                           \
    for (size_t t = 0; t < table_count; t++)

struct shape {
    size_t rows, width, stride;
};

static struct shape random_shape(struct random *r) {
    size_t width = random_between(r, 1, 200);
    return (struct shape){random_between(r, 1, 9), width, width + random_below(r, 5)};
}

static struct buffer random_rows(struct random *r, struct shape s, bool extreme) {
    struct buffer b = buffer_create(s.rows * s.stride, random_below(r, 16));
    if (extreme)
        random_fill_extreme(r, b.data, b.count);
    else
        random_fill(r, b.data, b.count);
    return b;
}

static struct buffer marked_rows(struct shape s) {
    struct buffer b = buffer_create(s.rows * s.stride, 3);
    for (size_t i = 0; i < b.count; i++) b.data[i] = 12345.0f;
    return b;
}

static void check_padding(const struct buffer *b, struct shape s) {
    for (size_t row = 0; row < s.rows; row++)
        for (size_t i = s.width; i < s.stride; i++) assert_true(b->data[row * s.stride + i] == 12345.0f);
    buffer_check(b);
}

static double exact_scale(enum row_norm norm, const float *x, size_t width, double divisor, double eps) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < width; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    if (norm == ROW_NORM_NONE) return 1;
    if (norm == ROW_NORM_CRMS) squares += sum * sum;
    return 1 / sqrt(squares / divisor + eps);
}

static void test_row_scales(void **state) {
    (void)state;
    struct random r = {1};
    for (int i = 0; i < 400; i++) {
        struct shape s = random_shape(&r);
        bool extreme = i % 4 == 0;
        struct buffer x = random_rows(&r, s, extreme);
        enum row_norm norm = (enum row_norm)random_below(&r, ROW_NORM_LAYERNORM);
        float expected[16], divisor = (float)s.width + 1.0f;
        EACH_TABLE {
            struct buffer found = buffer_create(s.rows, 1);
            tables[t]->row_scales(norm, x.data, s.stride, s.rows, s.width, divisor, 1e-5f, found.data);
            buffer_check(&found);
            if (t == 0) memcpy(expected, found.data, s.rows * sizeof(float));
            assert_same_bits(expected, found.data, s.rows, "%s, width %zu", tables[t]->name, s.width);
            buffer_destroy(&found);
        }
        for (size_t row = 0; row < s.rows && !extreme; row++) {
            double exact = exact_scale(norm, x.data + row * s.stride, s.width, (double)divisor, 1e-5);
            assert_true(fabs((double)expected[row] - exact) <= 1e-4 * exact);
        }
        buffer_destroy(&x);
    }
}

/* The definition of the lane order, written out for a row of 37. */
static void test_row_scales_lane_order(void **state) {
    (void)state;
    struct random r = {2};
    float x[37], lanes[16] = {0}, sums[16] = {0}, found;
    random_fill(&r, x, 37);
    for (size_t i = 0; i < 37; i++) {
        lanes[i % 16] = fmaf(x[i], x[i], lanes[i % 16]);
        sums[i % 16] += x[i];
    }
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) {
            lanes[i] += lanes[i + half];
            sums[i] += sums[i + half];
        }
    float rms = 1.0f / sqrtf(lanes[0] / 37.0f + 1e-6f);
    float crms = 1.0f / sqrtf(fmaf(sums[0], sums[0], lanes[0]) / 38.0f + 1e-6f);
    EACH_TABLE {
        tables[t]->row_scales(ROW_NORM_RMS, x, 37, 1, 37, 37.0f, 1e-6f, &found);
        assert_same_bits(&rms, &found, 1, "%s", tables[t]->name);
        tables[t]->row_scales(ROW_NORM_CRMS, x, 37, 1, 37, 38.0f, 1e-6f, &found);
        assert_same_bits(&crms, &found, 1, "%s", tables[t]->name);
    }
}

/* Directions that overlap, at the end of the row too. */
struct directions {
    size_t first[5];
    float entries[5 * 64], factors[5];
    struct row_directions all;
};

static void random_directions(struct random *r, size_t width, struct directions *d) {
    d->all = (struct row_directions){.count = random_between(r, 1, 5),
                                     .columns = random_between(r, 1, width < 64 ? width : 64),
                                     .first = d->first,
                                     .entries = d->entries};
    random_fill(r, d->entries, d->all.count * d->all.columns);
    random_fill(r, d->factors, d->all.count);
    for (size_t i = 0; i < d->all.count; i++) d->first[i] = random_below(r, width - d->all.columns + 1);
}

/* Of a row, within rounding. */
static void check_directions(const struct directions *d, const float *x, size_t width, const float *found) {
    double expected[200], largest = 1;
    for (size_t k = 0; k < width; k++) expected[k] = (double)x[k];
    for (size_t i = 0; i < d->all.count; i++) {
        const float *entries = d->entries + i * d->all.columns;
        double product = 0;
        for (size_t k = 0; k < d->all.columns; k++)
            product += (double)entries[k] * (double)x[d->first[i] + k];
        for (size_t k = 0; k < d->all.columns; k++)
            expected[d->first[i] + k] += (double)d->factors[i] * product * (double)entries[k];
        largest = fmax(largest, fabs(product));
    }
    for (size_t k = 0; k < width; k++) assert_true(fabs((double)found[k] - expected[k]) <= 1e-5 * largest);
}

static void test_scale_directions(void **state) {
    (void)state;
    struct random r = {9};
    for (int i = 0; i < 400; i++) {
        const struct shape s = random_shape(&r);
        const bool extreme = i % 4 == 0;
        struct directions d;
        struct buffer x = random_rows(&r, s, extreme), expected = marked_rows(s);
        random_directions(&r, s.width, &d);
        EACH_TABLE {
            struct buffer found = marked_rows(s);
            tables[t]->scale_directions(&d.all, x.data, s.stride, s.rows, s.width, d.factors, found.data,
                                        s.stride);
            check_padding(&found, s);
            if (t == 0) memcpy(expected.data, found.data, found.count * sizeof(float));
            assert_same_bits(expected.data, found.data, found.count, "%s, width %zu", tables[t]->name,
                             s.width);
            buffer_destroy(&found);
        }
        for (size_t row = 0; row < s.rows && !extreme; row++)
            check_directions(&d, x.data + row * s.stride, s.width, expected.data + row * s.stride);
        buffer_destroy(&expected);
        buffer_destroy(&x);
    }
}

static double exact_mean(const float *x, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += (double)x[i];
    return sum / (double)width;
}

static void check_normalized(enum row_norm norm, const float *x, size_t width, double divisor,
                             const float *gain, const float *bias, const float *found) {
    double mean = norm == ROW_NORM_LAYERNORM ? exact_mean(x, width) : 0, squares = 0;
    for (size_t i = 0; i < width; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    if (norm == ROW_NORM_CRMS) squares += pow(exact_mean(x, width) * (double)width, 2);
    double scale = 1 / sqrt(squares / divisor + 1e-3);
    for (size_t i = 0; i < width; i++) {
        double expected = ((double)x[i] - mean) * scale;
        if (gain) expected *= (double)gain[i];
        if (bias) expected += (double)bias[i];
        assert_true(fabs((double)found[i] - expected) <= 2e-5);
    }
}

static void test_normalize_rows(void **state) {
    (void)state;
    struct random r = {3};
    for (int i = 0; i < 400; i++) {
        struct shape s = random_shape(&r);
        bool extreme = i % 4 == 0, in_place = i % 3 == 0;
        static const enum row_norm norms[] = {ROW_NORM_LAYERNORM, ROW_NORM_RMS, ROW_NORM_CRMS};
        enum row_norm norm = norms[random_below(&r, 3)];
        float divisor = (float)(s.width + (norm == ROW_NORM_CRMS));
        struct buffer x = random_rows(&r, s, extreme), expected = marked_rows(s);
        struct buffer gain = random_rows(&r, (struct shape){1, s.width, s.width}, false);
        struct buffer bias = random_rows(&r, (struct shape){1, s.width, s.width}, false);
        const float *g = random_below(&r, 2) ? gain.data : NULL, *b = random_below(&r, 2) ? bias.data : NULL;
        EACH_TABLE {
            struct buffer out = marked_rows(s);
            for (size_t row = 0; row < s.rows; row++)
                memcpy(out.data + row * s.stride, x.data + row * s.stride, s.width * sizeof(float));
            tables[t]->normalize_rows(norm, in_place ? out.data : x.data, s.stride, s.rows, s.width, divisor,
                                      1e-3f, g, b, out.data, s.stride);
            check_padding(&out, s);
            if (t == 0) memcpy(expected.data, out.data, out.count * sizeof(float));
            assert_same_bits(expected.data, out.data, out.count, "%s, width %zu", tables[t]->name, s.width);
            buffer_destroy(&out);
        }
        for (size_t row = 0; row < s.rows && !extreme; row++)
            check_normalized(norm, x.data + row * s.stride, s.width, (double)divisor, g, b,
                             expected.data + row * s.stride);
        buffer_destroy(&x);
        buffer_destroy(&expected);
        buffer_destroy(&gain);
        buffer_destroy(&bias);
    }
}

static void test_gate_rows(void **state) {
    (void)state;
    struct random r = {4};
    for (int i = 0; i < 300; i++) {
        struct shape s = random_shape(&r);
        bool extreme = i % 4 == 0;
        enum activation activation = (enum activation)random_below(&r, ACTIVATION_COUNT);
        struct buffer gate = random_rows(&r, s, extreme), up = random_rows(&r, s, extreme),
                      expected = marked_rows(s);
        EACH_TABLE {
            struct buffer out = marked_rows(s);
            for (size_t row = 0; row < s.rows; row++)
                memcpy(out.data + row * s.stride, gate.data + row * s.stride, s.width * sizeof(float));
            tables[t]->gate_rows(activation, i % 2 ? out.data : gate.data, up.data, s.stride, s.rows, s.width,
                                 out.data, s.stride);
            check_padding(&out, s);
            if (t == 0) memcpy(expected.data, out.data, out.count * sizeof(float));
            assert_same_bits(expected.data, out.data, out.count, "%s, width %zu", tables[t]->name, s.width);
            buffer_destroy(&out);
        }
        for (size_t row = 0; row < s.rows && !extreme; row++)
            for (size_t j = row * s.stride; j < row * s.stride + s.width; j++) {
                double exact = exact_activation(activation, (double)gate.data[j]) * (double)up.data[j];
                assert_true(fabs((double)expected.data[j] - exact) <= 1e-6);
            }
        buffer_destroy(&gate);
        buffer_destroy(&up);
        buffer_destroy(&expected);
    }
}

/* One entry of a Hadamard transform, by its definition: signs are the parity of the bits that two indices share, and
 * those of Rudin and Shapiro before. */
static double exact_hadamard(const double *x, size_t order, size_t i) {
    double sum = 0;
    for (size_t j = 0; j < order; j++) {
        int negative = __builtin_popcountll(i & j) + __builtin_popcountll(j & (j >> 1));
        sum += negative % 2 ? -x[j] : x[j];
    }
    return sum / sqrt((double)order);
}

/* A row of `vectors` vectors: blocks, then the last vectors once more. */
static void exact_hadamard_row(const float *row, size_t vectors, double *out) {
    size_t order = 1;
    while (order * 2 <= vectors && order < KERNEL_HADAMARD_ORDER) order *= 2;
    for (size_t i = 0; i < vectors * KERNEL_LANES; i++) out[i] = (double)row[i];
    size_t blocks = vectors / order + (vectors % order > 0);
    for (size_t b = 0; b < blocks; b++) {
        size_t first = (b + 1) * order <= vectors ? b * order : vectors - order;
        for (size_t lane = 0; lane < KERNEL_LANES; lane++) {
            double x[KERNEL_HADAMARD_ORDER];
            for (size_t i = 0; i < order; i++) x[i] = out[(first + i) * KERNEL_LANES + lane];
            for (size_t i = 0; i < order; i++)
                out[(first + i) * KERNEL_LANES + lane] = exact_hadamard(x, order, i);
        }
    }
}

/* Every order, with and without a rest, in every table. */
static void test_hadamard_rows(void **state) {
    (void)state;
    struct random r = {15};
    for (size_t vectors = 1; vectors <= 200; vectors++) {
        bool extreme = vectors % 4 == 0;
        size_t width = vectors * KERNEL_LANES;
        struct shape s = {random_between(&r, 1, 4), width, width + random_below(&r, 20)};
        struct buffer x = random_rows(&r, s, extreme), expected = marked_rows(s);
        EACH_TABLE {
            struct buffer found = marked_rows(s);
            for (size_t row = 0; row < s.rows; row++)
                memcpy(found.data + row * s.stride, x.data + row * s.stride, width * sizeof(float));
            tables[t]->hadamard_rows(found.data, s.stride, s.rows, width);
            check_padding(&found, s);
            if (t == 0) memcpy(expected.data, found.data, found.count * sizeof(float));
            assert_same_bits(expected.data, found.data, found.count, "%s, %zu vectors", tables[t]->name,
                             vectors);
            buffer_destroy(&found);
        }
        for (size_t row = 0; row < s.rows && !extreme; row++) {
            double exact[200 * KERNEL_LANES];
            exact_hadamard_row(x.data + row * s.stride, vectors, exact);
            for (size_t i = 0; i < width; i++)
                assert_true(fabs((double)expected.data[row * s.stride + i] - exact[i]) <= 1e-5);
        }
        buffer_destroy(&x);
        buffer_destroy(&expected);
    }
}

static void test_soft_cap(void **state) {
    (void)state;
    struct random r = {14};
    for (int i = 0; i < 300; i++) {
        struct shape s = {1, random_between(&r, 1, 200), 200};
        bool extreme = i % 4 == 0;
        float cap = i % 2 ? 0.25f : 30.0f;
        struct buffer x = random_rows(&r, s, extreme), expected = marked_rows(s);
        EACH_TABLE {
            struct buffer found = marked_rows(s);
            memcpy(found.data, x.data, s.width * sizeof(float));
            tables[t]->soft_cap(found.data, s.width, cap);
            check_padding(&found, s);
            if (t == 0) memcpy(expected.data, found.data, found.count * sizeof(float));
            assert_same_bits(expected.data, found.data, found.count, "%s, width %zu", tables[t]->name,
                             s.width);
            buffer_destroy(&found);
        }
        for (size_t j = 0; j < s.width && !extreme; j++) {
            double exact = (double)cap * tanh((double)x.data[j] / (double)cap);
            assert_true(fabs((double)expected.data[j] - exact) <= 2e-7 * (double)cap);
        }
        buffer_destroy(&x);
        buffer_destroy(&expected);
    }
}

/* Far beyond the cap it is reached, with the sign; zero stays, NaN too. */
static void test_soft_cap_of_special_numbers(void **state) {
    (void)state;
    EACH_TABLE {
        float x[] = {1e30f, -1e30f, INFINITY, -INFINITY, 0.0f, NAN};
        tables[t]->soft_cap(x, 6, 5.0f);
        assert_true(x[0] == 5.0f && x[1] == -5.0f && x[2] == 5.0f && x[3] == -5.0f && x[4] == 0.0f);
        assert_true(isnan(x[5]));
    }
}

static void check_rotated(const float *before, const float *after, size_t pairs, size_t width,
                          bool interleaved, const float *cosine, const float *sine) {
    for (size_t i = 0; i < pairs; i++) {
        size_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + pairs;
        double x = (double)before[a], y = (double)before[b], c = (double)cosine[i], s = (double)sine[i];
        assert_true(fabs((double)after[a] - (x * c - y * s)) <= 4e-7);
        assert_true(fabs((double)after[b] - (y * c + x * s)) <= 4e-7);
    }
    for (size_t i = 2 * pairs; i < width; i++) assert_true(before[i] == after[i]);
}

static void test_rotate(void **state) {
    (void)state;
    struct random r = {5};
    for (int i = 0; i < 200; i++) {
        size_t pairs = random_below(&r, 70), width = 2 * pairs + random_below(&r, 20) + 1;
        bool interleaved = random_below(&r, 2);
        struct shape s = {1, width, width};
        struct buffer head = random_rows(&r, s, false), cosine = random_rows(&r, s, false),
                      sine = random_rows(&r, s, false);
        float expected[256];
        EACH_TABLE {
            struct buffer found = buffer_create(width, random_below(&r, 16));
            memcpy(found.data, head.data, width * sizeof(float));
            tables[t]->rotate(found.data, pairs, interleaved, cosine.data, sine.data);
            buffer_check(&found);
            if (t == 0) memcpy(expected, found.data, width * sizeof(float));
            assert_same_bits(expected, found.data, width, "%s, %zu pairs", tables[t]->name, pairs);
            buffer_destroy(&found);
        }
        check_rotated(head.data, expected, pairs, width, interleaved, cosine.data, sine.data);
        buffer_destroy(&head);
        buffer_destroy(&cosine);
        buffer_destroy(&sine);
    }
}

static size_t exact_argmax(const float *x, size_t count) {
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (!isnan(x[i]) && (best == count || x[i] > x[best])) best = i;
    return best == count ? 0 : best;
}

static void test_argmax(void **state) {
    (void)state;
    struct random r = {6};
    for (int i = 0; i < 2000; i++) {
        size_t count = random_between(&r, 1, i % 10 == 0 ? 5000 : 100);
        struct buffer x = buffer_create(count, random_below(&r, 16));
        if (i % 2 || i % 20 == 0)
            for (size_t j = 0; j < count; j++) x.data[j] = (float)random_below(&r, i % 20 == 0 ? 2000 : 5);
        else
            random_fill_extreme(&r, x.data, count);
        EACH_TABLE assert_int_equal(tables[t]->argmax(x.data, count), exact_argmax(x.data, count));
        buffer_destroy(&x);
    }
}

static void test_argmax_of_special_rows(void **state) {
    (void)state;
    float all_nan[20], lowest[20], zeros[20] = {0};
    for (size_t i = 0; i < 20; i++) {
        all_nan[i] = NAN;
        lowest[i] = i < 3 ? NAN : -INFINITY;
    }
    zeros[0] = -0.0f;
    EACH_TABLE {
        assert_int_equal(tables[t]->argmax(all_nan, 20), 0);
        assert_int_equal(tables[t]->argmax(lowest, 20), 3);
        assert_int_equal(tables[t]->argmax(zeros, 20), 0);
    }
}

static void test_exp_sum(void **state) {
    (void)state;
    struct random r = {7};
    for (int i = 0; i < 400; i++) {
        size_t count = random_between(&r, 1, 300);
        struct shape s = {1, count, count};
        struct buffer x = random_rows(&r, s, i % 4 == 0);
        float max = -3.0f, factor = 0.5f + random_float(&r) * 0.4f, expected = 0;
        for (size_t j = 0; j < count; j++) max = x.data[j] > max ? x.data[j] : max;
        EACH_TABLE {
            float found = tables[t]->exp_sum(x.data, count, max, factor);
            if (t == 0) expected = found;
            assert_same_bits(&expected, &found, 1, "%s, count %zu", tables[t]->name, count);
        }
        double exact = 0;
        for (size_t j = 0; j < count; j++) exact += exp(((double)x.data[j] - (double)max) * (double)factor);
        if (i % 4) assert_true(fabs((double)expected - exact) <= 1e-6 * exact);
        buffer_destroy(&x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_scales),
        cmocka_unit_test(test_row_scales_lane_order),
        cmocka_unit_test(test_scale_directions),
        cmocka_unit_test(test_normalize_rows),
        cmocka_unit_test(test_gate_rows),
        cmocka_unit_test(test_hadamard_rows),
        cmocka_unit_test(test_soft_cap),
        cmocka_unit_test(test_soft_cap_of_special_numbers),
        cmocka_unit_test(test_rotate),
        cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_argmax_of_special_rows),
        cmocka_unit_test(test_exp_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
