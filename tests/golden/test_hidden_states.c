/* Hidden states in the model's own basis, for every golden model:
 *   - of each norm form that the model has, prefilled in uneven chunks, against those of the untouched form: the way back
 *     from the centred, compressed and gated stream;
 *   - of int8 weights, whose stream is rotated, and of the others;
 *   - against `last_hidden_state` of the transformers library, where a case has that (make_hidden_states.py). */
#include <math.h>
#include <unistd.h>

#include "engine/checkpoint/safetensors.h"
#include "tests/golden/golden_walk.h"

/* In parts of the standard deviation of the hidden states, as the logits' are in test_forward.c: the largest difference
 * with f32 weights, the mean one with others. */
#define F32_BOUND 2e-4
static const double mean_bounds[WEIGHT_TYPE_COUNT] = {F32_BOUND, 0.02, 0.05, 0.4};
#define BOUNDED_LAYERS 4

#define PAGE_TOKENS 16
#define CHUNK       7 /* prime to the page */
#define TOKENS      24

static size_t compared_with_library;

struct hidden {
    size_t width, count, layers;
    double *rows; /* [count, width] */
};

/* Rows [first, +count) of the sequence, alone in a step. */
static void run_chunk(struct forward *f, struct kv_table *table, const struct golden_sequence *s,
                      size_t first, size_t count, double *scratch, struct hidden *out) {
    const struct step_entry entry = {.table = table,
                                     .tokens = s->ids + first,
                                     .first_position = first,
                                     .count = count,
                                     .wants_hidden = true,
                                     .rotary_length = forward_rotary_length(f, out->count)};
    forward_step(f, &entry, 1);
    for (size_t r = 0; r < count; r++) {
        forward_hidden(f, 0, r, scratch);
        memcpy(out->rows + (first + r) * out->width, scratch, out->width * sizeof *scratch);
    }
}

static struct hidden hidden_of(const char *path, const struct golden_sequence *s, enum norm_form form,
                               enum weight_type type) {
    struct error e = {0};
    struct loaded_model model;
    struct kv_pool pool;
    struct kv_table table;
    struct forward *forward;
    walk_load(&model, path, form, MATMUL_OWN, type);
    const struct model_description *d = &model.description;
    const struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, KV_TYPE_F32};
    const struct forward_limits limits = {.rows_max = CHUNK, .logit_rows_max = 1, .entries_max = 1};
    struct hidden out = {.width = forward_hidden_width(&model.packed),
                         .count = s->count < TOKENS ? s->count : TOKENS,
                         .layers = d->layers};
    assert_ok(kv_pool_init(&pool, &layout, kv_pages_for(TOKENS, PAGE_TOKENS), &e));
    assert_ok(kv_table_init(&table, pool.page_count, &e));
    assert_ok(kv_table_reserve(&table, &pool, out.count));
    assert_ok(forward_create(&model.packed, &pool, walk_kernels, walk_workers, &limits, &forward, &e));
    double *scratch = malloc(forward_hidden_scratch(&model.packed) * sizeof *scratch);
    out.rows = malloc(out.count * out.width * sizeof *out.rows);
    for (size_t first = 0; first < out.count; first += CHUNK)
        run_chunk(forward, &table, s, first, out.count - first < CHUNK ? out.count - first : CHUNK, scratch,
                  &out);
    free(scratch);
    forward_destroy(forward);
    kv_table_shrink(&table, &pool, 0);
    kv_table_deinit(&table);
    kv_pool_deinit(&pool);
    loaded_model_deinit(&model);
    return out;
}

struct difference {
    double largest, mean;
};

static struct difference difference_of(const struct hidden *a, const double *b) {
    const size_t n = a->count * a->width;
    double sum = 0, squares = 0, largest = 0, total = 0;
    for (size_t i = 0; i < n; i++) sum += b[i], squares += b[i] * b[i];
    const double deviation = sqrt(squares / (double)n - sum / (double)n * (sum / (double)n));
    for (size_t i = 0; i < n; i++) {
        const double difference = fabs(a->rows[i] - b[i]);
        if (!(difference <= largest)) largest = difference;
        total += difference;
    }
    return (struct difference){largest / deviation, total / (double)n / deviation};
}

