/* exp and the activations over the whole range of floats: every table against the scalar one bit by bit, and
 * the scalar one against double precision. exp is reached as exp_sum of one number, and as the weights of
 * attention; an activation as a gate with up = 1. */
#include "tests/kernels/kernel_test.h"

/* Under a sanitizer, which sees memory and no rounding, and where an emulator rounds, a part of the numbers. */
enum { EVERY = TEST_SHARE ? 7 : 1 };

/* Calls with every step-th bit pattern, in blocks. */
#define BLOCK 4096
typedef void (*sweep_fn)(const float *x, void *context);

static void sweep(uint32_t step, sweep_fn fn, void *context) {
    float x[BLOCK];
    size_t used = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += (uint64_t)step * EVERY) {
        uint32_t pattern = (uint32_t)bits;
        memcpy(&x[used++], &pattern, sizeof pattern);
        if (used < BLOCK) continue;
        fn(x, context);
        used = 0;
    }
    for (; used < BLOCK; used++) x[used] = 0.0f;
    fn(x, context);
}

static float exp_of(float x) {
    return kernel_scalar()->exp_sum(&x, 1, 0.0f, 1.0f);
}

/* Distance between float neighbours at a normal value. */
static double unit_in_last_place(double value) {
    int exponent;
    frexp(value, &exponent);
    return ldexp(1.0, exponent - 24);
}

static void check_exp(const float *x, void *worst) {
    for (size_t i = 0; i < BLOCK; i++) {
        double expected = exp((double)x[i]), found = (double)exp_of(x[i]);
        if (isnan(x[i])) {
            assert_true(isnan(found));
            continue;
        }
        if (x[i] < -87.3f) {
            assert_true(found == 0.0);
            continue;
        }
        if (expected > 0x1.fffffep127) {
            assert_true(isinf(found) || expected < 0x1.000001p128);
            continue;
        }
        double error = fabs(found - expected) / unit_in_last_place(expected);
        if (error > *(double *)worst) *(double *)worst = error;
        if (!(error <= 1.0)) fail_msg("exp(%a): found %a, expected %a", (double)x[i], found, expected);
    }
}

static void test_exp_within_one_ulp(void **state) {
    (void)state;
    double worst = 0;
    sweep(1009, check_exp, &worst);
    print_message("exp: largest error %.3f ulp\n", worst);
}

static void test_exp_of_special_values(void **state) {
    (void)state;
    assert_true(exp_of(0.0f) == 1.0f);
    assert_true(exp_of(-0.0f) == 1.0f);
    assert_true(exp_of(-INFINITY) == 0.0f);
    assert_true(exp_of(-3e38f) == 0.0f);
    assert_true(exp_of(-87.3f) > 0.0f);
    assert_true(exp_of(nextafterf(-87.3f, -90.0f)) == 0.0f);
    assert_true(exp_of(INFINITY) == INFINITY);
    assert_true(isnan(exp_of(NAN)));
}

struct accuracy {
    enum activation activation;
    double worst;
};

static void check_activation(const float *x, void *context) {
    struct accuracy *accuracy = context;
    float found[BLOCK], one[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) one[i] = 1.0f;
    kernel_scalar()->gate_rows(accuracy->activation, x, one, BLOCK, 1, BLOCK, found, BLOCK);
    for (size_t i = 0; i < BLOCK; i++) {
        double expected = exact_activation(accuracy->activation, (double)x[i]);
        if (isnan(expected)) {
            assert_true(isnan(found[i]));
            continue;
        }
        if (fabs(expected) > 0x1.fffffep127) {
            assert_true(fabsf(found[i]) == INFINITY || isnan(found[i]));
            continue;
        }
        double error = fabs((double)found[i] - expected) / fmax(1.0, fabs(expected));
        if (error > accuracy->worst) accuracy->worst = error;
        if (!(error <= 4e-7))
            fail_msg("%s(%a): found %a, expected %a", activation_name(accuracy->activation), (double)x[i],
                     (double)found[i], expected);
    }
}

static void test_activations_against_double(void **state) {
    (void)state;
    for (int i = 0; i < ACTIVATION_COUNT; i++) {
        struct accuracy accuracy = {.activation = (enum activation)i};
        sweep(10007, check_activation, &accuracy);
        print_message("%s: largest error %.2e\n", activation_name(accuracy.activation), accuracy.worst);
    }
}

/* Large positive numbers pass through, large negative ones vanish; NaN stays. */
static void test_activations_of_special_values(void **state) {
    (void)state;
    const float x[4] = {INFINITY, 1e30f, -1e30f, NAN}, one[4] = {1, 1, 1, 1};
    for (int i = ACTIVATION_GELU; i < ACTIVATION_COUNT; i++) {
        float found[4];
        kernel_scalar()->gate_rows((enum activation)i, x, one, 4, 1, 4, found, 4);
        assert_true(found[0] == INFINITY);
        assert_true(found[1] == 1e30f);
        assert_true(found[2] == 0.0f);
        assert_true(isnan(found[3]));
    }
}

