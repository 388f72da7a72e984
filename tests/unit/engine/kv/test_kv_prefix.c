#include "tests/support/test_support.h"

#include <stdbool.h>

#include "engine/kv/kv_prefix.h"

enum { PAGES = 12, STEP = 16 };

static struct kv_pool pool;
static struct kv_prefix prefix;
static int32_t tokens[PAGES * STEP];

static int start(void **state) {
    (void)state;
    struct error e;
    const struct kv_layout layout = {.layers = 1, .kv_heads = 1, .head_dim = 1, .page_tokens = STEP};
    assert_ok(kv_pool_init(&pool, &layout, PAGES, &e));
    assert_ok(kv_prefix_init(&prefix, &pool, &e));
    pool.prefix = &prefix;
    for (int i = 0; i < PAGES * STEP; i++) tokens[i] = i * 7 % 31;
    return 0;
}

static int stop(void **state) {
    (void)state;
    assert_int_equal(kv_pool_available(&pool), PAGES);
    kv_pool_deinit(&pool);
    kv_prefix_deinit(&prefix);
    return 0;
}

/* A sequence of so many full pages that has been computed. */
static struct kv_table compute(const int32_t *ids, size_t pages, uint64_t salt) {
    struct error e;
    struct kv_table table;
    struct kv_prefix_cursor cursor = {.salt = salt};
    assert_ok(kv_table_init(&table, PAGES, &e));
    assert_int_equal(kv_table_reserve(&table, &pool, pages * STEP), STATUS_OK);
    for (size_t i = 0; i < pages; i++) kv_prefix_add(&prefix, &cursor, table.pages[i], ids + i * STEP);
    return table;
}

static void give_back(struct kv_table *table) {
    kv_table_shrink(table, &pool, 0);
    kv_table_deinit(table);
}

static size_t match(const int32_t *ids, size_t most, uint64_t salt, uint32_t *pages) {
    struct kv_prefix_cursor cursor = {.salt = salt};
    return kv_prefix_match(&prefix, ids, most, &cursor, pages);
}

static void finds_the_longest_known_beginning(void **state) {
    (void)state;
    uint32_t pages[PAGES];
    struct kv_table a = compute(tokens, 4, 0);
    assert_int_equal(match(tokens, 6, 0, pages), 4);
    assert_memory_equal(pages, a.pages, 4 * sizeof *pages);
    assert_int_equal(match(tokens, 2, 0, pages), 2);
    assert_int_equal(match(tokens, 6, 1, pages), 0); /* another salt */
    int32_t other[6 * STEP];
    memcpy(other, tokens, sizeof other);
    other[2 * STEP + 15]++;
    assert_int_equal(match(other, 6, 0, pages), 2);
    /* The same tokens behind another beginning are another content. */
    assert_int_equal(match(tokens + STEP, 3, 0, pages), 0);
    give_back(&a);
}

static void idle_pages_are_shared_again(void **state) {
    (void)state;
    struct error e;
    uint32_t pages[PAGES];
    struct kv_table a = compute(tokens, 3, 0), b;
    give_back(&a);
    assert_int_equal(prefix.idle_count, 3);
    assert_int_equal(kv_pool_available(&pool), PAGES);
    assert_int_equal(match(tokens, 3, 0, pages), 3);
    assert_ok(kv_table_init(&b, PAGES, &e));
    kv_table_adopt(&b, &pool, pages, 3);
    assert_int_equal(kv_pool_available(&pool), PAGES - 3);
    kv_pool_retain_page(&pool, pages[0]);
    kv_table_shrink(&b, &pool, 0);
    assert_int_equal(kv_pool_available(&pool), PAGES - 1);
    kv_pool_release_page(&pool, pages[0]);
    kv_table_deinit(&b);
}

static void the_end_of_the_oldest_is_forgotten_first(void **state) {
    (void)state;
    struct error e;
    uint32_t pages[PAGES];
    int32_t second[4 * STEP];
    for (int i = 0; i < 4 * STEP; i++) second[i] = 1000 + i;
    struct kv_table a = compute(tokens, 4, 0), b = compute(second, 4, 0), c;
    give_back(&a);
    give_back(&b);
    assert_ok(kv_table_init(&c, PAGES, &e));
    assert_int_equal(kv_table_reserve(&c, &pool, 6 * STEP), STATUS_OK); /* 4 free, 2 of the idle */
    assert_int_equal(match(tokens, 4, 0, pages), 2);
    assert_int_equal(match(second, 4, 0, pages), 4);
    assert_int_equal(kv_table_reserve(&c, &pool, 12 * STEP), STATUS_OK);
    assert_int_equal(match(second, 4, 0, pages), 0);
    assert_int_equal(kv_pool_available(&pool), 0);
    give_back(&c);
}

static void the_same_content_is_known_once(void **state) {
    (void)state;
    uint32_t pages[PAGES];
    struct kv_table a = compute(tokens, 2, 0), b = compute(tokens, 3, 0);
    assert_int_equal(match(tokens, 3, 0, pages), 3);
    assert_int_equal(pages[0], a.pages[0]);
    assert_int_equal(pages[2], b.pages[2]); /* behind the known ones */
    give_back(&b);
    assert_int_equal(prefix.idle_count, 1);
    give_back(&a);
    assert_int_equal(match(tokens, 3, 0, pages), 3);
}

/* A page whose beginning is gone cannot be found, and is not taken for another's. */
static void a_forgotten_beginning_hides_what_follows(void **state) {
    (void)state;
    struct error e;
    uint32_t pages[PAGES];
    struct kv_table a = compute(tokens, 2, 0), c;
    kv_pool_retain_page(&pool, a.pages[1]); /* held by another, which must not happen, but must not harm */
    uint32_t held = a.pages[1];
    give_back(&a);
    assert_ok(kv_table_init(&c, PAGES, &e));
    assert_int_equal(kv_table_reserve(&c, &pool, 11 * STEP), STATUS_OK);
    assert_int_equal(match(tokens, 2, 0, pages), 0);
    give_back(&c);
    struct kv_table d = compute(tokens, 1, 0);
    assert_int_equal(match(tokens, 2, 0, pages), 1);
    give_back(&d);
    kv_pool_release_page(&pool, held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_longest_known_beginning, start, stop),
        cmocka_unit_test_setup_teardown(idle_pages_are_shared_again, start, stop),
        cmocka_unit_test_setup_teardown(the_end_of_the_oldest_is_forgotten_first, start, stop),
        cmocka_unit_test_setup_teardown(the_same_content_is_known_once, start, stop),
        cmocka_unit_test_setup_teardown(a_forgotten_beginning_hides_what_follows, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
