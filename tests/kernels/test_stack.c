/* How much of a thread's stack kernels take, of the THREAD_STACK_COMPUTE that the memory plan counts for each thread. Measured on
 * a stack that is painted before. */
#include <pthread.h>
#include <sys/mman.h>

#include "engine/base/thread.h"
#include "tests/kernels/attention_scene.h"
#include "tests/kernels/gemm_scene.h"

#define STACK_BYTES (4 * THREAD_STACK_BYTES)
#define PAINT       0x5c

#ifdef __OPTIMIZE__
#define OPTIMIZED 1
#else
#define OPTIMIZED 0
#endif

/* As many rows and queries as tiles take, of each type, in the table that `table` points to. The scene takes 20 KiB
 * beside them. */
static void *run_kernels(void *table) {
    const struct kernel_table *k = table;
    struct random r = {21};
    static const size_t head_dims[] = {64, 128, KERNEL_HEAD_DIM_MAX};
    for (size_t i = 0; i < KV_TYPE_COUNT * (sizeof head_dims / sizeof *head_dims); i++) {
        struct scene s = scene_create(&r, (enum kv_type)(i % KV_TYPE_COUNT), 40, 300, 1,
                                      head_dims[i / KV_TYPE_COUNT], 0, BIAS_BY_POSITION);
        free(scene_run(&s, k));
        scene_destroy(&s);
    }
    for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
        struct gemm_case p = case_create(&r, type, 512, 2112, 50, false);
        free(case_run(&p, k));
        case_destroy(&p);
    }
    return NULL;
}

static size_t unused_of(const unsigned char *stack) {
    size_t bytes = 0;
    while (bytes < STACK_BYTES && stack[bytes] == PAINT) bytes++;
    return bytes;
}

static size_t stack_of(const struct kernel_table *table) {
    unsigned char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(stack, MAP_FAILED);
    memset(stack, PAINT, STACK_BYTES);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_kernels, (void *)(uintptr_t)table), 0);
    pthread_join(thread, NULL);
    const size_t used = STACK_BYTES - unused_of(stack);
    munmap(stack, STACK_BYTES);
    return used;
}

static void test_stack_of_every_table(void **state) {
    (void)state;
    if (SANITIZED || !OPTIMIZED) skip(); /* frames are larger */
    if (TEST_SHARE) skip();              /* emulated it takes a minute */
    const struct kernel_table *tables[KERNEL_ISA_COUNT];
    const size_t count = kernel_available(tables);
    for (size_t t = 0; t < count; t++) {
        const size_t used = stack_of(tables[t]);
        print_message("%s: %zu KiB\n", tables[t]->name, used >> 10);
        assert_in_range(used, 1, THREAD_STACK_COMPUTE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stack_of_every_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
