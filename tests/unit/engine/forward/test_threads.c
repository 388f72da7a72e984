/* However many threads there are, and wherever they are bound to: the same packed weights, the same logits. */
#include "engine/tools/tools.h"
#include "tests/support/fake_system.h"
#include "tests/unit/engine/forward/fixture.h"

/* One key/value head for all; several that query heads share, gated, whose values are of a finer type. */
#define ONE_HEAD "tests/golden/families/falcon-7b"
#define GROUPS   "tests/golden/families/llama-llama3"

enum { THREADS_MAX = 65, PREFILL = 35, STEPS = 2 };

struct result {
    float *logits; /* [STEPS][vocabulary] */
    void *weights;
    size_t vocabulary, bytes;
};

static struct result run(const char *folder, enum weight_type weights, struct workers *workers) {
    static int32_t tokens[PREFILL + 2 * STEPS];
    struct fixture f;
    fixture_init_workers(&f, folder, NORM_FORM_CRMSNORM, weights, workers);
    struct result r = {.vocabulary = forward_vocabulary(f.forward),
                       .bytes = f.packed.memory_floats * sizeof(float)};
    r.logits = calloc(STEPS * r.vocabulary, sizeof *r.logits);
    r.weights = malloc(r.bytes);
    assert_true(r.logits && r.weights);
    memcpy(r.weights, f.packed.memory, r.bytes);
    for (size_t i = 0; i < PREFILL + 2 * STEPS; i++) tokens[i] = (int32_t)(i * 7 % 90);
    for (size_t step = 0, first = 0, count = PREFILL; step < STEPS; step++, first += count, count = 1) {
        const struct step_entry entry = {.table = &f.tables[0],
                                         .tokens = tokens + first,
                                         .first_position = first,
                                         .count = count,
                                         .logit_rows = 1,
                                         .rotary_length = forward_rotary_length(f.forward, PREFILL + STEPS)};
        forward_step(f.forward, &entry, 1);
        memcpy(r.logits + step * r.vocabulary, forward_logits(f.forward, 0), r.vocabulary * sizeof(float));
    }
    fixture_deinit(&f);
    return r;
}

static void free_result(struct result *r) {
    free(r->logits);
    free(r->weights);
}

static void check(const char *folder, enum weight_type weights, struct workers *workers,
                  const struct result *expected) {
    struct result r = run(folder, weights, workers);
    assert_memory_equal(r.weights, expected->weights, r.bytes);
    assert_memory_equal(r.logits, expected->logits, STEPS * r.vocabulary * sizeof(float));
    free_result(&r);
}

/* Nodes of cores of threads that this machine does not have. */
static void check_all(const char *folder, enum weight_type weights) {
    static const unsigned machines[][3] = {{2, 32, 2}, {8, 8, 1}, {3, 5, 5}};
    struct workers *workers = NULL;
    struct error e;
    char *roots[3];
    for (size_t i = 0; i < 3; i++) {
        const unsigned *m = machines[i];
        char allowed[32];
        snprintf(allowed, sizeof allowed, "0-%u", m[0] * m[1] * m[2] - 1);
        fake_system_cpus(roots[i] = test_folder_create(), m[0], m[1], m[2], allowed);
    }
    assert_ok(workers_create(1, &workers, &e));
    struct result expected = run(folder, weights, workers);
    for (size_t threads = 2; threads <= THREADS_MAX; threads += TEST_SHARE ? 7 : 1) {
        const enum pin_threads pin = threads % 4 ? PIN_THREADS_ON : PIN_THREADS_AUTO;
        assert_ok(workers_create_pinned(threads, pin, roots[threads % 3], &workers, &e));
        check(folder, weights, workers, &expected);
    }
    free_result(&expected);
    for (size_t i = 0; i < 3; i++) test_folder_remove(roots[i]);
}

static void test_threads_and_places_change_no_bit(void **state) {
    (void)state;
    check_all(ONE_HEAD, WEIGHT_TYPE_F32);
    check_all(GROUPS, WEIGHT_TYPE_INT8);
}

/* Wide enough for gates whose columns are split, and with them their conversion; the last part is longer. In int8 rows are
 * rotated as well, and the last block of that overlaps the one before. */
static void test_wide_gates(void **state) {
    (void)state;
    char *folder = test_folder_create();
    struct error e;
    assert_ok(bench_write_config("{\"model_type\": \"llama\", \"vocab_size\": 100, \"hidden_size\": 64, "
                                 "\"intermediate_size\": 4112, \"num_attention_heads\": 4, "
                                 "\"num_key_value_heads\": 1, \"num_hidden_layers\": 1, "
                                 "\"max_position_embeddings\": 64, \"tie_word_embeddings\": true}",
                                 folder, &e));
    check_all(folder, WEIGHT_TYPE_BF16);
    check_all(folder, WEIGHT_TYPE_INT8);
    test_folder_remove(folder);
}

static void count_run(void *context, size_t tiles, enum workers_event event) {
    size_t *runs = context;
    if (event == WORKERS_RUN_BEGINS) runs[tiles]++;
}