static void check(const char *name, const struct hidden *found, const double *expected, const char *what,
                  enum weight_type type) {
    const struct difference d = difference_of(found, expected);
    print_message("  %s: %s in %s: mean %.2g, largest %.2g\n", name, what, weight_type_name(type), d.mean,
                  d.largest);
    if (type == WEIGHT_TYPE_F32)
        assert_true(d.largest <= F32_BOUND);
    else
        assert_true(d.mean <= mean_bounds[type] * fmax(1, (double)found->layers / BOUNDED_LAYERS));
}

/* As the library has them; the caller frees. NULL: the case has none. */
static double *library_hidden(const char *path, const struct hidden *like) {
    struct error e = {0};
    struct mapped_file file;
    struct tensor_list tensors = {0};
    char name[2048];
    snprintf(name, sizeof name, "%s/hidden.safetensors", path);
    if (access(name, R_OK) != 0) return NULL;
    assert_ok(mapped_file_open(path, "hidden.safetensors", &file, &e));
    assert_ok(safetensors_read(&file, &tensors, &e));
    assert_ok(tensor_list_sort(&tensors, path, &e));
    const struct tensor *t = tensor_list_find(&tensors, "hidden_0");
    assert_non_null(t);
    assert_int_equal(t->dtype, DTYPE_F32);
    assert_int_equal(t->shape[0], like->count);
    assert_int_equal(t->shape[1], like->width);
    double *rows = malloc(like->count * like->width * sizeof *rows);
    for (size_t i = 0; i < like->count * like->width; i++) {
        float value;
        memcpy(&value, (const char *)t->data + i * sizeof value, sizeof value);
        rows[i] = (double)value;
    }
    tensor_list_deinit(&tensors);
    mapped_file_close(&file);
    return rows;
}

static void check_form(const char *path, const char *name, const struct golden_sequence *s,
                       enum norm_form form, enum weight_type type, const double *expected) {
    struct hidden found = hidden_of(path, s, form, type);
    check(name, &found, expected, norm_form_name(form), type);
    free(found.rows);
}

static void check_model(const char *path, const char *name, void *context) {
    (void)context;
    struct golden g;
    struct loaded_model model;
    golden_init(&g, path);
    const struct golden_sequence *s = &g.sequences[0];
    walk_load(&model, path, NORM_FORM_LAYERNORM, MATMUL_OWN, WEIGHT_TYPE_F32);
    struct hidden untouched = hidden_of(path, s, NORM_FORM_LAYERNORM, WEIGHT_TYPE_F32);
    double *library = library_hidden(path, &untouched);
    const double *expected = library ? library : untouched.rows;
    compared_with_library += library != NULL;
    if (library) check(name, &untouched, library, "layernorm", WEIGHT_TYPE_F32);
    for (enum norm_form form = NORM_FORM_LAYERNORM + 1; form < NORM_FORM_COUNT; form++)
        if (norm_form_for(&model.description, form) == form)
            check_form(path, name, s, form, WEIGHT_TYPE_F32, expected);
    const enum norm_form form = norm_form_for(&model.description, NORM_FORM_ORTHONORMAL);
    loaded_model_deinit(&model);
    for (enum weight_type type = WEIGHT_TYPE_BF16; type < WEIGHT_TYPE_COUNT; type++)
        if (walk_runs(type - WEIGHT_TYPE_BF16, WEIGHT_TYPE_COUNT - WEIGHT_TYPE_BF16))
            check_form(path, name, s, form, type, expected);
    free(library);
    free(untouched.rows);
    golden_deinit(&g);
    walk_models++;
}

static void test_all_models(void **state) {
    (void)state;
    assert_true(golden_each(check_model, NULL) >= 3);
    assert_true(compared_with_library >= 20);
}

static void test_all_adapters(void **state) {
    (void)state;
    assert_true(golden_each_adapter(check_model, NULL) >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_models),
                                       cmocka_unit_test(test_all_adapters)};
    return cmocka_run_group_tests(tests, walk_setup, walk_teardown);
}
