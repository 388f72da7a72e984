#include "tests/unit/engine/text/build.h"

#include <pthread.h>

#include "engine/text/unicode/unicode.h"
#include "engine/text/token_model/vocabulary.h"

#define MODEL      "'model': {'type': 'WordLevel', 'unk_token': '?', 'vocab': {'a': 0, 'b': 1, '?': 2, 'ab': 5}}"
#define BPE(rest)  "{'model': {'type': 'BPE', " rest "}}"
#define WITH(part) "{" part ", " MODEL "}"
#define TEMPLATE                                                                                             \
    "{'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': 'a'}}, {'Sequence': {'id': 'A'}}], "  \
    "'special_tokens': {'a': {'ids': [0]}}}"

/* Files that must be refused, and what the message must say: the place, and what is wrong there. */
static const struct {
    const char *json;
    enum status status;
    const char *fragments[2];
} refused[] = {
    {"[]", STATUS_MALFORMED, {"model", "object"}},
    {"{}", STATUS_MALFORMED, {"model", "object"}},
    {"{'model': 3}", STATUS_MALFORMED, {"model", "object"}},
    {"{'model': {'type': 'Foo', 'vocab': {}}}", STATUS_UNSUPPORTED, {"model.type", "'Foo' is not supported"}},
    {"{'model': {'type': 5, 'vocab': {}}}", STATUS_MALFORMED, {"model.type", "string"}},
    {BPE("'vocab': [], 'merges': []"), STATUS_MALFORMED, {"model.vocab", "object"}},
    {BPE("'vocab': {'a': -1}, 'merges': []"), STATUS_MALFORMED, {"model.vocab.a", "from 0"}},
    {BPE("'vocab': {'a': 2097152}, 'merges': []"), STATUS_MALFORMED, {"model.vocab.a", "2097151"}},
    {BPE("'vocab': {'a': 9223372036854775807}, 'merges': []"),
     STATUS_MALFORMED,
     {"model.vocab.a", "2097151"}},
    {BPE("'vocab': {'a': 1.5}, 'merges': []"), STATUS_MALFORMED, {"model.vocab.a", "from 0"}},
    {BPE("'vocab': {'a': '1'}, 'merges': []"), STATUS_MALFORMED, {"model.vocab.a", "from 0"}},
    {BPE("'vocab': {'a': 1, 'b': 1}, 'merges': []"), STATUS_MALFORMED, {"model.vocab.b", "'a'"}},
    {BPE("'vocab': {'a': 0}"), STATUS_MALFORMED, {"model.merges", "array"}},
    {BPE("'vocab': {'a': 0}, 'merges': ['a a', 'a']"), STATUS_MALFORMED, {"model.merges[0]", "'aa' is not"}},
    {BPE("'vocab': {'a': 0, 'aa': 1}, 'merges': ['a a', 'a']"),
     STATUS_MALFORMED,
     {"model.merges[1]", "left right"}},
    {BPE("'vocab': {'a': 0, 'aa': 1}, 'merges': ['a b']"),
     STATUS_MALFORMED,
     {"model.merges[0]", "'b' is not"}},
    {BPE("'vocab': {'a': 0, 'aa': 1}, 'merges': ['a a a']"),
     STATUS_MALFORMED,
     {"model.merges[0]", "left right"}},
    {BPE("'vocab': {'a': 0}, 'merges': [['a']]"), STATUS_MALFORMED, {"model.merges[0]", "left"}},
    {BPE("'vocab': {'a': 0}, 'merges': [['a', 1]]"), STATUS_MALFORMED, {"model.merges[0]", "left"}},
    {BPE("'vocab': {'a': 0}, 'merges': [7]"), STATUS_MALFORMED, {"model.merges[0]", "left"}},
    {BPE("'continuing_subword_prefix': '##', 'vocab': {'a': 0}, 'merges': ['a a']"),
     STATUS_MALFORMED,
     {"model.merges[0]", "shorter than continuing_subword_prefix"}},
    {BPE("'unk_token': 1, 'vocab': {}, 'merges': []"), STATUS_MALFORMED, {"model.unk_token", "string"}},
    {BPE("'fuse_unk': 1, 'vocab': {}, 'merges': []"), STATUS_MALFORMED, {"model.fuse_unk", "true or false"}},
    {"{'model': {'type': 'Unigram', 'vocab': {}}}", STATUS_MALFORMED, {"model.vocab", "array"}},
    {"{'model': {'type': 'Unigram', 'vocab': [['a']]}}", STATUS_MALFORMED, {"model.vocab[0]", "score"}},
    {"{'model': {'type': 'Unigram', 'vocab': [[1, 2]]}}", STATUS_MALFORMED, {"model.vocab[0]", "score"}},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', 0]], 'unk_id': 1}}",
     STATUS_MALFORMED,
     {"model.unk_id", "1 is not"}},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', 0]], 'unk_id': -1}}",
     STATUS_MALFORMED,
     {"model.unk_id", "from 0"}},
    {"{'model': {'type': 'WordPiece', 'vocab': {'a': 0}, 'max_input_chars_per_word': -1}}",
     STATUS_MALFORMED,
     {"model.max_input_chars_per_word", "from 0"}},
    {WITH("'pre_tokenizer': 3"), STATUS_MALFORMED, {"pre_tokenizer", "object"}},
    {WITH("'pre_tokenizer': {}"), STATUS_MALFORMED, {"pre_tokenizer.type", "string"}},
    {WITH(
         "'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'Whitespace'}, {'type': 'Foo'}]}"),
     STATUS_UNSUPPORTED,
     {"pre_tokenizer.pretokenizers[1].type", "'Foo' is not supported"}},
    {WITH("'pre_tokenizer': {'type': 'Split', 'pattern': {'Regex': 'a(b'}, 'behavior': 'Isolated'}"),
     STATUS_UNSUPPORTED,
     {"pre_tokenizer.pattern.Regex", "offset 3: expected ')'"}},
    {WITH("'pre_tokenizer': {'type': 'Split', 'pattern': {'Regex': 'a'}, 'behavior': 'Sideways'}"),
     STATUS_UNSUPPORTED,
     {"pre_tokenizer.behavior", "'Sideways'"}},
    {WITH("'pre_tokenizer': {'type': 'Split', 'pattern': {'String': ''}, 'behavior': 'Removed'}"),
     STATUS_UNSUPPORTED,
     {"pre_tokenizer.pattern", "empty"}},
    {WITH("'pre_tokenizer': {'type': 'Split', 'pattern': {}, 'behavior': 'Removed'}"),
     STATUS_MALFORMED,
     {"pre_tokenizer.pattern.String", "string"}},
    {WITH("'pre_tokenizer': {'type': 'Metaspace', 'replacement': '__'}"),
     STATUS_MALFORMED,
     {"replacement", "one"}},
    {WITH("'pre_tokenizer': {'type': 'Metaspace', 'replacement': ''}"),
     STATUS_MALFORMED,
     {"replacement", "one"}},
    {WITH("'pre_tokenizer': {'type': 'Metaspace', 'replacement': '_', 'prepend_scheme': 'last'}"),
     STATUS_UNSUPPORTED,
     {"prepend_scheme", "'last'"}},
    {WITH("'normalizer': {'type': 'Nmt'}"), STATUS_UNSUPPORTED, {"normalizer.type", "'Nmt'"}},
    {WITH("'normalizer': {'type': 'Sequence', 'normalizers': {}}"),
     STATUS_MALFORMED,
     {"normalizer.normalizers", "array"}},
    {WITH("'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': 'AA=A'}"),
     STATUS_MALFORMED,
     {"normalizer.precompiled_charsmap", "base64"}},
    {WITH("'decoder': {'type': 'CTC'}"), STATUS_UNSUPPORTED, {"decoder.type", "'CTC'"}},
    {WITH("'decoder': {'type': 'Strip', 'content': 'ab', 'start': 1, 'stop': 0}"),
     STATUS_MALFORMED,
     {"decoder", "one"}},
    {WITH("'decoder': {'type': 'Strip', 'content': 'a', 'start': -1, 'stop': 0}"),
     STATUS_MALFORMED,
     {"start", "from 0"}},
    {WITH("'post_processor': {'type': 'Foo'}"), STATUS_UNSUPPORTED, {"post_processor.type", "'Foo'"}},
    {WITH("'post_processor': {'type': 'BertProcessing', 'cls': ['a', 0], 'sep': ['x', 4]}"),
     STATUS_MALFORMED,
     {"post_processor.sep", "id of a token"}},
    {WITH("'post_processor': {'type': 'TemplateProcessing', 'single': [{'Sequence': {'id': 'A'}}, "
          "{'Sequence': {'id': 'A'}}]}"),
     STATUS_UNSUPPORTED,
     {"post_processor.single[1]", "once"}},
    {WITH("'post_processor': {'type': 'TemplateProcessing', 'single': []}"),
     STATUS_UNSUPPORTED,
     {"single", "without"}},
    {WITH("'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': 'X'}}]}"),
     STATUS_MALFORMED,
     {"post_processor.special_tokens.X.ids", "array"}},
    {WITH("'post_processor': {'type': 'Sequence', 'processors': [" TEMPLATE ", {'type': 'ByteLevel'}, "
          "{'type': 'BertProcessing', 'cls': ['a', 0], 'sep': ['b', 1]}]}"),
     STATUS_UNSUPPORTED,
     {"post_processor.processors[2]", "follows a template"}},
    {WITH("'added_tokens': {}"), STATUS_MALFORMED, {"added_tokens", "array"}},
    {WITH("'added_tokens': [{'id': -1, 'content': 'x'}]"),
     STATUS_MALFORMED,
     {"added_tokens[0].id", "from 0"}},
    {WITH("'added_tokens': [{'id': 99999999999, 'content': 'x'}]"),
     STATUS_MALFORMED,
     {"added_tokens[0].id", "from 0"}},
    {WITH("'added_tokens': [{'id': 1}]"), STATUS_MALFORMED, {"added_tokens[0].content", "string"}},
    {WITH("'added_tokens': [{'id': 6, 'content': 'x'}, {'id': 7, 'content': 'x', 'special': true}]"),
     STATUS_MALFORMED,
     {"added_tokens[1]", "before"}},
    {WITH("'normalizer': {'type': 'Strip'}, 'added_tokens': [{'id': 6, 'content': ' ', 'normalized': true}]"),
     STATUS_UNSUPPORTED,
     {"added_tokens", "nothing is left"}},
};

