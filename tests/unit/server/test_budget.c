#include "tests/support/test_support.h"

#include <pthread.h>
#include <unistd.h>

#include "server/budget.h"

static void test_budget(void **state) {
    (void)state;
    struct budget b = {.max = 100};
    assert_true(budget_take(&b, 60));
    assert_false(budget_take(&b, 41));
    assert_false(budget_take(&b, SIZE_MAX));
    assert_int_equal(budget_room(&b), 40);
    assert_false(budget_is_low(&b));
    assert_true(budget_take(&b, 16));
    assert_true(budget_is_low(&b));
    budget_force(&b, 50);
    assert_int_equal(budget_used(&b), 126);
    assert_int_equal(budget_room(&b), 0);
    assert_false(budget_take(&b, 1));
    budget_give(&b, 126);
    assert_true(budget_take(&b, 100));
}

/* ---- many threads -------------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 2000, ROOM = 100 };

struct crowd {
    struct gate gate;
    struct budget budget;
    atomic_size_t inside;
};

static void *go_in_and_out(void *context) {
    struct crowd *crowd = context;
    unsigned seed = (unsigned)(size_t)pthread_self();
    for (int i = 0; i < ROUNDS; i++) {
        size_t bytes = 1 + (size_t)rand_r(&seed) % ROOM;
        gate_enter(&crowd->gate, bytes);
        if (atomic_fetch_add(&crowd->inside, bytes) + bytes > ROOM) abort();
        bool taken = budget_take(&crowd->budget, bytes);
        if (taken) budget_give(&crowd->budget, bytes);
        atomic_fetch_sub(&crowd->inside, bytes);
        gate_leave(&crowd->gate, bytes);
    }
    return NULL;
}

static void test_never_more_than_there_is(void **state) {
    (void)state;
    struct crowd crowd = {.budget.max = ROOM};
    pthread_t threads[THREADS];
    gate_init(&crowd.gate, ROOM);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, go_in_and_out, &crowd), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(gate_used(&crowd.gate), 0);
    assert_int_equal(budget_used(&crowd.budget), 0);
    gate_deinit(&crowd.gate);
}

/* ---- turns --------------------------------------------------------------------------------------------- */

struct visitor {
    struct gate *gate;
    size_t bytes;
    atomic_bool is_in;
};

static void *enter(void *context) {
    struct visitor *v = context;
    gate_enter(v->gate, v->bytes);
    atomic_store(&v->is_in, true);
    return NULL;
}

static void wait_for_turn(struct gate *g, size_t turns) {
    for (size_t given = 0; given < turns;) {
        pthread_mutex_lock(&g->mutex);
        given = g->next_turn;
        pthread_mutex_unlock(&g->mutex);
        usleep(1000);
    }
}

/* One that would fit waits behind a large one that does not yet. */
static void test_nobody_is_overtaken(void **state) {
    (void)state;
    struct gate gate;
    gate_init(&gate, 100);
    struct visitor large = {&gate, 80, false}, small = {&gate, 10, false};
    pthread_t threads[2];
    gate_enter(&gate, 50);
    assert_int_equal(pthread_create(&threads[0], NULL, enter, &large), 0);
    wait_for_turn(&gate, 2);
    assert_int_equal(pthread_create(&threads[1], NULL, enter, &small), 0);
    wait_for_turn(&gate, 3);
    assert_int_equal(gate_used(&gate), 50);
    assert_false(atomic_load(&large.is_in) || atomic_load(&small.is_in));
    gate_leave(&gate, 50);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(gate_used(&gate), 90);
    gate_leave(&gate, 90);
    gate_deinit(&gate);
}

/* Small ones for which there is room do not wait behind it, but so many only. */
static void test_small_ones_pass(void **state) {
    (void)state;
    enum { SMALL = 10, MOST = SMALL * GATE_SMALL_SHARE };
    struct gate gate;
    gate_init(&gate, MOST);
    struct visitor large = {&gate, MOST - SMALL, false}, first = {&gate, SMALL, false}, last = first;
    pthread_t threads[3];
    gate_enter(&gate, MOST / 2);
    assert_int_equal(pthread_create(&threads[0], NULL, enter, &large), 0);
    wait_for_turn(&gate, 2);
    assert_int_equal(pthread_create(&threads[1], NULL, enter, &first), 0);
    for (int i = 0; i < 10000 && !atomic_load(&first.is_in); i++) usleep(1000);
    assert_true(atomic_load(&first.is_in));
    gate_leave(&gate, SMALL);
    for (int i = 1; i < GATE_PASSES_MAX; i++) {
        gate_enter(&gate, SMALL);
        gate_leave(&gate, SMALL);
    }
    assert_int_equal(pthread_create(&threads[2], NULL, enter, &last), 0);
    wait_for_turn(&gate, 3);
    assert_false(atomic_load(&large.is_in) || atomic_load(&last.is_in));
    gate_leave(&gate, MOST / 2);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_int_equal(gate_used(&gate), MOST);
    gate_leave(&gate, MOST);
    gate_deinit(&gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_never_more_than_there_is),
        cmocka_unit_test(test_nobody_is_overtaken),
        cmocka_unit_test(test_small_ones_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
