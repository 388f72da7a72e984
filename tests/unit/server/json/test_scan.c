/* The count of a text against the tree that jansson makes of it, on hand-made and on random texts, whole and
 * damaged. */
#include "tests/support/test_support.h"

#include <jansson.h>
#include <malloc.h>

#include "server/json/bytes.h"
#include "server/json/scan.h"

/* A sanitizer says as the usable size of a block what was asked for. */
enum { HEADER_BYTES = SANITIZED ? 0 : sizeof(size_t) };

/* ---- what jansson takes -------------------------------------------------------------------------------- */

static size_t held, peak;

static void *count_malloc(size_t size) {
    void *block = malloc(size);
    if (block) held += malloc_usable_size(block) + HEADER_BYTES;
    if (held > peak) peak = held;
    return block;
}

static void count_free(void *block) {
    if (block) held -= malloc_usable_size(block) + HEADER_BYTES;
    free(block);
}

static int count_memory(void **state) {
    (void)state;
    json_object_seed(1); /* before its blocks are counted */
    json_set_alloc_funcs(count_malloc, count_free);
    return 0;
}

static size_t tree_values(const json_t *value, size_t depth, size_t *deepest) {
    size_t count = 1, index;
    const char *key;
    json_t *child;
    bool nests = json_is_array(value) || json_is_object(value);
    if (nests && depth + 1 > *deepest) *deepest = depth + 1;
    json_array_foreach(value, index, child) count += tree_values(child, depth + 1, deepest);
    json_object_foreach((json_t *)value, key, child) count += tree_values(child, depth + 1, deepest);
    return count;
}

/* false: jansson does not accept the text. */
static bool check(const char *text, size_t length) {
    struct json_scan scan;
    size_t deepest = 0, before = held;
    json_scan(text, length, &scan);
    peak = held;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    size_t taken = peak - before,
           promised = json_scan_tree_bytes(&scan) + 4096; /* the parser's own buffers */
    if (taken > promised)
        fail_msg("%zu bytes taken, %zu promised: %.*s", taken, promised, (int)(length < 200 ? length : 200),
                 text);
    if (!root) return false;
    size_t values = tree_values(root, 0, &deepest);
    if (values != json_scan_values(&scan) || deepest != scan.depth)
        fail_msg("%zu values of depth %zu, counted %zu of depth %zu: %.*s", values, deepest,
                 json_scan_values(&scan), scan.depth, (int)(length < 200 ? length : 200), text);
    json_decref(root);
    assert_int_equal(held, before);
    return true;
}

/* ---- texts --------------------------------------------------------------------------------------------- */

static void test_hand_made(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "1",
        "-1.5e3",
        "true",
        "\"\"",
        " [ ] ",
        "[[],[[]],{}]",
        "{\"a\":1}",
        "{\"a\" : [1,2 , 3]}",
        "\"a,b:[{\"",
        "[\"\\\"\",\"\\\\\",\"]\"]",
        "{\"a:\":\"b:\",\"c\":{\"d\":null}}",
        "[true,false,null,-0,1e5,0.5]",
        "\t[\n1\r,2]",
        "[\"\\u0000\\ud83d\\ude00\"]",
        "{\"prompt\":[[1,2],\"a\",[3]],\"n\":2,\"stop\":[\"x\"],\"logit_bias\":{\"5\":1}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!check(texts[i], strlen(texts[i]))) fail_msg("refused: %s", texts[i]);
    static const char *const broken[] = {"",        "[",    "]", "}",    "\"",  "\"\\",
                                         "{\"a\"}", "[1,]", ":", "::::", "nul", "[]]"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        if (check(broken[i], strlen(broken[i]))) fail_msg("accepted: %s", broken[i]);
}

static void test_kinds_are_told_apart(void **state) {
    (void)state;
    static const char text[] = "{\"ab\":[1,-2.5,\"cde\",true,null],\"f\":{}}";
    struct json_scan scan;
    json_scan(text, sizeof text - 1, &scan);
    assert_int_equal(scan.objects, 2);
    assert_int_equal(scan.arrays, 1);
    assert_int_equal(scan.numbers, 2);
    assert_int_equal(scan.literals, 2);
    assert_int_equal(scan.strings, 1);
    assert_int_equal(scan.keys, 2);
    assert_int_equal(scan.string_bytes, 6);
    assert_int_equal(scan.longest_string, 3);
    assert_int_equal(scan.depth, 2);
    assert_int_equal(json_scan_values(&scan), 8);
}

/* An array of so many of one text: where the table of the array has just grown is the most for each. */
static void check_many(const char *element, size_t count) {
    struct bytes text = {0};
    bytes_text(&text, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) bytes_text(&text, ",");
        bytes_text(&text, element);
    }
    bytes_text(&text, "]");
    assert_true(check(text.data, text.length));
    bytes_deinit(&text);
}

