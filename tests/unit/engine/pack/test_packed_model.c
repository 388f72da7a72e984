/* What is packed, against the folded rows in double: every type within half a step, padding included; what is
 * refused; and the factors that keep a loud channel from drowning the others. */
#include <math.h>

#include "engine/fold/loud.h"
#include "engine/fold/quiet.h"
#include "engine/pack/packed_model.h"
#include "engine/pack/panels/panels.h"
#include "tests/support/folded_place.h"

struct fixture {
    struct folded_place place;
    struct packed_model packed;
    struct workers *workers;
    const struct kernel_table *kernels;
};

static int set_up_of(const char *path, void **state) {
    struct error e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    const char *folder = test_source_path(path);
    folded_place_init(&f->place, folder, NORM_FORM_ORTHONORMAL);
    assert_ok(workers_create(2, &f->workers, &e));
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &f->kernels, &e));
    *state = f;
    return 0;
}

static int set_up(void **state) {
    return set_up_of("tests/golden/placements/pre", state);
}

/* Four query heads, two of keys and values. */
static int set_up_shared(void **state) {
    return set_up_of("tests/golden/families/starcoder2", state);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    packed_model_deinit(&f->packed);
    folded_place_deinit(&f->place);
    workers_destroy(f->workers);
    free(f);
    return 0;
}

static void pack_types(struct fixture *f, struct packed_types types) {
    struct error e = {0};
    packed_model_deinit(&f->packed);
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN, types, f->workers, NULL, NULL, &e));
}

static void pack(struct fixture *f, enum weight_type type) {
    pack_types(f, packed_types_of(type, HEAD_WEIGHTS_AUTO));
}

/* Rows of a linear as the conversion gives them, in double. */
static double *folded(const struct folded_linear *from) {
    double *weights = calloc(from->out * (from->in + 1) + 1, sizeof *weights);
    double *bias = calloc(from->out, sizeof *bias);
    folded_linear_rows(from, 0, from->out, weights, bias);
    free(bias);
    return weights;
}

/* Root mean square of x W' against the exact product, as a share of it, for random rows with channel `loud` a
 * hundred times the others. to: from's rows from `first` on. */
static double product_error(const struct fixture *f, const struct folded_linear *from, size_t first,
                            const struct packed_linear *to, size_t loud) {
    enum { ROWS = 6 };
    size_t bytes = kernel_row_bytes(to->type, to->in);
    float *x = calloc(ROWS * to->in, sizeof *x), *out = calloc(ROWS * to->out, sizeof *out);
    unsigned char *prepared = aligned_alloc(KERNEL_ALIGN, ROWS * bytes);
    double *weights = folded(from), error = 0, power = 0;
    for (size_t i = 0; i < ROWS * to->in; i++)
        x[i] = ((float)rand() / (float)RAND_MAX - 0.5f) * (i % to->in == loud ? 100.0f : 1.0f);
    const struct activation_rows rows = {
        .x = x, .x_stride = to->in, .k = to->in, .smoothing = to->smoothing, .out = prepared};
    const struct lowp_gemm m = {.base = {.k = to->in, .n = to->out, .out = out, .out_stride = to->out},
                                .x = prepared,
                                .panels = to->weights};
    f->kernels->convert_activations[to->type](&rows, 0, ROWS);
    f->kernels->gemm_lowp[to->type](&m, 0, ROWS, 0, kernel_panels(to->out));
    for (size_t r = 0; r < ROWS; r++)
        for (size_t n = 0; n < to->out; n++) {
            double exact = 0;
            for (size_t k = 0; k < to->in; k++)
                exact += (double)x[r * to->in + k] * weights[(first + n) * to->in + k];
            error += pow((double)out[r * to->out + n] - exact, 2);
            power += exact * exact;
        }
    free(x);
    free(out);
    free(prepared);
    free(weights);
    return sqrt(error / power);
}

