#include "tests/unit/engine/checkpoint/build.h"
#include "tests/unit/engine/checkpoint/compare.h"

#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/mapped_file.h"
#include "engine/checkpoint/tensor_list.h"

static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = test_folder_create();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

/* A file with one tensor of count floats. */
static void write_tensor(const char *file, const char *name, size_t count) {
    char header[256];
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}",
             name, count, 4 * count);
    build_file(folder, file, header, 4 * count);
}

static void write_text(const char *name, const char *text) {
    test_file_write(folder, name, text, strlen(text));
}

static void copy_case(const char *name, const char *as) {
    char input[2048];
    size_t length;
    snprintf(input, sizeof input, "%s/%s/input", test_source_path("tests/cases/torch-bin"), name);
    char *bytes = test_file_read(input, "pytorch_model.bin", &length);
    test_file_write(folder, as, bytes, length);
    free(bytes);
}

static void assert_fails(enum status status, const char *fragment) {
    struct error e = {0};
    struct checkpoint *c = NULL;
    char message[ERROR_LINE_BYTES];
    enum status found = checkpoint_open(folder, &c, &e);
    error_format(&e, message, sizeof message);
    if (found != status || e.code != status || !strstr(message, fragment))
        fail_msg("status '%s', '%s'; expected '%s'", status_name(found), message, fragment);
    assert_null(c);
}

static void test_one_file(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    build_file(folder, "model.safetensors",
               "{\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
               "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[4,5]}}",
               5);
    write_text("pytorch_model.bin", "not looked at");
    write_text("model.safetensors.index.json", "not looked at");
    assert_ok(checkpoint_open(folder, &c, &e));
    assert_int_equal(checkpoint_count(c), 2);
    assert_string_equal(checkpoint_at(c, 0)->name, "a");
    assert_ptr_equal(checkpoint_find(c, "b"), checkpoint_at(c, 1));
    assert_null(checkpoint_at(c, 2));
    assert_null(checkpoint_find(c, "c"));
    checkpoint_release(c, checkpoint_at(c, 0));
    checkpoint_close(c);
    checkpoint_close(NULL);
}

static void test_no_weights(void **state) {
    (void)state;
    assert_fails(STATUS_NOT_FOUND,
                 "looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin and ");
}

/* A damaged file is reported, not passed over for another layout. */
static void test_damaged_file(void **state) {
    (void)state;
    copy_case("good-protocol-2", "pytorch_model.bin");
    write_text("model.safetensors", "");
    assert_fails(STATUS_MALFORMED, "model.safetensors: the file has 0 bytes");
    write_text("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
    assert_fails(STATUS_MALFORMED, "git lfs pull");
}

static void write_shards(void) {
    write_tensor("one.safetensors", "a", 3);
    write_tensor("two.safetensors", "b", 5);
}

static void test_shards(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    char target[1200], link[1200];
    write_shards();
    /* As in the Hugging Face cache: names that link to blobs elsewhere. */
    snprintf(target, sizeof target, "%s/two.safetensors", folder);
    snprintf(link, sizeof link, "%s/linked.safetensors", folder);
    assert_int_equal(symlink(target, link), 0);
    write_text("model.safetensors.index.json", "{\"metadata\":{\"total_size\":32},\"weight_map\":"
                                               "{\"a\":\"one.safetensors\",\"b\":\"linked.safetensors\"}}");
    assert_ok(checkpoint_open(folder, &c, &e));
    assert_int_equal(checkpoint_count(c), 2);
    assert_string_equal(checkpoint_find(c, "a")->file, "one.safetensors");
    assert_string_equal(checkpoint_find(c, "b")->file, "linked.safetensors");
    assert_int_equal(checkpoint_find(c, "b")->shape[0], 5);
    checkpoint_close(c);
}

static const struct {
    const char *map;
    enum status status;
    const char *fragment;
} indexes[] = {
    {"{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"}", STATUS_MALFORMED,
     "tensor 'b' is in one.safetensors; it is in two.safetensors"},
    {"{\"a\":\"one.safetensors\",\"b\":\"twin.safetensors\"}", STATUS_MALFORMED,
     "'a' occurs twice with different contents: in one.safetensors and in twin.safetensors"},
    {"{\"a\":\"one.safetensors\",\"b\":\"none.safetensors\"}", STATUS_IO,
     "none.safetensors: there is no such file"},
    {"{\"a\":\"../one.safetensors\"}", STATUS_MALFORMED, "tensor 'a' to '../one.safetensors'"},
    {"{\"a\":\"/etc/passwd\"}", STATUS_MALFORMED, "plain name"},
    {"{\"a\":\"..\"}", STATUS_MALFORMED, "plain name"},
    {"{\"a\":\".\"}", STATUS_MALFORMED, "plain name"},
    {"{\"a\":\"\"}", STATUS_MALFORMED, "plain name"},
    {"{\"a\":7}", STATUS_MALFORMED, "(no string)"},
    {"{}", STATUS_MALFORMED, "'weight_map' is empty or not an object"},
    {"[]", STATUS_MALFORMED, "'weight_map' is empty or not an object"},
    {"{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}", STATUS_MALFORMED, "duplicate"},
    {"{\"a\":\"fifo\"}", STATUS_IO, "not a regular file"},
    {"{\"a\":\"model.safetensors.index.json\"}", STATUS_LIMIT, "header length"},
};

