/* Limits of control groups, on folders that look like /proc and /sys. */
#include "engine/base/cgroup.h"

#include "tests/support/fake_system.h"

static void put_memory_v2(const char *root, const char *folder, const char *max, const char *current,
                          const char *stat) {
    fake_system_put(root, folder, "memory.max", max);
    fake_system_put(root, folder, "memory.current", current);
    fake_system_put(root, folder, "memory.stat", stat);
}

static void check_memory_left(const char *root, size_t expected) {
    size_t left = 0;
    assert_true(cgroup_memory_left(root, &left));
    assert_int_equal(left, expected);
}

static void check_cores(const char *root, double expected) {
    double cores = 0;
    assert_true(cgroup_cpu_cores(root, &cores));
    assert_true(cores == expected);
}

static void check_no_limits(const char *root) {
    size_t left = 77;
    double cores = 77;
    assert_false(cgroup_memory_left(root, &left));
    assert_false(cgroup_cpu_cores(root, &cores));
    assert_int_equal(left, 77);
    assert_true(cores == 77);
}

static void test_nothing_there(void **state) {
    const char *root = *state;
    check_no_limits(root);
    fake_system_put(root, "proc/self", "cgroup", "0::/a/b\n");
    check_no_limits(root);
}

static void test_version_2(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "0::/a/b\n");
    put_memory_v2(root, "sys/fs/cgroup/a/b", "1000000\n", "400000\n", "anon 1\ninactive_file 100000\n");
    fake_system_put(root, "sys/fs/cgroup/a/b", "cpu.max", "150000 100000\n");
    check_memory_left(root, 700000);
    check_cores(root, 1.5);
}

static void test_no_limit_in_words(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "0::/a\n");
    put_memory_v2(root, "sys/fs/cgroup/a", "max\n", "400000\n", "inactive_file 100000\n");
    fake_system_put(root, "sys/fs/cgroup/a", "cpu.max", "max 100000\n");
    check_no_limits(root);
}

/* An ancestor's limit binds too. */
static void test_tightest_of_all_levels(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "0::/a/b/c\n");
    put_memory_v2(root, "sys/fs/cgroup/a/b/c", "900\n", "100\n", "");
    put_memory_v2(root, "sys/fs/cgroup/a/b", "1000\n", "700\n", "");
    put_memory_v2(root, "sys/fs/cgroup/a", "max\n", "5000\n", "");
    fake_system_put(root, "sys/fs/cgroup/a", "cpu.max", "200000 100000\n");
    fake_system_put(root, "sys/fs/cgroup/a/b/c", "cpu.max", "400000 100000\n");
    check_memory_left(root, 300);
    check_cores(root, 2.0);
}

/* In a container the path may be the host's, while the mount is the container's own group. */
static void test_path_of_the_host(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "0::/system.slice/docker-123.scope\n");
    put_memory_v2(root, "sys/fs/cgroup", "5000\n", "1000\n", "");
    fake_system_put(root, "sys/fs/cgroup", "cpu.max", "50000 100000\n");
    check_memory_left(root, 4000);
    check_cores(root, 0.5);
}

static void test_version_1(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "5:cpuacct,cpu:/g\n4:memory:/g/h\n1:name=systemd:/\n0::/\n");
    fake_system_put(root, "sys/fs/cgroup/memory/g/h", "memory.limit_in_bytes", "8000\n");
    fake_system_put(root, "sys/fs/cgroup/memory/g/h", "memory.usage_in_bytes", "3000\n");
    fake_system_put(root, "sys/fs/cgroup/memory/g/h", "memory.stat",
                    "inactive_file 1\ntotal_inactive_file 500\n");
    fake_system_put(root, "sys/fs/cgroup/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    fake_system_put(root, "sys/fs/cgroup/memory", "memory.usage_in_bytes", "3000\n");
    fake_system_put(root, "sys/fs/cgroup/cpu/g", "cpu.cfs_quota_us", "300000\n");
    fake_system_put(root, "sys/fs/cgroup/cpu/g", "cpu.cfs_period_us", "100000\n");
    fake_system_put(root, "sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "-1\n");
    fake_system_put(root, "sys/fs/cgroup/cpu", "cpu.cfs_period_us", "100000\n");
    check_memory_left(root, 5500);
    check_cores(root, 3.0);
}

static void test_unlimited_version_1(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "4:memory:/\n5:cpu:/\n");
    fake_system_put(root, "sys/fs/cgroup/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    fake_system_put(root, "sys/fs/cgroup/memory", "memory.usage_in_bytes", "3000\n");
    fake_system_put(root, "sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "-1\n");
    fake_system_put(root, "sys/fs/cgroup/cpu", "cpu.cfs_period_us", "100000\n");
    check_no_limits(root);
}

/* The pages of files that were read twice are on another list, and can be dropped as well: a second start in
 * the same group finds what the first one found. Shared memory and locked pages cannot. */
static void test_all_pages_of_files_are_free(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "0::/a\n");
    put_memory_v2(root, "sys/fs/cgroup/a", "1000000\n", "400000\n",
                  "file 350000\nshmem 7\ninactive_file 100000\nactive_file 200000\nunevictable 50\n");
    check_memory_left(root, 900000);
    put_memory_v2(root, "sys/fs/cgroup/a", "1000000\n", "400000\n", "active_file 300000\ninactive_file 0\n");
    check_memory_left(root, 900000);
    fake_system_put(root, "proc/self", "cgroup", "4:memory:/g\n");
    fake_system_put(root, "sys/fs/cgroup/memory/g", "memory.limit_in_bytes", "8000\n");
    fake_system_put(root, "sys/fs/cgroup/memory/g", "memory.usage_in_bytes", "3000\n");
    fake_system_put(root, "sys/fs/cgroup/memory/g", "memory.stat",
                    "inactive_file 9\nactive_file 9\ntotal_inactive_file 500\ntotal_active_file 1500\n");
    check_memory_left(root, 7000);
}

/* More in use than allowed: nothing is left, which is not "no limit". */
static void test_over_the_limit(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "0::/a\n");
    put_memory_v2(root, "sys/fs/cgroup/a", "1000\n", "1500\n", "inactive_file 9999\n");
    check_memory_left(root, 1000);
    put_memory_v2(root, "sys/fs/cgroup/a", "1000\n", "1500\n", "inactive_file 100\n");
    check_memory_left(root, 0);
}

static void test_malformed_files_limit_nothing(void **state) {
    const char *root = *state;
    fake_system_put(root, "proc/self", "cgroup", "\n:\n0:\nmemory\n0::/a\n");
    put_memory_v2(root, "sys/fs/cgroup/a", "", "-1\n", "inactive_file\n");
    fake_system_put(root, "sys/fs/cgroup/a", "cpu.max", "100000\n");
    check_no_limits(root);
    fake_system_put(root, "sys/fs/cgroup/a", "cpu.max", "100000 0\n");
    check_no_limits(root);
}

static int setup(void **state) {
    *state = test_folder_create();
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    test_folder_remove(*state);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_there),       CASE(test_version_2),
        CASE(test_no_limit_in_words),   CASE(test_tightest_of_all_levels),
        CASE(test_path_of_the_host),    CASE(test_version_1),
        CASE(test_unlimited_version_1), CASE(test_all_pages_of_files_are_free),
        CASE(test_over_the_limit),      CASE(test_malformed_files_limit_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