static void test_products_are_those_of_the_folded_rows(void **state) {
    struct fixture *f = *state;
    static const double most[] = {
        [WEIGHT_TYPE_BF16] = 4e-3, [WEIGHT_TYPE_INT8] = 1.5e-2, [WEIGHT_TYPE_INT4] = 0.1};
    for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++) {
        pack(f, type);
        const struct folded_layer *from = &f->place.folded.layers[0];
        const struct packed_layer *to = &f->packed.layers[0];
        const struct {
            const struct folded_linear *from;
            const struct packed_linear *to;
            size_t first;
        } linears[] = {{&from->qkv, &to->qkv, 0},
                       {&from->attention.output, &to->attention.output, 0},
                       {&from->up, &to->up, 0},
                       {&from->mlp.output, &to->mlp.output, 0},
                       {&f->place.folded.head, &f->packed.head, f->packed.common.out}};
        for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
            double error = product_error(f, linears[i].from, linears[i].first, linears[i].to, SIZE_MAX);
            if (!(error <= most[linears[i].to->type]))
                fail_msg("%s, linear %zu: %g", weight_type_name(type), i, error);
        }
    }
}

static size_t common_rows(size_t vocabulary, enum weight_type type) {
    const struct model_description d = {.vocabulary = vocabulary};
    return packed_common_rows(&d, packed_types_of(type, HEAD_WEIGHTS_AUTO));
}

/* Of int8 alone: the head's first rows, whole panels of them, and the others behind them. */
static void test_rows_of_common_tokens_are_finer(void **state) {
    struct fixture *f = *state;
    const struct folded_linear *from = &f->place.folded.head;
    pack(f, WEIGHT_TYPE_INT8);
    assert_int_equal(f->packed.common.type, WEIGHT_TYPE_BF16);
    assert_int_equal(f->packed.common.out, KERNEL_PANEL);
    assert_int_equal(f->packed.common.out + f->packed.head.out, f->place.description.vocabulary);
    assert_true(product_error(f, from, 0, &f->packed.common, SIZE_MAX) <= 4e-3);
    assert_int_equal(common_rows(49152, WEIGHT_TYPE_INT8), 3072);
    assert_int_equal(common_rows(50257, WEIGHT_TYPE_INT8), 66 * KERNEL_PANEL);
    assert_int_equal(common_rows(97, WEIGHT_TYPE_INT8), 0); /* there would be more of them than others */
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        if (type == WEIGHT_TYPE_INT8) continue;
        assert_int_equal(common_rows(49152, type), 0);
        pack(f, type);
        assert_int_equal(f->packed.common.out, 0);
        assert_int_equal(f->packed.head.out, f->place.description.vocabulary);
    }
}

/* In a model of many layers, beside int8. */
static void test_the_last_mlp_is_finer(void **state) {
    (void)state;
    const struct model_description deep = {.layers = 24}, flat = {.layers = 23};
    for (size_t i = 0; i < deep.layers; i++) {
        assert_int_equal(packed_mlp_type(&deep, WEIGHT_TYPE_INT8, i),
                         i == 23 ? WEIGHT_TYPE_BF16 : WEIGHT_TYPE_INT8);
        assert_int_equal(packed_mlp_type(&flat, WEIGHT_TYPE_INT8, i), WEIGHT_TYPE_INT8);
        assert_int_equal(packed_mlp_type(&deep, WEIGHT_TYPE_INT4, i), WEIGHT_TYPE_INT4);
        assert_int_equal(packed_mlp_type(&deep, WEIGHT_TYPE_F32, i), WEIGHT_TYPE_F32);
    }
}

static struct packed_linear *output_of(struct fixture *f, enum weight_type type) {
    pack(f, type);
    return &f->packed.layers[0].mlp.output;
}

/* A unit a hundred times the others leaves them few steps of 8 bits; beside int8 the layers that are told to have such ones
 * have that linear in bf16, and no other type changes. A file's memory is read as what it is said to be. */
