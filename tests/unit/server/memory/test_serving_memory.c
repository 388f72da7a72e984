/* The totals of serving on machines of several sizes, and that they are what is reserved. */
#include "tests/support/test_support.h"

#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "server/memory/serving_memory.h"

#define MIB ((size_t)1 << 20)

static struct config configure(const char *const *flags) {
    struct config c;
    struct error e;
    size_t count = 0;
    char *copies[16], *no_variables[] = {NULL};
    while (flags && flags[count]) copies[count] = strdup(flags[count]), count++;
    assert_ok(config_init(&c, &e));
    assert_ok(config_load(&c, COMMAND_SERVE, copies, count, no_variables, &e));
    for (size_t i = 0; i < count; i++) free(copies[i]);
    return c;
}

static size_t reserved(const struct serving_memory *m) {
    struct engine_options o = {0};
    size_t sum = 0;
    serving_memory_reserve(m, &o);
    assert_int_equal(o.reserve_count, 5);
    for (size_t i = 0; i < o.reserve_count; i++) sum += o.reserves[i].bytes;
    return sum;
}

/* A body of honest ids, 4 bytes each with its comma, must be readable in a container of 1 GiB; and of any
 * size of machine no more than a share is kept. */
static void test_defaults_follow_the_memory(void **state) {
    (void)state;
    struct config c = configure(NULL);
    for (size_t available = 128 * MIB; available <= 65536 * MIB; available *= 2) {
        struct serving_memory m;
        serving_memory_init(&m, &c, available);
        assert_true(reserved(&m) < available / 2);
        assert_true(m.bodies_bytes >= c.body_bytes_max);
        assert_true(m.connections_max >= 16 && m.connections_max <= 1024);
        assert_true(m.answers.max >= 8 * MIB && m.answers.max <= 512 * MIB);
        if (available >= 2048 * MIB) assert_int_equal(m.connections_max, 1024);
        if (available >= 1024 * MIB) {
            assert_true(m.connections_max > 800);
            assert_int_equal(m.bodies_bytes, 32 * MIB);
            assert_true(m.reading.max >= m.values_max * 56 + c.body_bytes_max);
        }
        serving_memory_deinit(&m);
    }
    config_deinit(&c);
}

static void test_unknown_memory(void **state) {
    (void)state;
    struct config c = configure(NULL);
    struct serving_memory m;
    serving_memory_init(&m, &c, 0);
    assert_int_equal(m.connections_max, 1024);
    assert_int_equal(m.answers.max, 256 * MIB);
    serving_memory_deinit(&m);
    config_deinit(&c);
}

/* What was chosen stays, however little memory there is: the plan then says that it does not fit. */
static void test_choices_stay(void **state) {
    (void)state;
    static const char *const flags[] = {"--connections-max",
                                        "1024",
                                        "--encode-bytes-max",
                                        "33554432",
                                        "--read-memory-mib",
                                        "100",
                                        "--answer-memory-mib",
                                        "200",
                                        "--json-values-max",
                                        "5000",
                                        NULL};
    struct config c = configure(flags);
    struct serving_memory m;
    serving_memory_init(&m, &c, 64 * MIB);
    assert_int_equal(m.connections_max, 1024);
    assert_int_equal(m.bodies_bytes, 33554432);
    assert_int_equal(m.reading.max, 100 * MIB);
    assert_int_equal(m.answers.max, 200 * MIB);
    assert_int_equal(m.values_max, 5000);
    assert_true(reserved(&m) > 64 * MIB);
    serving_memory_deinit(&m);
    config_deinit(&c);
}

static void test_absurd_choices_do_not_overflow(void **state) {
    (void)state;
    static const char *const flags[] = {
        "--body-bytes-max", "1073741824", "--connections-max", "1000000", "--read-memory-mib",
        "16777216",         NULL};
    struct config c = configure(flags);
    struct serving_memory m;
    serving_memory_init(&m, &c, 1024 * MIB);
    assert_int_equal(m.bodies_bytes, 1073741824);
    assert_int_equal(m.reading.max, (size_t)16777216 * MIB);
    assert_true(reserved(&m) > (size_t)16777216 * MIB);
    serving_memory_deinit(&m);
    config_deinit(&c);
}

/* Each thread of the pool has a stack and an arena. */
static void test_threads_of_the_pool_count(void **state) {
    (void)state;
    static const char *const flags[] = {"--encode-threads=12", NULL};
    struct config few = configure(NULL), many = configure(flags);
    struct serving_memory a, b;
    serving_memory_init(&a, &few, 4096 * MIB);
    serving_memory_init(&b, &many, 4096 * MIB);
    assert_int_equal(b.program_bytes - a.program_bytes,
                     (many.encode_threads - few.encode_threads) * memory_thread_bytes(THREAD_STACK_USED));
    assert_true(many.encode_threads == 12 && memory_thread_bytes(THREAD_STACK_USED) > 0);
    serving_memory_deinit(&a);
    serving_memory_deinit(&b);
    config_deinit(&few);
    config_deinit(&many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_follow_the_memory),
        cmocka_unit_test(test_unknown_memory),
        cmocka_unit_test(test_choices_stay),
        cmocka_unit_test(test_absurd_choices_do_not_overflow),
        cmocka_unit_test(test_threads_of_the_pool_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
