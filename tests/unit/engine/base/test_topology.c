/* CPUs by core and node, on folders that look like /proc and /sys. */
#include "engine/base/topology.h"

#include "tests/support/fake_system.h"

static struct topology *read_topology(const char *root) {
    struct topology *t = NULL;
    struct error e;
    assert_ok(topology_create(root, &t, &e));
    return t;
}

static void test_nothing_there(void **state) {
    struct topology *t = read_topology(*state);
    assert_int_equal(t->count, 0);
    assert_int_equal(topology_cores(t), 0);
    topology_destroy(t);
}

/* Two nodes of two cores of two threads, numbered as firmware does: first siblings first. */
static void test_cores_before_siblings_and_nodes_together(void **state) {
    static const unsigned cpus[] = {0, 1, 2, 3, 4, 5, 6, 7}, nodes[] = {0, 0, 1, 1, 0, 0, 1, 1};
    fake_system_cpus(*state, 2, 2, 2, "0-7");
    struct topology *t = read_topology(*state);
    struct topology_cpu places[10];
    assert_int_equal(t->count, 8);
    assert_int_equal(topology_cores(t), 4);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(t->cpu[i].cpu, cpus[i]);
        assert_int_equal(t->cpu[i].node, nodes[i]);
        assert_int_equal(t->cpu[i].sibling, i / 4);
    }
    topology_place(t, 3, places);
    for (size_t i = 0; i < 3; i++) assert_int_equal(places[i].cpu, i);
    topology_place(t, 10, places);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(places[i].node, i >= 6);
        if (i > 0) assert_true(places[i].node >= places[i - 1].node);
    }
    topology_destroy(t);
}

/* A cpuset that leaves one sibling of a core, and a node out. */
static void test_only_what_may_be_used(void **state) {
    fake_system_cpus(*state, 2, 2, 2, "3,6-7");
    struct topology *t = read_topology(*state);
    assert_int_equal(t->count, 3);
    assert_int_equal(topology_cores(t), 2);
    assert_int_equal(t->cpu[0].cpu, 3);
    assert_int_equal(t->cpu[1].cpu, 6);
    assert_int_equal(t->cpu[1].sibling, 0);
    assert_int_equal(t->cpu[2].cpu, 7);
    for (size_t i = 0; i < 3; i++) assert_int_equal(t->cpu[i].node, 1);
    topology_destroy(t);
}

static void test_without_sys_each_cpu_is_a_core(void **state) {
    fake_system_put(*state, "proc/self", "status", "Name:\tx\nCpus_allowed_list:\t1,4-5,99999999\n");
    struct topology *t = read_topology(*state);
    assert_int_equal(t->count, 3);
    assert_int_equal(topology_cores(t), 3);
    assert_int_equal(t->cpu[2].cpu, 5);
    topology_destroy(t);
}

static void test_this_machine(void **state) {
    (void)state;
    struct topology *t = read_topology("");
    assert_true(t->count > 0 && topology_cores(t) > 0 && topology_cores(t) <= t->count);
    topology_destroy(t);
}

static int make_root(void **state) {
    *state = test_folder_create();
    return 0;
}

static int remove_root(void **state) {
    test_folder_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_there, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_cores_before_siblings_and_nodes_together, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_only_what_may_be_used, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_without_sys_each_cpu_is_a_core, make_root, remove_root),
        cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
