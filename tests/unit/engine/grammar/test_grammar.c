/* What the scheduler and the server see of a grammar: limits by name, memory that runs out, shared use. */
#include <pthread.h>

#include "tests/support/failing_malloc.h"
#include "tests/unit/engine/grammar/shared_vocabulary.h"

static const char *const sources[] = {
    "root ::= \"{\" pair (\",\" pair)* \"}\"\n"
    "pair ::= \"\\\"\" [^\"]{1,20} \"\\\":\" (root | [0-9]+ | list)\nlist ::= \"[\" (root (\",\" root)*)? "
    "\"]\"",
    "root ::= (\"a\" | \"b\" root \"c\"){1,3} | [^x]* \"x\"",
};

/* Compiles, and takes some tokens; *made says how far it came. */
static enum status use(const char *source, struct error *e) {
    struct grammar *g;
    uint32_t bits[FIXTURE_WORDS];
    grammar_state at = GRAMMAR_START;
    enum status status = fixture_try(GRAMMAR_GBNF, source, vocabulary, &g, e);
    for (int step = 0; status == STATUS_OK && step < 6 && at != GRAMMAR_DEAD; step++) {
        status = grammar_mask(g, at, bits, e);
        size_t token = 0;
        while (status == STATUS_OK && token < FIXTURE_TOKENS - 1 && !((bits[token / 32] >> (token % 32)) & 1))
            token++;
        if (status == STATUS_OK) status = grammar_accept(g, at, (int32_t)token, &at, e);
    }
    grammar_release(g);
    return status;
}

static void any_allocation_may_fail(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct error e;
        assert_ok(use(sources[i], &e));
        for (size_t n = 1;; n++) {
            failing_malloc_arm(n);
            enum status status = use(sources[i], &e);
            if (!failing_malloc_disarm()) {
                assert_int_equal(status, STATUS_OK);
                assert_true(n > 10);
                break;
            }
            assert_int_equal(status, STATUS_NO_MEMORY);
        }
    }
}

static void a_vocabulary_may_find_no_memory(void **state) {
    struct engine_string texts[] = {{"a", 1}, {"", 0}, {"ab", 2}};
    struct grammar_vocabulary *v;
    struct error e;
    (void)state;
    for (size_t n = 1;; n++) {
        failing_malloc_arm(n);
        enum status status = grammar_vocabulary_create(texts, 3, &v, &e);
        if (!failing_malloc_disarm()) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_null(v);
    }
    assert_true(grammar_vocabulary_bytes(v) > 0);
    grammar_vocabulary_destroy(v);
}

/* A state that was made before a failure is as good behind it. */
static void a_failure_leaves_what_was_there(void **state) {
    struct grammar *g = fixture_compile(GRAMMAR_GBNF, sources[0], vocabulary);
    grammar_state at = fixture_read(g, "{\"ab", 4), to;
    uint32_t before[FIXTURE_WORDS], behind[FIXTURE_WORDS];
    struct error e;
    (void)state;
    assert_ok(grammar_mask(g, at, before, &e));
    for (size_t n = 1; n < 40; n++) {
        failing_malloc_arm(n);
        enum status status = grammar_accept(g, at, 'a', &to, &e);
        enum status mask = grammar_mask(g, to, behind, &e);
        failing_malloc_disarm();
        assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
        assert_true(mask == STATUS_OK || mask == STATUS_NO_MEMORY);
    }
    assert_ok(grammar_mask(g, at, behind, &e));
    assert_memory_equal(before, behind, sizeof before);
    assert_true(fixture_matches(g, "{\"ab\":1}"));
    grammar_release(g);
}

static enum status compile_with(const char *source, const struct grammar_options *o, struct error *e) {
    struct grammar *g;
    enum status status =
        grammar_compile(GRAMMAR_GBNF, (struct engine_string){source, strlen(source)}, o, vocabulary, &g, e);
    if (status == STATUS_OK) assert_true(grammar_bytes(g) <= o->bytes_max + 4096);
    grammar_release(g);
    return status;
}