static void test_outputs_of_massive_activations_are_finer(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    struct packed_model mapped;
    const struct packed_types types = packed_types_of(WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO);
    struct folded_layer *from = &f->place.folded.layers[0];
    const double before = product_error(f, &from->mlp.output, 0, output_of(f, WEIGHT_TYPE_INT8), 5);
    const size_t bytes = f->packed.memory_floats * sizeof(float);
    from->mlp.massive = true;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        const bool finer = type == WEIGHT_TYPE_INT8;
        assert_int_equal(output_of(f, type)->type, finer ? WEIGHT_TYPE_BF16 : type);
        assert_int_equal(f->packed.layers[0].up.type, type);
        assert_int_equal(f->packed.layers[1].mlp.output.type, type);
    }
    assert_true(product_error(f, &from->mlp.output, 0, output_of(f, WEIGHT_TYPE_INT8), 5) < before / 2);
    const size_t finer = f->packed.memory_floats * sizeof(float);
    assert_int_equal(packed_model_bytes(&f->place.folded, MATMUL_OWN, types), finer);
    assert_true(finer > bytes);
    assert_ok(packed_model_map(&mapped, &f->place.folded, types, f->packed.memory, finer, &e));
    assert_int_equal(mapped.layers[0].mlp.output.type, WEIGHT_TYPE_BF16);
    packed_model_deinit(&mapped);
    from->mlp.massive = false;
    assert_int_equal(packed_model_map(&mapped, &f->place.folded, types, f->packed.memory, finer, &e),
                     STATUS_MALFORMED);
}

/* The sum of squares of what rows of a linear in int8 get wrong along a direction of their input. to: from's rows from `first`
 * on. */
static double error_along(const struct folded_linear *from, size_t first, const struct packed_linear *to,
                          const double *direction) {
    const size_t bytes = kernel_panel_bytes(to->type, to->in), group = kernel_int8_group_k(to->in);
    double *weights = folded(from), squares = 0;
    assert_int_equal(to->type, WEIGHT_TYPE_INT8);
    for (size_t n = 0; n < to->out; n++) {
        const unsigned char *panel = (unsigned char *)to->weights + n / KERNEL_PANEL * bytes;
        const float *scales = (const float *)(const void *)(panel + kernel_padded_k(to->in) * KERNEL_PANEL);
        const size_t lane = n % KERNEL_PANEL;
        double sum = 0;
        for (size_t k = 0; k < to->in; k++) {
            const int level = panel[(k / 4 * KERNEL_PANEL + lane) * 4 + k % 4] - 128;
            sum += (level * (double)scales[k / group * KERNEL_PANEL + lane] -
                    weights[(first + n) * to->in + k]) *
                   direction[k];
        }
        squares += sum * sum;
    }
    free(weights);
    return squares;
}

/* In int8, of the linears that read the stream. */
static void errors_along(struct fixture *f, const double *direction, double errors[3]) {
    const struct folded_model *c = &f->place.folded;
    pack(f, WEIGHT_TYPE_INT8);
    errors[0] = error_along(&c->layers[1].qkv, 0, &f->packed.layers[1].qkv, direction);
    errors[1] = error_along(&c->layers[1].up, 0, &f->packed.layers[1].up, direction);
    errors[2] = error_along(&c->head, f->packed.common.out, &f->packed.head, direction);
}

/* They get next to nothing wrong along a loud channel; what reads something else keeps its bytes. */
static void test_errors_are_kept_out_of_loud_channels(void **state) {
    struct fixture *f = *state;
    struct folded_model *c = &f->place.folded;
    double *direction = calloc(c->description->width, sizeof *direction), before[3], after[3];
    folded_model_rotate(c);
    c->loud[0] = 5;
    folded_stream_direction(c, c->loud[0], direction);
    errors_along(f, direction, before);
    const size_t bytes = packed_linear_bytes(&f->packed.layers[1].attention.output);
    void *output = malloc(bytes);
    memcpy(output, f->packed.layers[1].attention.output.weights, bytes);
    c->loud_count = 1;
    errors_along(f, direction, after);
    assert_memory_equal(output, f->packed.layers[1].attention.output.weights, bytes);
    for (size_t i = 0; i < 3; i++) assert_true(after[i] < 0.1 * before[i]);
    free(output);
    free(direction);
}