static void test_refused_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct error e = {0};
        struct tokenizer *t;
        enum status status = build_open(refused[i].json, &t, &e);
        if (status != refused[i].status || !strstr(e.text, refused[i].fragments[0]) ||
            !strstr(e.text, refused[i].fragments[1]))
            fail_msg("%s: status %d, '%s'", refused[i].json, status, e.text);
        assert_string_equal(e.where, "tokenizer.json");
    }
}

static void test_missing_folder(void **state) {
    (void)state;
    struct error e = {0};
    struct tokenizer *t;
    char *folder = test_folder_create();
    assert_int_equal(tokenizer_open(folder, &t, &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "tokenizer.json"));
    test_file_write(folder, "tokenizer.json", "{\"model\": \xff}", 12);
    assert_int_equal(tokenizer_open(folder, &t, &e), STATUS_MALFORMED);
    test_folder_remove(folder);
}

static void test_ids_and_contents(void **state) {
    (void)state;
    struct tokenizer *t = build_tokenizer(
        WITH("'added_tokens': [{'id': 1, 'content': 'b', 'special': true}, {'id': 9, 'content': 'x y'}]"));
    assert_int_equal(tokenizer_vocabulary(t), 6); /* four contents, so x y is 4, as the library numbers it */
    assert_int_equal(tokenizer_find(t, "x y"), 4);
    assert_int_equal(tokenizer_find(t, "ab"), 5);
    assert_int_equal(tokenizer_find(t, "nothing"), -1);
    assert_string_equal(tokenizer_content(t, 5), "ab");
    assert_string_equal(tokenizer_content(t, 4), "x y");
    assert_null(tokenizer_content(t, 3));
    assert_null(tokenizer_content(t, -1));
    assert_null(tokenizer_content(t, INT32_MAX));
    assert_true(tokenizer_has(t, 0) && tokenizer_has(t, 4) && tokenizer_has(t, 5));
    assert_false(tokenizer_has(t, 3) || tokenizer_has(t, 6) || tokenizer_has(t, -1));
    assert_true(tokenizer_is_special(t, 1));
    assert_false(tokenizer_is_special(t, 4) || tokenizer_is_special(t, 0) || tokenizer_is_special(t, -1));
    tokenizer_close(t);
}

