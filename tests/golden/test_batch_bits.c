/* The bits of a row's logits and hidden state do not depend on how its sequence was cut into chunks, on what else is in the
 * step, on the number of threads or on the instruction set: for every golden model, type of weights and of
 * the head and type of cache, over the forward pass alone (the scheduler has the like in test_same_bits.c). */
#include "engine/base/log.h"
#include "engine/forward/forward.h"
#include "engine/loaded/loaded_model.h"
#include "tests/support/golden.h"

#define PAGE_TOKENS 32
#define ROWS_MAX    96
#define SEQUENCES   3

/* Each size of chunk is run with one number of others beside it, each table but the best with every third of the types of
 * weights and caches, and one of the types is loaded by several threads too; with others for the next model. Kernels are some
 * twenty times slower under a sanitizer: there some chunks, the fullest company, the best table, and a third of the types. */
#if TEST_SHARE
static const size_t chunks[] = {5, ROWS_MAX};
enum { COMPANY_MIN = SEQUENCES - 1, BEST_TABLE = true, OF_TYPES = 3 };
#else
static const size_t chunks[] = {1, 5, 16, ROWS_MAX};
enum { COMPANY_MIN = 0, BEST_TABLE = false, OF_TYPES = 1 };
#endif

struct types {
    enum weight_type weights;
    enum head_weights head;
    enum kv_type cache;
};

static const struct types all_types[] = {
    {WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, KV_TYPE_F32},  {WEIGHT_TYPE_BF16, HEAD_WEIGHTS_AUTO, KV_TYPE_F32},
    {WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO, KV_TYPE_F32}, {WEIGHT_TYPE_INT4, HEAD_WEIGHTS_AUTO, KV_TYPE_F32},
    {WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT4, KV_TYPE_F32}, {WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, KV_TYPE_F16},
    {WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, KV_TYPE_BF16}, {WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, KV_TYPE_INT8},
};
enum { TYPES = sizeof all_types / sizeof *all_types };
_Static_assert(WEIGHT_TYPE_COUNT == 4 && TYPES % 3 != 0, "all of them, and others for the next model");

/* Sequences 0 .. on caches of their own, one forward pass over a model that is loaded once for all of its stages. */
struct stage {
    struct workers *workers;
    const struct loaded_model *model;
    struct kv_pool pool;
    struct kv_table tables[SEQUENCES];
    struct forward *forward;
};

static void load(struct loaded_model *model, const char *path, const struct types *types, size_t threads) {
    struct error e = {0};
    struct workers *workers;
    struct loaded_model_options options = {
        .model = path, .form = NORM_FORM_CRMSNORM, .weights = types->weights, .head = types->head};
    assert_ok(workers_create(threads, &workers, &e));
    assert_ok(loaded_model_init(model, &options, workers, &e));
    workers_destroy(workers);
}

static void stage_init(struct stage *s, const struct loaded_model *model, enum kv_type cache, size_t threads,
                       const struct kernel_table *kernels) {
    struct error e = {0};
    s->model = model;
    assert_ok(workers_create(threads, &s->workers, &e));
    const struct model_description *d = &s->model->description;
    struct kv_layout layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS, cache};
    size_t pages = (ROWS_MAX + PAGE_TOKENS - 1) / PAGE_TOKENS;
    assert_ok(kv_pool_init(&s->pool, &layout, pages * SEQUENCES, &e));
    struct forward_limits limits = {
        .rows_max = ROWS_MAX, .logit_rows_max = ROWS_MAX, .entries_max = SEQUENCES};
    assert_ok(forward_create(&s->model->packed, &s->pool, kernels, s->workers, &limits, &s->forward, &e));
    for (size_t i = 0; i < SEQUENCES; i++) assert_ok(kv_table_init(&s->tables[i], pages, &e));
}

static void stage_reset(struct stage *s) {
    for (size_t i = 0; i < SEQUENCES; i++) kv_table_shrink(&s->tables[i], &s->pool, 0);
}

static void stage_deinit(struct stage *s) {
    stage_reset(s);
    for (size_t i = 0; i < SEQUENCES; i++) kv_table_deinit(&s->tables[i]);
    forward_destroy(s->forward);
    kv_pool_deinit(&s->pool);
    workers_destroy(s->workers);
}

static struct step_entry entry_of(struct stage *s, size_t sequence, const int32_t *ids, size_t first,
                                  size_t count) {
    assert_int_equal(kv_table_reserve(&s->tables[sequence], &s->pool, first + count), STATUS_OK);
    return (struct step_entry){
        .table = &s->tables[sequence],
        .tokens = ids + first,
        .first_position = first,
        .count = count,
        .logit_rows = count,
        .wants_hidden = true,
        .rotary_length = forward_rotary_length(s->forward, ROWS_MAX),
    };
}

/* Floats of what is compared of a row: logits, and a hidden state in double precision. */
static size_t row_floats(const struct stage *s) {
    return forward_vocabulary(s->forward) + 2 * forward_hidden_width(&s->model->packed);
}

/* Row r of the last of so many entries, behind so many rows of the others. */
static void take_row(const struct stage *s, size_t entry, size_t skipped, size_t r, float *out) {
    const size_t vocabulary = forward_vocabulary(s->forward), width = forward_hidden_width(&s->model->packed);
    double *hidden = malloc(forward_hidden_scratch(&s->model->packed) * sizeof *hidden);
    forward_hidden(s->forward, entry, r, hidden);
    memcpy(out, forward_logits(s->forward, skipped + r), vocabulary * sizeof *out);
    memcpy(out + vocabulary, hidden, width * sizeof *hidden);
    free(hidden);
}

