#include "engine/modelfile/file_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/modelfile/checksum.h"
#include "tests/support/empty_place.h"

static size_t count_files(const char *folder) {
    DIR *directory = opendir(folder);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void write_pattern(struct file_writer *w, size_t size) {
    struct error e = {0};
    unsigned char piece[4093];
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof piece ? size - done : sizeof piece;
        for (size_t i = 0; i < part; i++) piece[i] = (unsigned char)((done + i) * 31 >> 3);
        assert_ok(file_writer_append(w, piece, part, &e));
        done += part;
    }
}

/* What was appended, then the sum of each block, then the sum of these. */
static void check_file(const struct empty_place *place, size_t size) {
    size_t length, blocks = checksum_blocks(size);
    char *bytes = test_file_read(place->folder, "model", &length);
    assert_int_equal(length, size + (blocks + 1) * 8);
    for (size_t i = 0; i < size; i++) assert_int_equal((unsigned char)bytes[i], (unsigned char)(i * 31 >> 3));
    for (size_t i = 0; i <= blocks; i++) {
        size_t begin = i * CHECKSUM_BLOCK, left = size - begin;
        uint64_t sum, expected = i == blocks ? checksum_of(bytes + size, blocks * 8)
                                             : checksum_of(bytes + begin,
                                                           left < CHECKSUM_BLOCK ? left : CHECKSUM_BLOCK);
        memcpy(&sum, bytes + size + i * 8, 8);
        assert_int_equal(sum, expected);
    }
    free(bytes);
}

static void test_files_of_many_sizes(void **state) {
    static const size_t sizes[] = {1, 65535, 65536, 65537, 16 * 65536, 16 * 65536 + 1, 40 * 65536 + 17};
    struct empty_place *place = *state;
    struct error e = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct file_writer w;
        assert_ok(file_writer_open(&w, place->model, &e));
        assert_ok(file_writer_reserve(&w, sizes[i], &e));
        write_pattern(&w, sizes[i]);
        assert_ok(file_writer_append_sums(&w, &e));
        assert_int_equal(w.bytes, sizes[i] + (checksum_blocks(sizes[i]) + 1) * 8);
        assert_ok(file_writer_commit(&w, &e));
        assert_int_equal(count_files(place->folder), 1);
        check_file(place, sizes[i]);
    }
}

/* The old file stays until the new one is complete, and after a failure. */
static void test_the_name_is_given_at_the_end(void **state) {
    struct empty_place *place = *state;
    struct error e = {0};
    struct file_writer w, other;
    size_t length;
    test_file_write(place->folder, "model", "old", 3);
    assert_ok(file_writer_open(&w, place->model, &e));
    write_pattern(&w, 300000);
    assert_ok(file_writer_open(&other, place->model, &e)); /* two at once do not meet */
    file_writer_abort(&other);
    file_writer_abort(&w);
    assert_int_equal(count_files(place->folder), 1);
    char *old = test_file_read(place->folder, "model", &length);
    assert_string_equal(old, "old");
    free(old);
    assert_ok(file_writer_open(&w, place->model, &e));
    write_pattern(&w, 5);
    assert_ok(file_writer_append_sums(&w, &e));
    assert_ok(file_writer_commit(&w, &e));
    check_file(place, 5);
}

