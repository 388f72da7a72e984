#include "tests/unit/engine/text/build.h"

#include "engine/text/detokenizer.h"
#include "engine/text/unicode/unicode.h"

enum { IDS_MAX = 60, ROUNDS = 60 };

static uint64_t seed = 7;

static unsigned pick(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

struct said {
    char *text;
    size_t length;
};

static void say(struct said *s, const char *piece, size_t length) {
    assert_int_equal(utf8_valid_prefix(piece, length), length);
    s->text = realloc(s->text, s->length + length + 1);
    memcpy(s->text + s->length, piece, length);
    s->length += length;
}

/* What is said of ids behind the prompt, which is the first `prompt` of them: by a copy of one that has seen
 * the prompt and then says something else. */
static struct said stream(const struct tokenizer *t, const int32_t *ids, size_t count, size_t prompt,
                          bool skip) {
    struct error e = {0};
    struct detokenizer *first, *d;
    struct said s = {0};
    const char *piece;
    size_t length;
    assert_ok(detokenizer_create(t, ids, prompt, skip, &first, &e));
    assert_ok(detokenizer_copy(first, &d, &e));
    for (size_t i = 0; i < count; i++)
        assert_ok(detokenizer_push(first, ids[count - 1 - i], &piece, &length, &e));
    detokenizer_destroy(first);
    for (size_t i = prompt; i < count; i++) {
        assert_ok(detokenizer_push(d, ids[i], &piece, &length, &e));
        say(&s, piece, length);
    }
    assert_ok(detokenizer_finish(d, &piece, &length, &e));
    say(&s, piece, length);
    detokenizer_destroy(d);
    return s;
}

/* Text and rest join without a gap, and nothing of the prompt's own text is said again unless it has changed. */
static void check_begins_behind_prompt(const struct tokenizer *t, const int32_t *ids, size_t prompt,
                                       bool skip, const char *whole, size_t length, size_t rest) {
    struct error e = {0};
    char *text;
    size_t text_length, certain;
    assert_ok(tokenizer_decode_certain(t, ids, prompt, skip, &text, &text_length, &certain, &e));
    bool stays = certain <= length && memcmp(text, whole, certain) == 0;
    if (stays) assert_int_equal(length - rest, certain);
    if (!stays && length >= certain) assert_true(length - rest < certain);
    free(text);
}

static void check(const struct tokenizer *t, const int32_t *ids, size_t count, bool skip) {
    struct error e = {0};
    char *whole;
    size_t length, prompt = count ? pick((unsigned)count) : 0;
    assert_ok(tokenizer_decode(t, ids, count, skip, &whole, &length, &e));
    assert_int_equal(utf8_valid_prefix(whole, length), length);
    struct said all = stream(t, ids, count, 0, skip), rest = stream(t, ids, count, prompt, skip);
    assert_int_equal(all.length, length);
    assert_memory_equal(all.text, whole, length);
    assert_true(rest.length <= length);
    assert_memory_equal(rest.text, whole + length - rest.length, rest.length);
    check_begins_behind_prompt(t, ids, prompt, skip, whole, length, rest.length);
    free(all.text);
    free(rest.text);
    free(whole);
}

/* Ids without sense, among them some that have no token, and runs of one kind. */
static void check_folder(const char *path, const char *name, void *context) {
    (void)name, (void)context;
    struct error e = {0};
    struct tokenizer *t;
    int32_t ids[IDS_MAX];
    assert_ok(tokenizer_open(path, &t, &e));
    unsigned end = (unsigned)tokenizer_vocabulary(t);
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = pick(IDS_MAX);
        unsigned first = pick(end), width = round % 2 ? end + 3 : 1 + pick(300);
        for (size_t i = 0; i < count; i++) ids[i] = (int32_t)((first + pick(width)) % (end + 3)) - 1;
        check(t, ids, count, round % 3 == 0);
    }
    tokenizer_close(t);
}

static void test_every_tokenizer(void **state) {
    (void)state;
    assert_true(test_each_folder(test_source_path("tests/golden/tokenizers"), check_folder, NULL) >= 20);
}

static struct tokenizer *open_bytes(const char *decoder) {
    char text[8192];
    snprintf(
        text, sizeof text,
        "{'added_tokens': [{'id': 7, 'content': '<end>', 'special': true}], 'decoder': %s, 'model': {'type': "
        "'WordLevel', 'vocab': {'a': 0, '<0xE4>': 1, '<0xB8>': 2, '<0xAD>': 3, 'ä': 4, '¸': 5, '\u00c3': "
        "6}}}",
        decoder);
    return build_tokenizer(text);
}

