/* Masks that are made of parts that other masks have in common (slices, counts, subtrees), over a vocabulary in which these pay: along
 * random walks each bit is what stepping the token's bytes says, and the mask is that of a grammar which keeps nothing. */
#include "engine/grammar/grammar_parts.h"
#include "tests/unit/engine/grammar/grammar_fixture.h"

enum { TOKENS_MAX = 8192, TEXT_MAX = 64, WORDS = TOKENS_MAX / 32, STEPS = 40, SEEDS = 8 };

static char texts[TOKENS_MAX][TEXT_MAX];
static struct engine_string tokens[TOKENS_MAX];
static size_t token_count;
static struct grammar_vocabulary *vocabulary;

/* What is kept beside the masks themselves. */
enum kept { NOTHING, SLICES, COUNTS, SUBTREES };

static const struct source {
    enum grammar_kind kind;
    enum kept kept;
    const char *text;
} sources[] = {
    {GRAMMAR_JSON_SCHEMA, COUNTS, "{\"type\": \"string\", \"maxLength\": 80}"},
    {GRAMMAR_JSON_SCHEMA, COUNTS,
     "{\"type\": \"array\", \"items\": {\"type\": \"string\", \"maxLength\": 9}}"},
    {GRAMMAR_JSON_SCHEMA, COUNTS, "{\"type\": \"string\", \"minLength\": 12, \"maxLength\": 40}"},
    {GRAMMAR_JSON_SCHEMA, SUBTREES, "{\"type\": \"string\", \"format\": \"email\"}"},
    {GRAMMAR_JSON_SCHEMA, SUBTREES, "{\"type\": \"string\", \"format\": \"hostname\"}"},
    {GRAMMAR_JSON_SCHEMA, SLICES, "{\"type\": \"string\", \"pattern\": \"^[a-z][a-z0-9_-]{0,30}$\"}"},
    {GRAMMAR_JSON_SCHEMA, COUNTS,
     "{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": \"integer\"}, \"ac\": {\"type\": "
     "\"string\", \"maxLength\": 5}},"
     " \"required\": [\"ab\", \"ac\"]}"},
    {GRAMMAR_REGEX, NOTHING, "( {0,32}|\t{0,8})x"},
    {GRAMMAR_REGEX, NOTHING, "(\n( {0,12}|\t{0,3})| ?)\"a\"( {0,7}[a-z]){1,9}"},
    {GRAMMAR_REGEX, NOTHING, "(a|b {2,9}|c {0,30}d? {0,4})*-"},
    {GRAMMAR_REGEX, SLICES, "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{1,40})*@"},
    {GRAMMAR_JSON_SCHEMA, SLICES,
     "{\"type\": \"array\", \"items\": {\"type\": \"string\", \"pattern\": \"^[a-z]{1,40}\\\\.?[a-z]*$\"}}"},
    {GRAMMAR_GBNF, SLICES, "root ::= [a-z]{0,40} tail\ntail ::= \"\\\"\" root | \"-\""},
    {GRAMMAR_REGEX, SLICES, "[a-z]{0,9}"},
    {GRAMMAR_REGEX, SLICES, "[a-z]{3,40}([a-f]{2,5}|\\.[a-z]{1,7})*"},
    {GRAMMAR_REGEX, SLICES, "([a-z]{1,7}\\.)?([a-z]{2,5}|[b-y]{3,9})x"},
    {GRAMMAR_REGEX, COUNTS, "(ab|ac|ad){1,12}-"},
    {GRAMMAR_REGEX, NOTHING, "(a|ab|abc){1,12}-"},
    {GRAMMAR_REGEX, NOTHING, "(\xc3\xa9|[a-z]){0,7} "},
    {GRAMMAR_REGEX, COUNTS, "(\xc3\xa9|[0-9]){0,7} "},
    {GRAMMAR_REGEX, NOTHING, "[^a]{0,40}a?[b-z]{0,3}"},
    {GRAMMAR_GBNF, NOTHING, "root ::= [a-z]{0,9} tail\ntail ::= [a-c] tail | \"-\" root?"},
    {GRAMMAR_GBNF, COUNTS, "root ::= [a-b]{0,9} \"z\" tail?\ntail ::= \"-\" root | \"ab\" tail"},
};

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void add_token(const char *prefix, const char *text, size_t length) {
    size_t before = strlen(prefix);
    assert_true(token_count < TOKENS_MAX && before + length < TEXT_MAX);
    memcpy(texts[token_count], prefix, before);
    memcpy(texts[token_count] + before, text, length);
    tokens[token_count] = (struct engine_string){texts[token_count], before + length};
    token_count++;
}

static void add_word(const char *prefix, uint64_t *seed) {
    char word[24];
    size_t length = 3 + next_random(seed) % (sizeof word - 3);
    for (size_t i = 0; i < length; i++) {
        size_t mark = next_random(seed) % 40;
        word[i] = mark < 26 ? (char)('a' + mark) : mark < 36 ? (char)('0' + mark - 26) : "-._\""[mark - 36];
    }
    add_token(prefix, word, length);
}

