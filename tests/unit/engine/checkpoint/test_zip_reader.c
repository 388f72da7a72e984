/* Whole archives, good and broken ones, are among the cases of test_torch_bin.c; here is what they cannot
 * show. */
#include "tests/support/test_support.h"

#include "engine/checkpoint/zip_reader.h"

struct zip_bytes {
    unsigned char bytes[4096];
    size_t length;
};

static void put(struct zip_bytes *z, uint32_t value, size_t size) {
    for (size_t i = 0; i < size; i++) z->bytes[z->length++] = (unsigned char)(value >> (8 * i));
}

static void put_text(struct zip_bytes *z, const char *text) {
    while (*text) z->bytes[z->length++] = (unsigned char)*text++;
}

/* What local headers and directory have in common: from the version to the length of the name. */
static void put_common(struct zip_bytes *z, const char *name, const char *data) {
    put(z, 20, 2);
    put(z, 0, 2 + 2);
    put(z, 0, 4);
    put(z, 0, 4);
    put(z, (uint32_t)strlen(data), 4);
    put(z, (uint32_t)strlen(data), 4);
    put(z, (uint32_t)strlen(name), 2);
}

/* An archive of the n files names[i] with the content data[i]. */
static void build(struct zip_bytes *z, const char *const *names, const char *const *data, size_t n) {
    uint32_t offsets[8], start;
    z->length = 0;
    for (size_t i = 0; i < n; i++) {
        offsets[i] = (uint32_t)z->length;
        put(z, 0x04034b50, 4);
        put_common(z, names[i], data[i]);
        put(z, 0, 2);
        put_text(z, names[i]);
        put_text(z, data[i]);
    }
    start = (uint32_t)z->length;
    for (size_t i = 0; i < n; i++) {
        put(z, 0x02014b50, 4);
        put(z, 20, 2);
        put_common(z, names[i], data[i]);
        put(z, 0, 2 + 2), put(z, 0, 2 + 2), put(z, 0, 4);
        put(z, offsets[i], 4);
        put_text(z, names[i]);
    }
    uint32_t size = (uint32_t)z->length - start;
    put(z, 0x06054b50, 4);
    put(z, 0, 4);
    put(z, (uint32_t)n, 2), put(z, (uint32_t)n, 2);
    put(z, size, 4), put(z, start, 4), put(z, 0, 2);
}

static enum status open_bytes(const struct zip_bytes *bytes, struct zip_reader *z, struct error *e) {
    static char path[] = "folder/archive.zip";
    struct mapped_file file = {.data = bytes->bytes, .size = bytes->length, .path = path, .name = path + 7};
    return zip_reader_open(&file, z, e);
}

static void test_finds_entries(void **state) {
    (void)state;
    static const char *const names[] = {"b", "a/long/name", "a", "empty"};
    static const char *const data[] = {"two", "three", "one", ""};
    struct error e;
    struct zip_bytes bytes;
    struct zip_reader z;
    build(&bytes, names, data, 4);
    assert_ok(open_bytes(&bytes, &z, &e));
    assert_int_equal(z.count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct zip_entry *entry = zip_reader_find(&z, names[i]);
        assert_non_null(entry);
        assert_int_equal(entry->size, strlen(data[i]));
        assert_memory_equal(entry->data, data[i], strlen(data[i]));
    }
    assert_null(zip_reader_find(&z, "a/long"));
    assert_null(zip_reader_find(&z, "a/long/name/"));
    assert_null(zip_reader_find(&z, ""));
    zip_reader_close(&z);
}

static void test_empty_archive(void **state) {
    (void)state;
    struct error e;
    struct zip_bytes bytes;
    struct zip_reader z;
    build(&bytes, NULL, NULL, 0);
    assert_ok(open_bytes(&bytes, &z, &e));
    assert_int_equal(z.count, 0);
    assert_null(zip_reader_find(&z, "a"));
    zip_reader_close(&z);
}

/* The record at the end may be followed by a comment of its stated length, and by nothing else. */
static void test_trailing_bytes(void **state) {
    (void)state;
    static const char *const names[] = {"a"}, *const data[] = {"one"};
    struct error e;
    struct zip_bytes bytes;
    struct zip_reader z;
    build(&bytes, names, data, 1);
    put_text(&bytes, "comment");
    assert_int_equal(open_bytes(&bytes, &z, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "no ZIP archive"));
    bytes.bytes[bytes.length - 9] = 7;
    assert_ok(open_bytes(&bytes, &z, &e));
    zip_reader_close(&z);
}

static void test_hostile_names_in_messages(void **state) {
    (void)state;
    static const char *const names[] = {"\x1b[31m", "\x1b[31m"}, *const data[] = {"one", "two"};
    struct error e;
    struct zip_bytes bytes;
    struct zip_reader z;
    build(&bytes, names, data, 2);
    assert_int_equal(open_bytes(&bytes, &z, &e), STATUS_MALFORMED);
    assert_string_equal(e.where, "folder/archive.zip");
    assert_string_equal(e.text, "two ZIP entries have the name '?[31m'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_entries),
        cmocka_unit_test(test_empty_archive),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_hostile_names_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
