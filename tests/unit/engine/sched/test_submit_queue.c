#include "tests/support/test_support.h"

#include <pthread.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/sched/submit_queue.h"

static struct submit_queue submit_queue;

static int start(void **state) {
    (void)state;
    struct error e;
    assert_ok(submit_queue_init(&submit_queue, 4, 100, &e));
    return 0;
}

static int stop(void **state) {
    (void)state;
    submit_queue_deinit(&submit_queue);
    return 0;
}

/* Only what the submission queue looks at. */
static struct engine_request request_of(uint32_t choices, size_t tokens) {
    return (struct engine_request){.choices = choices, .prompt_count = tokens, .references = 1};
}

/* Places, and then the request in them. */
static enum status admit(struct engine_request *request) {
    struct error e;
    size_t tokens = request->choices * request->prompt_count;
    enum status status = submit_queue_reserve(&submit_queue, request->choices, &e);
    if (status != STATUS_OK) return status;
    status = submit_queue_reserve_tokens(&submit_queue, tokens, &e);
    if (status == STATUS_OK) return submit_queue_admit(&submit_queue, &request, 1, &e);
    submit_queue_give_back(&submit_queue, request->choices, 0);
    return status;
}

static void arrivals_come_in_order_and_count_until_they_left(void **state) {
    (void)state;
    struct engine_request a = request_of(1, 10), b = request_of(2, 20), *arrivals;
    size_t choices, tokens;
    assert_int_equal(admit(&a), STATUS_OK);
    assert_int_equal(admit(&b), STATUS_OK);
    assert_int_equal(a.references, 2);
    assert_true(submit_queue_wait(&submit_queue, UINT64_MAX, &arrivals));
    assert_ptr_equal(arrivals, &a);
    assert_ptr_equal(arrivals->next_arrival, &b);
    assert_null(b.next_arrival);
    submit_queue_waiting(&submit_queue, &choices, &tokens);
    assert_int_equal(choices, 3);
    assert_int_equal(tokens, 50);
    submit_queue_left(&submit_queue, 2, 40);
    submit_queue_waiting(&submit_queue, &choices, &tokens);
    assert_int_equal(choices, 1);
    assert_int_equal(tokens, 10);
    assert_true(submit_queue_wait(&submit_queue, 0, &arrivals));
    assert_null(arrivals);
}

static void limits_are_in_choices_and_in_tokens(void **state) {
    (void)state;
    struct engine_request large = request_of(1, 5000), small = request_of(1, 1), wide = request_of(5, 1);
    struct engine_request few[4], *arrivals;
    assert_int_equal(admit(&wide), STATUS_INVALID_ARGUMENT);
    assert_int_equal(admit(&large), STATUS_OK); /* alone */
    assert_int_equal(admit(&small), STATUS_LIMIT);
    submit_queue_left(&submit_queue, 1, 5000);
    for (int i = 0; i < 4; i++) {
        few[i] = request_of(1, 1);
        assert_int_equal(admit(&few[i]), STATUS_OK);
    }
    assert_int_equal(admit(&small), STATUS_LIMIT);
    assert_int_equal(small.references, 1);
    submit_queue_wait(&submit_queue, 0, &arrivals);
}

/* What is being made counts as what waits does, until it is admitted or given back. */
static void reserved_places_count(void **state) {
    (void)state;
    struct error e;
    struct engine_request request = request_of(2, 30), *admitted = &request, *arrivals;
    size_t choices, tokens;
    assert_ok(submit_queue_reserve(&submit_queue, 2, &e));
    assert_ok(submit_queue_reserve_tokens(&submit_queue, 60, &e));
    assert_int_equal(submit_queue_reserve(&submit_queue, 3, &e), STATUS_LIMIT);
    assert_int_equal(submit_queue_reserve_tokens(&submit_queue, 41, &e), STATUS_LIMIT);
    assert_ok(submit_queue_reserve(&submit_queue, 2, &e));
    assert_ok(submit_queue_reserve_tokens(&submit_queue, 40, &e));
    assert_int_equal(submit_queue_room(&submit_queue, &e), STATUS_LIMIT);
    submit_queue_give_back(&submit_queue, 2, 40);
    assert_ok(submit_queue_room(&submit_queue, &e));
    submit_queue_waiting(&submit_queue, &choices, &tokens);
    assert_int_equal(choices + tokens, 0);
    assert_ok(submit_queue_admit(&submit_queue, &admitted, 1, &e));
    submit_queue_waiting(&submit_queue, &choices, &tokens);
    assert_int_equal(choices, 2);
    assert_int_equal(tokens, 60);
    assert_int_equal(submit_queue_reserve(&submit_queue, 3, &e), STATUS_LIMIT);
    submit_queue_wait(&submit_queue, 0, &arrivals);
}