static void test_promised_memory(void **state) {
    (void)state;
    static const char *const elements[] = {
        "{}",
        "[]",
        "1",
        "50256",
        "1.5",
        "null",
        "\"\"",
        "\"abc\"",
        "[1]",
        "{\"a\":1}",
        "[[]]",
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9}"};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        check_many(elements[i], 16384);
        check_many(elements[i], 16385);
    }
    struct bytes text = {0};
    bytes_text(&text, "{");
    for (int i = 0; i < 20000; i++) bytes_format(&text, i ? ",\"%d\":1" : "\"%d\":1", i);
    bytes_text(&text, "}");
    assert_true(check(text.data, text.length));
    bytes_deinit(&text);
}

/* A number or word is copied while it is read, whatever becomes of it at its end. */
static void test_long_scalars(void **state) {
    (void)state;
    enum { LENGTH = 100000 };
    for (const char *byte = "9-ex"; *byte; byte++) {
        struct bytes text = {0};
        struct json_scan scan;
        bytes_text(&text, "{\"max_tokens\":");
        for (int i = 0; i < LENGTH; i++) bytes_append(&text, byte, 1);
        bytes_text(&text, ",\"n\":1}");
        json_scan(text.data, text.length, &scan);
        assert_int_equal(scan.longest_scalar, LENGTH);
        assert_true(json_scan_tree_bytes(&scan) >= 2 * LENGTH);
        bytes_deinit(&text);
    }
}

/* ---- members ------------------------------------------------------------------------------------------- */

static void check_members(const char *text, const char *expected) {
    struct bytes found = {0};
    struct json_scan_member member;
    for (size_t at = 0; json_scan_next(text, strlen(text), &at, &member);)
        bytes_format(&found, "%.*s=%.*s;", (int)member.key_length, member.key, (int)member.value_length,
                     member.value);
    bytes_append(&found, "", 1);
    assert_string_equal(found.data, expected);
    bytes_deinit(&found);
}

static void test_members(void **state) {
    (void)state;
    check_members("{}", "");
    check_members("", "");
    check_members("{\"a\":1}", "a=1;");
    check_members(" { \"a\" : [1,{\"b\":2}] ,\n\"c:d\":\"}\\\",\", \"\":{}}",
                  "a= [1,{\"b\":2}] ;c:d=\"}\\\",\";={};");
    check_members("{\"a\\\"b\":0}", "a\\\"b=0;");
    /* What is not well-formed. */
    check_members("{\"a\"}", "");
    check_members("{\"a\":[[1,2", "a=[[1,2;");
    check_members("{\"a\":\"x", "a=\"x;");
    check_members("{\"a", "");
    check_members("[\"a\":1,\"b\":2]", "a=1;b=2;");
}

/* ---- random texts -------------------------------------------------------------------------------------- */

static void write_random(struct bytes *out, unsigned *seed, int depth) {
    static const char *const scalars[] = {"0",    "-12",   "3.5e-2",  "true",        "false",       "null",
                                          "\"\"", "\"x\"", "\"a:b\"", "\"\\\"[{,\"", "\"\\u00e9\"", "123456"};
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t "};
    int kind = depth > 6 ? 2 : rand_r(seed) % 4, count = rand_r(seed) % 5;
    bytes_text(out, blanks[rand_r(seed) % 6]);
    if (kind >= 2) {
        bytes_text(out, scalars[rand_r(seed) % 12]);
    } else {
        bytes_text(out, kind ? "[" : "{");
        for (int i = 0; i < count; i++) {
            if (i) bytes_text(out, ",");
            if (!kind)
                bytes_format(out, "%s\"k%d\"%s:", blanks[rand_r(seed) % 6], i, blanks[rand_r(seed) % 6]);
            write_random(out, seed, depth + 1);
        }
        bytes_text(out, kind ? "]" : "}");
    }
    bytes_text(out, blanks[rand_r(seed) % 6]);
}

/* Whatever the text, members lie within it, one behind the other. */
static void check_members_hold(const char *text, size_t length) {
    struct json_scan_member member;
    const char *end = text;
    for (size_t at = 0; json_scan_next(text, length, &at, &member); end = member.value + member.value_length)
        if (member.key <= end || member.value <= member.key + member.key_length ||
            member.value + member.value_length > text + length)
            fail_msg("%.*s", (int)length, text);
}

static void test_random(void **state) {
    (void)state;
    static const char marks[] = "{}[],:\"\\ 1atn\0\xff";
    unsigned seed = 7;
    size_t accepted = 0;
    for (int i = 0; i < 20000; i++) {
        struct bytes text = {0};
        write_random(&text, &seed, 0);
        assert_true(check(text.data, text.length));
        for (int j = rand_r(&seed) % 3; j >= 0; j--)
            text.data[(size_t)rand_r(&seed) % text.length] =
                marks[(size_t)rand_r(&seed) % (sizeof marks - 1)];
        accepted += check(text.data, text.length);
        accepted += check(text.data, (size_t)rand_r(&seed) % text.length);
        check_members_hold(text.data, text.length);
        bytes_deinit(&text);
    }
    assert_true(accepted > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hand_made),       cmocka_unit_test(test_kinds_are_told_apart),
        cmocka_unit_test(test_promised_memory), cmocka_unit_test(test_long_scalars),
        cmocka_unit_test(test_members),         cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, count_memory, NULL);
}
