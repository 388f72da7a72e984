#include "tests/support/test_support.h"

#include "server/clients/keys.h"

static char *folder;

static int setup(void **state) {
    (void)state;
    folder = test_folder_create();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

static enum status load(struct keys *k, const char *content, size_t length, struct error *e) {
    char path[1024];
    test_file_write(folder, "keys", content, length);
    snprintf(path, sizeof path, "%s/keys", folder);
    return keys_load(k, path, e);
}

static bool allows(const struct keys *k, const char *authorization) {
    const struct keys_given given = {.authorization = authorization};
    size_t key;
    return keys_allow(k, &given, &key);
}

static void test_without_a_file_everybody_may(void **state) {
    (void)state;
    struct keys k = {0};
    struct error e;
    assert_ok(keys_load(&k, NULL, &e));
    size_t key;
    assert_true(allows(&k, NULL));
    assert_true(keys_allow(&k, &(struct keys_given){"Bearer x", NULL, NULL}, &key));
    assert_int_equal(key, KEYS_NONE);
    keys_deinit(&k);
}

static void test_keys(void **state) {
    (void)state;
    struct keys k = {0};
    struct error e;
    assert_ok(load(&k, "one\n#two\n\n three \r\nfour", 23, &e));
    assert_int_equal(k.count, 3);
    assert_true(allows(&k, "Bearer one"));
    assert_true(allows(&k, "bearer  three"));
    assert_true(allows(&k, "Bearer four"));
    assert_true(allows(&k, "Bearer four \t")); /* blanks at the end do not count */
    assert_true(allows(&k, "Bearer\tone"));
    static const char *const wrong[] = {"",           "one",         "Bearer",        "Bearer ",
                                        "Bearer on",  "Bearer onee", "Bearer oneone", "Bearer #two",
                                        "Bearer two", "Basic one",   "Bearer one x",  "Bearer fourfour",
                                        "Bearerone",  "Bearer\n one"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(allows(&k, wrong[i]));
    assert_false(allows(&k, NULL));
    keys_deinit(&k);
}

/* Whichever header has it; a wrong one beside it changes nothing. */
static void test_headers(void **state) {
    (void)state;
    struct keys k = {0};
    struct error e;
    assert_ok(load(&k, "one\ntwo\n", 8, &e));
    const struct keys_given right[] = {
        {NULL, "one", NULL},       {NULL, NULL, "two"},      {NULL, " one ", NULL}, {NULL, NULL, "two\t"},
        {"Bearer x", "one", NULL}, {"Bearer one", "x", "y"}, {NULL, "x", "two"}};
    const struct keys_given wrong[] = {{NULL, NULL, NULL}, {NULL, "", ""},         {NULL, "Bearer one", NULL},
                                       {NULL, "on", NULL}, {NULL, NULL, "onee"},   {"one", NULL, NULL},
                                       {NULL, " ", NULL},  {NULL, "one two", NULL}};
    static const size_t which[] = {0, 1, 0, 1, 0, 0, 1};
    size_t key;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_true(keys_allow(&k, &right[i], &key));
        assert_int_equal(key, which[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(keys_allow(&k, &wrong[i], &key));
        assert_int_equal(key, KEYS_NONE);
    }
    keys_deinit(&k);
}

/* Keys are found by what they are, not by where they stand; of one that stands there twice the first counts. */
static void test_many_keys_have_their_places(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    struct keys k = {0};
    struct error e;
    char *text = malloc(COUNT * 16), *at = text, given[32];
    size_t key;
    for (int i = 0; i < COUNT; i++) at += sprintf(at, "key-%d\n", i);
    at += sprintf(at, "key-7\n");
    assert_ok(load(&k, text, (size_t)(at - text), &e));
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(given, sizeof given, "Bearer key-%zu", i);
        assert_true(keys_allow(&k, &(struct keys_given){given, NULL, NULL}, &key));
        assert_int_equal(key, i);
    }
    assert_false(allows(&k, "Bearer key-1000"));
    keys_deinit(&k);
    free(text);
}

static void test_bad_files_change_nothing(void **state) {
    (void)state;
    struct keys k = {0};
    struct error e;
    char *line = malloc(10000);
    memset(line, 'x', 10000);
    assert_ok(load(&k, "good\n", 5, &e));
    assert_int_equal(load(&k, "# only this\n", 12, &e), STATUS_MALFORMED);
    assert_int_equal(load(&k, "", 0, &e), STATUS_MALFORMED);
    assert_int_equal(load(&k, line, 10000, &e), STATUS_LIMIT);
    assert_int_equal(keys_load(&k, "/no/such/file", &e), STATUS_IO);
    assert_string_equal(e.where, "/no/such/file");
    assert_true(allows(&k, "Bearer good"));
    keys_deinit(&k);
    free(line);
}

/* What editors of other systems write: a mark at the start is none of the key, and UTF-16 is no text of it, where a NUL would
 * end it early. */
static void test_files_of_other_systems(void **state) {
    (void)state;
    static const char marked[] = "\xef\xbb\xbfone\r\ntwo";
    static const char utf16[] = "\xff\xfeo\0n\0e\0", with_nul[] = "one\0two\nthree\n", old[] = "one\rtwo\r";
    struct keys k = {0};
    struct error e;
    assert_ok(load(&k, marked, sizeof marked - 1, &e));
    assert_int_equal(k.count, 2);
    assert_true(allows(&k, "Bearer one"));
    assert_true(allows(&k, "Bearer two"));
    assert_int_equal(load(&k, utf16, sizeof utf16 - 1, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "line 1 has control characters"));
    assert_int_equal(load(&k, with_nul, sizeof with_nul - 1, &e), STATUS_MALFORMED);
    assert_int_equal(load(&k, old, sizeof old - 1, &e), STATUS_MALFORMED);
    assert_true(allows(&k, "Bearer one"));
    keys_deinit(&k);
}

/* A last line without an end, around the longest that is read. */
static void test_longest_lines(void **state) {
    (void)state;
    char line[5000] = "Bearer ";
    struct error e;
    memset(line + 7, 'x', sizeof line - 8);
    for (size_t length = 4090; length <= 4097; length++) {
        struct keys k = {0};
        enum status status = load(&k, line + 7, length, &e);
        assert_int_equal(status, length <= 4094 ? STATUS_OK : STATUS_LIMIT);
        line[7 + length] = '\0';
        if (status == STATUS_OK) assert_true(allows(&k, line));
        line[7 + length] = 'x';
        keys_deinit(&k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_file_everybody_may),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_many_keys_have_their_places),
        cmocka_unit_test(test_bad_files_change_nothing),
        cmocka_unit_test(test_files_of_other_systems),
        cmocka_unit_test(test_longest_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
