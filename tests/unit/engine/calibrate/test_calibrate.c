/* Whole models: every golden one is calibrated and comes nearer to its unquantized self on the whole, its head too; what
 * is in bf16 stays as it is; the same bytes for any number of threads and on every instruction set; what is refused; and that
 * memory may end anywhere. */
#include <math.h>

#include "engine/calibrate/calibrate.h"
#include "engine/calibrate/head_uses.h"
#include "engine/forward/forward.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/folded_place.h"

enum { WINDOW = 32, WINDOWS = 6, TOKENS = WINDOW * WINDOWS };

/* In part one of so many models, others rotated: what differs from one to the next is the step, which tests/golden runs for
 * all of them there. */
enum { OF_MODELS = TEST_SHARE ? 24 : 1 };

struct scene {
    struct folded_place place;
    struct packed_model packed;
    struct workers *workers;
    int32_t ids[TOKENS];
};

static const struct kernel_table *fastest(void) {
    struct error e = {0};
    const struct kernel_table *kernels;
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &kernels, &e));
    return kernels;
}

static void pack(struct scene *s, enum weight_type type, enum head_weights head,
                 struct packed_model *packed) {
    struct error e = {0};
    assert_ok(packed_model_init(packed, &s->place.folded, MATMUL_OWN, packed_types_of(type, head), s->workers,
                                NULL, NULL, &e));
}

static void scene_init_as(struct scene *s, const char *folder, enum weight_type type, enum head_weights head,
                          bool rotated, size_t threads) {
    struct error e = {0};
    *s = (struct scene){0};
    folded_place_init(&s->place, folder, NORM_FORM_ORTHONORMAL);
    if (rotated) folded_model_rotate(&s->place.folded);
    assert_ok(workers_create(threads, &s->workers, &e));
    pack(s, type, head, &s->packed);
    srand(5);
    for (size_t i = 0; i < TOKENS; i++)
        s->ids[i] = (int32_t)((size_t)rand() % s->place.description.vocabulary);
}

static void scene_init(struct scene *s, const char *folder, enum weight_type type, bool rotated,
                       size_t threads) {
    scene_init_as(s, folder, type, HEAD_WEIGHTS_AUTO, rotated, threads);
}

static void scene_deinit(struct scene *s) {
    packed_model_deinit(&s->packed);
    folded_place_deinit(&s->place);
    workers_destroy(s->workers);
}

static struct calibrate_text text_of(const struct scene *s) {
    return (struct calibrate_text){.ids = s->ids, .count = TOKENS, .window = WINDOW};
}

static enum status calibrate(struct scene *s, const struct kernel_table *kernels, struct error *e) {
    const struct calibrate_text text = text_of(s);
    return calibrate_model(&s->packed, &s->place.folded, &text, kernels, s->workers, NULL, NULL, e);
}

/* ---- what the model computes ---- */

/* Logits [TOKENS, vocabulary]; caller frees. */
static float *logits_of(const struct scene *s, const struct packed_model *packed) {
    struct error e = {0};
    const struct model_description *d = &s->place.description;
    const struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, 16, KV_TYPE_F32};
    const struct forward_limits limits = {.rows_max = WINDOW, .logit_rows_max = WINDOW, .entries_max = 1};
    struct kv_pool pool;
    struct kv_table table;
    struct forward *forward;
    float *logits = malloc(TOKENS * d->vocabulary * sizeof *logits);
    assert_ok(kv_pool_init(&pool, &layout, WINDOW / 16, &e));
    assert_ok(kv_table_init(&table, WINDOW / 16, &e));
    assert_ok(kv_table_reserve(&table, &pool, WINDOW));
    assert_ok(forward_create(packed, &pool, fastest(), s->workers, &limits, &forward, &e));
    for (size_t first = 0; first < TOKENS; first += WINDOW) {
        const struct step_entry entry = {.table = &table,
                                         .tokens = s->ids + first,
                                         .count = WINDOW,
                                         .logit_rows = WINDOW,
                                         .rotary_length = forward_rotary_length(forward, WINDOW)};
        forward_step(forward, &entry, 1);
        for (size_t i = 0; i < WINDOW; i++)
            memcpy(logits + (first + i) * d->vocabulary, forward_logits(forward, i),
                   d->vocabulary * sizeof *logits);
    }
    forward_destroy(forward);
    kv_table_shrink(&table, &pool, 0);
    kv_table_deinit(&table);
    kv_pool_deinit(&pool);
    return logits;
}