static void test_int4_keeps_the_head_in_int8(void **state) {
    struct fixture *f = *state;
    pack(f, WEIGHT_TYPE_INT4);
    assert_int_equal(f->packed.head.type, WEIGHT_TYPE_INT8);
    assert_int_equal(f->packed.layers[0].up.type, WEIGHT_TYPE_INT4);
}

/* Its product is that of the folded rows to 4 bits; nothing else changes; and it is what a file's memory is read as. */
static void test_the_head_may_be_in_int4(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    struct packed_model mapped;
    const struct packed_types types = packed_types_of(WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT4);
    pack(f, WEIGHT_TYPE_INT4);
    const size_t in_int8 = f->packed.memory_floats * sizeof(float);
    pack_types(f, types);
    const size_t bytes = f->packed.memory_floats * sizeof(float);
    assert_int_equal(packed_model_bytes(&f->place.folded, MATMUL_OWN, types), bytes);
    assert_int_equal(f->packed.head.type, WEIGHT_TYPE_INT4);
    const struct packed_linear in_int8_head = {
        .out = f->packed.head.out, .in = f->packed.head.in, .type = WEIGHT_TYPE_INT8};
    assert_int_equal(in_int8 - bytes,
                     packed_linear_bytes(&in_int8_head) - packed_linear_bytes(&f->packed.head));
    const double error = product_error(f, &f->place.folded.head, 0, &f->packed.head, SIZE_MAX);
    assert_true(error > 1.5e-2 && error <= 0.1);
    assert_ok(packed_model_map(&mapped, &f->place.folded, types, f->packed.memory, bytes, &e));
    assert_int_equal(mapped.head.type, WEIGHT_TYPE_INT4);
    assert_ptr_equal(mapped.head.weights, f->packed.head.weights);
    packed_model_deinit(&mapped);
    const struct packed_types others = packed_types_of(WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT8);
    assert_int_equal(packed_model_map(&mapped, &f->place.folded, others, f->packed.memory, bytes, &e),
                     STATUS_MALFORMED);
    for (enum weight_type type = 0; type < WEIGHT_TYPE_INT4; type++)
        assert_int_equal(packed_types_of(type, HEAD_WEIGHTS_INT4).head, type);
}

/* As many rows in all, the values' among them in a finer type, and as near to the folded ones as that type allows. */
static void test_shared_values_are_finer(void **state) {
    struct fixture *f = *state;
    const struct model_description *d = &f->place.description;
    const size_t values = d->kv_heads * d->head_dim, before = (d->heads + d->kv_heads) * d->head_dim;
    const struct folded_linear *from = &f->place.folded.layers[0].qkv;
    const struct packed_layer *to;
    assert_true(d->heads >= 2 * d->kv_heads);
    pack(f, WEIGHT_TYPE_INT8);
    to = &f->packed.layers[0];
    assert_int_equal(to->values.type, WEIGHT_TYPE_BF16);
    assert_int_equal(to->qkv.out, before);
    assert_int_equal(to->values.out, values);
    assert_true(product_error(f, from, 0, &to->qkv, SIZE_MAX) <= 1.5e-2);
    assert_true(product_error(f, from, before, &to->values, SIZE_MAX) <= 4e-3);
    pack(f, WEIGHT_TYPE_INT4);
    to = &f->packed.layers[0];
    assert_int_equal(to->values.type, WEIGHT_TYPE_INT8);
    assert_true(product_error(f, from, before, &to->values, SIZE_MAX) <= 1.5e-2);
    pack(f, WEIGHT_TYPE_BF16);
    assert_int_equal(f->packed.layers[0].values.out, 0);
    assert_int_equal(f->packed.layers[0].qkv.out, before + values);
}

static void test_bytes_are_planned(void **state) {
    struct fixture *f = *state;
    size_t last = SIZE_MAX;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        size_t planned =
            packed_model_bytes(&f->place.folded, MATMUL_OWN, packed_types_of(type, HEAD_WEIGHTS_AUTO));
        pack(f, type);
        assert_int_equal(planned, f->packed.memory_floats * sizeof(float));
        assert_true(planned < last);
        last = planned;
    }
}