/* Rows of ids [count] into out [count, row_floats()], in chunks, with company (0: alone) in front of them. */
static void run(struct stage *s, const int32_t *ids, size_t count, size_t chunk, size_t company, float *out) {
    stage_reset(s);
    for (size_t first = 0; first < count; first += chunk) {
        size_t rows = count - first < chunk ? count - first : chunk, skipped = 0;
        struct step_entry entries[SEQUENCES];
        for (size_t i = 0; i < company; i++) {
            size_t own = 1 + (first + i) % 3; /* their own chunks, restarting at position 0 */
            entries[i] = entry_of(s, 1 + i, ids + i, 0, own);
            skipped += own;
        }
        entries[company] = entry_of(s, 0, ids, first, rows);
        forward_step(s->forward, entries, company + 1);
        for (size_t r = 0; r < rows; r++) take_row(s, company, skipped, r, out + (first + r) * row_floats(s));
    }
}

static void check_stage(struct stage *s, const struct golden_sequence *sequence, const float *expected,
                        size_t company_min, size_t turn, const char *what) {
    size_t count = sequence->count < ROWS_MAX / 2 ? sequence->count : ROWS_MAX / 2;
    const size_t bytes = count * row_floats(s) * sizeof(float);
    float *found = malloc(bytes);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
        for (size_t company = company_min; company < SEQUENCES; company++) {
            if (!TEST_WHOLE && (i + company + turn) % (SEQUENCES - company_min) != 0) continue;
            run(s, sequence->ids, count, chunks[i], company, found);
            if (memcmp(found, expected, bytes) != 0)
                fail_msg("%s: other bits in chunks of %zu with %zu more sequences", what, chunks[i], company);
        }
    free(found);
}

/* Long enough, in most models, that a chunk of all of it has its keys and values stored before attention and
 * not in its tiles. */
static const struct golden_sequence *longest(const struct golden *g) {
    const struct golden_sequence *found = &g->sequences[0];
    for (size_t i = 1; i < g->sequence_count; i++)
        if (g->sequences[i].count > found->count) found = &g->sequences[i];
    return found;
}

/* What several threads have packed. */
static void check_loading(const struct loaded_model *model, const char *path, const struct types *types,
                          const char *what) {
    struct loaded_model other;
    load(&other, path, types, 3);
    const size_t bytes = model->packed.memory_floats * sizeof(float);
    assert_int_equal(other.packed.memory_floats * sizeof(float), bytes);
    if (memcmp(other.packed.memory, model->packed.memory, bytes) != 0)
        fail_msg("%s: other bits where three threads load it", what);
    loaded_model_deinit(&other);
}

/* With chunks of seven on two threads. */
static void check_table(struct stage *s, const struct golden_sequence *sequence, size_t count,
                        const float *expected, const char *what, const char *table) {
    float *found = malloc(count * row_floats(s) * sizeof *found);
    run(s, sequence->ids, count, 7, 1, found);
    if (memcmp(found, expected, count * row_floats(s) * sizeof *found) != 0)
        fail_msg("%s: other bits with %s kernels", what, table);
    free(found);
}

static void check_types(const char *path, const char *name, const struct golden *g, const struct types *types,
                        size_t turn) {
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    size_t table_count = kernel_available(tables);
    const struct golden_sequence *sequence = longest(g);
    size_t count = sequence->count < ROWS_MAX / 2 ? sequence->count : ROWS_MAX / 2;
    float *expected = NULL;
    char what[128];
    snprintf(what, sizeof what, "%s in %s, head %s, with a cache in %s", name,
             weight_type_name(types->weights), head_weights_name(types->head), kv_type_name(types->cache));
    struct loaded_model model;
    struct stage s;
    load(&model, path, types, 1);
    if (TEST_WHOLE || turn % TYPES == turn / TYPES % TYPES) check_loading(&model, path, types, what);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        stage_init(&s, &model, types->cache, threads, tables[table_count - 1]);
        if (threads == 1) {
            expected = malloc(count * row_floats(&s) * sizeof *expected);
            run(&s, sequence->ids, count, ROWS_MAX, 0, expected);
        }
        check_stage(&s, sequence, expected, threads == 1 ? COMPANY_MIN : SEQUENCES - 1, turn, what);
        stage_deinit(&s);
    }
    for (size_t i = 0; !BEST_TABLE && i + 1 < table_count; i++) {
        if (!TEST_WHOLE && (turn + i) % 3 != 0) continue;
        stage_init(&s, &model, types->cache, 2, tables[i]);
        check_table(&s, sequence, count, expected, what, tables[i]->name);
        stage_deinit(&s);
    }
    loaded_model_deinit(&model);
    free(expected);
}

static void check_model(const char *path, const char *name, void *context) {
    size_t *turn = context;
    struct golden g;
    golden_init(&g, path);
    for (size_t i = 0; i < TYPES; i++)
        if (++*turn % OF_TYPES == 0) check_types(path, name, &g, &all_types[i], *turn);
    golden_deinit(&g);
}

static void test_all_models(void **state) {
    size_t turn = 0;
    (void)state;
    assert_true(golden_each(check_model, &turn) >= 3);
}

int main(void) {
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
