#include "tests/support/test_support.h"

#include "engine/kv/kv_plan.h"

/* A page of 16 positions: 2 * 2 * 8 * 16 * 2 floats = 4 KiB; a context of 100: 7 pages. */
static struct kv_demand demand(void) {
    return (struct kv_demand){.layout = {.layers = 2, .kv_heads = 2, .head_dim = 8, .page_tokens = 16},
                              .context = 100,
                              .sequences = 4,
                              .available_bytes = 100 << 20};
}

static size_t pages_of(const struct kv_demand *d) {
    struct error e;
    size_t pages = 0;
    assert_ok(kv_plan_pages(d, &pages, &e));
    return pages;
}

static void never_more_than_all_sequences_can_use(void **state) {
    (void)state;
    struct kv_demand d = demand();
    assert_int_equal(pages_of(&d), 4 * 7);
    d.bytes_wanted = (size_t)1 << 40;
    assert_int_equal(pages_of(&d), 4 * 7);
}

static void an_option_says_how_much(void **state) {
    (void)state;
    struct kv_demand d = demand();
    d.bytes_wanted = 10 * 4096 + 100;
    assert_int_equal(pages_of(&d), 10);
}

/* f16 and bf16: half of it, but bf16 stands in pairs; int8: a quarter, and two scales of four bytes for each position and head. */
static void narrower_types_have_more_pages(void **state) {
    (void)state;
    struct kv_demand d = demand();
    d.bytes_wanted = 10 * 4096;
    d.sequences = 100;
    d.layout.type = KV_TYPE_F16;
    assert_int_equal(pages_of(&d), 20);
    d.layout.type = KV_TYPE_BF16;
    assert_int_equal(pages_of(&d), 20);
    d.layout.head_dim--;
    assert_int_equal(pages_of(&d), 20);
    d.layout.head_dim++;
    d.layout.type = KV_TYPE_INT8;
    assert_int_equal(pages_of(&d), 10 * 4096 / (1024 + 2 * 2 * 16 * 8));
}

static void otherwise_a_share_of_what_is_left(void **state) {
    (void)state;
    struct kv_demand d = demand();
    size_t page = kv_plan_page_bytes(&d.layout);
    assert_true(page > 4096 && page < 4096 + 256); /* what is kept about it, too */
    d.available_bytes = 16 * page + 99;
    assert_int_equal(pages_of(&d), 12); /* three quarters */
    d.available_bytes = 0;
    assert_int_equal(pages_of(&d), 28);
}

/* What is reserved is left alone, and so is a quarter where nothing is. */
static void what_is_reserved_is_left_alone(void **state) {
    (void)state;
    struct kv_demand d = demand();
    size_t page = kv_plan_page_bytes(&d.layout);
    struct error e;
    size_t pages;
    d.available_bytes = 40 * page;
    d.reserved_bytes = 4 * page;
    assert_int_equal(pages_of(&d), 28); /* all that can be used */
    d.reserved_bytes = 20 * page;
    assert_int_equal(pages_of(&d), 20);
    d.reserved_bytes = 33 * page;
    assert_int_equal(pages_of(&d), 7);
    d.reserved_bytes = 33 * page + 1;
    assert_int_equal(kv_plan_pages(&d, &pages, &e), STATUS_LIMIT);
    assert_string_equal(e.where, "memory");
    d.reserved_bytes = SIZE_MAX;
    assert_int_equal(kv_plan_pages(&d, &pages, &e), STATUS_LIMIT);
}

static void an_option_must_fit_too(void **state) {
    (void)state;
    struct kv_demand d = demand();
    size_t page = kv_plan_page_bytes(&d.layout);
    struct error e;
    size_t pages;
    d.bytes_wanted = 10 * 4096;
    d.available_bytes = 20 * page;
    d.reserved_bytes = 10 * page;
    assert_int_equal(pages_of(&d), 10);
    d.reserved_bytes++;
    assert_int_equal(kv_plan_pages(&d, &pages, &e), STATUS_OPTION);
    assert_string_equal(e.where, "kv-cache-mib");
    d.available_bytes = 0; /* nobody knows */
    assert_int_equal(pages_of(&d), 10);
    d.available_bytes = 20 * page;
    d.reserved_bytes = 0;
    d.bytes_wanted = (size_t)1 << 40; /* never more than can be used */
    d.sequences = 2;
    assert_int_equal(pages_of(&d), 14);
}

static void refuses_less_than_one_context(void **state) {
    (void)state;
    struct kv_demand d = demand();
    struct error e;
    size_t pages;
    d.bytes_wanted = 7 * 4096;
    assert_int_equal(pages_of(&d), 7);
    d.bytes_wanted--;
    assert_int_equal(kv_plan_pages(&d, &pages, &e), STATUS_OPTION);
    assert_string_equal(e.where, "kv-cache-mib");
    d.bytes_wanted = 0, d.available_bytes = 8 * 4096;
    assert_int_equal(kv_plan_pages(&d, &pages, &e), STATUS_LIMIT);
    assert_string_equal(e.where, "memory");
    d.layout.page_tokens = 20;
    assert_int_equal(kv_plan_pages(&d, &pages, &e), STATUS_OPTION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more_than_all_sequences_can_use),
        cmocka_unit_test(an_option_says_how_much),
        cmocka_unit_test(narrower_types_have_more_pages),
        cmocka_unit_test(otherwise_a_share_of_what_is_left),
        cmocka_unit_test(what_is_reserved_is_left_alone),
        cmocka_unit_test(an_option_must_fit_too),
        cmocka_unit_test(refuses_less_than_one_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