/* A GPT-2 of one layer of random weights, with so many units in its MLP. */
static void init_gpt2(struct fixture *f, unsigned inner, enum weight_type weights, size_t threads) {
    char *folder = test_folder_create(), config[192];
    struct workers *workers = NULL;
    struct error e;
    snprintf(config, sizeof config,
             "{\"model_type\": \"gpt2\", \"vocab_size\": 100, \"n_embd\": 384, \"n_inner\": %u, "
             "\"n_head\": 4, \"n_layer\": 1, \"n_positions\": 1296}",
             inner);
    assert_ok(bench_write_config(config, folder, &e));
    assert_ok(workers_create_alone(threads, &workers, &e));
    fixture_init_workers(f, folder, NORM_FORM_CRMSNORM, weights, workers);
    test_folder_remove(folder);
}

/* Runs of a step of one layer, by their tiles. */
static void count_runs(enum weight_type weights, size_t threads, size_t *runs) {
    enum { ROWS = 32 };
    struct fixture f;
    init_gpt2(&f, 384, weights, threads);
    workers_observe(f.workers, count_run, runs);
    fixture_plan(&f, 1, (size_t[]){0}, (size_t[]){ROWS}, (size_t[]){0});
    forward_step(f.forward, f.entries, 1);
    fixture_deinit(&f);
}

enum { TILES_MAX = 10000, LAYER_LINEARS = 4 };

/* Of 24 and 72 strips of a layer each of 64 threads has a tile, since they are split by rows too. */
static void test_few_strips_are_split_by_rows(void **state) {
    (void)state;
    enum { THREADS = 64 };
    static size_t runs[TILES_MAX];
    count_runs(WEIGHT_TYPE_F32, THREADS, runs);
    assert_int_equal(runs[THREADS], LAYER_LINEARS);
}

/* Of int8 the sum over k of an MLP's output has 12 groups: with 64 threads each has 2 of them of a panel, or one. With AMX too, which
 * knows no strips of more than a few rows. */
static void test_one_row_is_split_by_groups(void **state) {
    (void)state;
    enum { THREADS = 64, PANELS = 8, INNER = 3072 };
    static size_t runs[TILES_MAX];
    struct fixture f;
    init_gpt2(&f, INNER, WEIGHT_TYPE_INT8, THREADS);
    workers_observe(f.workers, count_run, runs);
    fixture_plan(&f, 1, (size_t[]){0}, (size_t[]){1}, (size_t[]){1});
    forward_step(f.forward, f.entries, 1);
    const struct tiling *output = &f.forward->tilings[LAYER_LINEARS - 1];
    assert_int_equal(output->groups, 2);
    assert_int_equal(output->tiles, PANELS * 12 / 2);
    assert_int_equal(runs[output->tiles], 1);
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(f.forward->done[i].count, 0);
    fixture_deinit(&f);
}

/* Beside embeddings, attention and a layer's linears: what each of these reads is made in one run, norms and conversions. */
static void test_what_a_linear_reads_is_one_run(void **state) {
    (void)state;
    static size_t runs[TILES_MAX];
    size_t all = 0;
    count_runs(WEIGHT_TYPE_INT8, 2, runs);
    for (size_t i = 0; i < TILES_MAX; i++) all += runs[i];
    assert_int_equal(all, 2 + 2 * LAYER_LINEARS);
}

/* A step of more rows than the fixture's forward pass has room for. */
static void step_of_rows(struct fixture *f, size_t rows) {
    static int32_t tokens[2048];
    const struct forward_limits limits = {.rows_max = rows, .logit_rows_max = 1, .entries_max = 1};
    const struct kernel_table *kernels;
    struct error e;
    assert_in_range(rows, 1, sizeof tokens / sizeof *tokens);
    forward_destroy(f->forward);
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &kernels, &e));
    assert_ok(forward_create(&f->packed, &f->pool, kernels, f->workers, &limits, &f->forward, &e));
    const struct step_entry entry = {.table = &f->tables[0],
                                     .tokens = tokens,
                                     .count = rows,
                                     .logit_rows = 1,
                                     .rotary_length = forward_rotary_length(f->forward, rows)};
    forward_step(f->forward, &entry, 1);
    assert_true(isfinite(forward_logits(f->forward, 0)[0]));
}

/* Weights of a strip have fewer bytes than there are blocks of rows. */
static void test_more_blocks_of_rows_than_bytes(void **state) {
    (void)state;
    struct fixture f;
    init_gpt2(&f, 1, WEIGHT_TYPE_F32, 64);
    step_of_rows(&f, 1040);
    fixture_deinit(&f);
}

/* Blocks of whole tiles of rows may be fewer than the workers, each of which was to have one: then no worker has many more
 * tiles than another. */
static void test_blocks_fewer_than_workers(void **state) {
    (void)state;
    enum { THREADS = 10, ROWS = THREADS * 128 + 10 };
    struct fixture f;
    init_gpt2(&f, 384, WEIGHT_TYPE_INT8, THREADS);
    step_of_rows(&f, ROWS);
    const struct tiling *qkv = &f.forward->tilings[0];
    assert_int_equal((ROWS + qkv->block_rows - 1) / qkv->block_rows, THREADS - 1);
    const struct workers_share most = workers_share(f.workers, qkv->tiles, 0);
    assert_in_range((most.end - most.first) * THREADS, qkv->tiles, qkv->tiles + qkv->tiles / 16);
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_and_places_change_no_bit),
        cmocka_unit_test(test_wide_gates),
        cmocka_unit_test(test_few_strips_are_split_by_rows),
        cmocka_unit_test(test_one_row_is_split_by_groups),
        cmocka_unit_test(test_what_a_linear_reads_is_one_run),
        cmocka_unit_test(test_more_blocks_of_rows_than_bytes),
        cmocka_unit_test(test_blocks_fewer_than_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
