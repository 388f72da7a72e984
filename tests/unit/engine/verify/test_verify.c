/* The check itself: it passes what is right, sees what is wrong, and its figures are what they say. */
#include <math.h>

#include "engine/verify/verify.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/folded_place.h"
#include "tests/support/poisoned.h"

#define COUNT  192
#define WINDOW 16

struct fixture {
    struct folded_place place;
    struct packed_model packed;
    struct workers *workers;
    const struct kernel_table *kernels;
    int32_t ids[COUNT];
    struct verify_reference reference;
};

static void set_up_of(const char *folder, void **state) {
    struct error e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    folded_place_init(&f->place, folder, NORM_FORM_CRMSNORM);
    assert_ok(workers_create(2, &f->workers, &e));
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &f->kernels, &e));
    for (int32_t i = 0; i < COUNT; i++) f->ids[i] = (i * 37 + 5) % 320;
    assert_ok(verify_reference_init(&f->reference, &f->place.views, f->ids, COUNT, WINDOW, &e));
    *state = f;
}

static int set_up(void **state) {
    set_up_of(test_source_path("tests/golden/placements/pre"), state);
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    verify_reference_deinit(&f->reference);
    packed_model_deinit(&f->packed);
    folded_place_deinit(&f->place);
    workers_destroy(f->workers);
    free(f);
    return 0;
}

static void test_conversion_passes(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    struct verify_figures figures;
    for (enum norm_form form = 0; form < NORM_FORM_COUNT; form++) {
        assert_ok(verify_folded(&f->reference, &f->place.views, form, &figures, &e));
        assert_true(figures.largest <= VERIFY_BOUND_DOUBLE && figures.mean <= figures.largest);
        assert_true(figures.agreement == 1 && fabs(figures.kl) < 1e-12);
        assert_true(fabs(figures.perplexity / f->reference.perplexity - 1) < 1e-9);
    }
}

static struct verify_figures run_cached(struct fixture *f, enum kv_type cache) {
    struct error e = {0};
    struct verify_figures figures;
    assert_ok(verify_packed(&f->reference, &f->packed, cache, f->kernels, f->workers, &figures, &e));
    return figures;
}

static struct verify_figures run_packed(struct fixture *f) {
    return run_cached(f, KV_TYPE_F32);
}

/* The head's bias rules a token out that the text has: nothing is to be said of it, and all of the others. */
static void test_a_token_that_never_comes(void **state) {
    struct poisoned p;
    struct error e = {0};
    (void)state;
    poisoned_create(&p, test_source_path("tests/golden/families/gptj"), "model.safetensors", "config.json");
    poisoned_write(&p, checkpoint_find(p.checkpoint, "lm_head.bias"), 42, -INFINITY);
    void *own = NULL;
    set_up_of(p.folder, &own);
    struct fixture *f = own;
    struct verify_figures figures;
    assert_true(f->ids[1] == 42 && f->reference.logits[42] == -INFINITY);
    assert_ok(verify_folded(&f->reference, &f->place.views, NORM_FORM_RMSNORM, &figures, &e));
    assert_true(figures.largest <= VERIFY_BOUND_DOUBLE && figures.agreement == 1);
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    figures = run_packed(f);
    assert_true(figures.largest > 0 && figures.largest <= VERIFY_BOUND_F32);
    assert_true(fabs(figures.kl) < 1e-6 && fabs(figures.rise) < 1e-4 && isfinite(figures.perplexity));
    /* One that the model itself lets come is another matter. */
    f->reference.logits[42] = 0;
    assert_false(run_packed(f).largest <= VERIFY_BOUND_F32);
    tear_down(&own);
    poisoned_destroy(&p);
}

static void test_packed_model_passes(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    struct verify_figures figures = run_packed(f);
    assert_true(figures.largest > 0 && figures.largest <= VERIFY_BOUND_F32);
}

/* One weight that is a little off must be seen. */
static void test_wrong_weight_is_seen(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    f->packed.memory[KERNEL_PANEL * 3 + 1] += 0.05f;
    assert_true(run_packed(f).largest > VERIFY_BOUND_F32);
}

static void test_wrong_conversion_is_seen(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    /* As if the divisor were the compressed width. */
    for (size_t i = 0; i < f->place.description.layers; i++)
        f->place.folded.layers[i].attention.norm.divisor--;
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    struct verify_figures figures = run_packed(f);
    assert_true(figures.largest > VERIFY_BOUND_F32 && figures.kl > 0);
}

