/* Which form a model runs in, and how its layers lie around the border between those that run as published and
 * those that are folded. That the numbers are right is checked by tests/golden/placements. */
#include "tests/support/folded_place.h"
#include "tests/unit/engine/model/describe_text.h"

#define SIZES                                                                                                \
    "'model_type': 'prenorm', 'vocab_size': 100, 'hidden_size': 24, 'intermediate_size': 64, "               \
    "'num_attention_heads': 4, 'num_hidden_layers': 3, 'max_position_embeddings': 32"
#define WITH(...) "{" SIZES ", " __VA_ARGS__ "}"

/* The form that a model runs in when the default is asked for, and when its untouched form is. */
static void test_forms(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum norm_form form;
    } rows[] = {
        {WITH("'norm_placement': 'pre'"), NORM_FORM_CRMSNORM},
        {WITH("'norm_placement': 'pre', 'norm_type': 'rmsnorm'"), NORM_FORM_RMSNORM},
        {WITH("'norm_placement': 'pre', 'residual_alpha': 1.7"), NORM_FORM_CRMSNORM},
        {WITH("'norm_placement': 'pre', 'final_norm': false"), NORM_FORM_LAYERNORM},
        {WITH("'norm_placement': 'pre', 'norm_type': 'rmsnorm', 'final_norm': false"), NORM_FORM_RMSNORM},
        {WITH("'norm_placement': ['post', 'pre', 'pre']"), NORM_FORM_CRMSNORM},
        {WITH("'norm_placement': ['pre', 'pre', 'deepnorm'], 'final_norm': true"), NORM_FORM_LAYERNORM},
        {WITH("'norm_placement': 'normformer', 'residual_scale': true"), NORM_FORM_LAYERNORM},
        {WITH("'norm_placement': 'keel', 'residual_alpha': 6"), NORM_FORM_LAYERNORM},
        {WITH("'norm_placement': 'output'"), NORM_FORM_OUTPUT},
        {WITH("'norm_placement': 'output', 'norm_type': 'rmsnorm'"), NORM_FORM_OUTPUT},
        {WITH("'norm_type': 'crmsnorm'"), NORM_FORM_CRMSNORM_NATIVE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model_description d = described(rows[i].text);
        if (norm_form_for(&d, NORM_FORM_CRMSNORM) != rows[i].form)
            fail_msg("%s runs as %s, expected %s", rows[i].text,
                     norm_form_name(norm_form_for(&d, NORM_FORM_CRMSNORM)), norm_form_name(rows[i].form));
        assert_int_equal(norm_form_for(&d, NORM_FORM_LAYERNORM), NORM_FORM_LAYERNORM);
        for (enum norm_form own = NORM_FORM_OUTPUT; own <= NORM_FORM_CRMSNORM_NATIVE; own++)
            assert_int_equal(norm_form_for(&d, own) == own, rows[i].form == own);
        description_deinit(&d);
    }
}

/* post, deepnorm, pre, sandwich with GPAS: two layers as published, two folded, with gates that cost nothing. */
static void test_layers_around_the_border(void **state) {
    (void)state;
    struct folded_place p;
    folded_place_init(&p, test_source_path("tests/golden/placements/mix-layernorm"), NORM_FORM_CRMSNORM);
    const struct folded_layer *layers = p.folded.layers;
    size_t width = p.description.width;
    assert_int_equal(p.folded.folded_from, 2);
    assert_int_equal(folded_stream_width(&p.folded, 0), width);
    assert_int_equal(folded_stream_width(&p.folded, 2), width - 1);
    for (size_t i = 0; i < 4; i++) {
        bool folded = i >= 2;
        assert_int_equal(layers[i].attention.stream_width, folded ? width - 1 : width);
        assert_int_equal(layers[i].attention.norm.folded, folded);
        assert_int_equal(layers[i].attention.outer_norm.width > 0, !folded);
        assert_true(layers[i].attention.rescale == 1);
        assert_int_equal(layers[i].attention.residual_factor == 1, folded);
        assert_int_equal(layers[i].mlp.centre_post, i == 3);
    }
    folded_place_deinit(&p);
    folded_place_init(&p, test_source_path("tests/golden/placements/mix-layernorm"), NORM_FORM_LAYERNORM);
    assert_int_equal(p.folded.folded_from, 0);
    assert_true(p.folded.layers[2].attention.rescale != 1);
    folded_place_deinit(&p);
}

/* A row of the border: centred, and short by its last entry or in the orthonormal basis. */
static void test_stream_convert(void **state) {
    (void)state;
    static const enum norm_form forms[] = {NORM_FORM_RMSNORM, NORM_FORM_CRMSNORM, NORM_FORM_ORTHONORMAL};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        struct folded_place p;
        folded_place_init(&p, test_source_path("tests/golden/placements/mix-layernorm"), forms[f]);
        double x[64], row[64], mean = 0, squares = 0, found = 0, sum = 0;
        size_t width = p.description.width;
        for (size_t i = 0; i < width; i++)
            mean += (row[i] = x[i] = sin((double)(7 * i)) + 0.5) / (double)width;
        for (size_t i = 0; i < width; i++) squares += (x[i] - mean) * (x[i] - mean);
        folded_stream_convert(&p.folded, row);
        for (size_t i = 0; i < p.folded.stream_width; i++) found += row[i] * row[i], sum += row[i];
        if (forms[f] == NORM_FORM_CRMSNORM) found += sum * sum;
        assert_true(fabs(found - squares) <= 1e-12 * squares);
        folded_place_deinit(&p);
    }
}

/* residual_alpha 40 in eight sub-layers: the product leaves its range, and is applied there. */
static void test_a_large_residual_alpha(void **state) {
    (void)state;
    struct folded_place p;
    size_t applied = 0;
    folded_place_init(&p, test_source_path("tests/golden/placements/residual-alpha-sub-ln-large"),
                      NORM_FORM_CRMSNORM);
    for (size_t i = 0; i < p.description.layers; i++) {
        assert_true(p.folded.layers[i].attention.residual_factor == 1);
        applied += p.folded.layers[i].attention.rescale != 1;
        applied += p.folded.layers[i].mlp.rescale != 1;
    }
    assert_int_equal(applied, 2); /* 40^4 > 2^20 */
    folded_place_deinit(&p);
}

/* Without a final norm the head reads the stream itself, and gets the gates. */
static void test_gates_without_a_final_norm(void **state) {
    (void)state;
    struct folded_place p;
    folded_place_init(&p, test_source_path("tests/golden/placements/no-final-norm-rms-gpas"),
                      NORM_FORM_RMSNORM);
    assert_int_equal(p.folded.final_norm.width, 0);
    assert_true(p.folded.head.weight_scale != 1 && p.folded.head.bias_scale == 1);
    folded_place_deinit(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_layers_around_the_border),
        cmocka_unit_test(test_stream_convert),
        cmocka_unit_test(test_a_large_residual_alpha),
        cmocka_unit_test(test_gates_without_a_final_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