static double distance(const struct scene *s, const float *expected) {
    float *logits = logits_of(s, &s->packed);
    double sum = 0;
    for (size_t i = 0; i < TOKENS * s->place.description.vocabulary; i++)
        sum += pow((double)logits[i] - (double)expected[i], 2);
    free(logits);
    return sqrt(sum);
}

/* Of the model as it is: f32 weights are never rotated at run time. */
static float *exact_logits(const char *path) {
    struct scene s;
    struct packed_model exact;
    scene_init(&s, path, WEIGHT_TYPE_INT4, false, 2);
    pack(&s, WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, &exact);
    float *logits = logits_of(&s, &exact);
    packed_model_deinit(&exact);
    scene_deinit(&s);
    return logits;
}

/* ---- every model ---- */

struct all {
    enum weight_type type;
    enum head_weights head;
    bool rotated;
    size_t seen, models, heads, refused; /* heads: that are other now */
    double logarithms;                   /* of what is left of the distance */
};

struct copy {
    size_t count;
    void *bytes;
};

static struct copy copy_of(const struct packed_linear *l) {
    struct copy copy = {.count = l->out ? packed_linear_bytes(l) : 0};
    copy.bytes = malloc(copy.count + 1);
    if (copy.count) memcpy(copy.bytes, l->weights, copy.count);
    return copy;
}

static bool is_unchanged(const struct copy *copy, const struct packed_linear *l) {
    return copy->count == 0 || memcmp(copy->bytes, l->weights, copy->count) == 0;
}

static void check_model(const char *path, const char *name, void *context) {
    struct all *all = context;
    struct error e = {0};
    struct scene s;
    const bool is_left_out = (all->seen++ + all->rotated) % OF_MODELS != 0;
    if (is_left_out && strcmp(name, "residual-dual") != 0) return; /* the one that is refused */
    scene_init_as(&s, path, all->type, all->head, all->rotated, 2);
    struct copy head = copy_of(&s.packed.head), values = copy_of(&s.packed.layers[0].values);
    if (s.place.description.placement == PLACEMENT_RESIDUAL_DUAL) {
        assert_int_equal(calibrate(&s, fastest(), &e), STATUS_OPTION);
        assert_string_equal(e.where, "calibrate");
        assert_says(e.text, "residual_dual");
        all->refused++;
    } else {
        float *expected = exact_logits(path);
        const double before = distance(&s, expected);
        assert_ok(calibrate(&s, fastest(), &e));
        const double left = distance(&s, expected) / before;
        if (!(left < 1.1)) fail_msg("%s: %.3f of the distance before", name, left);
        all->heads += !is_unchanged(&head, &s.packed.head);
        if (s.packed.layers[0].values.type == WEIGHT_TYPE_BF16)
            assert_true(is_unchanged(&values, &s.packed.layers[0].values));
        all->logarithms += log(left);
        all->models++;
        free(expected);
    }
    free(head.bytes);
    free(values.bytes);
    scene_deinit(&s);
}

/* most: of the distance before that may be left in the mean. Of int8 what activations lose stays. */
static void check_models(enum weight_type type, enum head_weights head, bool rotated, double most) {
    struct all all = {.type = type, .head = head, .rotated = rotated};
    test_each_folder(test_source_path("tests/golden/placements"), check_model, &all);
    test_each_folder(test_source_path("tests/golden/families"), check_model, &all);
    const double mean = exp(all.logarithms / (double)all.models);
    print_message("%zu models, %zu refused: %.3f of the distance is left in the mean\n", all.models,
                  all.refused, mean);
    assert_true(all.models > 50 / OF_MODELS && all.refused > 0);
    assert_true((double)all.heads > 0.9 * (double)all.models);
    assert_true(mean < most);
}

static void test_every_model_comes_nearer(void **state) {
    (void)state;
    check_models(WEIGHT_TYPE_INT4, HEAD_WEIGHTS_AUTO, false, 0.8);
}

static void test_so_does_every_rotated_model(void **state) {
    (void)state;
    check_models(WEIGHT_TYPE_INT4, HEAD_WEIGHTS_AUTO, true, 0.8);
}

/* Its head is rounded for where it matters, which is not all of the distance. */
static void test_so_does_every_model_with_its_head_in_int4(void **state) {
    (void)state;
    check_models(WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT4, true, 0.85);
}

static void test_so_does_every_model_in_int8(void **state) {
    (void)state;
    check_models(WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO, true, 0.97);
}

