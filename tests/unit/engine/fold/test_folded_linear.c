/* The identities of folding on small random linears, as the paper has them: a folded input projection of the
 * compressed stream equals the checkpoint's linear of LN(x); a folded output projection adds the compressed
 * C(Wh + b). */
#include <math.h>

#include "engine/fold/folded_model.h"
#include "tests/support/test_support.h"

#define WIDTH 13
#define OUT   37
#define EPS   1e-5

/* With a mean away from 0. */
static double random_value(void) {
    return (double)rand() / RAND_MAX * 2 - 0.7;
}

/* A tensor of random doubles; the caller frees data. */
static struct tensor random_tensor(const char *name, size_t rows, size_t columns) {
    double *data = malloc(rows * columns * sizeof *data);
    for (size_t i = 0; i < rows * columns; i++) data[i] = random_value();
    struct tensor t = {
        .name = name, .file = "none", .dtype = DTYPE_F64, .rank = columns > 1 ? 2 : 1, .data = data};
    t.shape[0] = rows, t.shape[1] = columns;
    t.stride[0] = columns, t.stride[1] = 1;
    return t;
}

struct linear {
    struct tensor weight, bias;
    struct folded_linear folded;
};

static void linear_create(struct linear *l, size_t out, size_t in) {
    l->weight = random_tensor("weight", out, in);
    l->bias = random_tensor("bias", out, 1);
    l->folded = (struct folded_linear){
        .part = {{.weight = {.tensor = &l->weight, .out = out, .in = in},
                  .bias = {.tensor = &l->bias, .count = out}}},
        .part_count = 1,
        .out = out,
        .in = in,
        .weight_scale = 1,
        .bias_scale = 1,
    };
}

static void linear_destroy(struct linear *l) {
    free((void *)l->weight.data);
    free((void *)l->bias.data);
    free(l->folded.column_mean);
    free(l->folded.column_rms);
}

/* out = W x + b of the checkpoint. */
static void apply_plain(const struct linear *l, const double *x, double *out) {
    const double *weights = l->weight.data, *bias = l->bias.data;
    for (size_t r = 0; r < l->weight.shape[0]; r++) {
        out[r] = bias[r];
        for (size_t k = 0; k < l->weight.shape[1]; k++) out[r] += weights[r * l->weight.shape[1] + k] * x[k];
    }
}

/* The same of the folded rows, asked for `block` rows at a time. */
static void apply_folded(struct linear *l, size_t block, const double *x, double *out) {
    struct folded_linear *c = &l->folded;
    double *weights = malloc(block * (c->in + 1) * sizeof *weights), *bias = malloc(block * sizeof *bias);
    folded_linear_prepare(c);
    for (size_t first = 0; first < c->out; first += block) {
        size_t count = c->out - first < block ? c->out - first : block;
        folded_linear_rows(c, first, count, weights, bias);
        for (size_t r = 0; r < count; r++) {
            out[first + r] = bias[r];
            for (size_t k = 0; k < c->in; k++) out[first + r] += weights[r * c->in + k] * x[k];
        }
    }
    free(weights);
    free(bias);
}

static double mean_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static void assert_close(const double *a, const double *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-12 * (1 + fabs(b[i]))))
            fail_msg("entry %zu: %.17g, expected %.17g", i, a[i], b[i]);
}

/* The compressed form of x: centred, without the last entry. */
static void compress(const double *x, double *y) {
    double mean = mean_of(x, WIDTH);
    for (size_t i = 0; i + 1 < WIDTH; i++) y[i] = x[i] - mean;
}

static void test_embedding_of_crmsnorm(void **state) {
    (void)state;
    struct linear l;
    linear_create(&l, OUT, WIDTH);
    double x[WIDTH], y[WIDTH], gain[WIDTH], shift[WIDTH], expected[OUT], found[OUT], normed[WIDTH];
    for (size_t i = 0; i < WIDTH; i++)
        x[i] = random_value(), gain[i] = random_value(), shift[i] = random_value();
    struct folded_norm layernorm = {.kind = ROW_NORM_LAYERNORM,
                                    .width = WIDTH,
                                    .divisor = WIDTH,
                                    .eps = EPS,
                                    .gain = gain,
                                    .shift = shift};
    struct folded_norm crms = {.kind = ROW_NORM_CRMS, .width = WIDTH - 1, .divisor = WIDTH, .eps = EPS};
    folded_norm_apply(&layernorm, x, normed);
    apply_plain(&l, normed, expected);
    l.folded.gain = gain;
    l.folded.shift = shift;
    l.folded.compress_in = true;
    l.folded.in = WIDTH - 1;
    compress(x, y);
    folded_norm_apply(&crms, y, y);
    for (size_t block = 1; block <= OUT; block += 5) {
        apply_folded(&l, block, y, found);
        assert_close(found, expected, OUT);
    }
    linear_destroy(&l);
}

/* An output projection, and a random input of it. */
static void output_create(struct linear *l, double h[OUT]) {
    linear_create(l, WIDTH, OUT);
    l->folded.centre_out = true;
    l->folded.out = WIDTH - 1;
    l->folded.column_mean = calloc(OUT, sizeof(double));
    l->folded.column_rms = calloc(OUT, sizeof(double));
    for (size_t i = 0; i < OUT; i++) h[i] = random_value();
}

