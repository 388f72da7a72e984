#include "tests/support/test_support.h"

#include "engine/sched/queue.h"

enum { COUNT = 50 };

static void check_links(const struct queue *queue, const bool *inside) {
    size_t count = 0;
    for (const struct sequence *s = queue->first; s; s = s->next, count++) {
        assert_true(inside[s->choice]);
        assert_ptr_equal(s->queue, queue);
        assert_ptr_equal(s->previous ? s->previous->next : queue->first, s);
        assert_ptr_equal(s->next ? s->next->previous : queue->last, s);
        if (s->next) assert_true(queue_before(s, s->next));
    }
    assert_int_equal(count, queue->count);
}

static void keeps_rank_then_order_whatever_comes_and_goes(void **state) {
    (void)state;
    static struct sequence sequences[COUNT];
    struct queue queue = {0};
    bool inside[COUNT] = {false};
    srand(2);
    for (size_t i = 0; i < COUNT; i++) {
        sequences[i].rank = rand() % 5 - 2;
        sequences[i].order = i;
        sequences[i].choice = (uint32_t)i;
    }
    for (int round = 0; round < 20000; round++) {
        size_t i = (size_t)rand() % COUNT;
        if (inside[i])
            queue_remove(&sequences[i]);
        else
            queue_insert(&queue, &sequences[i]);
        inside[i] = !inside[i];
        check_links(&queue, inside);
    }
}

/* Two at any distance change places, and with them rank and order. */
static void an_exchange_keeps_the_order(void **state) {
    (void)state;
    static struct sequence sequences[COUNT];
    struct queue queue = {0};
    bool inside[COUNT];
    srand(3);
    for (size_t i = 0; i < COUNT; i++) {
        inside[i] = true;
        sequences[i] = (struct sequence){.rank = (int64_t)i / 7, .order = i, .choice = (uint32_t)i};
        queue_insert(&queue, &sequences[i]);
    }
    for (int round = 0; round < 20000; round++) {
        struct sequence *a = &sequences[rand() % COUNT], *b = &sequences[rand() % COUNT];
        if (!queue_before(a, b)) continue;
        struct sequence before_a = *a, before_b = *b;
        queue_exchange(a, b);
        assert_true(a->rank == before_b.rank && a->order == before_b.order);
        assert_true(b->rank == before_a.rank && b->order == before_a.order);
        check_links(&queue, inside);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_rank_then_order_whatever_comes_and_goes),
                                       cmocka_unit_test(an_exchange_keeps_the_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