static void test_bad_indexes(void **state) {
    (void)state;
    char path[1200], text[512];
    write_shards();
    write_tensor("twin.safetensors", "a", 2);
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        snprintf(text, sizeof text, "{\"weight_map\":%s}", indexes[i].map);
        write_text("model.safetensors.index.json", text);
        assert_fails(indexes[i].status, indexes[i].fragment);
    }
    write_text("model.safetensors.index.json", "{}");
    assert_fails(STATUS_MALFORMED, "'weight_map' is missing");
    write_text("model.safetensors.index.json", "[]");
    assert_fails(STATUS_MALFORMED, "'weight_map' is missing");
}

static void test_too_many_shards(void **state) {
    (void)state;
    char *text = malloc(64 * (MAPPED_FILES_MAX + 2)), *end = text;
    end += sprintf(end, "{\"weight_map\":{");
    for (int i = 0; i <= MAPPED_FILES_MAX; i++) end += sprintf(end, "%s\"t%d\":\"s%d\"", i ? "," : "", i, i);
    sprintf(end, "}}");
    write_text("model.safetensors.index.json", text);
    free(text);
    assert_fails(STATUS_LIMIT, "1025 shards; the limit is 1024");
}

static void test_torch_shards(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    copy_case("good-protocol-2", "pytorch_model-1.bin");
    copy_case("good-many-memos", "pytorch_model-2.bin");
    write_text("pytorch_model.bin.index.json",
               "{\"weight_map\":{\"a.weight\":\"pytorch_model-1.bin\",\"t39\":\"pytorch_model-2.bin\"}}");
    assert_ok(checkpoint_open(folder, &c, &e));
    assert_int_equal(checkpoint_count(c), 42); /* those that the index leaves out as well */
    assert_string_equal(checkpoint_find(c, "t7")->file, "pytorch_model-2.bin");
    assert_true(element_of(checkpoint_find(c, "a.bias"), 2) == 1.5);
    checkpoint_close(c);
    copy_case("good-protocol-4", "pytorch_model-2.bin"); /* the same tensors once more */
    write_text("pytorch_model.bin.index.json",
               "{\"weight_map\":{\"a.weight\":\"pytorch_model-1.bin\",\"a.bias\":\"pytorch_model-2.bin\"}}");
    assert_ok(checkpoint_open(folder, &c, &e));
    assert_true(checkpoint_find(c, "a.bias")->has_copies);
    assert_true(element_of(checkpoint_find(c, "a.bias"), 2) == 1.5);
    checkpoint_close(c);
}

/* safetensors' own converter leaves tied heads and shared buffers out of the shards and in the index. */
static void test_index_of_what_no_shard_holds(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    write_shards();
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two."
                                               "safetensors\",\"tied\":\"one.safetensors\"}}");
    assert_ok(checkpoint_open(folder, &c, &e));
    assert_int_equal(checkpoint_count(c), 2);
    assert_null(checkpoint_find(c, "tied"));
    checkpoint_close(c);
}