/* Bytes, white space, and behind some marks pairs of letters and words. */
static int make_vocabulary(void **state) {
    static const char *const prefixes[] = {"", ".", "-", " ", "\"", "@", "\xc3\xa9", "\\n"};
    static const char spaces[] = "                                        ";
    uint64_t seed = 7;
    struct error e;
    (void)state;
    for (int byte = 0; byte < 256; byte++) add_token("", &(char){(char)byte}, 1);
    for (size_t i = 2; i < sizeof spaces; i++) add_token("", spaces, i);
    for (size_t i = 1; i < 9; i++) add_token("\n", spaces, i);
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        for (char a = 'a'; a <= 'z'; a++)
            for (char b = 'a'; b <= 'z'; b++) add_token(prefixes[p], (char[]){a, b}, 2);
        for (size_t i = 0; i < 60; i++) add_word(prefixes[p], &seed);
    }
    assert_ok(grammar_vocabulary_create(tokens, token_count, &vocabulary, &e));
    return 0;
}

static int destroy_vocabulary(void **state) {
    (void)state;
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}

static struct grammar *compile(const struct source *s, struct grammar_budget *budget) {
    const struct grammar_options options = {.bytes_max = (size_t)64 << 20, .budget = budget};
    struct grammar *g;
    struct error e;
    assert_ok(grammar_compile(s->kind, (struct engine_string){s->text, strlen(s->text)}, &options, vocabulary,
                              &g, &e));
    return g;
}

static grammar_state step(struct grammar *g, grammar_state at, size_t token) {
    struct error e;
    assert_ok(grammar_accept(g, at, (int32_t)token, &at, &e));
    return at;
}

/* Returns how many are allowed. */
static size_t check_bits(struct grammar *g, grammar_state at, const uint32_t *bits, const char *name) {
    size_t allowed = 0;
    for (size_t token = 0; token < token_count; token++) {
        bool expected = step(g, at, token) != GRAMMAR_DEAD;
        if ((bits[token / 32] >> (token % 32) & 1) != expected)
            fail_msg("%s: token %zu '%.*s': expected %d", name, token, (int)tokens[token].length,
                     tokens[token].text, expected);
        allowed += expected;
    }
    return allowed;
}

static size_t pick(const uint32_t *bits, uint64_t number) {
    for (size_t token = number % token_count;; token = (token + 1) % token_count)
        if (bits[token / 32] >> (token % 32) & 1) return token;
}

static void walk(struct grammar *g, struct grammar *forgetful, uint64_t seed, const char *name) {
    grammar_state at = GRAMMAR_START, other = GRAMMAR_START;
    struct error e;
    for (int i = 0; i < STEPS; i++) {
        uint32_t bits[WORDS] = {0}, again[WORDS] = {0};
        assert_ok(grammar_mask(g, at, bits, &e));
        assert_ok(grammar_mask(forgetful, other, again, &e));
        assert_memory_equal(bits, again, sizeof bits);
        if (check_bits(g, at, bits, name) == 0) return;
        size_t token = pick(bits, next_random(&seed));
        at = step(g, at, token);
        other = step(forgetful, other, token);
    }
}

static bool has_kept(const struct masks *m, enum kept kept) {
    bool found = kept == NOTHING || (kept == SLICES && m->slices.count > 0);
    for (size_t i = 0; i < m->leaf_mask_count; i++) found |= kept == COUNTS && m->leaf_masks[i].has_counts;
    for (size_t i = 0; i < SUBTREES_KEPT; i++) found |= kept == SUBTREES && m->subtrees.kept[i].was_found;
    return found;
}

static void masks_of_common_parts_are_what_steps_say(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct grammar_budget budget = {.bytes_max = (size_t)256 << 20};
        atomic_init(&budget.used, budget.bytes_max / 4 * 3);
        struct grammar *g = compile(&sources[i], NULL), *forgetful = compile(&sources[i], &budget);
        for (uint64_t seed = 1; seed <= SEEDS; seed++) walk(g, forgetful, seed * 77, sources[i].text);
        if (!has_kept(&g->masks, sources[i].kept))
            fail_msg("%s: what it shares is not kept", sources[i].text);
        assert_int_equal(forgetful->masks.kept_count + forgetful->masks.leaf_mask_count, 0);
        assert_int_equal(forgetful->masks.slices.count, 0);
        grammar_release(g);
        grammar_release(forgetful);
    }
}

/* What is kept counts for nothing where it is decided whether a grammar needs too much. */
static void states_are_the_same_whether_parts_are_kept(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct grammar_budget budget = {.bytes_max = (size_t)256 << 20};
        atomic_init(&budget.used, budget.bytes_max / 4 * 3);
        struct grammar *g = compile(&sources[i], NULL), *forgetful = compile(&sources[i], &budget);
        uint32_t bits[WORDS];
        grammar_state at = GRAMMAR_START;
        struct error e;
        uint64_t seed = 5;
        for (int k = 0; k < STEPS && at != GRAMMAR_DEAD; k++) {
            memset(bits, 0, sizeof bits);
            assert_ok(grammar_mask(g, at, bits, &e));
            assert_ok(grammar_mask(forgetful, at, bits, &e));
            size_t kept = g->matcher->rules->kept_bytes;
            assert_int_equal(g->matcher->rules->bytes - kept, forgetful->matcher->rules->bytes);
            bool is_empty = true;
            for (size_t word = 0; word < WORDS; word++) is_empty &= bits[word] == 0;
            if (is_empty) break;
            size_t token = pick(bits, next_random(&seed));
            assert_int_equal(step(g, at, token), step(forgetful, at, token));
            at = step(g, at, token);
        }
        grammar_release(g);
        grammar_release(forgetful);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_of_common_parts_are_what_steps_say),
        cmocka_unit_test(states_are_the_same_whether_parts_are_kept),
    };
    return cmocka_run_group_tests(tests, make_vocabulary, destroy_vocabulary);
}
