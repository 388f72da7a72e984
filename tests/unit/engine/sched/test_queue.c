#include "tests/support/test_support.h"

#include "engine/sched/queue.h"

enum { COUNT = 50 };

static void keeps_rank_then_order_whatever_comes_and_goes(void **state) {
    (void)state;
    static struct engine_request requests[COUNT];
    static struct sequence sequences[COUNT];
    struct queue queue = {0};
    bool inside[COUNT] = {false};
    srand(2);
    for (size_t i = 0; i < COUNT; i++) {
        requests[i].rank = rand() % 5 - 2;
        sequences[i].request = &requests[i];
        sequences[i].order = i;
    }
    for (int round = 0; round < 20000; round++) {
        size_t i = (size_t)rand() % COUNT, count = 0;
        if (inside[i])
            queue_remove(&queue, &sequences[i]);
        else
            queue_insert(&queue, &sequences[i]);
        inside[i] = !inside[i];
        for (const struct sequence *s = queue.first; s; s = s->next, count++) {
            assert_true(inside[s->order]);
            assert_ptr_equal(s->previous ? s->previous->next : queue.first, s);
            assert_ptr_equal(s->next ? s->next->previous : queue.last, s);
            if (s->next) assert_true(queue_before(s, s->next));
        }
        assert_int_equal(count, queue.count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_rank_then_order_whatever_comes_and_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
