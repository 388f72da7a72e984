/* What is forgotten is found again: masks behind a reset at each token are those of a grammar that never forgets. */
#include "engine/grammar/grammar_parts.h"
#include "tests/unit/engine/grammar/shared_vocabulary.h"

enum { STEPS = 40, WALKS = 5, KEPT_MAX = 4, STRINGS = 300 };

struct source {
    enum grammar_kind kind;
    const char *text;
};

static const struct source sources[] = {
    {GRAMMAR_GBNF, "root ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]{2,300} \"\\\"\" root?"},
    {GRAMMAR_GBNF, "root ::= ((\"a\" | .) \"b\"?){2,5} [^a]{0,40} | \"{\\\"true\\\": \" root \"}\""},
    {GRAMMAR_GBNF, "root ::= \"(\" root \")\" | \"a\" root \"b\" | [x-z]+ (root | \"!\") | \"abcabc\" root"},
    {GRAMMAR_GBNF, "root ::= (\"aa\" | \"ab\" | \"abc\"){1,40} | \"\\\"\" .* \"b\\\"}\""},
    {GRAMMAR_REGEX, "([ab]*a[ab]{40}|true(aaa|abcd){2,9})c?"},
    {GRAMMAR_REGEX, "((([a-z]|[^,])){2,4}){2,30}"},
    {GRAMMAR_REGEX, "(\xc3\xa9[^,]*|(aaaa|aab|\xe2\x82\xac){1,20})+"},
    {GRAMMAR_JSON_OBJECT, ""},
    {GRAMMAR_JSON_SCHEMA, "{\"type\": \"string\", \"pattern\": \"^a[^\\\\r\\\\n]*c$\", \"maxLength\": 45}"},
    {GRAMMAR_JSON_SCHEMA, "{\"type\": \"array\", \"items\": {\"enum\": [\"abc\", \"aaaaaaaaaa\", 1234, null, "
                          "{\"a\": [true]}, \"\"]}}"},
    {GRAMMAR_JSON_SCHEMA,
     "{\"properties\": {\"aa\": {\"type\": \"string\", \"maxLength\": 101}, \"abc\": {\"$ref\": \"#\"}},"
     " \"additionalProperties\": {\"enum\": [\"true\", \"x\\u20ac\", 12345]}, \"propertyNames\": "
     "{\"maxLength\": 31}}"},
    {GRAMMAR_JSON_SCHEMA, "{\"type\": \"object\", \"required\": [\"a\"], \"properties\": {\"a\": {\"type\": "
                          "\"integer\", \"multipleOf\": 25},"
                          " \"b\": {\"type\": \"string\", \"format\": \"date\"}}, \"patternProperties\": "
                          "{\"^c+\": {\"type\": \"number\"}}}"},
};

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static int32_t pick(const uint32_t *bits, uint64_t number) {
    for (size_t i = 0; i < FIXTURE_TOKENS; i++) {
        size_t token = (number + i) % FIXTURE_TOKENS;
        if (bits[token / 32] >> token % 32 & 1) return (int32_t)token;
    }
    return -1;
}

/* Keeps these alone. */
static void forget(struct grammar *g, grammar_state *states, size_t count) {
    configuration *kept[KEPT_MAX];
    struct error e;
    for (size_t i = 0; i < count; i++) kept[i] = &states[i];
    masks_forget(&g->masks);
    matcher_reset(g->matcher, &g->mark, kept, count);
    assert_ok(rules_take_failure(g->matcher->rules, &e));
}

static size_t bytes_of_nothing(struct grammar *g) {
    forget(g, NULL, 0);
    return g->matcher->rules->bytes;
}

/* Some of them stand in earlier states, or in the same one; those stay good as well. */
static void walk(struct grammar *forgetful, struct grammar *roomy, uint64_t seed, const char *name) {
    grammar_state states[KEPT_MAX] = {GRAMMAR_START}, at[KEPT_MAX] = {GRAMMAR_START};
    struct error e;
    for (int step = 0; step < STEPS; step++) {
        uint32_t bits[FIXTURE_WORDS], expected[FIXTURE_WORDS];
        size_t which = next_random(&seed) % KEPT_MAX;
        forget(forgetful, states, KEPT_MAX);
        assert_ok(grammar_mask(forgetful, states[which], bits, &e));
        assert_ok(grammar_mask(roomy, at[which], expected, &e));
        if (memcmp(bits, expected, sizeof bits) != 0) fail_msg("%s: another mask in step %d", name, step);
        assert_int_equal(grammar_may_end(forgetful, states[which]), grammar_may_end(roomy, at[which]));
        int32_t token = pick(bits, next_random(&seed));
        size_t to = next_random(&seed) % KEPT_MAX;
        if (token < 0) to = which, states[which] = at[which] = GRAMMAR_START;
        if (token < 0) continue;
        assert_ok(grammar_accept(forgetful, states[which], token, &states[to], &e));
        assert_ok(grammar_accept(roomy, at[which], token, &at[to], &e));
    }
}

static void check(const struct source *s) {
    struct grammar *forgetful = fixture_compile(s->kind, s->text, vocabulary);
    struct grammar *roomy = fixture_compile(s->kind, s->text, vocabulary);
    size_t bytes = bytes_of_nothing(forgetful);
    for (uint64_t seed = 1; seed <= WALKS; seed++) {
        walk(forgetful, roomy, seed, s->text);
        assert_int_equal(bytes_of_nothing(forgetful), bytes);
    }
    grammar_release(forgetful);
    grammar_release(roomy);
}

static void masks_behind_a_reset_are_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) check(&sources[i]);
}

/* Of which many begin alike, and some are the beginning of others. */
static size_t write_strings(char *out, size_t size) {
    size_t length = 0;
    uint64_t seed = 1;
    for (size_t i = 0; i < STRINGS; i++) {
        length += (size_t)snprintf(out + length, size - length, "%s\"", i ? "," : "[");
        for (size_t k = 1 + next_random(&seed) % 12; k > 0; k--)
            out[length++] = (char)('a' + next_random(&seed) % 3);
        out[length++] = '"';
    }
    out[length++] = ']';
    out[length] = 0;
    return length;
}

static void lists_of_strings_too(void **state) {
    static char list[STRINGS * 20], schema[STRINGS * 20 + 100];
    (void)state;
    assert_true(write_strings(list, sizeof list) < sizeof list);
    snprintf(schema, sizeof schema, "{\"type\": \"array\", \"minItems\": 2, \"items\": {\"enum\": %s}}",
             list);
    check(&(struct source){GRAMMAR_CHOICE, list});
    check(&(struct source){GRAMMAR_JSON_SCHEMA, schema});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_behind_a_reset_are_the_same),
        cmocka_unit_test(lists_of_strings_too),
    };
    return cmocka_run_group_tests(tests, vocabulary_setup, vocabulary_teardown);
}
