/* Sequences whose pages begin alike go together, and keys are split into chunks where there are few tiles: both are
 * planned as they should be, and change no bit. */
#include "tests/unit/engine/forward/fixture.h"

/* One key/value head and rotary positions; a head for each query and ALiBi. Contexts of several chunks. */
#define ONE_HEAD   "tests/golden/families/falcon-7b"
#define MANY_HEADS "tests/golden/families/falcon-rw-long"

enum { STEPS = 9, LENGTH_MAX = 2 * KERNEL_ATTENTION_CHUNK + 4 * PAGE_TOKENS };

static int32_t token_of(size_t sequence, size_t position, size_t shared) {
    return (int32_t)((position * 7 + (position < shared ? 0 : 11 * (sequence + 1))) % 250);
}

/* Every sequence gets the first one's pages up to `shared` positions. */
static void share_pages(struct fixture *f, size_t shared) {
    for (size_t i = 1; i < ENTRIES_MAX; i++) {
        kv_table_shrink(&f->tables[i], &f->pool, 0);
        kv_table_adopt(&f->tables[i], &f->pool, f->tables[0].pages, shared / PAGE_TOKENS);
        assert_int_equal(kv_table_reserve(&f->tables[i], &f->pool, f->place.description.context), STATUS_OK);
    }
}

static struct step_entry entry_of(const struct fixture *f, size_t sequence, const int32_t *tokens,
                                  size_t first, size_t count) {
    return (struct step_entry){.table = &f->tables[sequence],
                               .tokens = tokens + first,
                               .first_position = first,
                               .count = count,
                               .logit_rows = 1,
                               .rotary_length = forward_rotary_length(f->forward, LENGTH_MAX)};
}

/* Positions [first, end) of one sequence, in steps of ROWS_MAX rows. */
static void prefill(struct fixture *f, size_t sequence, const int32_t *tokens, size_t first, size_t end) {
    for (size_t count; first < end; first += count) {
        count = end - first < ROWS_MAX ? end - first : ROWS_MAX;
        const struct step_entry entry = entry_of(f, sequence, tokens, first, count);
        forward_step(f->forward, &entry, 1);
    }
}

/* What a test does with the sequences: tokens of each, and logits [sequence][step]. */
struct run {
    size_t shared;
    bool drafts; /* some sequences have several rows in a step */
    int32_t tokens[ENTRIES_MAX][LENGTH_MAX];
    float *logits;
};

static float *logits_of(const struct run *run, const struct fixture *f, size_t sequence, size_t step) {
    return run->logits + (sequence * STEPS + step) * forward_vocabulary(f->forward);
}

static struct run run_create(const struct fixture *f, size_t shared, bool drafts) {
    struct run run = {.shared = shared, .drafts = drafts};
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        for (size_t p = 0; p < LENGTH_MAX; p++) run.tokens[i][p] = token_of(i, p, shared);
    run.logits = calloc(ENTRIES_MAX * STEPS * forward_vocabulary(f->forward), sizeof *run.logits);
    assert_non_null(run.logits);
    return run;
}

/* Rows of a sequence in each step. */
static size_t rows_of(const struct run *run, size_t sequence) {
    return run->drafts ? 1 + sequence % 3 : 1;
}

/* Each sequence by itself, in pages of its own. */
static void run_alone(struct fixture *f, struct run *run) {
    const size_t vocabulary = forward_vocabulary(f->forward);
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        prefill(f, i, run->tokens[i], 0, run->shared);
        for (size_t step = 0; step < STEPS; step++) {
            size_t rows = rows_of(run, i);
            prefill(f, i, run->tokens[i], run->shared + step * rows, run->shared + (step + 1) * rows);
            memcpy(logits_of(run, f, i, step), forward_logits(f->forward, 0), vocabulary * sizeof(float));
        }
    }
}

/* All of them together, in common pages. */
static void check_together(struct fixture *f, const struct run *run) {
    struct step_entry entries[ENTRIES_MAX];
    const struct attention_unit *unit = &f->forward->units[0];
    const size_t threads = workers_count(f->workers), heads = f->place.description.kv_heads;
    prefill(f, 0, run->tokens[0], 0, run->shared);
    share_pages(f, run->shared);
    for (size_t step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < ENTRIES_MAX; i++)
            entries[i] =
                entry_of(f, i, run->tokens[i], run->shared + step * rows_of(run, i), rows_of(run, i));
        forward_step(f->forward, entries, ENTRIES_MAX);
        assert_int_equal(f->forward->unit_count, 1);
        assert_int_equal(unit->shared, run->shared);
        assert_int_equal(unit->chunks > 1,
                         threads > 1 && heads < 4 * threads && unit->positions > KERNEL_ATTENTION_CHUNK);
        for (size_t i = 0; i < ENTRIES_MAX; i++)
            assert_memory_equal(forward_logits(f->forward, i), logits_of(run, f, i, step),
                                forward_vocabulary(f->forward) * sizeof(float));
    }
}

