#include "tests/support/test_support.h"

#include <stdbool.h>

#include "engine/kv/kv_pool.h"

static const struct kv_layout layout = {.layers = 2, .kv_heads = 3, .head_dim = 4, .page_tokens = 16};

static void takes_and_releases_every_page_once(void **state) {
    (void)state;
    struct error e;
    struct kv_pool pool;
    assert_ok(kv_pool_init(&pool, &layout, 5, &e));
    bool seen[5] = {false};
    uint32_t page;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(kv_pool_take_page(&pool, &page), STATUS_OK);
        assert_true(page < 5 && !seen[page]);
        seen[page] = true;
    }
    assert_int_equal(kv_pool_take_page(&pool, &page), STATUS_LIMIT);
    for (uint32_t i = 0; i < 5; i++) kv_pool_release_page(&pool, i);
    assert_int_equal(pool.free_count, 5);
    kv_pool_deinit(&pool);
}

/* A part of a head that starts where the one before it ends. */
static size_t expect_part(size_t begins, size_t expected, size_t bytes) {
    assert_int_equal(begins, expected);
    assert_int_equal(begins % KERNEL_ALIGN, 0);
    return begins + (bytes + KERNEL_ALIGN - 1) / KERNEL_ALIGN * KERNEL_ALIGN;
}

static void parts_of_a_page_fill_it_without_overlap(void **state) {
    (void)state;
    struct error e;
    for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++)
        for (size_t dim = 1; dim < 20; dim += 3) {
            struct kv_layout l = {
                .layers = 2, .kv_heads = 3, .head_dim = dim, .page_tokens = 48, .type = type};
            size_t end = 0, page, stored = type == KV_TYPE_BF16 ? (dim + 1) / 2 * 2 : dim;
            size_t elements = 48 * stored * kv_type_bytes(type);
            assert_ok(kv_page_bytes(&l, &page, &e));
            for (size_t i = 0; i < 2 * 3; i++) {
                struct kv_head head = kv_head_of(&l, i / 3, i % 3);
                assert_int_equal(head.type, type);
                end = expect_part(head.keys, end, elements);
                end = expect_part(head.values, end, elements);
                if (type != KV_TYPE_INT8) continue;
                end = expect_part(head.key_scales, end, 48 * sizeof(float));
                end = expect_part(head.value_scales, end, 48 * sizeof(float));
            }
            assert_int_equal(end, page);
        }
}

/* Else the blocks of a head would meet in few sets of a cache: see kv_page_bytes(). */
static void large_pages_are_no_large_power_of_two_apart(void **state) {
    (void)state;
    struct error e;
    struct kv_layout l = {.layers = 12, .kv_heads = 12, .head_dim = 64, .page_tokens = 16};
    for (l.layers = 1; l.layers < 20; l.layers++) {
        size_t page;
        assert_ok(kv_page_bytes(&l, &page, &e));
        assert_int_not_equal(page % 8192, 0);
        assert_int_equal(page % KERNEL_ALIGN, 0);
    }
}

static void pages_do_not_overlap_and_start_as_zero(void **state) {
    (void)state;
    struct error e;
    struct kv_pool pool;
    assert_ok(kv_pool_init(&pool, &layout, 3, &e));
    assert_int_equal(pool.page_bytes, 2 * 3 * 16 * 4 * 2 * sizeof(float));
    assert_ptr_equal(kv_page(&pool, 2), pool.memory + 2 * pool.page_bytes);
    assert_true(pool.memory[3 * pool.page_bytes - 1] == 0);
    for (size_t i = 0; i < 3 * pool.page_bytes; i++) pool.memory[i] = 1;
    kv_pool_deinit(&pool);
}