/* A plan that has not read the weights has room for the factors of as many quiet channels as int8 may find; other types have
 * none. */
static void test_quiet_channels_are_planned(void **state) {
    struct fixture *f = *state;
    struct folded_model *c = &f->place.folded;
    size_t without[WEIGHT_TYPE_COUNT];
    folded_model_rotate(c);
    assert_int_equal(c->quiet_count, 0);
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        without[type] = packed_model_bytes(c, MATMUL_OWN, packed_types_of(type, HEAD_WEIGHTS_AUTO));
    folded_model_assume_quiet(c);
    assert_true(c->quiet_count > 0 && c->quiet_count == folded_loud_most(c));
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        const size_t planned = packed_model_bytes(c, MATMUL_OWN, packed_types_of(type, HEAD_WEIGHTS_AUTO));
        const bool has_them = type == WEIGHT_TYPE_INT8;
        assert_int_equal(planned > without[type], has_them);
        pack(f, type);
        assert_int_equal(planned, f->packed.memory_floats * sizeof(float));
        assert_int_equal(f->packed.final_norm.quiet != NULL, has_them);
    }
}

/* Packed twice, over whatever the memory held before: the same bytes. */
static void test_every_byte_is_written(void **state) {
    struct fixture *f = *state;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        pack(f, type);
        size_t bytes = f->packed.memory_floats * sizeof(float);
        void *first = malloc(bytes);
        memcpy(first, f->packed.memory, bytes);
        memset(f->packed.memory, 0x5a, bytes);
        pack(f, type);
        assert_memory_equal(first, f->packed.memory, bytes);
        free(first);
    }
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    struct error e;
    assert_int_equal(packed_model_init(&f->packed, &f->place.folded, MATMUL_OPENBLAS,
                                       packed_types_of(WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO), f->workers, NULL,
                                       NULL, &e),
                     STATUS_OPTION);
    assert_non_null(strstr(e.text, "needs --matmul own"));
    packed_model_deinit(&f->packed);
    static const float little[16];
    _Alignas(KERNEL_ALIGN) float memory[16];
    memcpy(memory, little, sizeof memory);
    assert_int_equal(packed_model_map(&f->packed, &f->place.folded,
                                      packed_types_of(WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO), memory,
                                      sizeof memory, &e),
                     STATUS_MALFORMED);
}

/* A channel whose gain is a hundredth is a hundred times louder than the others once the gain is in the
 * weights: without smoothing its scale leaves the others almost no steps. */
static void test_loud_channel(void **state) {
    struct fixture *f = *state;
    enum { LOUD = 5 };
    f->place.folded.layers[0].mlp.fold.gain[LOUD] /= 100;
    pack(f, WEIGHT_TYPE_INT8);
    struct packed_linear up = f->packed.layers[0].up;
    assert_non_null(up.smoothing);
    for (size_t k = 0; k < up.in; k++) assert_true(k == LOUD || up.smoothing[k] > 1.5f * up.smoothing[LOUD]);
    double with = product_error(f, &f->place.folded.layers[0].up, 0, &up, LOUD);
    double *weights = folded(&f->place.folded.layers[0].up);
    panels_pack(WEIGHT_TYPE_INT8, weights, 0, up.out, up.in, up.weights);
    up.smoothing = NULL;
    double without = product_error(f, &f->place.folded.layers[0].up, 0, &up, LOUD);
    free(weights);
    print_message("error with factors %.3g, without %.3g\n", with, without);
    assert_true(without > 2 * with);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_products_are_those_of_the_folded_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows_of_common_tokens_are_finer, set_up, tear_down),
        cmocka_unit_test(test_the_last_mlp_is_finer),
        cmocka_unit_test_setup_teardown(test_outputs_of_massive_activations_are_finer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_int4_keeps_the_head_in_int8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_kept_out_of_loud_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_head_may_be_in_int4, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_values_are_finer, set_up_shared, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_are_planned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_are_planned, set_up_shared, tear_down),
        cmocka_unit_test_setup_teardown(test_quiet_channels_are_planned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_byte_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_byte_is_written, set_up_shared, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loud_channel, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