/* A place that was reserved before the drain is given back, not filled. */
static void draining_keeps_reserved_places_empty(void **state) {
    (void)state;
    struct error e;
    struct engine_request request = request_of(1, 1), *late = &request;
    assert_ok(submit_queue_reserve(&submit_queue, 1, &e));
    assert_ok(submit_queue_reserve_tokens(&submit_queue, 1, &e));
    submit_queue_drain(&submit_queue);
    assert_int_equal(submit_queue_room(&submit_queue, &e), STATUS_CLOSING);
    assert_int_equal(submit_queue_admit(&submit_queue, &late, 1, &e), STATUS_CLOSING);
    assert_int_equal(request.references, 1);
    submit_queue_give_back(&submit_queue, 1, 1);
}

static void draining_and_closing_refuse(void **state) {
    (void)state;
    struct engine_request request = request_of(1, 1), *arrivals;
    submit_queue_drain(&submit_queue);
    assert_int_equal(admit(&request), STATUS_CLOSING);
    assert_true(submit_queue_wait(&submit_queue, 0, &arrivals));
    submit_queue_close(&submit_queue);
    assert_false(submit_queue_wait(&submit_queue, UINT64_MAX, &arrivals));
}

static void a_ring_before_the_wait_is_not_lost(void **state) {
    (void)state;
    struct engine_request *arrivals;
    submit_queue_notify(&submit_queue);
    assert_true(submit_queue_wait(&submit_queue, UINT64_MAX, &arrivals)); /* would sleep for ever */
    uint64_t start_ns = clock_ns();
    assert_true(submit_queue_wait(&submit_queue, start_ns + 3000000, &arrivals)); /* one ring, one return */
    assert_true(clock_ns() >= start_ns + 3000000);
}

static void *ring_later(void *context) {
    usleep(2000);
    submit_queue_notify(context);
    return NULL;
}

static void a_ring_wakes_the_sleeper(void **state) {
    (void)state;
    struct engine_request *arrivals;
    pthread_t thread;
    pthread_create(&thread, NULL, ring_later, &submit_queue);
    assert_true(submit_queue_wait(&submit_queue, UINT64_MAX, &arrivals));
    pthread_join(thread, NULL);
}

/* What a watcher is told: there is nothing to do while it sleeps, but for a deadline that has passed. */
static void work_is_known_without_the_mutex(void **state) {
    (void)state;
    struct engine_request a = request_of(1, 10), *arrivals;
    assert_false(submit_queue_has_work(&submit_queue, clock_ns()));
    assert_int_equal(admit(&a), STATUS_OK);
    pthread_mutex_lock(&submit_queue.mutex); /* of a scheduler that hangs */
    assert_true(submit_queue_has_work(&submit_queue, clock_ns()));
    pthread_mutex_unlock(&submit_queue.mutex);
    assert_true(submit_queue_wait(&submit_queue, UINT64_MAX, &arrivals));
    assert_true(submit_queue_has_work(&submit_queue, clock_ns())); /* its turn */
    uint64_t deadline_ns = clock_ns() + 20000000;
    assert_true(submit_queue_wait(&submit_queue, deadline_ns, &arrivals));
    assert_true(submit_queue_has_work(&submit_queue, clock_ns()));
    submit_queue_left(&submit_queue, 1, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arrivals_come_in_order_and_count_until_they_left, start, stop),
        cmocka_unit_test_setup_teardown(limits_are_in_choices_and_in_tokens, start, stop),
        cmocka_unit_test_setup_teardown(reserved_places_count, start, stop),
        cmocka_unit_test_setup_teardown(work_is_known_without_the_mutex, start, stop),
        cmocka_unit_test_setup_teardown(draining_keeps_reserved_places_empty, start, stop),
        cmocka_unit_test_setup_teardown(draining_and_closing_refuse, start, stop),
        cmocka_unit_test_setup_teardown(a_ring_before_the_wait_is_not_lost, start, stop),
        cmocka_unit_test_setup_teardown(a_ring_wakes_the_sleeper, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
