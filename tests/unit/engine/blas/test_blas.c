/* Loading OpenBLAS: in processes of their own, which have it still before them. */
#include "engine/blas/blas.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_support.h"

/* The status of blas_open in a child with so much address space (0: no limit), which must end by itself. */
static enum status open_within(size_t space, size_t threads) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct blas *blas;
        struct error e = {0};
        struct rlimit limit = {space, space};
        alarm(120); /* a hang is a failure */
        if (space && setrlimit(RLIMIT_AS, &limit) != 0) _exit(99);
        enum status status = blas_open(threads, &blas, &e);
        if ((status != STATUS_OK) != (e.text[0] != '\0') || (status == STATUS_OK) != (blas != NULL))
            _exit(98);
        exit((int)status); /* with the library's own exit handler */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status)) fail_msg("%zu MiB: ended by signal %d", space >> 20, WTERMSIG(status));
    assert_true(WEXITSTATUS(status) < STATUS_COUNT);
    return (enum status)WEXITSTATUS(status);
}

enum { LIMITS = !SANITIZED }; /* the sanitizers' own maps are larger than any such limit */

/* Whatever the limit, it opens or says that it cannot; and where it says that there is room, there is. */
static void test_address_space(void **state) {
    (void)state;
    bool opened = false, refused = false;
    size_t step = (size_t)16 << 20, enough = 2 * blas_address_space((size_t)sysconf(_SC_NPROCESSORS_CONF));
    for (size_t space = (size_t)32 << 20; LIMITS && space <= enough; space += step) {
        enum status status = open_within(space, 1);
        assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY || status == STATUS_LIMIT);
        if (opened) assert_int_equal(status, STATUS_OK);
        opened |= status == STATUS_OK;
        refused |= status != STATUS_OK;
    }
    if (LIMITS) assert_true(opened && refused);
    assert_int_equal(open_within(0, 1), STATUS_OK);
}

/* More threads than it started with ask for more. */
static void test_more_threads(void **state) {
    (void)state;
    size_t few = (size_t)sysconf(_SC_NPROCESSORS_CONF), many = few + 6;
    if (LIMITS) {
        assert_int_equal(open_within(blas_address_space(few) + ((size_t)128 << 20), few), STATUS_OK);
        assert_int_equal(open_within(blas_address_space(few) + ((size_t)128 << 20), many), STATUS_NO_MEMORY);
        assert_int_equal(open_within(blas_address_space(many) + ((size_t)128 << 20), many), STATUS_OK);
    }
    assert_int_equal(open_within(0, many), STATUS_OK);
}

static void test_routines(void **state) {
    (void)state;
    const struct blas *blas, *again;
    struct error e;
    assert_ok(blas_open(2, &blas, &e));
    assert_ok(blas_open(1, &again, &e));
    assert_ptr_equal(blas, again);
    const double a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8};
    double c[4] = {0};
    blas->dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2);
    const double expected[] = {17, 23, 39, 53};
    for (size_t i = 0; i < 4; i++) assert_true(c[i] == expected[i]);
    const float x[] = {1, 2}, y[] = {3, 4};
    float z = 0;
    blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 1, 1, 2, 1, x, 2, y, 2, 0, &z, 1);
    assert_true(z == 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_space), /* before this process has it loaded */
        cmocka_unit_test(test_more_threads),
        cmocka_unit_test(test_routines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