/* ---- the same bytes ---- */

static void test_threads_and_sets_change_no_byte(void **state) {
    (void)state;
    static const char *const folders[] = {"tests/golden/placements/pre", "tests/golden/families/llama-biases",
                                          "tests/golden/families/opt-proj"};
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables), all = sizeof folders / sizeof *folders;
    for (size_t i = 0; i < 3 * all; i++) {
        if (TEST_SHARE && (i / all + i % all) % all != 1) continue; /* each folder and each type once */
        const char *folder = test_source_path(folders[i % all]);
        const enum weight_type type = i / all == 1 ? WEIGHT_TYPE_INT8 : WEIGHT_TYPE_INT4;
        const enum head_weights head = i / all == 2 ? HEAD_WEIGHTS_INT4 : HEAD_WEIGHTS_AUTO;
        struct error e = {0};
        struct scene first, other;
        scene_init_as(&first, folder, type, head, i % 2, 1);
        assert_ok(calibrate(&first, kernel_scalar(), &e));
        for (size_t t = TEST_SHARE ? count - 1 : 0; t < count; t++) { /* in part with the best alone */
            scene_init_as(&other, folder, type, head, i % 2, 1 + t % 3);
            assert_ok(calibrate(&other, tables[t], &e));
            assert_memory_equal(other.packed.memory, first.packed.memory,
                                first.packed.memory_floats * sizeof(float));
            scene_deinit(&other);
        }
        scene_deinit(&first);
    }
}

/* ---- the text ---- */

static void test_windows_are_spread_over_the_text(void **state) {
    (void)state;
    enum { COUNT = 100 * 64 + 5 };
    struct error e = {0};
    struct model_description d = {.context = 64};
    struct calibrate_text text;
    int32_t *ids = malloc(COUNT * sizeof *ids);
    for (int32_t i = 0; i < COUNT; i++) ids[i] = i;
    assert_ok(calibrate_choose(&d, ids, COUNT, 40 * 64 + 63, &text, &e));
    assert_int_equal(text.window, 64);
    assert_int_equal(text.count, 40 * 64);
    for (size_t i = 0; i < text.count; i++) assert_int_equal(text.ids[i], i / 64 * 100 / 40 * 64 + i % 64);
    free(ids);
}

static void test_all_of_a_short_text_is_used(void **state) {
    (void)state;
    struct error e = {0};
    struct model_description d = {.context = 1 << 20};
    struct calibrate_text text;
    int32_t *ids = calloc(5000, sizeof *ids);
    assert_ok(calibrate_choose(&d, ids, 5000, SIZE_MAX, &text, &e));
    assert_int_equal(text.window, CALIBRATE_WINDOW_MAX);
    assert_int_equal(text.count, 5000 / CALIBRATE_WINDOW_MAX * CALIBRATE_WINDOW_MAX);
    free(ids);
}

static void test_too_short_a_text(void **state) {
    (void)state;
    struct error e = {0};
    struct model_description d = {.context = 512};
    struct calibrate_text text;
    int32_t ids[2560] = {0};
    assert_int_equal(calibrate_choose(&d, ids, 2047, 4096, &text, &e), STATUS_OPTION);
    assert_string_equal(e.where, "calibrate");
    assert_says(e.text, "1536|512|2048");
    assert_int_equal(calibrate_choose(&d, ids, 0, 4096, &text, &e), STATUS_OPTION);
    assert_int_equal(calibrate_choose(&d, ids, 2560, 2048, &text, &e), STATUS_OK);
}

/* ---- what is refused, and memory ---- */

static void test_other_types_are_refused(void **state) {
    (void)state;
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        struct error e = {0};
        struct packed_model model = {.weights = type};
        if (type == WEIGHT_TYPE_INT8 || type == WEIGHT_TYPE_INT4) continue;
        assert_int_equal(calibrate_check(&model, &e), STATUS_OPTION);
        assert_string_equal(e.where, "calibrate");
        assert_says(e.text, weight_type_name(type));
    }
}

/* more: bytes of each token beside the stream. */
static void check_plan(enum head_weights head, bool rotated, size_t more) {
    struct scene s;
    scene_init_as(&s, test_source_path("tests/golden/placements/pre"), WEIGHT_TYPE_INT4, head, rotated, 2);
    struct calibrate_text text = text_of(&s);
    const size_t bytes = calibrate_bytes(&s.packed, s.workers, &text);
    text.count *= 1024;
    const size_t each = 48 * sizeof(float) + more; /* rows of 40 floats are 48 apart */
    assert_in_range(calibrate_bytes(&s.packed, s.workers, &text) - bytes, 1023 * (size_t)TOKENS * each,
                    1023 * (size_t)TOKENS * (each + (more ? 2 * sizeof(float) : 0)));
    scene_deinit(&s);
}

