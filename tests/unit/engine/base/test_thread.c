#include "engine/base/thread.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_support.h"

struct seen {
    sigset_t blocked;
    char name[16];
    sem_t *go;
};

static void *look(void *context) {
    struct seen *seen = context;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    sem_wait(seen->go);
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    return NULL;
}

static void test_signals_and_name(void **state) {
    (void)state;
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    static const int foreign[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE};
    sigset_t before, after;
    pthread_t thread;
    sem_t go;
    struct seen seen = {.go = &go};
    sem_init(&go, 0, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(thread_start(&thread, "some-name", look, &seen), 0);
    sem_post(&go); /* it has its name */
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) assert_false(sigismember(&seen.blocked, own[i]));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_true(sigismember(&seen.blocked, foreign[i]));
    for (int i = 1; i < SIGRTMIN; i++) assert_int_equal(sigismember(&before, i), sigismember(&after, i));
    assert_string_equal(seen.name, "some-name");
    sem_destroy(&go);
}

static void *measure_stack(void *context) {
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, context);
    pthread_attr_destroy(&attributes);
    return NULL;
}

static void test_small_stack(void **state) {
    (void)state;
    pthread_t thread;
    size_t bytes = 0;
    assert_int_equal(thread_start_small(&thread, "small", (size_t)1 << 20, measure_stack, &bytes), 0);
    pthread_join(thread, NULL);
    assert_in_range(bytes, 1 << 20, (1 << 20) + (64 << 10));
    assert_int_not_equal(thread_start_small(&thread, "smaller", 1, measure_stack, &bytes), 0);
}

/* In a child, where threads have small stacks unless they are told otherwise. */
static void test_least_stack(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_attr_t small;
        pthread_t thread;
        size_t bytes = 0;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, (size_t)256 << 10);
        pthread_setattr_default_np(&small);
        if (thread_start(&thread, "small", measure_stack, &bytes) != 0) _exit(2);
        pthread_join(thread, NULL);
        _exit(bytes >= THREAD_STACK_BYTES ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Likewise, under these limits of the first thread's stack, in KiB. Its exit code: whether it may grow as it has to. */
static int reserve_stack_below(rlim_t soft, rlim_t hard) {
    const struct rlimit limit = {soft << 10, hard << 10};
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        struct rlimit after;
        if (setrlimit(RLIMIT_STACK, &limit) != 0) _exit(2);
        if (thread_reserve_stack(NULL) != STATUS_OK) _exit(1);
        getrlimit(RLIMIT_STACK, &after);
        _exit(after.rlim_cur >= THREAD_STACK_BYTES && after.rlim_max == limit.rlim_max ? 0 : 3);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_reserve_stack(void **state) {
    (void)state;
    assert_int_equal(reserve_stack_below(256, 4096), 0);
    assert_int_equal(reserve_stack_below(2048, 4096), 0);
    assert_int_equal(reserve_stack_below(256, 512), 1);
}

/* A sanitizer's own maps are larger than any such limit. */
#if !SANITIZED
/* With a stack larger than the address space no thread can be started. */
static void forbid_threads(void) {
    struct rlimit stack = {(rlim_t)1 << 30, (rlim_t)1 << 30}, space = {(rlim_t)512 << 20, (rlim_t)512 << 20};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack.rlim_cur);
    pthread_setattr_default_np(&attributes);
    setrlimit(RLIMIT_AS, &space);
}

static void try_without_threads(void) {
    pid_t child = fork();
    if (child == 0) {
        forbid_threads();
        _exit(thread_try(3));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EAGAIN);
}
#else
static void try_without_threads(void) {}
#endif

static void test_try(void **state) {
    (void)state;
    assert_int_equal(thread_try(0), 0);
    assert_int_equal(thread_try(5), 0);
    try_without_threads();
}

static void *wait_for_ever(void *context) {
    (void)context;
    while (true) pause();
    return NULL;
}

static void test_abandon(void **state) {
    (void)state;
    pthread_t thread;
    assert_false(thread_any_abandoned());
    assert_int_equal(thread_start(&thread, NULL, wait_for_ever, NULL), 0);
    assert_false(thread_any_abandoned());
    thread_abandon(thread);
    assert_true(thread_any_abandoned());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_and_name),
        cmocka_unit_test(test_small_stack),
        cmocka_unit_test(test_least_stack),
        cmocka_unit_test(test_reserve_stack),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_abandon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
