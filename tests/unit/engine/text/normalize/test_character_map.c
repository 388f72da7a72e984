#include "tests/unit/engine/text/build.h"

#include "engine/text/normalize/character_map.h"

/* Blocks are of 256 units. This trie has one key, "a", whose replacement is at an offset of the rest. */
enum { UNITS = 512, ROOT_OFFSET = 256, LEAF_FLAG = 1 << 8 };

struct blob {
    unsigned char bytes[4 + 4 * UNITS + 16];
    size_t length;
};

static void put(struct blob *b, size_t unit, uint32_t value) {
    for (int i = 0; i < 4; i++) b->bytes[4 + 4 * unit + (size_t)i] = (unsigned char)(value >> (8 * i));
}

static uint32_t unit_to(uint32_t offset, unsigned char label) {
    return offset << 10 | label;
}

/* Root -> "a" at ROOT_OFFSET ^ 'a', whose value is in the unit `offset` behind. */
static struct blob make_blob(uint32_t value) {
    struct blob b = {.length = 4 + 4 * UNITS + 7};
    uint32_t size = 4 * UNITS, node = ROOT_OFFSET ^ 'a';
    for (int i = 0; i < 4; i++) b.bytes[i] = (unsigned char)(size >> (8 * i));
    put(&b, 0, unit_to(ROOT_OFFSET, 0));
    put(&b, node, unit_to(1, 'a') | LEAF_FLAG);
    put(&b, node ^ 1, value | 1u << 31);
    memcpy(b.bytes + 4 + 4 * UNITS, "xy\0\xC3\xA9z", 7);
    return b;
}

static void encode(const struct blob *b, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < b->length; i += 3) {
        size_t left = b->length - i;
        uint32_t bits = (uint32_t)b->bytes[i] << 16 | (left > 1 ? (uint32_t)b->bytes[i + 1] << 8 : 0) |
                        (left > 2 ? b->bytes[i + 2] : 0);
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

static enum status init(struct character_map *m, const struct blob *b, struct error *e) {
    char text[8192];
    encode(b, text);
    json_t *json = json_pack("{s:s}", "precompiled_charsmap", text);
    struct json_path top = json_path_top("test", json);
    *m = (struct character_map){0};
    enum status status = character_map_init(m, &top, e);
    json_decref(json);
    return status;
}

static void expect_mapped(const struct character_map *m, const char *text, const char *expected) {
    struct text_buffer out = {0};
    bool dropped;
    character_map_append(m, text, strlen(text), &out, &dropped);
    text_buffer_append_byte(&out, '\0');
    assert_string_equal(out.bytes, expected);
    text_buffer_deinit(&out);
}

static void test_mapping(void **state) {
    (void)state;
    struct error e = {0};
    struct character_map m;
    struct blob b = make_blob(0);
    assert_ok(init(&m, &b, &e));
    expect_mapped(&m, "banana", "bxynxynxy");
    expect_mapped(&m, "a\u0301b", "xyb"); /* a short cluster goes by its first match, */
    expect_mapped(&m, "a\u0301\u0302\u0303", "xy\u0301\u0302\u0303"); /* a long one by characters */
    expect_mapped(&m, "", "");
    character_map_deinit(&m);
    b = make_blob(3);
    assert_ok(init(&m, &b, &e));
    expect_mapped(&m, "a", "éz");
    character_map_deinit(&m);
}

static void expect_refused(const struct blob *b, const char *fragment) {
    struct error e = {0};
    struct character_map m;
    assert_int_equal(init(&m, b, &e), STATUS_MALFORMED);
    if (!strstr(e.text, fragment)) fail_msg("'%s'", e.text);
    character_map_deinit(&m);
}

static void test_corrupted_maps(void **state) {
    (void)state;
    struct blob b = make_blob(100);
    expect_refused(&b, "leads outside"); /* a replacement behind the end, */
    b = make_blob(4);
    expect_refused(&b, "leads outside"); /* and one within a character */
    b = make_blob(0);
    put(&b, 0, unit_to(UNITS, 0));
    expect_refused(&b, "leads outside");
    b = make_blob(0);
    put(&b, ROOT_OFFSET ^ 'a', unit_to(1 << 20, 'a'));
    expect_refused(&b, "leads outside");
    b = make_blob(0);
    b.bytes[1] = 0xFF; /* a trie larger than the blob */
    expect_refused(&b, "a trie of");
    b = make_blob(0);
    b.bytes[0] = 4; /* not of whole blocks */
    expect_refused(&b, "a trie of");
    b = make_blob(0);
    b.bytes[b.length - 1] = 0xC3;
    expect_refused(&b, "UTF-8");
    for (b.length = 0; b.length < 4; b.length++) expect_refused(&b, "a trie of");
}

/* A node that leads back to itself must not keep the check going. */
static void test_circle(void **state) {
    (void)state;
    struct error e = {0};
    struct character_map m;
    struct blob b = make_blob(0);
    uint32_t node = ROOT_OFFSET ^ 'a';
    put(&b, node, unit_to(node ^ ROOT_OFFSET, 'a')); /* its children are those of the root */
    assert_ok(init(&m, &b, &e));
    expect_mapped(&m, "aaaa", "aaaa");
    character_map_deinit(&m);
}

static void test_not_base64(void **state) {
    (void)state;
    static const char *const texts[] = {"A",     "AAA",  "A===",     "====", "AA=A",
                                        "AAA\n", "AA-_", "AAAA====", "é000"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error e = {0};
        struct character_map m = {0};
        json_t *json = json_pack("{s:s}", "precompiled_charsmap", texts[i]);
        struct json_path top = json_path_top("test", json);
        assert_int_equal(character_map_init(&m, &top, &e), STATUS_MALFORMED);
        character_map_deinit(&m);
        json_decref(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_corrupted_maps),
        cmocka_unit_test(test_circle),
        cmocka_unit_test(test_not_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