/* The folded rows give the compressed form of what the checkpoint's linear gives, whatever the block. */
static void assert_output(struct linear *l, const double *h, const double plain[WIDTH]) {
    double expected[WIDTH], found[WIDTH];
    compress(plain, expected);
    for (size_t block = 1; block < WIDTH; block++) {
        apply_folded(l, block, h, found);
        assert_close(found, expected, WIDTH - 1);
    }
    linear_destroy(l);
}

static void test_output_is_centred_and_compressed(void **state) {
    (void)state;
    struct linear l;
    double h[OUT], plain[WIDTH];
    output_create(&l, h);
    apply_plain(&l, h, plain);
    assert_output(&l, h, plain);
}

/* NormFormer's head scales at the input of an output projection do not disturb its centring. */
static void test_output_with_scaled_input(void **state) {
    (void)state;
    struct linear l;
    double h[OUT], gain[OUT], scaled[OUT], plain[WIDTH];
    output_create(&l, h);
    for (size_t i = 0; i < OUT; i++) gain[i] = random_value(), scaled[i] = h[i] * gain[i];
    apply_plain(&l, scaled, plain);
    l.folded.gain = gain;
    assert_output(&l, h, plain);
}

/* The published code scales the reshaped output instead, which has another mean then. */
static void test_output_that_is_scaled(void **state) {
    (void)state;
    struct linear l;
    double h[OUT], scale[WIDTH], plain[WIDTH];
    output_create(&l, h);
    apply_plain(&l, h, plain);
    for (size_t i = 0; i < WIDTH; i++) scale[i] = random_value(), plain[i] *= scale[i];
    l.folded.out_scale = scale;
    assert_output(&l, h, plain);
}

/* The bits of a row do not depend on the block that it was asked for in. */
static void test_blocks_give_the_same_bits(void **state) {
    (void)state;
    struct linear l;
    linear_create(&l, OUT, WIDTH);
    double gain[WIDTH], shift[WIDTH], whole[OUT * WIDTH], part[OUT * WIDTH], bias[OUT], part_bias[OUT];
    for (size_t i = 0; i < WIDTH; i++) gain[i] = random_value(), shift[i] = random_value();
    l.folded.gain = gain;
    l.folded.shift = shift;
    l.folded.compress_in = true;
    l.folded.in = WIDTH - 1;
    folded_linear_rows(&l.folded, 0, OUT, whole, bias);
    for (size_t r = 0; r < OUT; r++) {
        folded_linear_rows(&l.folded, r, 1, part, part_bias);
        assert_memory_equal(part, whole + r * (WIDTH - 1), (WIDTH - 1) * sizeof *part);
    }
    linear_destroy(&l);
}

/* Nor on the stretch of columns. */
static void test_stretches_give_the_same_bits(void **state) {
    (void)state;
    enum { IN = 1100, ROWS = 19, STRIDE = 700 };
    struct linear l;
    linear_create(&l, ROWS, IN);
    static double gain[IN], shift[IN], whole[ROWS * IN], part[ROWS * STRIDE];
    double bias[ROWS], part_bias[ROWS], dropped[ROWS];
    for (size_t i = 0; i < IN; i++) gain[i] = random_value(), shift[i] = random_value();
    l.folded.gain = gain;
    l.folded.shift = shift;
    l.folded.compress_in = true;
    l.folded.last_share = 0.25;
    l.folded.in = IN - 1;
    l.folded.rotate_in = (struct rotation){.count = IN - 1, .lanes = 1, .order = 64};
    folded_linear_rows(&l.folded, 0, ROWS, whole, bias);
    for (size_t wanted = 64; wanted <= 512; wanted += 64)
        for (size_t column = 0, end; column < IN - 1; column = end) {
            struct folded_block block = {.bias = part_bias, .dropped = dropped};
            end = folded_columns_end(&l.folded, column, wanted);
            assert_true(end > column && end <= IN - 1 && end - column <= STRIDE);
            folded_block_begin(&block, &l.folded, 0, ROWS);
            folded_block_columns(&block, column, end - column, part, STRIDE);
            assert_memory_equal(part_bias, bias, sizeof bias);
            for (size_t r = 0; r < ROWS; r++)
                assert_memory_equal(part + r * STRIDE, whole + r * (IN - 1) + column,
                                    (end - column) * sizeof *part);
        }
    linear_destroy(&l);
}

/* q, k and v stacked: blocks that cross from one into the next. */
static void test_stacked_parts(void **state) {
    (void)state;
    struct linear a, b;
    linear_create(&a, 7, WIDTH);
    linear_create(&b, 5, WIDTH);
    double x[WIDTH], expected[12], found[12];
    for (size_t i = 0; i < WIDTH; i++) x[i] = random_value();
    apply_plain(&a, x, expected);
    apply_plain(&b, x, expected + 7);
    a.folded.part[1] = b.folded.part[0];
    a.folded.part_count = 2;
    a.folded.out = 12;
    for (size_t block = 1; block <= 12; block++) {
        apply_folded(&a, block, x, found);
        assert_close(found, expected, 12);
    }
    linear_destroy(&a);
    linear_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedding_of_crmsnorm),
        cmocka_unit_test(test_output_is_centred_and_compressed),
        cmocka_unit_test(test_output_with_scaled_input),
        cmocka_unit_test(test_output_that_is_scaled),
        cmocka_unit_test(test_blocks_give_the_same_bits),
        cmocka_unit_test(test_stretches_give_the_same_bits),
        cmocka_unit_test(test_stacked_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
