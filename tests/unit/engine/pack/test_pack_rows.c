/* Rows that are folded and packed by blocks of rows and stretches of columns have the bits of rows that are folded and packed
 * whole, in every type, whatever is folded into them and however they are rotated. */
#include <math.h>

#include "engine/pack/pack_rows.h"
#include "engine/pack/panels/panels.h"
#include "tests/support/test_support.h"

#define OUT_MAX 300

struct linear {
    struct tensor weight, bias;
    double *gain, *shift, *scale;
    float *smoothing;
    struct folded_linear folded;
    struct feedback_block *feedback; /* of int8, or NULL */
};

static double random_value(void) {
    return (double)rand() / RAND_MAX * 2 - 0.7;
}

static double *random_values(size_t count) {
    double *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = random_value();
    return values;
}

/* As floats, and where asked for with its rows along the other axis. */
static struct tensor random_tensor(size_t rows, size_t columns, bool transposed) {
    float *data = malloc(rows * columns * sizeof *data);
    for (size_t i = 0; i < rows * columns; i++) data[i] = (float)random_value();
    struct tensor t = {.dtype = DTYPE_F32, .rank = columns > 1 ? 2 : 1, .data = data};
    t.shape[0] = transposed ? columns : rows, t.shape[1] = transposed ? rows : columns;
    t.stride[0] = t.shape[1], t.stride[1] = 1;
    return t;
}