static void test_limits_of_a_text(void **state) {
    (void)state;
    struct error e = {0};
    struct token_list ids = {0};
    struct tokenizer *t =
        build_tokenizer(WITH("'pre_tokenizer': {'type': 'WhitespaceSplit'}, 'post_processor': {'type': "
                             "'BertProcessing', 'cls': ['a', 0], "
                             "'sep': ['b', 1]}"));
    assert_ok(tokenizer_encode(t, "a b", 3, true, 4, &ids, &e));
    assert_int_equal(ids.count, 4);
    assert_int_equal(tokenizer_encode(t, "a b", 3, true, 3, &ids, &e), STATUS_LIMIT);
    assert_int_equal(tokenizer_encode(t, "a \xC3", 3, true, 0, &ids, &e), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(e.text, "byte 2"));
    assert_int_equal(tokenizer_encode(t, "\xED\xA0\x80", 3, true, 0, &ids, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(ids.count, 4); /* nothing was appended */
    assert_ok(tokenizer_encode(t, "ab x", 4, false, 2, &ids, &e));
    assert_int_equal(ids.count, 6);
    assert_int_equal(ids.ids[4], 5);
    assert_int_equal(ids.ids[5], 2);
    free(ids.ids);
    tokenizer_close(t);
}

/* Without a token for what is unknown there are no ids, and the message says why. */
static void test_missing_unknown_token(void **state) {
    (void)state;
    static const char *const files[] = {
        "{'model': {'type': 'WordLevel', 'unk_token': 'no', 'vocab': {'a': 0}}}",
        "{'model': {'type': 'WordPiece', 'unk_token': 'no', 'vocab': {'a': 0}}}",
        "{'model': {'type': 'BPE', 'unk_token': 'no', 'vocab': {'a': 0}, 'merges': []}}",
        "{'model': {'type': 'Unigram', 'unk_id': null, 'vocab': [['a', -1.5]]}}",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct error e = {0};
        struct token_list ids = {0};
        struct tokenizer *t = build_tokenizer(files[i]);
        expect_ids(t, "a", true, 0);
        assert_int_equal(tokenizer_encode(t, "b", 1, true, 0, &ids, &e), STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(e.text, "the vocabulary lacks"));
        tokenizer_close(t);
    }
}

static void test_unknown_characters_of_bpe(void **state) {
    (void)state;
    static const char format[] =
        "{'model': {'type': 'BPE', 'unk_token': '?', 'fuse_unk': %s, 'byte_fallback': %s, 'vocab': "
        "{'a': 0, '?': 1, '<0xC3>': 2, '<0xA9>': 3}, 'merges': []}}";
    char text[512];
    struct tokenizer *t;
    snprintf(text, sizeof text, format, "false", "false");
    t = build_tokenizer(text);
    expect_ids(t, "xyaz", true, 1, 1, 0, 1);
    tokenizer_close(t);
    snprintf(text, sizeof text, format, "true", "false");
    t = build_tokenizer(text);
    expect_ids(t, "xyaz", true, 1, 0, 1);
    tokenizer_close(t);
    snprintf(text, sizeof text, format, "true", "true");
    t = build_tokenizer(text);
    expect_ids(t, "éaxé", true, 2, 3, 0, 2, 3, 1); /* bytes overtake the unknown one, as in the library */
    tokenizer_close(t);
}

/* Byte-level tokenizers without a normalizer lose nothing. */
static void check_round_trip(const char *path, const char *name, void *context) {
    static const char *const lossless[] = {"gpt2",   "cl100k", "llama3", "starcoder",
                                           "falcon", "phi",    "bloom",  "opt"};
    struct error e = {0};
    struct tokenizer *t;
    bool is_lossless = false;
    for (size_t i = 0; i < sizeof lossless / sizeof lossless[0]; i++)
        is_lossless |= strcmp(name, lossless[i]) == 0;
    if (!is_lossless) return;
    ++*(size_t *)context;
    assert_ok(tokenizer_open(path, &t, &e));
    uint64_t seed = 3;
    for (int round = 0; round < (TEST_SHARE ? 40 : 200); round++) {
        char text[4 * 64];
        size_t length = 0, decoded_length;
        for (int i = 0; i < 64; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int32_t point = (int32_t)(seed >> 33) % (round % 2 ? 0x110000 : 0x100);
            if (point < 0xD800 || point > 0xDFFF) length += utf8_encode(point, text + length);
        }
        struct token_list ids = {0};
        char *decoded;
        assert_ok(tokenizer_encode(t, text, length, false, 0, &ids, &e));
        assert_ok(tokenizer_decode(t, ids.ids, ids.count, false, &decoded, &decoded_length, &e));
        assert_int_equal(decoded_length, length);
        assert_memory_equal(decoded, text, length);
        free(decoded);
        free(ids.ids);
    }
    tokenizer_close(t);
}

static void test_round_trips(void **state) {
    (void)state;
    size_t checked = 0;
    test_each_folder(test_source_path("tests/golden/tokenizers"), check_round_trip, &checked);
    assert_int_equal(checked, 8);
}

/* Long texts of one kind must neither recurse nor take quadratic time; ctest's limit would tell. */
static void check_long_texts(const char *path, const char *name, void *context) {
    static const char *const parts[] = {"a", " ", "\xCC\xA3\xCC\x81", "\n", "中", "<s>", "'"};
    enum { BYTES = 40 * 1000 };
    struct error e = {0};
    struct tokenizer *t;
    (void)context;
    if (strncmp(name, "mixed", 5) == 0) return;
    assert_ok(tokenizer_open(path, &t, &e));
    char *text = malloc(BYTES);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t part = strlen(parts[i]), length = BYTES / part * part;
        struct token_list ids = {0};
        for (size_t at = 0; at < length; at += part) memcpy(text + at, parts[i], part);
        enum status status = tokenizer_encode(t, text, length, true, 0, &ids, &e);
        if (strcmp(name, "moses") == 0 && *parts[i] == '\'') { /* each becomes an entity, a word of its own */
            assert_int_equal(status, STATUS_INVALID_ARGUMENT);
            assert_non_null(strstr(e.text, "the normal form of the text has more than"));
        } else {
            assert_ok(status);
        }
        free(ids.ids);
    }
    free(text);
    tokenizer_close(t);
}

static void test_long_texts(void **state) {
    (void)state;
    test_each_folder(test_source_path("tests/golden/tokenizers"), check_long_texts, NULL);
}

/* Each step makes the text a thousand times as long; that must end in an error, not in the end of the
 * machine. */
static void test_text_that_grows(void **state) {
    (void)state;
    enum { TIMES = 1000, STEPS = 4 };
    struct error e = {0};
    struct token_list ids = {0};
    char content[TIMES + 1] = "", file[STEPS * (TIMES + 100) + 500];
    memset(content, 'a', TIMES);
    int length = snprintf(file, sizeof file, "{'normalizer': {'type': 'Sequence', 'normalizers': [");
    for (int i = 0; i < STEPS; i++)
        length += snprintf(file + length, sizeof file - (size_t)length,
                           "%s{'type': 'Replace', 'pattern': {'String': 'a'}, 'content': '%s'}",
                           i ? ", " : "", content);
    snprintf(file + length, sizeof file - (size_t)length, "]}, " MODEL "}");
    struct tokenizer *t = build_tokenizer(file);
    assert_int_equal(tokenizer_encode(t, "a", 1, true, 0, &ids, &e), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(e.text, "the normal form of the text has more than"));
    assert_int_equal(ids.count, 0);
    tokenizer_close(t);
}

struct shared {
    const struct tokenizer *tokenizer;
    struct token_list expected;
    int wrong;
};

static const char shared_text[] = "It's 12 o'clock, naïve reader:\n\n  中文 and 😀!";

static void *encode_often(void *argument) {
    struct shared *shared = argument;
    struct error e;
    for (int i = 0; i < 200; i++) {
        struct token_list ids = {0};
        if (tokenizer_encode(shared->tokenizer, shared_text, strlen(shared_text), true, 0, &ids, &e) !=
                STATUS_OK ||
            ids.count != shared->expected.count ||
            memcmp(ids.ids, shared->expected.ids, ids.count * sizeof *ids.ids) != 0)
            __atomic_add_fetch(&shared->wrong, 1, __ATOMIC_RELAXED);
        free(ids.ids);
    }
    return NULL;
}

static void test_threads_share_a_tokenizer(void **state) {
    (void)state;
    struct error e = {0};
    struct tokenizer *t;
    struct shared shared = {0};
    pthread_t threads[4];
    assert_ok(tokenizer_open(test_source_path("tests/golden/tokenizers/cl100k"), &t, &e));
    assert_ok(tokenizer_encode(t, shared_text, strlen(shared_text), true, 0, &shared.expected, &e));
    shared.tokenizer = t;
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &shared), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(shared.wrong, 0);
    free(shared.expected.ids);
    tokenizer_close(t);
}

