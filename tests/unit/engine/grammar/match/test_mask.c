/* Masks: each bit along random walks is what stepping the token's bytes says. */
#include "engine/grammar/grammar_parts.h"
#include "tests/unit/engine/grammar/shared_vocabulary.h"

static const char json[] =
    "root ::= object\n"
    "value ::= object | array | string | number | \"true\" ws\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" "
    "ws\n"
    "number ::= \"-\"? [0-9]+ (\".\" [0-9]+)? ([eE] [-+]? [0-9]+)? ws\n"
    "ws ::= [ \\n]{0,3}\n";

static const char *const grammars[] = {
    json,
    "root ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"n]){0,9} \"\\\"\" (\"}\" | \", \" root)",
    "root ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"n]){3,50} \"\\\"\" \"}\"?",
    "root ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]{2,300} \"\\\"\" root?",
    "root ::= [^\\x00-\\x1f\"\\\\]{1,33}",
    "root ::= \"a\" root \"!\" | [^\\x00-\\x1f\"\\\\!]{0,20}",
    "root ::= [^x]{0,40} \"x\"",
    "root ::= .{3,9} tail\ntail ::= \"\\\"\" tail | \"}\" root? | [a-d] tail \"b\"",
    "root ::= .* tail\ntail ::= \"\\\"\" tail \"}\" | \"a\"",
    "root ::= [^\"]{35,70} \"\\\"}\"",
    "root ::= (\"aa\" | \"ab\" | \"abc\"){1,40} | \"\\\"\" .* \"b\\\"}\"",
    "root ::= [a-z]* (\" a\" | \"\\n\\n\")+ .{3,}",
    "root ::= \"\xc3\xa9\"* [\\u20ac-\\u20af]{1,3} root?",
    "root ::= \"a\" root \"b\" | [^ab]* \"!\"",
    "root ::= ((\"a\" | .) \"b\"?){2,5} [^a]{0,40}",
    "root ::= [a-d]{0,60} \"!\" | [a-d]{20,33} root?",
    "root ::= [^\\x00-\\x1f\"\\\\]{0,60} (\"b\" root)? \"\\\"\"",
    "root ::= (.{3}){2,4} | \"c\"{40,90} \"}\" [ -~]{0,35} root?",
};

static const char *const regexes[] = {
    "(.{3}){2,4}",
    "((([a-z]|[^,])){2,4}){2,30}",
    "(((.){2,4})?){3,20}b*",
    "((([^,]){3})?)+",
    "(a[a-z]*|.{2,35})*b.*c",
    "[\\x00-\\x7f]{5,40}d",
    "([^,]([\xc3\xa9])*)*[^b]{2,9}",
    "[a-z]{0,12}(\\.[a-z]{0,40}){1,3}",
    "(.{0,40}\\n?){1,4}",
    "(.{1,3}|.{2,5})*d",
    "((.{1,10} ){1,5}\\n){1,5}",
    "(.?.?){0,20}b.{3}.{0,7}",
    "(a|ab|abc|b|bc|c)*d?",
    "[^\xe2\x80\xa8\xe2\x80\xa9]{2,40}d?",
    "([^\xe2\x80\xa8]{1,3}){2,9}",
    "[a\xe2\x80\xa6-\xe2\x80\xa9]+b?",
    "[^\xe2\x80\x90-\xe2\x80\xa7]*",
};

static const char *const schemas[] = {
    "{\"type\": \"string\", \"pattern\": \"^a[^\\\\r\\\\n]*c$\", \"maxLength\": 45}",
    "{\"type\": \"string\", \"pattern\": \"c+\", \"minLength\": 3}",
    "{\"type\": \"array\", \"items\": {\"type\": \"string\", \"maxLength\": 101}}",
    "{\"type\": \"string\", \"pattern\": \"^\\\\S+b\\\\S+c\\\\S+$\", \"maxLength\": 40}",
    "{\"type\": \"string\", \"pattern\": \"ab.*d\", \"maxLength\": 12}",
    "{\"type\": \"string\", \"pattern\": \"^[a-d]*$\", \"maxLength\": 33}",
    "{\"type\": \"string\", \"pattern\": \"c\", \"format\": \"uri\", \"maxLength\": 20}",
    "{\"patternProperties\": {\"ab\": {\"type\": \"null\"}, \"c$\": true}}",
    "{\"patternProperties\": {\"^.*$\": {\"type\": \"null\"}}}",
    "{\"patternProperties\": {\".+\": {\"type\": \"null\"}}, \"additionalProperties\": false}",
    ("{\"patternProperties\": {\"^a.*\": {\"type\": \"null\"}, \".{3}\": true}, \"properties\": {\"aa\": "
     "true},"
     " \"propertyNames\": {\"maxLength\": 25}}"),
    "{\"type\": \"string\", \"pattern\": \"^.{2,30}$\"}",
    "{\"propertyNames\": {\"minLength\": 2, \"maxLength\": 40}, \"additionalProperties\": {\"type\": "
    "\"null\"}}",
    "{\"propertyNames\": {\"pattern\": \"b\", \"maxLength\": 9}, \"patternProperties\": {\"a\": {\"type\": "
    "\"null\"}}}",
    ("{\"properties\": {\"aa\": true, \"abc\": {\"type\": \"null\"}}, \"additionalProperties\": true,"
     " \"propertyNames\": {\"maxLength\": 31}}"),
};