static void limits_are_named(void **state) {
    const struct grammar_options small = {.bytes_max = 3000, .seconds_max = 10};
    const struct grammar_options enough = {.bytes_max = 1 << 20, .seconds_max = 10};
    const struct grammar_options hasty = {.bytes_max = 8 << 20, .seconds_max = 1e-9};
    enum { PARTS = 10000 };
    struct error e;
    (void)state;
    assert_int_equal(compile_with(sources[0], &small, &e), STATUS_LIMIT);
    assert_says(e.text, "3000 bytes");
    assert_ok(compile_with(sources[0], &enough, &e));
    char *source = malloc(9 + 4 * PARTS + 1);
    memcpy(source, "root ::= ", 9);
    for (size_t i = 0; i < PARTS; i++) memcpy(source + 9 + 4 * i, " \"b\"", 4);
    source[9 + 4 * PARTS] = 0;
    assert_int_equal(compile_with(source, &hasty, &e), STATUS_LIMIT);
    free(source);
    assert_says(e.text, "longer");
}

/* Walking on past the memory says so, and goes on where memory is not needed. */
static void memory_ends_while_walking(void **state) {
    const struct grammar_options o = {.bytes_max = 60000, .seconds_max = 10};
    struct grammar *g;
    grammar_state at = GRAMMAR_START;
    struct error e;
    size_t steps = 0;
    (void)state;
    assert_ok(grammar_compile(GRAMMAR_GBNF, (struct engine_string){"root ::= \"(\" root \")\" | \"x\"", 27},
                              &o, vocabulary, &g, &e));
    while (grammar_accept(g, at, '(', &at, &e) == STATUS_OK) steps++;
    assert_int_equal(e.code, STATUS_LIMIT);
    assert_says(e.text, "60000 bytes");
    assert_true(steps > 20);
    assert_false(fixture_matches(g, "(("));
    assert_int_not_equal(fixture_read(g, "((", 2), GRAMMAR_DEAD);
    grammar_release(g);
}

static void *walk_often(void *argument) {
    struct grammar *g = argument;
    bool fine = true;
    for (int i = 0; i < 200; i++) fine &= fixture_matches(g, "{\"ab\":{\"c\":[{\"a\":12}]}}");
    grammar_release(g);
    return fine ? g : NULL;
}

static void threads_share_it(void **state) {
    struct grammar *g = fixture_compile(GRAMMAR_GBNF, sources[0], vocabulary);
    pthread_t threads[3];
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, walk_often, grammar_retain(g)), 0);
    grammar_release(g);
    for (size_t i = 0; i < 3; i++) {
        void *fine;
        pthread_join(threads[i], &fine);
        assert_non_null(fine);
    }
}

/* Looking ahead is no request of anybody's: where it fails, the next who asks hears nothing of it. */
static void looking_ahead_in_vain_spoils_nothing(void **state) {
    (void)state;
    const struct grammar_options options = {.bytes_max = 256 << 10, .seconds_max = 100};
    struct grammar_vocabulary *v = fixture_vocabulary();
    struct grammar *g;
    struct error e;
    char ahead[96];
    grammar_state at = GRAMMAR_START, to;
    enum status status;
    assert_ok(grammar_compile(GRAMMAR_REGEX, (struct engine_string){"a{100000}", 9}, &options, v, &g, &e));
    do {
        grammar_state before = at;
        status = grammar_accept(g, at, 'a', &at, &e);
        if (status != STATUS_OK) at = before;
    } while (status == STATUS_OK);
    assert_int_equal(status, STATUS_LIMIT);
    assert_int_equal(grammar_forced(g, at, ahead, sizeof ahead), 0);
    assert_ok(grammar_accept(g, GRAMMAR_START, 'b', &to, &e));
    assert_int_equal(to, GRAMMAR_DEAD);
    grammar_release(g);
    grammar_vocabulary_destroy(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_vocabulary_may_find_no_memory),
        cmocka_unit_test(a_failure_leaves_what_was_there),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(memory_ends_while_walking),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(looking_ahead_in_vain_spoils_nothing),
    };
    return cmocka_run_group_tests(tests, vocabulary_setup, vocabulary_teardown);
}
