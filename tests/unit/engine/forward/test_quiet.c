/* Quiet channels of a stream (engine/fold/quiet.h) as a forward pass has them: its logits stay those of the untouched model, within
 * what int8 loses, for channels that are spread over one block of the rotation and over two. */
#include "engine/fold/quiet.h"
#include "engine/forward/reference.h"
#include "tests/unit/engine/forward/fixture.h"

enum { TOKENS = 24 };

/* A factor as small as there is one, so that a row without it would be far off. */
static void quieten(struct fixture *f) {
    struct folded_model *c = &f->place.folded;
    struct error e = {0};
    c->quiet[0] = 3;
    c->quiet[1] = c->stream_width - 1;
    c->quiet_count = 2;
    assert_ok(folded_model_quieten(c, f->workers, &e));
}

static void check(const char *folder, enum norm_form form) {
    struct error e = {0};
    struct fixture f;
    struct folded_place untouched;
    struct workers *workers = NULL;
    int32_t ids[TOKENS];
    double difference = 0, square = 0;
    assert_ok(workers_create(2, &workers, &e));
    fixture_init_prepared(&f, folder, form, WEIGHT_TYPE_INT8, workers, quieten);
    folded_place_init(&untouched, test_source_path(folder), NORM_FORM_LAYERNORM);
    const size_t vocabulary = f.place.description.vocabulary;
    double *expected = calloc(TOKENS * vocabulary, sizeof *expected);
    for (size_t i = 0; i < TOKENS; i++) ids[i] = (int32_t)((7 * i + 1) % vocabulary);
    assert_ok(reference_logits(&untouched.folded, ids, TOKENS, expected, &e));
    assert_int_equal(f.packed.quiet.directions.count, 2);
    const struct step_entry entry = {
        .table = &f.tables[0], .tokens = ids, .count = TOKENS, .logit_rows = TOKENS, .rotary_length = TOKENS};
    forward_step(f.forward, &entry, 1);
    for (size_t r = 0; r < TOKENS; r++)
        for (size_t i = 0; i < vocabulary; i++) {
            const double logit = expected[r * vocabulary + i];
            difference += fabs(logit - (double)forward_logits(f.forward, r)[i]);
            square += logit * logit;
        }
    const double count = (double)(TOKENS * vocabulary);
    assert_true(difference / count <= 0.05 * sqrt(square / count));
    free(expected);
    folded_place_deinit(&untouched);
    fixture_deinit(&f);
}

static void test_logits_stay(void **state) {
    (void)state;
    check("tests/golden/families/llama-deep", NORM_FORM_RMSNORM);
    check("tests/golden/families/gpt2", NORM_FORM_ORTHONORMAL);
    check("tests/golden/families/gpt_neox", NORM_FORM_RMSNORM);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
