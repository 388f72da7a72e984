#include "tests/support/test_support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/regular_file.h"

static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = test_folder_create();
    test_file_write(folder, "file", "hello", 5);
    test_file_write(folder, "empty", "", 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

static const char *path_of(const char *name) {
    static char path[PATH_MAX];
    struct error e;
    assert_ok(regular_file_path(folder, name, path, &e));
    return path;
}

static void test_what_is_there(void **state) {
    (void)state;
    char link[PATH_MAX];
    snprintf(link, sizeof link, "%s/lost", folder);
    assert_int_equal(symlink("nowhere", link), 0);
    assert_true(regular_file_is_in(folder, "file"));
    assert_true(regular_file_is_in(folder, "lost"));
    assert_false(regular_file_is_in(folder, "nowhere"));
    assert_false(regular_file_is_in("/nowhere", "file"));
}

static enum status read_name(const char *name, size_t bytes_max, char **bytes, size_t *length,
                             struct error *e) {
    return regular_file_read(path_of(name), bytes_max, bytes, length, e);
}

static void test_reads_whole_file(void **state) {
    (void)state;
    struct error e;
    char *bytes;
    size_t length;
    assert_ok(read_name("file", 5, &bytes, &length, &e));
    assert_int_equal(length, 5);
    assert_string_equal(bytes, "hello");
    free(bytes);
    assert_ok(read_name("empty", 0, &bytes, &length, &e));
    assert_int_equal(length, 0);
    assert_string_equal(bytes, "");
    free(bytes);
    assert_int_equal(read_name("file", 4, &bytes, &length, &e), STATUS_LIMIT);
}

static void test_follows_links_to_files(void **state) {
    (void)state;
    struct error e;
    char *bytes;
    size_t length;
    assert_int_equal(symlink("file", path_of("link")), 0);
    assert_ok(read_name("link", 5, &bytes, &length, &e));
    assert_string_equal(bytes, "hello");
    free(bytes);
    assert_int_equal(symlink("nowhere", path_of("dangling")), 0);
    assert_int_equal(read_name("dangling", 5, &bytes, &length, &e), STATUS_IO);
    assert_non_null(strstr(e.text, "symbolic link"));
}

/* A FIFO without a writer would hold the reader up for ever. */
static void test_refuses_other_kinds(void **state) {
    (void)state;
    struct error e;
    char *bytes;
    size_t length;
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(read_name("fifo", 5, &bytes, &length, &e), STATUS_IO);
    assert_non_null(strstr(e.text, "not a regular file"));
    assert_int_equal(read_name(".", 5, &bytes, &length, &e), STATUS_IO);
    assert_int_equal(regular_file_read("/dev/zero", 5, &bytes, &length, &e), STATUS_IO);
    assert_int_equal(read_name("none", 5, &bytes, &length, &e), STATUS_NOT_FOUND);
    assert_int_equal(read_name("file/below", 5, &bytes, &length, &e), STATUS_NOT_FOUND);
}

static void test_path_limit(void **state) {
    (void)state;
    struct error e;
    char name[PATH_MAX + 1], path[PATH_MAX];
    memset(name, 'n', sizeof name);
    name[PATH_MAX - 1] = '\0';
    assert_ok(regular_file_path(NULL, name, path, &e));
    assert_int_equal(regular_file_path("", name, path, &e), STATUS_LIMIT);
}

/* A clone without Git LFS has a few lines in place of each large file. */
static void test_git_lfs_pointers(void **state) {
    (void)state;
    struct error e = {0};
    char *bytes = NULL;
    size_t length;
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    test_file_write(folder, "pointer", pointer, sizeof pointer - 1);
    assert_int_equal(read_name("pointer", 1000, &bytes, &length, &e), STATUS_MALFORMED);
    assert_null(bytes);
    assert_non_null(strstr(e.where, "/pointer"));
    assert_non_null(strstr(e.text, "is a Git LFS pointer"));
    assert_non_null(strstr(e.text, "git lfs pull"));
    assert_false(regular_file_is_lfs_pointer("version https://git", 19, "file", &e));
    assert_false(regular_file_is_lfs_pointer("{\"version\": \"https://git-lfs\"}", 31, "file", &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_there),
        cmocka_unit_test(test_reads_whole_file),
        cmocka_unit_test(test_follows_links_to_files),
        cmocka_unit_test(test_refuses_other_kinds),
        cmocka_unit_test(test_path_limit),
        cmocka_unit_test(test_git_lfs_pointers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
