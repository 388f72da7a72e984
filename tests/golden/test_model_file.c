/* A model from its converted file is the model from its folder, bit for bit: packed weights, description,
 * logits and hidden states, for every golden model, in the forms that it has and every weight type. */
#include "tests/golden/golden_walk.h"
#include "tests/unit/engine/modelfile/fixture.h"

#define PAGE_TOKENS 16
#define ROWS_MAX    48

/* Logits of the first tokens of a sequence, then the hidden state of the last; the caller frees. */
static float *logits_of(const struct loaded_model *model, const struct golden_sequence *s, size_t *count) {
    struct error e = {0};
    const struct model_description *d = &model->description;
    struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, KV_TYPE_F32};
    struct forward_limits limits = {.rows_max = ROWS_MAX, .logit_rows_max = ROWS_MAX, .entries_max = 1};
    struct kv_pool pool;
    struct kv_table table;
    struct forward *forward;
    size_t rows = s->count < ROWS_MAX ? s->count : ROWS_MAX, pages = ROWS_MAX / PAGE_TOKENS;
    assert_ok(kv_pool_init(&pool, &layout, pages, &e));
    assert_ok(kv_table_init(&table, pages, &e));
    assert_ok(forward_create(&model->packed, &pool, walk_kernels, walk_workers, &limits, &forward, &e));
    assert_ok(kv_table_reserve(&table, &pool, rows));
    struct step_entry entry = {
        .table = &table,
        .tokens = s->ids,
        .count = rows,
        .logit_rows = rows,
        .wants_hidden = true,
        .rotary_length = forward_rotary_length(forward, rows),
    };
    forward_step(forward, &entry, 1);
    const size_t hidden = forward_hidden_width(&model->packed);
    double *scratch = malloc(forward_hidden_scratch(&model->packed) * sizeof *scratch);
    *count = rows * d->vocabulary + hidden;
    float *logits = malloc(*count * sizeof *logits);
    forward_hidden(forward, 0, rows - 1, scratch);
    for (size_t i = 0; i < hidden; i++) logits[rows * d->vocabulary + i] = (float)scratch[i];
    free(scratch);
    for (size_t r = 0; r < rows; r++)
        memcpy(logits + r * d->vocabulary, forward_logits(forward, r), d->vocabulary * sizeof *logits);
    forward_destroy(forward);
    kv_table_shrink(&table, &pool, 0);
    kv_table_deinit(&table);
    kv_pool_deinit(&pool);
    return logits;
}

static void assert_same_description(const struct loaded_model *a, const struct loaded_model *b) {
    assert_string_equal(a->description.family, b->description.family);
    assert_int_equal(a->description.end_count, b->description.end_count);
    assert_memory_equal(a->description.end_tokens, b->description.end_tokens,
                        sizeof a->description.end_tokens);
    assert_int_equal(a->description.bos, b->description.bos);
    assert_int_equal(a->folded.form, b->folded.form);
    assert_int_equal(a->folded.rotated, b->folded.rotated);
    assert_int_equal(a->packed.weights, b->packed.weights);
    assert_int_equal(a->packed.head.type, b->packed.head.type);
    assert_true(a->views.parameters >= b->views.parameters); /* but for a stored copy of a tied head */
}

static void check_type(const char *path, const char *file, const struct golden *g, enum norm_form form,
                       enum weight_type weights, enum head_weights head) {
    struct error e = {0};
    struct loaded_model folder, mapped;
    size_t count, mapped_count;
    struct golden_place place;
    golden_place(path, &place);
    struct loaded_model_options options = {
        .model = place.model, .lora = place.lora, .form = form, .weights = weights, .head = head};
    assert_ok(loaded_model_init(&folder, &options, walk_workers, &e));
    fixture_write(place.model, &folder.packed, file);
    options.model = file;
    options.lora = NULL;
    assert_ok(loaded_model_init(&mapped, &options, walk_workers, &e));
    assert_true(loaded_model_is_file(&mapped) && !loaded_model_is_file(&folder));
    assert_same_description(&folder, &mapped);
    assert_int_equal(mapped.packed.memory_floats, folder.packed.memory_floats);
    assert_int_equal(loaded_model_mapped_bytes(&mapped), folder.packed.memory_floats * sizeof(float));
    assert_memory_equal(mapped.packed.memory, folder.packed.memory,
                        folder.packed.memory_floats * sizeof(float));
    float *expected = logits_of(&folder, &g->sequences[0], &count);
    loaded_model_deinit(&folder);
    float *logits = logits_of(&mapped, &g->sequences[0], &mapped_count);
    assert_int_equal(mapped_count, count);
    assert_memory_equal(logits, expected, count * sizeof *logits);
    loaded_model_deinit(&mapped);
    free(expected);
    free(logits);
}

static void check_model(const char *path, const char *name, void *context) {
    struct golden g;
    char file[2048];
    if (walk_skips(name)) {
        walk_models++;
        return;
    }
    snprintf(file, sizeof file, "%s/model", (const char *)context);
    print_message("%s\n", name);
    golden_init(&g, path);
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++)
        if (walk_runs(type / 2, WEIGHT_TYPE_COUNT / 2))
            check_type(path, file, &g, NORM_FORM_CRMSNORM, type, HEAD_WEIGHTS_AUTO);
    if (walk_runs(0, 2)) check_type(path, file, &g, NORM_FORM_LAYERNORM, WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO);
    if (walk_runs(1, 2)) check_type(path, file, &g, NORM_FORM_RMSNORM, WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO);
    if (walk_runs(0, 2)) check_type(path, file, &g, NORM_FORM_CRMSNORM, WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT4);
    golden_deinit(&g);
    walk_models++;
}

static void test_all_models(void **state) {
    (void)state;
    char *folder = test_folder_create();
    assert_true(golden_each(check_model, folder) >= 3);
    test_folder_remove(folder);
}

/* Tables that an adapter was merged into are written as they are read. */
static void test_all_adapters(void **state) {
    (void)state;
    char *folder = test_folder_create();
    assert_true(golden_each_adapter(check_model, folder) >= 10);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_models),
                                       cmocka_unit_test(test_all_adapters)};
    return cmocka_run_group_tests(tests, walk_setup, walk_teardown);
}
