/* Grammars by what they were compiled from: made once, kept while there is room, and given up in the order of use. */
#include "tests/support/test_support.h"

#include <pthread.h>

#include "engine/base/clock.h"
#include "engine/grammar/grammar_cache.h"

enum { PLACES = 16, THREADS = 4 };

static struct grammar_vocabulary *vocabulary;
static struct grammar_cache *cache;

static int start(void **state) {
    (void)state;
    static const struct engine_string texts[] = {{"a", 1}, {"b", 1}, {"ab", 2}, {"1", 1},
                                                 {"[", 1}, {"]", 1}, {"{", 1},  {"}", 1}};
    struct error e;
    return grammar_vocabulary_create(texts, 8, &vocabulary, &e) != STATUS_OK ||
           grammar_cache_create(vocabulary, (size_t)PLACES << 20, &cache, &e) != STATUS_OK;
}

static int stop(void **state) {
    (void)state;
    grammar_cache_destroy(cache);
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}

static enum status get_with(enum grammar_kind kind, const char *text, const char *whitespace,
                            struct grammar **out, struct error *e) {
    const struct grammar_source source = {
        .kind = kind, .text = {text, strlen(text)}, .whitespace = {whitespace, strlen(whitespace)}};
    return grammar_cache_get(cache, &source, out, e);
}

static struct grammar *get(enum grammar_kind kind, const char *text) {
    struct grammar *g;
    struct error e;
    assert_ok(get_with(kind, text, "", &g, &e));
    return g;
}

/* a{n} */
static const char *numbered(size_t n) {
    static char text[32];
    snprintf(text, sizeof text, "a{%zu}", n + 1);
    return text;
}

static void what_was_compiled_is_found_again(void **state) {
    (void)state;
    struct grammar *a = get(GRAMMAR_REGEX, "a+b"), *same = get(GRAMMAR_REGEX, "a+b"), *other, *json, *spaced;
    struct error e;
    assert_ptr_equal(a, same);
    assert_ok(get_with(GRAMMAR_REGEX, "a+b", " ", &other, &e)); /* another whitespace */
    assert_ptr_not_equal(a, other);
    json = get(GRAMMAR_JSON_SCHEMA, "{}");
    assert_ok(get_with(GRAMMAR_JSON_SCHEMA, "{}", " ?", &spaced, &e));
    assert_ptr_not_equal(json, spaced);
    grammar_release(a);
    grammar_release(same);
    same = get(GRAMMAR_REGEX, "a+b"); /* it was kept without us */
    assert_ptr_equal(a, same);
    grammar_release(same);
    grammar_release(other);
    grammar_release(json);
    grammar_release(spaced);
}

/* The same schema, with other things said of JSON, is another grammar. */
static void what_is_said_of_json_counts(void **state) {
    (void)state;
    static const char schema[] = "{\"patternProperties\":{\"a\":{}}}";
    struct grammar_source source = {.kind = GRAMMAR_JSON_SCHEMA, .text = {schema, sizeof schema - 1}};
    struct grammar *g[3];
    struct error e;
    assert_ok(grammar_cache_get(cache, &source, &g[0], &e));
    source.is_compact = true;
    assert_ok(grammar_cache_get(cache, &source, &g[1], &e));
    source.closes_objects = true;
    assert_ok(grammar_cache_get(cache, &source, &g[2], &e));
    assert_true(g[0] != g[1] && g[1] != g[2] && g[0] != g[2]);
    for (size_t i = 0; i < 3; i++) grammar_release(g[i]);
}

static void what_is_held_stays_and_the_rest_gives_way(void **state) {
    (void)state;
    struct grammar *held[PLACES], *more;
    struct error e;
    for (size_t i = 0; i < PLACES; i++) held[i] = get(GRAMMAR_REGEX, numbered(i));
    assert_int_equal(get_with(GRAMMAR_REGEX, "b", "", &more, &e), STATUS_BUSY);
    assert_null(more);
    assert_non_null(strstr(e.text, "16 different ones are in use"));
    more = get(GRAMMAR_REGEX, numbered(3)); /* one of those that are there */
    assert_ptr_equal(more, held[3]);
    grammar_release(more);
    for (size_t i = 0; i < PLACES; i++) grammar_release(held[i]);
    grammar_release(get(GRAMMAR_REGEX, numbered(0))); /* used last, so the next but one goes */
    grammar_release(get(GRAMMAR_REGEX, "b"));
    more = get(GRAMMAR_REGEX, numbered(0));
    assert_ptr_equal(more, held[0]);
    grammar_release(more);
}

static void what_is_not_understood_takes_no_place(void **state) {
    (void)state;
    struct grammar *g;
    struct error e;
    for (size_t i = 0; i < 2 * PLACES; i++) {
        assert_int_equal(get_with(GRAMMAR_REGEX, "(", "", &g, &e), STATUS_INVALID_ARGUMENT);
        assert_null(g);
    }
    grammar_release(get(GRAMMAR_REGEX, "ab"));
}

