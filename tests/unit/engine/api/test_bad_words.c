/* Words that must not come, in ids of a real vocabulary. */
#include "tests/support/failing_malloc.h"
#include "tests/unit/engine/api/fixture.h"

#include "engine/base/log.h"

static struct engine *engine;

static int setup(void **state) {
    (void)state;
    struct engine_options options = fixture_options("deploy/models/tales");
    struct error e;
    options.kv_cache_mib = 64;
    assert_ok(engine_open(&options, &engine, &e));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

static void expect_ids(const struct engine_ban *ban, const char *text) {
    struct error e;
    int32_t *ids;
    size_t count;
    assert_ok(engine_encode(engine, text, strlen(text), false, 0, &ids, &count, &e));
    assert_int_equal(ban->count, count);
    assert_memory_equal(ban->ids, ids, count * sizeof *ids);
    free(ids);
}

static size_t ids_of(const char *text) {
    struct error e;
    int32_t *ids;
    size_t count;
    assert_ok(engine_encode(engine, text, strlen(text), false, 0, &ids, &count, &e));
    free(ids);
    return count;
}

/* "time" is one token and " time" another; "castle" is several and " castle" is one, which is then another text's business, as
 * with vLLM. */
static void test_with_a_blank_before_it_where_that_is_as_long(void **state) {
    (void)state;
    const struct engine_string words[] = {{"time", 4}, {"  time", 6}, {"castle", 6}, {"a\0b", 3}};
    struct engine_ban *bans;
    struct error e;
    size_t count;
    assert_int_equal(ids_of("time"), 1);
    assert_int_equal(ids_of(" time"), 1);
    assert_true(ids_of("castle") > ids_of(" castle"));
    assert_ok(engine_bans_create(engine, words, 3, &bans, &count, &e));
    assert_int_equal(count, 5);
    expect_ids(&bans[0], "time");
    expect_ids(&bans[1], " time");
    expect_ids(&bans[2], "time");
    expect_ids(&bans[3], " time");
    expect_ids(&bans[4], "castle");
    engine_bans_destroy(bans, count);
    assert_ok(engine_bans_create(engine, words + 3, 1, &bans, &count, &e)); /* a NUL is a character */
    assert_true(count >= 1 && bans[0].count >= 3);
    engine_bans_destroy(bans, count);
}

static void test_no_words(void **state) {
    (void)state;
    struct engine_ban *bans;
    struct error e;
    size_t count;
    assert_ok(engine_bans_create(engine, NULL, 0, &bans, &count, &e));
    assert_null(bans);
    assert_int_equal(count, 0);
    engine_bans_destroy(bans, count);
}

static void test_blanks_alone(void **state) {
    (void)state;
    const struct engine_string words[] = {{"time", 4}, {"  ", 2}};
    struct engine_ban *bans;
    struct error e;
    size_t count;
    assert_int_equal(engine_bans_create(engine, words, 2, &bans, &count, &e), STATUS_INVALID_ARGUMENT);
    assert_null(bans);
    assert_int_equal(count, 0);
    assert_string_equal(e.where, "bad_words");
    assert_string_equal(e.text, "has a string of blanks alone");
}

static void test_without_memory(void **state) {
    (void)state;
    const struct engine_string words[] = {{"time", 4}, {"king", 4}};
    bool failed = true;
    size_t refused = 0;
    for (size_t n = 1; failed; n++) {
        struct engine_ban *bans;
        struct error e = {0};
        size_t count;
        failing_malloc_arm(n);
        enum status status = engine_bans_create(engine, words, 2, &bans, &count, &e);
        failed = failing_malloc_disarm();
        assert_true(status == STATUS_OK || (failed && status == STATUS_NO_MEMORY && !bans && e.text[0]));
        refused += status != STATUS_OK;
        if (status == STATUS_OK) engine_bans_destroy(bans, count);
    }
    assert_true(refused > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_a_blank_before_it_where_that_is_as_long),
        cmocka_unit_test(test_no_words),
        cmocka_unit_test(test_blanks_alone),
        cmocka_unit_test(test_without_memory),
    };
    engine_process_init();
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, setup, teardown);
}