/* Whoever is killed at work leaves nothing behind, where the file system has files without a name. */
static void test_a_process_that_is_killed(void **state) {
    struct empty_place *place = *state;
    int status, unnamed = open(place->folder, O_WRONLY | O_TMPFILE, 0600);
    if (unnamed < 0) skip();
    close(unnamed);
    pid_t child = fork();
    if (child == 0) {
        struct error e = {0};
        static struct file_writer w;
        static const unsigned char bytes[1 << 20];
        if (file_writer_open(&w, place->model, &e) != STATUS_OK) _exit(1);
        if (file_writer_append(&w, bytes, sizeof bytes, &e) != STATUS_OK) _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(count_files(place->folder), 0);
}

/* A name that is taken before the file without one gets it is left alone. */
static void test_a_temporary_name_that_is_taken(void **state) {
    struct empty_place *place = *state;
    struct error e = {0};
    struct file_writer w;
    size_t length;
    assert_ok(file_writer_open(&w, place->model, &e));
    if (w.named) { /* the file system has none without a name */
        file_writer_abort(&w);
        skip();
    }
    write_pattern(&w, 5);
    assert_ok(file_writer_append_sums(&w, &e));
    test_file_write(place->folder, "model.part-0", "another's", 9);
    assert_ok(file_writer_commit(&w, &e));
    check_file(place, 5);
    char *kept = test_file_read(place->folder, "model.part-0", &length);
    assert_string_equal(kept, "another's");
    free(kept);
    assert_int_equal(count_files(place->folder), 2);
}

/* As anybody's file: by the mask of the process. */
static void test_the_mode_follows_the_mask(void **state) {
    struct empty_place *place = *state;
    struct error e = {0};
    struct file_writer w;
    struct stat info;
    mode_t mask = umask(027);
    assert_ok(file_writer_open(&w, place->model, &e));
    umask(mask);
    assert_ok(file_writer_append_sums(&w, &e));
    assert_ok(file_writer_commit(&w, &e));
    assert_int_equal(stat(place->model, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void test_a_folder_that_is_not_there(void **state) {
    struct empty_place *place = *state;
    struct error e = {0};
    struct file_writer w;
    char path[1300];
    snprintf(path, sizeof path, "%s/nowhere/model", place->folder);
    assert_int_equal(file_writer_open(&w, path, &e), STATUS_IO);
    assert_non_null(strstr(e.where, "nowhere/model"));
    assert_null(strstr(e.where, "part"));
    char *longest = malloc(PATH_MAX + 10);
    memset(longest, 'x', PATH_MAX + 9);
    longest[PATH_MAX + 9] = '\0';
    assert_int_equal(file_writer_open(&w, longest, &e), STATUS_LIMIT);
    longest[PATH_MAX - 4] = '\0'; /* no room for the suffix */
    assert_int_equal(file_writer_open(&w, longest, &e), STATUS_IO);
    free(longest);
}

/* A limit on the size of a file stands in for a full disk: both are an error of the same calls. */
static void test_no_room(void **state) {
    struct empty_place *place = *state;
    struct error e = {0};
    struct file_writer w;
    struct rlimit before, small;
    unsigned char *bytes = calloc(1, 4u << 20);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 2u << 20, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    assert_ok(file_writer_open(&w, place->model, &e));
    enum status reserved = file_writer_reserve(&w, (size_t)1 << 60, &e);
    enum status appended = file_writer_append(&w, bytes, 4u << 20, &e);
    file_writer_abort(&w);
    setrlimit(RLIMIT_FSIZE, &before);
    free(bytes);
    assert_int_equal(reserved, STATUS_IO);
    assert_int_equal(appended, STATUS_IO);
    assert_non_null(strstr(e.text, "cannot write"));
    assert_int_equal(count_files(place->folder), 0);
}

/* A name that is taken by a folder can't be given. */
static void test_a_folder_in_the_way(void **state) {
    struct empty_place *place = *state;
    struct error e = {0};
    struct file_writer w;
    assert_int_equal(mkdir(place->model, 0700), 0);
    assert_ok(file_writer_open(&w, place->model, &e));
    assert_ok(file_writer_append_sums(&w, &e));
    assert_int_equal(file_writer_commit(&w, &e), STATUS_IO);
    assert_int_equal(count_files(place->folder), 1);
    rmdir(place->model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_of_many_sizes, empty_place_setup, empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_the_name_is_given_at_the_end, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_a_process_that_is_killed, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_a_temporary_name_that_is_taken, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_the_mode_follows_the_mask, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_that_is_not_there, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, empty_place_setup, empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_in_the_way, empty_place_setup, empty_place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