static void expect_push(struct detokenizer *d, int32_t id, const char *expected) {
    struct error e = {0};
    const char *text;
    size_t length;
    assert_ok(detokenizer_push(d, id, &text, &length, &e));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
}

static void expect_finish(struct detokenizer *d, const char *expected) {
    struct error e = {0};
    const char *text;
    size_t length;
    assert_ok(detokenizer_finish(d, &text, &length, &e));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
    detokenizer_destroy(d);
}

/* A character comes out with its last byte; broken and cut ones become U+FFFD as soon as that is certain. */
static void test_bytes_become_characters(void **state) {
    (void)state;
    struct error e = {0};
    struct detokenizer *d;
    struct tokenizer *t = open_bytes("{'type': 'ByteLevel'}");
    assert_ok(detokenizer_create(t, NULL, 0, false, &d, &e));
    expect_push(d, 4, ""); /* E4 */
    expect_push(d, 5, ""); /* B8 */
    expect_push(d, 0,
                "\uFFFD"
                "a");            /* one for both */
    expect_push(d, 5, "\uFFFD"); /* B8 alone */
    expect_push(d, 7, "<end>");
    expect_push(d, 6, ""); /* C3 */
    expect_finish(d, "\uFFFD");
    tokenizer_close(t);
}

/* A character that begins in the prompt's last token belongs to the answer. */
static void test_prompt_that_ends_within_a_character(void **state) {
    (void)state;
    struct error e = {0};
    struct detokenizer *d;
    struct tokenizer *t =
        open_bytes("{'type': 'Sequence', 'decoders': [{'type': 'ByteFallback'}, {'type': 'Fuse'}]}");
    assert_ok(detokenizer_create(t, (const int32_t[]){0, 1, 2}, 3, true, &d, &e));
    expect_push(d, 3, "");
    expect_push(d, 7, ""); /* special: skipped, the run of bytes goes on */
    expect_push(d, 0, "中a");
    expect_push(d, 1, "");
    expect_finish(d, "\uFFFD");
    tokenizer_close(t);
}

/* What a decoder holds back of the prompt's whole text is not the answer's: bytes that may become more, a
 * last word. */
static void test_the_prompts_own_text_is_not_said_again(void **state) {
    (void)state;
    struct error e = {0};
    struct detokenizer *d;
    struct tokenizer *t =
        open_bytes("{'type': 'Sequence', 'decoders': [{'type': 'ByteFallback'}, {'type': 'Fuse'}]}");
    assert_ok(detokenizer_create(t, (const int32_t[]){0, 1, 2, 3}, 4, true, &d, &e)); /* a中 */
    expect_push(d, 0, "a");
    expect_finish(d, "");
    assert_ok(detokenizer_create(t, (const int32_t[]){1, 2, 3}, 3, true, &d, &e));
    expect_push(d, 1, ""); /* the run goes on ... */
    expect_push(d, 2, "");
    expect_push(d, 3, "");
    expect_push(d, 0, "中a");
    expect_finish(d, "");
    assert_ok(detokenizer_create(t, (const int32_t[]){1, 2, 3}, 3, true, &d, &e));
    expect_push(d, 1, ""); /* ... and turns out to be no text, nor is what the prompt said of it */
    expect_push(d, 0,
                "\uFFFD\uFFFD\uFFFD\uFFFD"
                "a");
    expect_finish(d, "");
    tokenizer_close(t);
    t = open_bytes("{'type': 'BPEDecoder', 'suffix': 'ä'}");
    assert_ok(detokenizer_create(t, (const int32_t[]){5, 4}, 2, true, &d, &e));
    expect_push(d, 0, " ");
    expect_finish(d, "a");
    tokenizer_close(t);
}

static void test_nothing_is_lost_without_tokens(void **state) {
    (void)state;
    struct error e = {0};
    struct detokenizer *d;
    struct tokenizer *t = open_bytes("null");
    assert_ok(detokenizer_create(t, NULL, 0, true, &d, &e));
    expect_push(d, -1, "");
    expect_push(d, 1000000, "");
    expect_push(d, INT32_MIN, "");
    expect_finish(d, "");
    tokenizer_close(t);
}