/* ---- U+0000 in tokens ---- */

static struct tokenizer *open_text(const char *text, struct error *e) {
    struct tokenizer *t = NULL;
    char *quoted = build_quote(text);
    tokenizer_open_text(quoted, strlen(quoted), "test", &t, e);
    free(quoted);
    return t;
}

/* As a key, as a value, and as an added token: found in a text, and given back. */
static void test_tokens_with_nuls(void **state) {
    (void)state;
    static const char *const files[] = {
        "{'model': {'type': 'WordLevel', 'unk_token': '?', 'vocab': {'?': 0, 'a': 1, 'a\\u0000b': 2}}}",
        "{'model': {'type': 'Unigram', 'unk_id': 0, 'vocab': [['?', 0], ['a', -9], ['a\\u0000b', -1]]}}",
        "{'model': {'type': 'WordLevel', 'unk_token': '?', 'vocab': {'?': 0, 'a': 1}}, 'added_tokens': "
        "[{'id': 2, 'content': 'a\\u0000b', 'special': false, 'single_word': false, 'lstrip': false, "
        "'rstrip': "
        "false, 'normalized': false}]}",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct error e = {0};
        struct token_list ids = {0};
        char *text = NULL;
        size_t length;
        struct tokenizer *t = open_text(files[i], &e);
        if (!t) fail_msg("%zu: %s: %s", i, e.where, e.text);
        assert_ok(tokenizer_encode(t, "a\0b", 3, false, 0, &ids, &e));
        assert_int_equal(ids.count, 1);
        assert_int_equal(ids.ids[0], 2);
        assert_ok(tokenizer_decode(t, ids.ids, ids.count, false, &text, &length, &e));
        assert_int_equal(length, 3);
        assert_memory_equal(text, "a\0b", 3);
        free(text);
        free(ids.ids);
        tokenizer_close(t);
    }
}

