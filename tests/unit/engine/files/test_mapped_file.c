#include "tests/support/test_support.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/files/mapped_file.h"

#define FILE_SIZE (64u * 1024u)

static char *folder;

static void write_weights(void) {
    char *bytes = malloc(FILE_SIZE);
    memset(bytes, 'w', FILE_SIZE);
    test_file_write(folder, "weights", bytes, FILE_SIZE);
    free(bytes);
}

static int set_up(void **state) {
    (void)state;
    folder = test_folder_create();
    write_weights();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

static void test_maps_file(void **state) {
    (void)state;
    struct error e;
    struct mapped_file m;
    assert_ok(mapped_file_open(folder, "weights", &m, &e));
    assert_int_equal(m.size, FILE_SIZE);
    assert_string_equal(m.name, "weights");
    assert_non_null(strstr(m.path, folder));
    assert_int_equal(m.data[FILE_SIZE - 1], 'w');
    mapped_file_release(m.data + 1, FILE_SIZE - 2);
    assert_int_equal(m.data[FILE_SIZE / 2], 'w'); /* comes back */
    mapped_file_release(m.data + 10, 20);         /* no whole page */
    mapped_file_close(&m);
}

static void test_empty_and_missing(void **state) {
    (void)state;
    struct error e;
    struct mapped_file m;
    test_file_write(folder, "empty", "", 0);
    assert_ok(mapped_file_open(folder, "empty", &m, &e));
    assert_int_equal(m.size, 0);
    assert_non_null(m.data);
    mapped_file_close(&m);
    assert_int_equal(mapped_file_open(folder, "none", &m, &e), STATUS_NOT_FOUND);
    assert_int_equal(mapped_file_open(folder, ".", &m, &e), STATUS_IO);
}

static void test_limit_of_files(void **state) {
    (void)state;
    struct error e;
    static struct mapped_file files[MAPPED_FILES_MAX + 1];
    for (size_t i = 0; i < MAPPED_FILES_MAX; i++)
        assert_ok(mapped_file_open(folder, "weights", &files[i], &e));
    assert_int_equal(mapped_file_open(folder, "weights", &files[MAPPED_FILES_MAX], &e), STATUS_LIMIT);
    mapped_file_close(&files[17]);
    assert_ok(mapped_file_open(folder, "weights", &files[17], &e));
    for (size_t i = 0; i < MAPPED_FILES_MAX; i++) mapped_file_close(&files[i]);
}

static void quiet(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    mapped_file_install_handler();
}

/* Runs act in a child; returns its wait status and what it wrote to stderr. */
static int run_child(void (*act)(void), char *text, size_t size) {
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        quiet();
        act();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], text + length, size - 1 - length)) > 0;) length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void cut_short(struct mapped_file *m) {
    struct error e;
    if (mapped_file_open(folder, "weights", m, &e) != STATUS_OK || truncate(m->path, 10) != 0) _exit(2);
}

static void read_beyond_end(void) {
    struct mapped_file m;
    cut_short(&m);
    volatile unsigned char byte = ((volatile const unsigned char *)m.data)[FILE_SIZE - 1];
    (void)byte;
}

static void read_beyond_end_of_other(void) {
    struct mapped_file m;
    cut_short(&m);
    struct mapped_file other = m;
    char path[1200];
    snprintf(path, sizeof path, "%s", m.path);
    FILE *file = fopen(path, "rb");
    volatile const unsigned char *data = mmap(NULL, FILE_SIZE, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    mapped_file_close(&other);
    volatile unsigned char byte = data[FILE_SIZE - 1];
    (void)byte;
}

static void receive_signal(void) {
    struct mapped_file m;
    cut_short(&m);
    kill(getpid(), SIGBUS);
}

static void test_file_cut_short(void **state) {
    (void)state;
    char text[4096];
    int status = run_child(read_beyond_end, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(text, "/weights: the file was cut short"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
    write_weights();
}

static void test_other_faults_keep_their_effect(void **state) {
    (void)state;
    char text[4096];
    int status = run_child(read_beyond_end_of_other, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    write_weights();
    status = run_child(receive_signal, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    assert_string_equal(text, "");
    write_weights();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_file),
        cmocka_unit_test(test_empty_and_missing),
        cmocka_unit_test(test_limit_of_files),
        cmocka_unit_test(test_file_cut_short),
        cmocka_unit_test(test_other_faults_keep_their_effect),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