/* Each request is one of: compiled, found, refused, without a place. */
static void its_figures_say_what_became_of_requests(void **state) {
    (void)state;
    struct grammar *held[PLACES], *none;
    struct grammar_stats stats;
    struct error e;
    for (size_t i = 0; i < PLACES; i++) held[i] = get(GRAMMAR_REGEX, numbered(i));
    assert_int_equal(get_with(GRAMMAR_REGEX, "b", "", &none, &e), STATUS_BUSY);
    grammar_release(get(GRAMMAR_REGEX, numbered(0)));
    grammar_release(held[1]);
    assert_int_equal(get_with(GRAMMAR_REGEX, "(", "", &none, &e), STATUS_INVALID_ARGUMENT);
    grammar_cache_stats(cache, &stats);
    assert_int_equal(stats.compiled, PLACES);
    assert_int_equal(stats.found, 1);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.busy, 1);
    assert_int_equal(stats.in_use, PLACES - 1);
    assert_int_equal(stats.kept, PLACES - 1); /* the one that was let go made room for the refused one */
    uint64_t timed = 0;
    for (size_t i = 0; i <= stats.compile_time.bound_count; i++) timed += stats.compile_time.counts[i];
    assert_int_equal(timed, PLACES + 1);
    assert_true(stats.compile_time.sum > 0);
    for (size_t i = 0; i < PLACES; i++)
        if (i != 1) grammar_release(held[i]);
    grammar_cache_stats(NULL, &stats);
    assert_int_equal(stats.compiled + stats.kept + stats.in_use, 0);
}

/* Eight may take all that there is; then nobody else begins, and where they are given back there is room again. */
static void all_together_take_no_more_than_there_is(void **state) {
    (void)state;
    struct grammar *held[PLACES], *more;
    enum status status = STATUS_OK;
    size_t count = 0;
    struct error e;
    for (; count < PLACES && status == STATUS_OK; count++) {
        static char text[32];
        snprintf(text, sizeof text, "a{%zu}", 100000 - count);
        if (get_with(GRAMMAR_REGEX, text, "", &held[count], &e) != STATUS_OK) break;
        grammar_state at = GRAMMAR_START;
        while (status == STATUS_OK) status = grammar_accept(held[count], at, 0, &at, &e);
        if (status == STATUS_LIMIT) status = STATUS_OK; /* its own part */
    }
    assert_in_range(count, 6, 9);
    assert_int_equal(get_with(GRAMMAR_REGEX, "b+", "", &more, &e), STATUS_BUSY);
    for (size_t i = 0; i < count; i++) grammar_release(held[i]);
    grammar_release(get(GRAMMAR_REGEX, "b+"));
}

/* Whoever has read long for it leaves it less, and never nothing: this one is never done. */
static void what_was_spent_on_reading_counts(void **state) {
    (void)state;
    static const double spent[] = {0, 0.03, 100};
    struct grammar_source source = {.kind = GRAMMAR_JSON_SCHEMA};
    char text[2048] = "{\"allOf\":[";
    double seconds[3];
    for (int i = 0; i < 62; i++) strcat(text, "{\"anyOf\":[{},{\"title\":\"\"}]},");
    strcat(text, "{\"anyOf\":[false]}]}");
    source.text = (struct engine_string){text, strlen(text)};
    for (int i = 0; i < 3; i++) {
        struct grammar *g;
        struct error e;
        uint64_t start = clock_thread_ns();
        source.seconds_spent = spent[i];
        assert_int_equal(grammar_cache_get(cache, &source, &g, &e), STATUS_LIMIT);
        assert_says(e.text, "longer");
        seconds[i] = (double)(clock_thread_ns() - start) * 1e-9;
    }
    assert_true(seconds[0] > 0.08 && seconds[1] > 0.025 && seconds[2] > 0.008);
    assert_true(seconds[1] < seconds[0] && seconds[2] < seconds[1]);
}

static void *get_many(void *context) {
    struct grammar **got = context;
    for (size_t i = 0; i < 8; i++)
        got[i] = get(GRAMMAR_JSON_SCHEMA, i % 2 ? "{\"type\":\"array\"}" : "{\"type\":\"object\"}");
    return NULL;
}

static void threads_get_the_same(void **state) {
    (void)state;
    struct grammar *got[THREADS][8];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_many, got[i]), 0);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++)
        for (size_t k = 0; k < 8; k++) {
            assert_ptr_equal(got[i][k], got[0][k % 2]);
            if (i > 0 || k > 1) grammar_release(got[i][k]);
        }
    assert_ptr_not_equal(got[0][0], got[0][1]);
    grammar_release(got[0][0]);
    grammar_release(got[0][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_compiled_is_found_again, start, stop),
        cmocka_unit_test_setup_teardown(what_is_said_of_json_counts, start, stop),
        cmocka_unit_test_setup_teardown(what_is_held_stays_and_the_rest_gives_way, start, stop),
        cmocka_unit_test_setup_teardown(what_is_not_understood_takes_no_place, start, stop),
        cmocka_unit_test_setup_teardown(its_figures_say_what_became_of_requests, start, stop),
        cmocka_unit_test_setup_teardown(all_together_take_no_more_than_there_is, start, stop),
        cmocka_unit_test_setup_teardown(what_was_spent_on_reading_counts, start, stop),
        cmocka_unit_test_setup_teardown(threads_get_the_same, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