static void compare_block(const float *x, void *context) {
    (void)context;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t count = kernel_available(tables);
    float expected[BLOCK], found[BLOCK], up[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) up[i] = 1.0f + (float)i;
    for (int activation = 0; activation < ACTIVATION_COUNT; activation++) {
        kernel_scalar()->gate_rows((enum activation)activation, x, up, BLOCK, 1, BLOCK, expected, BLOCK);
        for (size_t t = 1; t < count; t++) {
            tables[t]->gate_rows((enum activation)activation, x, up, BLOCK, 1, BLOCK, found, BLOCK);
            assert_same_bits(expected, found, BLOCK, "%s %s", tables[t]->name,
                             activation_name((enum activation)activation));
        }
    }
    for (size_t t = 1; t < count; t++)
        for (size_t i = 0; i < BLOCK; i++) {
            float a = exp_of(x[i]), b = tables[t]->exp_sum(x + i, 1, 0.0f, 1.0f);
            if (!same_bits(a, b))
                fail_msg("%s exp(%a): %a, %a", tables[t]->name, (double)x[i], (double)a, (double)b);
        }
}

static void test_same_bits_in_every_table(void **state) {
    (void)state;
    sweep(15013, compare_block, NULL);
}

/* The lane sums that attention leaves of one block: e^(score - largest) of each key. Scores are those of ALiBi alone; the last
 * is 0. */
static void attention_weights(const struct kernel_table *table, enum kv_type type, const float *scores,
                              float *weights) {
    float memory[4 * KERNEL_LANES] = {0}, state[3 * KERNEL_LANES], out;
    const float one = 1.0f;
    const uint32_t page = 0;
    const struct attention_row row = {.q = &one, .out = &out, .pages = &page, .position = KERNEL_LANES - 1};
    const struct attention a = {.rows = &row,
                                .group = 1,
                                .head_dim = 1,
                                .scale = 1.0f,
                                .pool = (const unsigned char *)memory,
                                .cache = {.type = type, .values = 2 * KERNEL_LANES * sizeof(float)},
                                .page_tokens = KERNEL_LANES,
                                .page_stride = sizeof memory,
                                .alibi = scores};
    assert_int_equal(kernel_attention_state(1), 3 * KERNEL_LANES);
    table->attention_chunk(&a, 0, 1, 0, state);
    memcpy(weights, state + KERNEL_LANES, KERNEL_LANES * sizeof *weights);
}

/* e^x as a number of bf16, 0 where it is below KERNEL_BF16_MIN, or nearly. */
static void check_bf16_weight(float x, float found) {
    if (x < -38.8f) {
        assert_true(found == 0.0f);
        return;
    }
    const double expected = exp((double)x), place = unit_in_last_place(expected) * 0x1p16;
    assert_true(found == kernel_bf16_to_float(kernel_bf16_of(found)) && found >= KERNEL_BF16_MIN);
    if (!(fabs((double)found - expected) <= 0.52 * place))
        fail_msg("weight of bf16, exp(%a): found %a, expected %a", (double)x, (double)found, expected);
}

/* Of 0 and numbers below, which attention takes in fewer operations than exp_sum. */
static void compare_attention(const float *x, void *context) {
    (void)context;
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    for (size_t i = 0; i + KERNEL_LANES <= BLOCK; i += KERNEL_LANES) {
        float scores[KERNEL_LANES], expected[KERNEL_LANES], bf16[KERNEL_LANES], found[KERNEL_LANES];
        for (size_t j = 0; j < KERNEL_LANES; j++) {
            scores[j] = isnan(x[i + j]) || j == KERNEL_LANES - 1 ? 0.0f : -fabsf(x[i + j]);
            expected[j] = exp_of(scores[j]);
        }
        attention_weights(kernel_scalar(), KV_TYPE_BF16, scores, bf16);
        for (size_t j = 0; j < KERNEL_LANES; j++) check_bf16_weight(scores[j], bf16[j]);
        for (size_t t = 0; t < count; t++) {
            attention_weights(tables[t], KV_TYPE_F32, scores, found);
            assert_same_bits(expected, found, KERNEL_LANES, "%s weights of attention", tables[t]->name);
            attention_weights(tables[t], KV_TYPE_BF16, scores, found);
            assert_same_bits(bf16, found, KERNEL_LANES, "%s weights of bf16", tables[t]->name);
        }
    }
}

static void test_weights_of_attention_are_exp(void **state) {
    (void)state;
    sweep(5003, compare_attention, NULL);
}

static void test_weights_of_attention_at_the_ends(void **state) {
    (void)state;
    const float scores[] = {-0.0f,     -1e-45f, -0x1p-126f, -0.34657f, -0.34658f, -86.99f,  -87.0f,
                            -87.2999f, -87.3f,  -87.31f,    -88.8f,    -89.0f,    -104.0f,  -3e38f,
                            -INFINITY, 0.0f,    -38.7999f,  -38.8f,    -38.8001f, -0.6931f, -0.6932f};
    float x[BLOCK] = {0};
    memcpy(x, scores, sizeof scores);
    compare_attention(x, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_within_one_ulp),
        cmocka_unit_test(test_exp_of_special_values),
        cmocka_unit_test(test_activations_against_double),
        cmocka_unit_test(test_activations_of_special_values),
        cmocka_unit_test(test_same_bits_in_every_table),
        cmocka_unit_test(test_weights_of_attention_are_exp),
        cmocka_unit_test(test_weights_of_attention_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