/* Before anything of the text is looked at. */
static void test_more_tokens_than_uses_have_numbers_for(void **state) {
    (void)state;
    struct error e = {0};
    struct scene s;
    const size_t most = HEAD_USES_POSITIONS / WINDOW * WINDOW;
    const struct calibrate_text text = {.ids = NULL, .count = most + WINDOW, .window = WINDOW};
    assert_true(HEAD_USES_POSITIONS * HEAD_USES_MOST < HEAD_USES_END);
    scene_init_as(&s, test_source_path("tests/golden/placements/pre"), WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT4,
                  true, 1);
    assert_int_equal(calibrate_model(&s.packed, &s.place.folded, &text, fastest(), s.workers, NULL, NULL, &e),
                     STATUS_OPTION);
    assert_string_equal(e.where, "calibrate-tokens");
    scene_deinit(&s);
}

struct shares {
    double last, before; /* what was told, and in front of that */
};

static void note_share(void *context, double share) {
    struct shares *shares = context;
    assert_true(share > shares->last);
    shares->before = shares->last;
    shares->last = share;
}

/* The head's second round is not behind the end. */
static void test_progress_ends_with_the_work(void **state) {
    (void)state;
    for (enum head_weights head = HEAD_WEIGHTS_AUTO; head <= HEAD_WEIGHTS_INT4; head++) {
        struct error e = {0};
        struct scene s;
        struct shares shares = {0};
        scene_init_as(&s, test_source_path("tests/golden/placements/pre"), WEIGHT_TYPE_INT4, head, true, 1);
        const struct calibrate_text text = text_of(&s);
        const double stage = 1 / ((double)s.place.description.layers + (head == HEAD_WEIGHTS_INT4 ? 2 : 1));
        assert_ok(calibrate_model(&s.packed, &s.place.folded, &text, fastest(), s.workers, note_share,
                                  &shares, &e));
        assert_float_equal((float)shares.last, 1, 1e-6f);
        assert_float_equal((float)shares.before, (float)(1 - stage), 1e-6f);
        scene_deinit(&s);
    }
}

static void test_memory_is_planned(void **state) {
    (void)state;
    /* A refined head's inputs, and where it is used; and of each thread a float at most. */
    const size_t refined = 64 * sizeof(float) + HEAD_USES_MOST * sizeof(struct head_use);
    check_plan(HEAD_WEIGHTS_AUTO, false, 0);
    check_plan(HEAD_WEIGHTS_AUTO, true, 0);
    check_plan(HEAD_WEIGHTS_INT4, true, refined);
}

static void test_memory_may_end_anywhere(void **state) {
    (void)state;
    size_t refused = 0;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct error e = {0};
        struct scene s;
        scene_init_as(&s, test_source_path("tests/golden/placements/pre"), WEIGHT_TYPE_INT4,
                      HEAD_WEIGHTS_INT4, true, 1);
        failing_malloc_arm(n);
        enum status status = calibrate(&s, fastest(), &e);
        failed = failing_malloc_disarm();
        if (status != STATUS_OK) {
            assert_true(failed);
            assert_int_equal(status, STATUS_NO_MEMORY);
            assert_int_equal(e.code, status);
            refused++;
        }
        scene_deinit(&s);
    }
    assert_true(refused > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model_comes_nearer),
        cmocka_unit_test(test_so_does_every_rotated_model),
        cmocka_unit_test(test_so_does_every_model_with_its_head_in_int4),
        cmocka_unit_test(test_so_does_every_model_in_int8),
        cmocka_unit_test(test_threads_and_sets_change_no_byte),
        cmocka_unit_test(test_windows_are_spread_over_the_text),
        cmocka_unit_test(test_all_of_a_short_text_is_used),
        cmocka_unit_test(test_too_short_a_text),
        cmocka_unit_test(test_other_types_are_refused),
        cmocka_unit_test(test_more_tokens_than_uses_have_numbers_for),
        cmocka_unit_test(test_progress_ends_with_the_work),
        cmocka_unit_test(test_memory_is_planned),
        cmocka_unit_test(test_memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