/* A narrower cache is seen, and within the bound of weights as narrow. */
static void test_narrow_caches_pass(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    double mean = 0;
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    for (enum kv_type cache = 0; cache < KV_TYPE_COUNT; cache++) {
        enum weight_type type = verify_judged_as(WEIGHT_TYPE_F32, cache);
        struct verify_figures figures = run_cached(f, cache);
        assert_true(verify_is_within(type, &figures, verify_default_bound(type)));
        assert_true(figures.mean > 2 * mean);
        mean = figures.mean;
    }
    assert_int_equal(verify_judged_as(WEIGHT_TYPE_INT4, KV_TYPE_F16), WEIGHT_TYPE_INT4);
    assert_int_equal(verify_judged_as(WEIGHT_TYPE_F32, KV_TYPE_INT8), WEIGHT_TYPE_INT8);
}

/* Every type in its basis is within its bound on these tokens, and further off the fewer bits it has. */
static void test_narrow_types_pass(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    double kl = 0;
    folded_model_deinit(&f->place.folded);
    assert_ok(folded_model_init(&f->place.folded, &f->place.views, NORM_FORM_ORTHONORMAL, &e));
    for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++) {
        assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                    packed_types_of(type, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL, &e));
        struct verify_figures figures = run_packed(f);
        print_message("%s: KL %.2e, rise %.2e +- %.2e\n", weight_type_name(type), figures.kl, figures.rise,
                      figures.rise_error);
        assert_true(verify_is_within(type, &figures, verify_default_bound(type)));
        assert_true(figures.kl > kl);
        kl = figures.kl;
        packed_model_deinit(&f->packed);
    }
}

/* Half of the head lost, which no width of weights excuses. */
static void test_wrong_narrow_weights_are_seen(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_INT4, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    memset(f->packed.head.weights, 0, packed_linear_bytes(&f->packed.head) / 2);
    struct verify_figures figures = run_packed(f);
    assert_false(verify_is_within(WEIGHT_TYPE_INT4, &figures, verify_default_bound(WEIGHT_TYPE_INT4)));
}

static void test_bounds_of_types(void **state) {
    (void)state;
    struct verify_figures far = {.largest = 1, .rise = 0.01, .rise_error = 0.001};
    assert_false(verify_is_within(WEIGHT_TYPE_F32, &far, 2e-4));
    assert_false(verify_is_within(WEIGHT_TYPE_INT8, &far, 0.002));
    assert_true(verify_is_within(WEIGHT_TYPE_INT8, &far, 0.009));
    far.rise_error = 0.005; /* few tokens: it may as well be chance */
    assert_true(verify_is_within(WEIGHT_TYPE_INT8, &far, 0.002));
    far.rise = NAN;
    assert_false(verify_is_within(WEIGHT_TYPE_INT8, &far, 0.002));
}

static enum status check_all(struct fixture *f, struct error *e) {
    struct verify_reference r;
    struct verify_figures figures;
    enum status status = verify_reference_init(&r, &f->place.views, f->ids, WINDOW, WINDOW, e);
    if (status == STATUS_OK) status = verify_folded(&r, &f->place.views, NORM_FORM_CRMSNORM, &figures, e);
    if (status == STATUS_OK)
        status = verify_packed(&r, &f->packed, KV_TYPE_F32, f->kernels, f->workers, &figures, e);
    verify_reference_deinit(&r);
    return status;
}

/* The leak checker looks at what is left. */
static void test_memory_may_end_anywhere(void **state) {
    struct fixture *f = *state;
    struct error e = {0};
    size_t refused = 0;
    bool failed = true;
    assert_ok(packed_model_init(&f->packed, &f->place.folded, MATMUL_OWN,
                                packed_types_of(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO), f->workers, NULL, NULL,
                                &e));
    for (size_t n = 1; failed; n++) {
        failing_malloc_arm(n);
        enum status status = check_all(f, &e);
        failed = failing_malloc_disarm();
        assert_int_equal(status, failed ? STATUS_NO_MEMORY : STATUS_OK);
        refused += failed;
    }
    assert_true(refused > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_conversion_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packed_model_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_weight_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_conversion_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_narrow_types_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_narrow_caches_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_narrow_weights_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_may_end_anywhere, set_up, tear_down),
        cmocka_unit_test(test_a_token_that_never_comes),
        cmocka_unit_test(test_bounds_of_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