/* Where a text is compared with names it must not end early. */
static void test_names_with_nuls(void **state) {
    (void)state;
    struct error e = {0};
    assert_null(
        open_text("{'model': {'type': 'WordLevel\\u0000', 'unk_token': '?', 'vocab': {'?': 0}}}", &e));
    assert_non_null(strstr(e.text, "model.type: has U+0000"));
    assert_null(open_text(
        "{'model': {'type': 'WordLevel', 'unk_token': '?', 'vocab': {'?': 0, '\xEF\xB7\x90': 1}}}", &e));
    assert_non_null(strstr(e.text, "U+FDD0"));
}

/* As Python reads: numbers of any size where nothing reads them, and the last of equal keys. */
static void test_files_as_python_writes_them(void **state) {
    (void)state;
    struct error e = {0};
    struct tokenizer *t =
        open_text("{'version': 1000000000000000019884624838656, 'model': {'type': 'WordLevel', "
                  "'unk_token': '?', 'vocab': {'?': 0, 'a': 1, 'a': 2}}}",
                  &e);
    if (!t) fail_msg("%s: %s", e.where, e.text);
    assert_int_equal(tokenizer_find(t, "a"), 2);
    tokenizer_close(t);
    assert_null(open_text(
        "{'model': {'type': 'WordLevel', 'unk_token': '?', 'vocab': {'?': 18446744073709551616}}}", &e));
    assert_non_null(strstr(e.text, "model.vocab.?"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_with_nuls),
        cmocka_unit_test(test_names_with_nuls),
        cmocka_unit_test(test_files_as_python_writes_them),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_missing_folder),
        cmocka_unit_test(test_ids_and_contents),
        cmocka_unit_test(test_limits_of_a_text),
        cmocka_unit_test(test_missing_unknown_token),
        cmocka_unit_test(test_unknown_characters_of_bpe),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_text_that_grows),
        cmocka_unit_test(test_threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