static void a_copy_is_all_bytes_of_the_page(void **state) {
    (void)state;
    struct error e;
    struct kv_pool pool;
    struct kv_layout l = layout;
    l.type = KV_TYPE_INT8;
    assert_ok(kv_pool_init(&pool, &l, 3, &e));
    uint32_t pages[3];
    for (size_t i = 0; i < 3; i++) assert_int_equal(kv_pool_take_page(&pool, &pages[i]), STATUS_OK);
    for (size_t i = 0; i < pool.page_bytes; i++) kv_page(&pool, 1)[i] = (unsigned char)(i * 7 + 1);
    kv_pool_copy_page(&pool, 0, 1);
    assert_memory_equal(kv_page(&pool, 0), kv_page(&pool, 1), pool.page_bytes);
    for (size_t i = 0; i < pool.page_bytes; i++) assert_int_equal(kv_page(&pool, 2)[i], 0);
    for (size_t i = 0; i < 3; i++) kv_pool_release_page(&pool, pages[i]);
    kv_pool_deinit(&pool);
}

static void shared_page_returns_with_its_last_reference(void **state) {
    (void)state;
    struct error e;
    struct kv_pool pool;
    assert_ok(kv_pool_init(&pool, &layout, 1, &e));
    uint32_t page;
    assert_int_equal(kv_pool_take_page(&pool, &page), STATUS_OK);
    kv_pool_retain_page(&pool, page);
    kv_pool_release_page(&pool, page);
    assert_int_equal(pool.free_count, 0);
    kv_pool_release_page(&pool, page);
    assert_int_equal(pool.free_count, 1);
    kv_pool_deinit(&pool);
}

static void table_reserves_all_or_none(void **state) {
    (void)state;
    struct error e;
    struct kv_pool pool;
    struct kv_table a, b;
    assert_ok(kv_pool_init(&pool, &layout, 4, &e));
    assert_ok(kv_table_init(&a, 4, &e));
    assert_ok(kv_table_init(&b, 4, &e));
    assert_int_equal(kv_table_reserve(&a, &pool, 17), STATUS_OK);
    assert_int_equal(a.count, 2);
    assert_int_equal(kv_table_reserve(&a, &pool, 32), STATUS_OK);
    assert_int_equal(a.count, 2);
    assert_int_equal(kv_table_reserve(&b, &pool, 33), STATUS_LIMIT);
    assert_int_equal(b.count, 0);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(kv_table_reserve(&b, &pool, 32), STATUS_OK);
    assert_true(b.pages[0] != a.pages[0] && b.pages[0] != a.pages[1]);
    kv_table_shrink(&a, &pool, 16);
    assert_int_equal(a.count, 1);
    assert_int_equal(pool.free_count, 1);
    kv_table_shrink(&a, &pool, 0);
    kv_table_shrink(&b, &pool, 0);
    assert_int_equal(pool.free_count, 4);
    kv_table_deinit(&a);
    kv_table_deinit(&b);
    kv_pool_deinit(&pool);
}

static void refuses_what_cannot_be(void **state) {
    (void)state;
    struct error e;
    struct kv_pool pool;
    struct kv_layout bad = layout;
    bad.page_tokens = 24;
    assert_int_equal(kv_pool_init(&pool, &bad, 1, &e), STATUS_OPTION);
    bad = layout;
    bad.head_dim = 0;
    assert_int_equal(kv_pool_init(&pool, &bad, 1, &e), STATUS_INVALID_ARGUMENT);
    bad.head_dim = SIZE_MAX / 8;
    assert_int_equal(kv_pool_init(&pool, &bad, 1, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(kv_pool_init(&pool, &layout, 0, &e), STATUS_INVALID_ARGUMENT);
    kv_pool_deinit(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_and_releases_every_page_once),
        cmocka_unit_test(parts_of_a_page_fill_it_without_overlap),
        cmocka_unit_test(large_pages_are_no_large_power_of_two_apart),
        cmocka_unit_test(a_copy_is_all_bytes_of_the_page),
        cmocka_unit_test(pages_do_not_overlap_and_start_as_zero),
        cmocka_unit_test(shared_page_returns_with_its_last_reference),
        cmocka_unit_test(table_reserves_all_or_none),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