static void linear_create(struct linear *l, size_t out, size_t in, bool transposed) {
    *l = (struct linear){.weight = random_tensor(out, in, transposed), .bias = random_tensor(out, 1, false)};
    l->gain = random_values(in), l->shift = random_values(in), l->scale = random_values(out);
    l->smoothing = malloc(in * sizeof *l->smoothing);
    for (size_t i = 0; i < in; i++) l->smoothing[i] = (float)(1 + random_value());
    l->folded = (struct folded_linear){
        .part = {{.weight = {.tensor = &l->weight, .transposed = transposed, .out = out, .in = in},
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
    free(l->gain);
    free(l->shift);
    free(l->scale);
    free(l->smoothing);
    free(l->feedback);
    free(l->folded.column_mean);
    free(l->folded.column_rms);
}

static void make_input(struct linear *l) {
    l->folded.gain = l->gain;
    l->folded.shift = l->shift;
    l->folded.compress_in = true;
    l->folded.last_share = 0.125;
    l->folded.weight_scale = -0.5;
    l->folded.in--;
}

static void make_output(struct linear *l) {
    l->folded.out_scale = l->scale;
    l->folded.centre_out = true;
    l->folded.last_share = 0.125;
    l->folded.column_mean = calloc(l->folded.in, sizeof(double));
    l->folded.column_rms = calloc(l->folded.in, sizeof(double));
    l->folded.out--;
    folded_linear_prepare(&l->folded);
}

static struct rotation axis(size_t first, size_t count, size_t lanes) {
    return (struct rotation){.first = first, .count = count, .lanes = lanes, .order = rotation_order(count)};
}

/* Rows [skipped, +to->out) as a whole. */
static void pack_whole(const struct linear *l, size_t skipped, const struct packed_linear *to, void *panels,
                       float *bias) {
    const size_t in = to->in;
    double *weights = malloc((OUT_MAX + ROTATION_COVER_MAX) * (in + 1) * sizeof *weights);
    double *biases = malloc((OUT_MAX + ROTATION_COVER_MAX) * sizeof *biases);
    folded_linear_rows(&l->folded, skipped, to->out, weights, biases);
    for (size_t r = 0; to->smoothing && r < to->out; r++)
        for (size_t k = 0; k < in; k++) weights[r * in + k] /= (double)to->smoothing[k];
    const struct panels_part part = {.type = to->type,
                                     .n = to->out,
                                     .k = in,
                                     .rows = to->out,
                                     .columns = in,
                                     .w = weights,
                                     .stride = in,
                                     .feedback = l->folded.reads_stream ? l->feedback : NULL};
    if (to->type == WEIGHT_TYPE_INT8)
        panels_pack_part(&part, panels);
    else
        panels_pack(to->type, weights, 0, to->out, in, panels);
    for (size_t r = 0; r < to->out; r++) bias[r] = (float)biases[r];
    free(weights);
    free(biases);
}

static double *scratch_for(const struct folded_linear *l) {
    struct folded_layer layer = {.qkv = *l};
    struct model_description description = {.layers = 1};
    const struct folded_model model = {.description = &description, .layers = &layer, .rotated = true};
    return malloc(pack_rows_scratch(&model) * sizeof(double));
}

/* By `together` rows at a time. In part in one type, the next linear in another. finite: whether all of it is. */
static void assert_packed_as(struct linear *l, size_t skipped, size_t together, bool smoothed, bool finite) {
    static size_t turn;
    const struct folded_linear *from = &l->folded;
    const enum weight_type one = (turn + turn / WEIGHT_TYPE_COUNT) % WEIGHT_TYPE_COUNT;
    turn++;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        if (TEST_SHARE && type != one) continue;
        struct packed_linear to = {.out = from->out - skipped, .in = from->in, .type = type};
        const size_t bytes = packed_linear_bytes(&to);
        void *expected = malloc(bytes);
        float bias[OUT_MAX], expected_bias[OUT_MAX];
        double *scratch = scratch_for(from);
        to.bias = bias;
        to.smoothing = smoothed ? l->smoothing : NULL;
        to.weights = malloc(bytes);
        memset(to.weights, 0x5a, bytes);
        memset(expected, 0xa5, bytes);
        pack_whole(l, skipped, &to, expected, expected_bias);
        bool found = true;
        for (size_t first = 0; first < to.out; first += together)
            found = pack_rows(from, skipped, &to, first,
                              to.out - first < together ? to.out - first : together, l->feedback, scratch) &&
                    found;
        assert_int_equal(found, finite);
        assert_memory_equal(bias, expected_bias, to.out * sizeof *bias);
        if (memcmp(to.weights, expected, bytes) != 0)
            fail_msg("%s, %zu x %zu", weight_type_name(type), to.out, to.in);
        free(to.weights);
        free(expected);
        free(scratch);
    }
    linear_destroy(l);
}

static void assert_packed(struct linear *l, size_t skipped, size_t together, bool smoothed) {
    assert_packed_as(l, skipped, together, smoothed, true);
}

static const size_t widths[] = {17, 64, 320, 512, 576, 1000, 1152, 1601};

static void test_inputs(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int kind = 0; kind < 4; kind++) {
            struct linear l;
            linear_create(&l, 131, widths[i], kind == 3);
            if (kind > 0) make_input(&l);
            if (kind == 2) l.folded.rotate_in = axis(0, l.folded.in, 1);
            assert_packed(&l, 0, KERNEL_PANEL, kind == 1);
        }
}

static void test_rotated_outputs(void **state) {
    (void)state;
    static const size_t outs[] = {65, 128, 193, 257, OUT_MAX}, items[] = {36, 64, 65, 100, 162};
    for (size_t i = 0; i < sizeof outs / sizeof *outs; i++)
        for (size_t k = 0; k < sizeof items / sizeof *items; k++) {
            struct linear l;
            linear_create(&l, outs[i], items[k] * KERNEL_LANES, false);
            make_output(&l);
            l.folded.rotate_in = axis(0, items[k], KERNEL_LANES);
            l.folded.rotate_out = axis(0, l.folded.out, 1);
            assert_packed(&l, 0, 4 * KERNEL_PANEL, false);
        }
}

/* Where rotated rows begin anywhere, and those in front of some are packed elsewhere. */
static void test_rotated_values(void **state) {
    (void)state;
    for (size_t before = 0; before < 200; before += 40)
        for (size_t skipped = 0; skipped <= before; skipped += 40) {
            struct linear l;
            linear_create(&l, before + 90, 600, false);
            make_input(&l);
            l.folded.rotate_out = axis(before, 90, 1);
            assert_packed(&l, skipped, 4 * KERNEL_PANEL, true);
        }
}

/* Of a block and of the last one, which is not whole in most. */
static void make_loud(struct linear *l) {
    const size_t blocks = (l->folded.in + FEEDBACK_COLUMNS - 1) / FEEDBACK_COLUMNS;
    double direction[1][FEEDBACK_COLUMNS];
    for (size_t i = 0; i < FEEDBACK_COLUMNS; i++) direction[0][i] = i % 3 ? 0.125 : -0.125;
    l->feedback = calloc(blocks, sizeof *l->feedback);
    feedback_block_set(&l->feedback[blocks / 2], 1, (const double(*)[FEEDBACK_COLUMNS])direction, 99);
    feedback_block_set(&l->feedback[blocks - 1], 1, (const double(*)[FEEDBACK_COLUMNS])direction, 99);
}

/* The linears that read the stream, and no other. */
static void test_inputs_with_feedback(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int reads = 0; reads < 2; reads++) {
            struct linear l;
            linear_create(&l, 131, widths[i], false);
            make_input(&l);
            l.folded.rotate_in = axis(0, l.folded.in, 1);
            l.folded.reads_stream = reads;
            make_loud(&l);
            assert_packed(&l, 0, KERNEL_PANEL, false);
        }
}

/* Rows of zeros, and rows with what is no number, among others. */
static void test_rows_without_a_scale(void **state) {
    (void)state;
    struct linear l;
    linear_create(&l, 100, 700, false);
    float *weights = (float *)(uintptr_t)l.weight.data;
    memset(weights + 3 * 700, 0, 700 * sizeof *weights);
    memset(weights + 60 * 700, 0, 600 * sizeof *weights);
    weights[50 * 700 + 699] = INFINITY;
    weights[51 * 700] = NAN;
    assert_packed_as(&l, 0, KERNEL_PANEL, false, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_inputs_with_feedback),
        cmocka_unit_test(test_rotated_outputs),
        cmocka_unit_test(test_rotated_values),
        cmocka_unit_test(test_rows_without_a_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
