/* The folder is gone after its use, and after each signal that ends the process meanwhile. */
#include "server/bench/scratch_folder.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_support.h"

static char *base; /* in place of /tmp */

static int setup(void **state) {
    (void)state;
    base = test_folder_create();
    return setenv("TMPDIR", base, 1);
}

static int teardown(void **state) {
    (void)state;
    test_folder_remove(base);
    return unsetenv("TMPDIR");
}

static void count(const char *path, const char *name, void *context) {
    (void)path, (void)name;
    ++*(size_t *)context;
}

static size_t folders(void) {
    size_t found = 0;
    test_each_folder(base, count, &found);
    return found;
}

static void make_with_files(struct scratch_folder *s) {
    struct error e;
    *s = (struct scratch_folder){0};
    assert_ok(scratch_folder_make(s, &e));
    test_file_write(s->path, "config.json", "{}", 2);
    test_file_write(s->path, "model.safetensors", "", 0);
}

static void it_is_gone_after_its_use(void **state) {
    (void)state;
    struct scratch_folder s;
    struct sigaction before, after;
    sigaction(SIGINT, NULL, &before);
    make_with_files(&s);
    assert_int_equal(folders(), 1);
    scratch_folder_remove(&s);
    assert_int_equal(folders(), 0);
    sigaction(SIGINT, NULL, &after);
    assert_true(before.sa_handler == after.sa_handler);
    scratch_folder_remove(&s);
}

/* As a child. */
static int status_of_one_that_gets(int number, bool ignored) {
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct scratch_folder s;
        signal(number, ignored ? SIG_IGN : SIG_DFL);
        make_with_files(&s);
        raise(number);
        scratch_folder_remove(&s);
        _exit(7);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_signal_removes_it_and_ends_the_process(void **state) {
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int status = status_of_one_that_gets(numbers[i], false);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
        assert_int_equal(folders(), 0);
    }
}

static void an_ignored_signal_stays_ignored(void **state) {
    (void)state;
    int status = status_of_one_that_gets(SIGHUP, true);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(folders(), 0);
}

static void where_it_cannot_be_is_said(void **state) {
    (void)state;
    struct scratch_folder s = {0};
    struct error e;
    setenv("TMPDIR", "/nonexistent", 1);
    assert_int_equal(scratch_folder_make(&s, &e), STATUS_IO);
    assert_says(e.where, "/nonexistent/prenorm-bench-");
    assert_says(e.text, "No such file");
    scratch_folder_remove(&s);
    setenv("TMPDIR", base, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_gone_after_its_use),
        cmocka_unit_test(a_signal_removes_it_and_ends_the_process),
        cmocka_unit_test(an_ignored_signal_stays_ignored),
        cmocka_unit_test(where_it_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