static void check_threads(const char *folder, const struct run *run) {
    static const size_t threads[] = {1, 2, 3, 5, 17, 40};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        struct fixture f;
        fixture_init_threads(&f, folder, NORM_FORM_CRMSNORM, threads[t]);
        check_together(&f, run);
        fixture_deinit(&f);
    }
}

/* The last pages in common end before, at and behind the end of a chunk; own rows pass it. */
static void check_bits(const char *folder) {
    static const size_t shared[] = {KERNEL_ATTENTION_CHUNK - PAGE_TOKENS, KERNEL_ATTENTION_CHUNK,
                                    2 * KERNEL_ATTENTION_CHUNK - PAGE_TOKENS};
    for (size_t i = 0; i < 2 * (sizeof shared / sizeof *shared); i++) {
        struct fixture alone;
        fixture_init_threads(&alone, folder, NORM_FORM_CRMSNORM, 1);
        assert_true(alone.place.description.context >= LENGTH_MAX);
        struct run run = run_create(&alone, shared[i / 2], i % 2);
        run_alone(&alone, &run);
        check_threads(folder, &run);
        free(run.logits);
        fixture_deinit(&alone);
    }
}

static void test_common_pages_and_chunks_change_no_bit(void **state) {
    (void)state;
    check_bits(ONE_HEAD);
    check_bits(MANY_HEADS);
}

/* Pages 0 .. that an entry has in common with the first one, and its rows. */
static void plan(struct fixture *f, const size_t *common, const size_t *rows) {
    static const int32_t tokens[ROWS_MAX];
    struct step_entry entries[ENTRIES_MAX];
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        kv_table_shrink(&f->tables[i], &f->pool, 0);
        if (i > 0) kv_table_adopt(&f->tables[i], &f->pool, f->tables[0].pages, common[i]);
        assert_int_equal(kv_table_reserve(&f->tables[i], &f->pool, f->place.description.context), STATUS_OK);
        entries[i] = entry_of(f, i, tokens, 0, rows[i]);
        entries[i].first_position = 400;
    }
    forward_step(f->forward, entries, ENTRIES_MAX);
}

/* Those that share most go together, and leave one that shares little alone. */
static void test_what_saves_most_goes_together(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, MANY_HEADS, NORM_FORM_CRMSNORM);
    const struct forward *forward = f.forward;
    plan(&f, (size_t[]){0, 20, 5, 20}, (size_t[]){1, 1, 1, 1});
    assert_int_equal(forward->unit_count, 2);
    assert_int_equal(forward->units[0].rows, 3);
    assert_int_equal(forward->units[0].shared, 20 * PAGE_TOKENS);
    assert_int_equal(forward->entry_unit[2], 1);
    assert_int_equal(forward->attention_order[2], 3);
    plan(&f, (size_t[]){0, 7, 6, 20}, (size_t[]){1, 1, 1, 1});
    assert_int_equal(forward->unit_count, 2);
    assert_int_equal(forward->entry_unit[3], 0);
    assert_int_equal(forward->units[1].rows, 2); /* of those that are left */
    assert_int_equal(forward->units[1].shared, 6 * PAGE_TOKENS);
    plan(&f, (size_t[]){0, 20, 20, 20}, (size_t[]){1, 33, 2, 2});
    assert_int_equal(forward->unit_count, 2); /* one that is long stays alone */
    assert_int_equal(forward->entry_unit[1], 1);
    assert_int_equal(forward->units[0].rows, 5);
    plan(&f, (size_t[]){0, 3, 3, 3}, (size_t[]){1, 1, 1, 1});
    assert_int_equal(forward->unit_count, 4); /* too little */
    fixture_deinit(&f);
}

static void check_runs(size_t threads, const size_t *expected, size_t count) {
    static const int32_t tokens[ROWS_MAX];
    struct fixture f;
    fixture_init_threads(&f, MANY_HEADS, NORM_FORM_CRMSNORM, threads);
    const struct step_entry entries[] = {entry_of(&f, 0, tokens, 0, 1), entry_of(&f, 1, tokens, 3, 37)};
    forward_step(f.forward, entries, 2);
    size_t row = 1;
    assert_int_equal(f.forward->run_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(f.forward->runs[i].first, row);
        assert_int_equal(f.forward->runs[i].count, expected[i]);
        row += expected[i];
    }
    fixture_deinit(&f);
}

/* A prompt from position 3 on, behind a row that its own tile stores. Many threads get shorter runs: 38 rows by 16 heads. */
static void test_rows_are_stored_by_blocks_of_keys(void **state) {
    (void)state;
    check_runs(1, (size_t[]){13, 16, 8}, 3);
    check_runs(48, (size_t[]){13, 13, 3, 8}, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_common_pages_and_chunks_change_no_bit),
        cmocka_unit_test(test_what_saves_most_goes_together),
        cmocka_unit_test(test_rows_are_stored_by_blocks_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