/* Splitmix64. */
static uint64_t next_random(uint64_t *seed) {
    uint64_t x = *seed += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static bool has_bit(const uint32_t *bits, size_t token) {
    return (bits[token / 32] >> (token % 32)) & 1;
}

static grammar_state step_bytes(struct grammar *g, grammar_state at, struct engine_string text) {
    struct error e;
    for (size_t i = 0; i < text.length; i++)
        assert_ok(grammar_accept(g, at, (unsigned char)text.text[i], &at, &e));
    return at;
}

/* How many are allowed. */
static size_t check_mask(struct grammar *g, grammar_state at, const uint32_t *bits) {
    size_t allowed = 0;
    struct error e;
    for (size_t token = 0; token < FIXTURE_TOKENS; token++) {
        struct engine_string text = fixture_text(token);
        grammar_state behind = step_bytes(g, at, text), at_once;
        bool expected = text.length > 0 && behind != GRAMMAR_DEAD;
        if (has_bit(bits, token) != expected)
            fail_msg("token %zu '%s': expected %d", token, text.text, expected);
        assert_ok(grammar_accept(g, at, (int32_t)token, &at_once, &e));
        assert_int_equal(at_once, expected ? behind : GRAMMAR_DEAD);
        allowed += expected;
    }
    return allowed;
}

static size_t pick(const uint32_t *bits, uint64_t number) {
    for (size_t token = number % FIXTURE_TOKENS;; token = (token + 1) % FIXTURE_TOKENS)
        if (has_bit(bits, token)) return token;
}

static void walk(struct grammar *g, uint64_t seed, const char *name) {
    grammar_state at = GRAMMAR_START;
    struct error e;
    for (int step = 0; step < 60; step++) {
        uint32_t bits[FIXTURE_WORDS], again[FIXTURE_WORDS];
        assert_ok(grammar_mask(g, at, bits, &e));
        assert_ok(grammar_mask(g, at, again, &e));
        assert_memory_equal(bits, again, sizeof bits);
        size_t allowed = check_mask(g, at, bits);
        if (allowed == 0 && !grammar_may_end(g, at)) fail_msg("%s: a dead end", name);
        if (allowed == 0) return;
        assert_ok(grammar_accept(g, at, (int32_t)pick(bits, next_random(&seed)), &at, &e));
    }
}

static void walk_all(enum grammar_kind kind, const char *const *sources, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct grammar *g = fixture_compile(kind, sources[i], vocabulary);
        for (uint64_t seed = 1; seed <= 10; seed++) walk(g, seed, sources[i]);
        grammar_release(g);
    }
}

static void masks_are_what_steps_say(void **state) {
    (void)state;
    walk_all(GRAMMAR_GBNF, grammars, sizeof grammars / sizeof *grammars);
    walk_all(GRAMMAR_REGEX, regexes, sizeof regexes / sizeof *regexes);
    walk_all(GRAMMAR_JSON_SCHEMA, schemas, sizeof schemas / sizeof *schemas);
}

/* A mask does not depend on what was asked before. */
static void masks_are_the_same_in_any_order(void **state) {
    struct error e;
    (void)state;
    for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++) {
        struct grammar *g = fixture_compile(GRAMMAR_GBNF, grammars[i], vocabulary);
        uint32_t first[FIXTURE_WORDS], later[FIXTURE_WORDS];
        assert_ok(grammar_mask(g, GRAMMAR_START, first, &e));
        grammar_release(g);
        g = fixture_compile(GRAMMAR_GBNF, grammars[i], vocabulary);
        walk(g, 5, grammars[i]);
        assert_ok(grammar_mask(g, GRAMMAR_START, later, &e));
        assert_memory_equal(first, later, sizeof first);
        grammar_release(g);
    }
}

