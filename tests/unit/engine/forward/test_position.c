/* Where rows enter: embeddings and positions, and the angles of rotary embeddings. */
#include "tests/unit/engine/forward/fixture.h"

static const size_t firsts[] = {0, 5, 17}, counts[] = {9, 1, 20}, logits[] = {0, 0, 0};

static void check_entry_rows(const char *folder, enum norm_form form) {
    struct fixture f;
    fixture_init(&f, folder, form);
    fixture_plan(&f, 3, firsts, counts, logits);
    const struct forward *forward = f.forward;
    double *row = calloc(f.place.description.width, sizeof *row);
    double *scratch = calloc(folded_embedding_scratch(&f.place.folded), sizeof *scratch);
    embedding_run(f.forward);
    for (size_t r = 0; r < forward->row_count; r++) {
        folded_embedding(&f.place.folded, forward->rows[r].token, forward->rows[r].position, row, scratch);
        for (size_t i = 0; i < f.place.folded.stream_width; i++)
            assert_true(forward->stream[r * forward->stream_stride + i] == (float)row[i]);
    }
    free(row);
    free(scratch);
    fixture_deinit(&f);
}

/* Learned, sinusoidal, none but an embedding norm; enough rows for the workers to share. */
static void test_rows_enter_by_token_and_position(void **state) {
    (void)state;
    static const char *const folders[] = {"tests/golden/families/gpt2", "tests/golden/families/xglm",
                                          "tests/golden/families/bloom"};
    for (size_t i = 0; i < 3; i++)
        for (enum norm_form form = NORM_FORM_LAYERNORM; form < NORM_FORM_COUNT; form++)
            check_entry_rows(folders[i], form);
}

static void test_a_converted_row_has_no_mean(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, "tests/golden/families/gpt2", NORM_FORM_RMSNORM);
    fixture_plan(&f, 3, firsts, counts, logits);
    embedding_run(f.forward);
    for (size_t r = 0; r < f.forward->row_count; r++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < f.place.description.width; i++) {
            double x = f.forward->stream[r * f.forward->stream_stride + i];
            sum += x;
            squares += x * x;
        }
        assert_true(squares > 0);
        assert_true(fabs(sum) <= 1e-5 * sqrt(squares * (double)f.place.description.width));
    }
    fixture_deinit(&f);
}

static void check_angles(const char *folder, double divisor) {
    struct fixture f;
    fixture_init(&f, folder, NORM_FORM_CRMSNORM);
    fixture_plan(&f, 3, firsts, counts, logits);
    const struct forward *forward = f.forward;
    const struct rotary *rotary = &f.place.description.rotary;
    assert_true(rotary->dimensions > 0);
    rotary_prepare(f.forward);
    for (size_t r = 0; r < forward->row_count; r++)
        for (size_t i = 0; i < rotary->dimensions / 2; i++) {
            double theta = rotary->theta;
            long double angle =
                (long double)forward->rows[r].position / (long double)divisor *
                powl((long double)theta, -2.0L * (long double)i / (long double)rotary->dimensions);
            size_t at = r * forward->angle_stride + i;
            assert_true(fabsl((long double)forward->cosine[at] - cosl(angle)) < 1e-6L);
            assert_true(fabsl((long double)forward->sine[at] - sinl(angle)) < 1e-6L);
        }
    fixture_deinit(&f);
}

static void test_angles_are_of_the_position(void **state) {
    (void)state;
    check_angles("tests/golden/families/gpt_neox", 1);
    check_angles("tests/golden/families/gptj", 1);
}

static void test_linear_scaling_divides_the_position(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, "tests/golden/families/gpt_neox-linear-rope", NORM_FORM_CRMSNORM);
    double factor = f.place.description.rotary.factor;
    assert_true(f.place.description.rotary.scaling == ROTARY_SCALING_LINEAR && factor > 1);
    fixture_deinit(&f);
    check_angles("tests/golden/families/gpt_neox-linear-rope", factor);
}

/* Layers of two kinds: a row's angles of the windowed ones lie behind those of the others. */
static void test_two_bases(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, "tests/golden/families/gemma3_text-pattern", NORM_FORM_CRMSNORM);
    const struct model_description *d = &f.place.description;
    struct forward *forward = f.forward;
    fixture_plan(&f, 3, firsts, counts, logits);
    rotary_prepare(forward);
    assert_true(d->layer[0].local && !d->layer[2].local && d->rotary.theta != d->local_rotary.theta);
    for (size_t r = 0; r < forward->row_count; r++) {
        const float *sines = forward->sine + r * forward->angle_stride;
        double position = forward->rows[r].position, exponent = -2.0 / (double)d->rotary.dimensions;
        double angle = position * pow(d->rotary.theta, exponent) / d->rotary.factor;
        double local = position * pow(d->local_rotary.theta, exponent);
        assert_true(fabs((double)sines[1] - sin(angle)) < 1e-6);
        assert_true(fabs((double)sines[forward->local_angles + 1] - sin(local)) < 1e-6);
    }
    fixture_deinit(&f);
}

/* Of two sequences in one step, each has its own base. */
static void test_dynamic_scaling_is_a_sequence_s_own(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, "tests/golden/families/gpt_neox-dynamic", NORM_FORM_CRMSNORM);
    size_t below = forward_rotary_length(f.forward, 1),
           beyond = forward_rotary_length(f.forward, f.place.description.context);
    assert_true(below == 0 && beyond == f.place.description.context);
    fixture_plan(&f, 2, (size_t[]){7, 7}, (size_t[]){1, 1}, logits);
    f.entries[0].rotary_length = below;
    f.entries[1].rotary_length = beyond;
    rotary_prepare(f.forward);
    size_t pair = f.place.description.rotary.dimensions / 2 - 1;
    float first = f.forward->sine[pair], second = f.forward->sine[f.forward->angle_stride + pair];
    assert_true(first > second && second > 0);
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_enter_by_token_and_position),
        cmocka_unit_test(test_a_converted_row_has_no_mean),
        cmocka_unit_test(test_angles_are_of_the_position),
        cmocka_unit_test(test_linear_scaling_divides_the_position),
        cmocka_unit_test(test_two_bases),
        cmocka_unit_test(test_dynamic_scaling_is_a_sequence_s_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
