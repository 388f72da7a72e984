#include "engine/base/memory.h"
#include "engine/base/thread.h"

#include "tests/support/test_support.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_block(size_t count, size_t size) {
    struct error e;
    unsigned char *block = memory_aligned(count, size, "block", &e);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 64, 0);
    for (size_t i = 0; i < count * size; i++) assert_int_equal(block[i], 0);
    memset(block, 0xff, count * size);
    free(block);
}

static void test_blocks_are_aligned_and_zero(void **state) {
    (void)state;
    for (size_t count = 0; count < 200; count++) check_block(count, 4);
    check_block(1, 1000003);
}

/* Large enough for huge pages, and again after it was dirtied and freed. */
static void test_large_blocks_are_zero(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) check_block(3, 3 << 20);
}

static void check_refused(size_t count, size_t size) {
    struct error e = {.code = STATUS_OK};
    assert_null(memory_aligned(count, size, "weights", &e));
    assert_int_equal(e.code, STATUS_NO_MEMORY);
    assert_string_equal(e.where, "weights");
}

static void test_overflow_is_refused(void **state) {
    (void)state;
    check_refused(SIZE_MAX, 2);
    check_refused(SIZE_MAX / 4 + 1, 4);
    check_refused(SIZE_MAX, 1);
    check_refused(PTRDIFF_MAX, 1);
}

static void test_multiply(void **state) {
    (void)state;
    size_t product;
    assert_true(memory_multiply(SIZE_MAX / 2, 2, &product));
    assert_int_equal(product, SIZE_MAX - 1);
    assert_false(memory_multiply(SIZE_MAX / 2 + 1, 2, &product));
    assert_true(memory_multiply(0, SIZE_MAX, &product));
    assert_int_equal(product, 0);
}

static void test_anonymous_bytes_grow_with_use(void **state) {
    (void)state;
    struct error e;
    size_t size = (size_t)32 << 20, before = memory_anonymous_bytes();
    if (before == 0) skip();
    char *block = memory_aligned(1, size, "block", &e);
    assert_non_null(block);
    memset(block, 1, size);
    assert_true(memory_anonymous_bytes() >= before + size / 2);
    free(block);
}

static void test_available_bytes(void **state) {
    (void)state;
    assert_true(memory_available_bytes() > 0);
}

/* In a child: a limit of a process cannot be taken back by everybody. Its exit code says whether what is left
 * is `least` to `most` MiB once so many MiB more may be used than now. */
static void check_limit(int resource, const char *used_key, size_t mib, size_t least, size_t most) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char line[256];
        size_t used = 0;
        FILE *status = fopen("/proc/self/status", "re");
        while (status && fgets(line, sizeof line, status))
            if (strncmp(line, used_key, strlen(used_key)) == 0)
                used = strtoul(line + strlen(used_key) + 1, NULL, 10) * 1024;
        struct rlimit limit = {.rlim_cur = used + (mib << 20), .rlim_max = RLIM_INFINITY};
        if (!used || getrlimit(resource, &(struct rlimit){0}) != 0 || setrlimit(resource, &limit) != 0)
            _exit(3);
        size_t left = memory_available_bytes() >> 20;
        _exit(left >= least && left <= most && memory_thread_bytes(THREAD_STACK_USED) >= (size_t)1 << 20 ? 0
                                                                                                         : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_limits_of_the_process(void **state) {
    (void)state;
    if (SANITIZED) skip(); /* the shadow memory counts */
    check_limit(RLIMIT_AS, "VmSize:", 64, 60, 64);
    check_limit(RLIMIT_DATA, "VmData:", 64, 60, 64);
}

/* Small blocks stay in the heap when they are freed, until it is asked to give them back. */
static void test_freed_memory_is_given_back(void **state) {
    (void)state;
    enum { BLOCKS = 400000, BYTES = 100 };
    if (SANITIZED) skip(); /* another heap */
    void **blocks = calloc(BLOCKS, sizeof *blocks);
    memory_process_init();
    size_t before = memory_anonymous_bytes();
    if (before == 0) skip();
    for (size_t i = 0; i < BLOCKS; i++) memset(blocks[i] = malloc(BYTES), 1, BYTES);
    assert_true(memory_anonymous_bytes() >= before + BLOCKS * BYTES);
    void *last = malloc(BYTES); /* at the top, so that the heap cannot simply shrink */
    for (size_t i = 0; i < BLOCKS; i++) free(blocks[i]);
    memory_give_back();
    assert_true(memory_anonymous_bytes() < before + BLOCKS * sizeof *blocks + ((size_t)8 << 20));
    free(last);
    free(blocks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_zero),
        cmocka_unit_test(test_large_blocks_are_zero),
        cmocka_unit_test(test_overflow_is_refused),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_anonymous_bytes_grow_with_use),
        cmocka_unit_test(test_available_bytes),
        cmocka_unit_test(test_limits_of_the_process),
        cmocka_unit_test(test_freed_memory_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