/* One tensor in several shards: the same bytes count once, wherever the index has it; others are refused. */
static void test_copies(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    write_shards();
    write_tensor("three.safetensors", "a", 3);
    static const char *const homes[] = {"one", "three"};
    for (size_t i = 0; i < 2; i++) {
        char index[256];
        snprintf(index, sizeof index,
                 "{\"weight_map\":{\"a\":\"%s.safetensors\",\"x\":\"one.safetensors\",\"y\":\"three."
                 "safetensors\"}}",
                 homes[i]);
        write_text("model.safetensors.index.json", index);
        assert_ok(checkpoint_open(folder, &c, &e));
        assert_int_equal(checkpoint_count(c), 1);
        assert_true(checkpoint_at(c, 0)->has_copies);
        assert_string_equal(checkpoint_at(c, 0)->file, "one.safetensors");
        checkpoint_close(c);
    }
    write_tensor("three.safetensors", "a", 4);
    assert_fails(STATUS_MALFORMED, "'a' occurs twice with different contents");
}

/* What the converter left out comes back under its name, from the metadata. */
static void test_names_of_shared_tensors(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    build_file(folder, "model.safetensors",
               "{\"__metadata__\":{\"format\":\"pt\",\"head\":\"table\",\"table\":\"other\",\"self\":\"__"
               "metadata__\"},"
               "\"table\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
               4);
    assert_ok(checkpoint_open(folder, &c, &e));
    assert_int_equal(checkpoint_count(c), 2);
    assert_ptr_equal(checkpoint_find(c, "head")->data, checkpoint_find(c, "table")->data);
    assert_int_equal(checkpoint_find(c, "head")->shape[0], 2);
    checkpoint_close(c);
}

static size_t resident_bytes(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %zu", &pages) != 1) fail_msg("cannot read /proc/self/statm");
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_release_gives_pages_back(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    const size_t count = 4u << 20, bytes = 4 * count;
    write_tensor("model.safetensors", "big", count);
    assert_ok(checkpoint_open(folder, &c, &e));
    const struct tensor *t = checkpoint_find(c, "big");
    volatile unsigned sum = 0;
    for (size_t i = 0; i < bytes; i += 1024) sum += ((const unsigned char *)t->data)[i];
    (void)sum;
    size_t before = resident_bytes();
    checkpoint_release(c, t);
    assert_true(resident_bytes() + bytes / 2 < before);
    assert_int_equal(((const unsigned char *)t->data)[bytes - 2], 254);
    checkpoint_close(c);
}

/* Only the pages between the first and the last element of a strided view may go, and none of an empty
 * one. */
static void test_release_of_odd_shapes(void **state) {
    (void)state;
    struct error e;
    struct checkpoint *c;
    copy_case("good-views", "pytorch_model.bin");
    assert_ok(checkpoint_open(folder, &c, &e));
    for (size_t i = 0; i < checkpoint_count(c); i++) checkpoint_release(c, checkpoint_at(c, i));
    assert_true(element_of(checkpoint_find(c, "last"), 0) == 2.75);
    checkpoint_close(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The list is taken, sorted or refused as a whole. */
static void test_from_tensors(void **state) {
    (void)state;
    struct error e = {0};
    struct checkpoint *c;
    struct tensor_list list = {0};
    float values[2] = {1, 2};
    struct tensor with = {.file = "f", .rank = 1, .shape = {2}, .stride = {1}, .data = values},
                  without = with;
    without.data = NULL;
    assert_ok(tensor_list_add(&list, &with, "b", 1, &e));
    assert_ok(tensor_list_add(&list, &without, "a", 1, &e));
    assert_ok(checkpoint_from_tensors(&list, "here", &c, &e));
    assert_int_equal(list.count, 0);
    assert_ptr_equal(checkpoint_find(c, "b")->data, values);
    assert_null(checkpoint_at(c, 0)->data);
    assert_int_equal(checkpoint_count(c), 2);
    checkpoint_close(c);
    assert_ok(tensor_list_add(&list, &with, "b", 1, &e));
    assert_ok(tensor_list_add(&list, &with, "b", 1, &e));
    assert_int_equal(checkpoint_from_tensors(&list, "here", &c, &e), STATUS_MALFORMED);
    assert_string_equal(e.where, "here");
    assert_int_equal(list.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_one_file),
        TEST(test_from_tensors),
        TEST(test_no_weights),
        TEST(test_damaged_file),
        TEST(test_shards),
        TEST(test_bad_indexes),
        TEST(test_too_many_shards),
        TEST(test_torch_shards),
        TEST(test_index_of_what_no_shard_holds),
        TEST(test_copies),
        TEST(test_names_of_shared_tensors),
        TEST(test_release_gives_pages_back),
        TEST(test_release_of_odd_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
