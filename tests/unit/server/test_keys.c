#include "tests/support/test_support.h"

#include "server/keys.h"

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

static void test_without_a_file_everybody_may(void **state) {
    (void)state;
    struct keys k = {0};
    struct error e;
    assert_ok(keys_load(&k, NULL, &e));
    assert_true(keys_allow(&k, NULL));
    assert_true(keys_allow(&k, "Bearer x"));
    size_t index;
    assert_false(keys_find(&k, "Bearer x", &index));
    keys_deinit(&k);
}

static void test_keys(void **state) {
    (void)state;
    struct keys k = {0};
    struct error e;
    assert_ok(load(&k, "one\n#two\n\n three \r\nfour", 23, &e));
    assert_int_equal(k.count, 3);
    assert_true(keys_allow(&k, "Bearer one"));
    assert_true(keys_allow(&k, "bearer  three"));
    assert_true(keys_allow(&k, "Bearer four"));
    static const char *const wrong[] = {"",           "one",         "Bearer",        "Bearer ",
                                        "Bearer on",  "Bearer onee", "Bearer oneone", "Bearer #two",
                                        "Bearer two", "Basic one",   "Bearer one ",   "Bearer fourfour"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(keys_allow(&k, wrong[i]));
    assert_false(keys_allow(&k, NULL));
    static const char *const right[] = {"Bearer one", "Bearer three", "Bearer four"};
    size_t index;
    for (size_t i = 0; i < 3; i++) {
        assert_true(keys_find(&k, right[i], &index));
        assert_int_equal(index, i);
    }
    assert_false(keys_find(&k, "Bearer five", &index));
    keys_deinit(&k);
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
    assert_true(keys_allow(&k, "Bearer good"));
    keys_deinit(&k);
    free(line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_file_everybody_may),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bad_files_change_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