#define GROWS_TWICE(pattern) "{'type': 'Replace', 'pattern': {" pattern "}, 'content': 'aa'}"

static struct tokenizer *open_growing(const char *first, const char *step, int steps) {
    char decoder[4096];
    int length = snprintf(decoder, sizeof decoder, "{'type': 'Sequence', 'decoders': [%s", first);
    for (int i = 0; i < steps; i++)
        length += snprintf(decoder + length, sizeof decoder - (size_t)length, "%s, ", step);
    snprintf(decoder + length, sizeof decoder - (size_t)length,
             "{'type': 'Replace', 'pattern': {'Regex': 'a+'}, 'content': 'b'}]}");
    return open_bytes(decoder);
}

/* So many of the token "a", and the end: UNSUPPORTED, with these words. */
static void expect_failure(const struct tokenizer *t, int count, const char *words) {
    struct error e = {0};
    struct detokenizer *d;
    const char *text;
    size_t length;
    enum status status = STATUS_OK;
    assert_ok(detokenizer_create(t, NULL, 0, false, &d, &e));
    for (int i = 0; status == STATUS_OK && i < count; i++)
        status = detokenizer_push(d, 0, &text, &length, &e);
    if (status == STATUS_OK) status = detokenizer_finish(d, &text, &length, &e);
    assert_int_equal(status, STATUS_UNSUPPORTED);
    assert_int_equal(e.code, STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, words));
    detokenizer_destroy(d);
}

/* A text that grows much is refused between the steps, though the last would make it short again. */
static void test_growth_between_steps(void **state) {
    (void)state;
    static const char *const steps[] = {GROWS_TWICE("'String': 'a'"), GROWS_TWICE("'Regex': '[a]'")};
    for (size_t i = 0; i < 4; i++) {
        struct tokenizer *t = open_growing(i < 2 ? "" : "{'type': 'Fuse'}, ", steps[i % 2], 20);
        expect_failure(t, 1, "the decoder makes more than");
        tokenizer_close(t);
    }
}

static void test_runaway_patterns(void **state) {
    (void)state;
    static const char *const decoders[] = {
        "{'type': 'Sequence', 'decoders': [{'type': 'Fuse'}, {'type': 'Replace', "
        "'pattern': {'Regex': '(?:a|aa)+[xy]'}, 'content': ''}]}",
        "{'type': 'Sequence', 'decoders': [{'type': 'Fuse'}, {'type': 'Replace', "
        "'pattern': {'Regex': '[a-z]*[a-z]*[xy]'}, 'content': ''}]}",
    };
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++) {
        struct tokenizer *t = open_bytes(decoders[i]);
        expect_failure(t, 4000, "takes too long");
        tokenizer_close(t);
    }
}

/* An empty token has no bytes that could grow, but a blank may come before it. */
static void test_blanks_before_empty_tokens(void **state) {
    (void)state;
    enum { TOKENS = 20000 };
    struct error e = {0};
    struct detokenizer *d;
    struct tokenizer *t = build_tokenizer("{'model': {'type': 'WordLevel', 'vocab': {'': 0}}}");
    assert_ok(detokenizer_create(t, NULL, 0, false, &d, &e));
    for (int i = 0; i < TOKENS; i++) expect_push(d, 0, i > 0 ? " " : "");
    expect_finish(d, "");
    tokenizer_close(t);
}

/* What a token may become is the more, the more came before it: a text of any length grows by the same. */
static void test_growth_of_a_long_text(void **state) {
    (void)state;
    enum { TOKENS = 20000 };
    struct error e = {0};
    struct tokenizer *t = open_growing("", GROWS_TWICE("'String': 'a'"), 5);
    struct detokenizer *d;
    assert_ok(detokenizer_create(t, NULL, 0, false, &d, &e));
    for (int i = 0; i < TOKENS; i++) expect_push(d, 0, "b");
    expect_finish(d, "");
    tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tokenizer),
        cmocka_unit_test(test_bytes_become_characters),
        cmocka_unit_test(test_prompt_that_ends_within_a_character),
        cmocka_unit_test(test_the_prompts_own_text_is_not_said_again),
        cmocka_unit_test(test_nothing_is_lost_without_tokens),
        cmocka_unit_test(test_growth_between_steps),
        cmocka_unit_test(test_growth_of_a_long_text),
        cmocka_unit_test(test_runaway_patterns),
        cmocka_unit_test(test_blanks_before_empty_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
