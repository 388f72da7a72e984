/* Each allocation of compiling a schema or an expression fails in turn: STATUS_NO_MEMORY, and nothing is left behind. */
#include "tests/support/failing_malloc.h"
#include "tests/unit/engine/grammar/grammar_fixture.h"

#include "engine/files/json_file.h"

static const struct {
    enum grammar_kind kind;
    const char *source;
} sources[] = {
    {GRAMMAR_JSON_SCHEMA,
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\",\"minimum\":0.5,\"multipleOf\":0.25},"
     "\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"http://a/"
     "b#name\"},\"maxItems\":3},\"c\":{\"enum\":[\"x\",1,{"
     "\"k\":[]}]}},"
     "\"required\":[\"a\",\"z\"],\"patternProperties\":{\"^\\\\w\":{\"format\":\"date\"}},\"propertyNames\":{"
     "\"maxLength\":4},"
     "\"additionalProperties\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]},\"$defs\":{\"n\":{\"$"
     "anchor\":\"name\","
     "\"$id\":\"http://a/b\",\"allOf\":[{\"type\":\"string\"},{\"minLength\":1}]}}}"},
    {GRAMMAR_JSON_SCHEMA, "{}"},
    {GRAMMAR_JSON_OBJECT, ""},
    {GRAMMAR_REGEX, "(?i)^a[^\\w]|(b{2,3}\\p{Lu}|[[:alpha:]]\\Qx\\E)+$"},
};

static void any_allocation_may_fail(void **state) {
    struct grammar_vocabulary *v = fixture_vocabulary();
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        for (size_t n = 1;; n++) {
            struct grammar *g;
            struct error e = {.text = ""};
            failing_malloc_arm(n);
            enum status status = fixture_try(sources[i].kind, sources[i].source, v, &g, &e);
            bool failed = failing_malloc_disarm();
            if (status != (failed ? STATUS_NO_MEMORY : STATUS_OK))
                fail_msg("source %zu, allocation %zu: %s: %s: %s", i, n, status_name(status), e.where,
                         e.text);
            grammar_release(g);
            if (!failed) break;
        }
    }
    grammar_vocabulary_destroy(v);
}

/* Where no time is left, few of a set's classes are read. */
static void check_classes_are_work(const char *begin, const char *class,
                                   const struct grammar_vocabulary *vocabulary) {
    enum { CLASSES = 10000, ALLOCATIONS_MAX = 5000 };
    const struct grammar_options options = {.bytes_max = 1 << 24, .seconds_max = 1e-9};
    static char text[3 * CLASSES + 8];
    struct grammar *g;
    struct error e;
    size_t length = (size_t)sprintf(text, "%s", begin);
    for (int i = 0; i < CLASSES; i++) length += (size_t)sprintf(text + length, "%s", class);
    text[length++] = ']';
    failing_malloc_arm(ALLOCATIONS_MAX);
    enum status status =
        grammar_compile(GRAMMAR_REGEX, (struct engine_string){text, length}, &options, vocabulary, &g, &e);
    if (failing_malloc_disarm()) fail_msg("%s%s: all are read", begin, class);
    assert_int_equal(status, STATUS_LIMIT);
}

static void many_classes_of_a_set_are_work(void **state) {
    struct grammar_vocabulary *v = fixture_vocabulary();
    (void)state;
    check_classes_are_work("(?i)[", "\\pL", v);
    check_classes_are_work("[^", "\\w", v);
    check_classes_are_work("[", "\\D", v);
    grammar_vocabulary_destroy(v);
}

int main(void) {
    json_file_process_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_allocation_may_fail),
                                       cmocka_unit_test(many_classes_of_a_set_are_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