/* Steps of the first mask behind a text, over tokens of one character each more than the one before. */
static size_t steps_of_mask(enum grammar_kind kind, const char *source, const char *behind) {
    enum { LONGEST = 250 };
    char longest[LONGEST + 1];
    static const char marks[] = "\"\n{c"; /* the last one is the first of the longer ones */
    enum { MARKS = 3 };
    struct engine_string texts[LONGEST + MARKS];
    struct grammar_vocabulary *v;
    grammar_state at = GRAMMAR_START;
    uint32_t bits[(LONGEST + MARKS) / 32 + 1];
    struct error e;
    memset(longest, 'c', LONGEST);
    for (size_t i = 0; i < MARKS; i++) texts[i] = (struct engine_string){&marks[i], 1};
    for (size_t i = 1; i <= LONGEST; i++) texts[MARKS + i - 1] = (struct engine_string){longest, i};
    assert_ok(grammar_vocabulary_create(texts, LONGEST + MARKS, &v, &e));
    struct grammar *g = fixture_compile(kind, source, v);
    for (; *behind; behind++)
        assert_ok(grammar_accept(g, at, (int32_t)(strchr(marks, *behind) - marks), &at, &e));
    size_t before = g->matcher->rules->steps;
    assert_ok(grammar_mask(g, at, bits, &e));
    size_t steps = g->matcher->rules->steps - before;
    grammar_release(g);
    grammar_vocabulary_destroy(v);
    return steps;
}

/* Where a leaf may end anywhere it is not looked behind each place for what is allowed anyway. */
static void ends_everywhere_take_few_steps(void **state) {
    (void)state;
    assert_in_range(steps_of_mask(GRAMMAR_REGEX, "(.{0,200}\\n?){1,3}", "c"), 1, 4000);
}

/* A limit that is far off counts for nothing. */
static void far_limits_take_few_steps(void **state) {
    (void)state;
    assert_in_range(
        steps_of_mask(GRAMMAR_JSON_SCHEMA,
                      "{\"type\": \"string\", \"pattern\": \"^\\\\S+@\\\\S+$\", \"maxLength\": 300}", "\"c"),
        1, 4000);
}

/* There are not many ways to divide a key that only a part of has to match, and a limit of its length is seen. */
static void keys_of_patterns_take_few_steps(void **state) {
    static const char *const sources[] = {
        "{\"patternProperties\": {\".+\": {\"type\": \"integer\"}}}",
        "{\"patternProperties\": {\"^c.+\": {\"type\": \"integer\"}}, \"additionalProperties\": false}",
        ("{\"patternProperties\": {\"^.*$\": {\"type\": \"integer\"}},"
         " \"propertyNames\": {\"maxLength\": 300}}"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        assert_in_range(steps_of_mask(GRAMMAR_JSON_SCHEMA, sources[i], "{\"c"), 1, 700);
}

static void nothing_follows_a_dead_state(void **state) {
    uint32_t bits[FIXTURE_WORDS];
    grammar_state to;
    struct error e;
    (void)state;
    struct grammar *g = fixture_compile(GRAMMAR_GBNF, "root ::= \"a\"", vocabulary);
    memset(bits, 0xFF, sizeof bits);
    assert_ok(grammar_mask(g, GRAMMAR_DEAD, bits, &e));
    for (size_t i = 0; i < FIXTURE_WORDS; i++) assert_int_equal(bits[i], 0);
    assert_ok(grammar_accept(g, GRAMMAR_DEAD, 'a', &to, &e));
    assert_int_equal(to, GRAMMAR_DEAD);
    assert_ok(grammar_accept(g, GRAMMAR_START, -1, &to, &e));
    assert_int_equal(to, GRAMMAR_DEAD);
    assert_ok(grammar_accept(g, GRAMMAR_START, FIXTURE_TOKENS, &to, &e));
    assert_int_equal(to, GRAMMAR_DEAD);
    assert_false(grammar_may_end(g, GRAMMAR_DEAD));
    grammar_release(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_what_steps_say),        cmocka_unit_test(masks_are_the_same_in_any_order),
        cmocka_unit_test(ends_everywhere_take_few_steps),  cmocka_unit_test(far_limits_take_few_steps),
        cmocka_unit_test(keys_of_patterns_take_few_steps), cmocka_unit_test(nothing_follows_a_dead_state),
    };
    return cmocka_run_group_tests(tests, vocabulary_setup, vocabulary_teardown);
}
