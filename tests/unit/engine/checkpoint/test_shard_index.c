/* Bad indexes are among the cases of test_checkpoint.c. */
#include "tests/support/test_support.h"

#include "engine/checkpoint/shard_index.h"

static void write_index(const char *folder, const char *text) {
    test_file_write(folder, "index.json", text, strlen(text));
}

static void test_distinct_shards(void **state) {
    (void)state;
    struct error e;
    struct shard_index index;
    char *folder = test_folder_create();
    write_index(folder, "{\"weight_map\":{\"a\":\"2\",\"b\":\"1\",\"c\":\"2\",\"d\":\"..3\",\"e\":\"1\"}}");
    assert_ok(shard_index_open(folder, "index.json", &index, &e));
    assert_int_equal(index.shard_count, 3);
    assert_string_equal(index.shards[0], "..3");
    assert_string_equal(index.shards[1], "1");
    assert_string_equal(index.shards[2], "2");
    shard_index_close(&index);
    assert_int_equal(shard_index_open(folder, "none.json", &index, &e), STATUS_NOT_FOUND);
    test_folder_remove(folder);
}

static void test_check_names_both_files(void **state) {
    (void)state;
    struct error e;
    struct shard_index index;
    struct tensor_list list = {0};
    struct tensor t = {.file = "first"};
    char *folder = test_folder_create();
    assert_ok(tensor_list_add(&list, &t, "a", 1, &e));
    write_index(folder, "{\"weight_map\":{\"a\":\"first\"}}");
    assert_ok(shard_index_open(folder, "index.json", &index, &e));
    assert_ok(shard_index_check(&index, &list, &e));
    shard_index_close(&index);
    write_index(folder, "{\"weight_map\":{\"a\":\"second\"}}");
    assert_ok(shard_index_open(folder, "index.json", &index, &e));
    assert_int_equal(shard_index_check(&index, &list, &e), STATUS_MALFORMED);
    assert_non_null(strstr(e.text, "is in second; it is in first"));
    assert_non_null(strstr(e.where, "/index.json"));
    shard_index_close(&index);
    tensor_list_deinit(&list);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distinct_shards),
        cmocka_unit_test(test_check_names_both_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
