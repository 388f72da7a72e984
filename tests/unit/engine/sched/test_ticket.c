/* The way into the queue: what finds no place costs nothing, what has been made gets in at no cost, and
 * whatever happens to a ticket its places come back. "Costs nothing" is told by an allocation that would
 * fail, and is never made. */
#include "scheduler_fixture.h"
#include "tests/support/failing_malloc.h"

static void small_queue(struct scheduler_options *o) {
    o->queue_max = 4;
    o->queue_tokens_max = 100;
}

static struct engine_prompt prompt_of(size_t count, uint32_t choices) {
    static const struct engine_string stops[] = {{"a long stop string", 18}, {"and another", 11}};
    struct engine_prompt p = fake_prompt(ids_of(count, 1), count, 5);
    p.choices = choices;
    p.stops = stops, p.stop_count = 2;
    return p;
}

static void a_full_queue_allocates_nothing(void **state) {
    (void)state;
    struct error e;
    struct engine_ticket *held, *ticket;
    start(8, 100, small_queue);
    assert_ok(ticket_create(scheduler, 3, &held, &e));
    failing_malloc_arm(1);
    enum status status = ticket_create(scheduler, 2, &ticket, &e), room = scheduler_room(scheduler, &e);
    assert_false(failing_malloc_disarm());
    assert_int_equal(status, STATUS_LIMIT);
    assert_int_equal(room, STATUS_OK); /* for one there is */
    assert_null(ticket);
    assert_ok(ticket_create(scheduler, 1, &ticket, &e));
    assert_int_equal(scheduler_room(scheduler, &e), STATUS_LIMIT);
    ticket_destroy(ticket);
    ticket_destroy(held);
    assert_ok(ticket_create(scheduler, 4, &ticket, &e));
    ticket_destroy(ticket);
    stop();
}

static void too_many_tokens_allocate_nothing(void **state) {
    (void)state;
    struct error e;
    struct engine_ticket *held, *ticket;
    struct engine_prompt first = prompt_of(40, 2), second = prompt_of(21, 1);
    start(8, 100, small_queue);
    assert_ok(ticket_create(scheduler, 2, &held, &e));
    assert_ok(ticket_prepare(held, &first, 1, &e));
    assert_ok(ticket_create(scheduler, 1, &ticket, &e));
    failing_malloc_arm(1);
    enum status status = ticket_prepare(ticket, &second, 1, &e);
    assert_false(failing_malloc_disarm());
    assert_int_equal(status, STATUS_LIMIT);
    ticket_destroy(ticket);
    ticket_destroy(held);
    assert_ok(ticket_create(scheduler, 1, &ticket, &e));
    assert_ok(ticket_prepare(ticket, &second, 1, &e));
    ticket_destroy(ticket);
    stop();
}

/* All prompts at once, without an allocation; after a drain none, and the places come back. */
static void what_was_made_gets_in(void **state) {
    (void)state;
    struct error e;
    struct engine_ticket *ticket;
    struct engine_request *requests[2];
    struct engine_event event;
    start(8, 100, small_queue);
    for (int draining = 0; draining < 2; draining++) {
        struct engine_prompt prompts[2] = {prompt_of(10, 2), prompt_of(20, 2)};
        assert_ok(ticket_create(scheduler, 4, &ticket, &e));
        assert_ok(ticket_prepare(ticket, prompts, 2, &e));
        if (draining) scheduler_drain(scheduler);
        failing_malloc_arm(1);
        enum status status = ticket_submit(ticket, requests, &e);
        assert_false(failing_malloc_disarm());
        assert_int_equal(status, draining ? STATUS_CLOSING : STATUS_OK);
        if (draining) {
            ticket_destroy(ticket);
            break;
        }
        assert_int_equal(scheduler_room(scheduler, &e), STATUS_LIMIT); /* they wait now */
        while (scheduler_turn(scheduler)) continue;
        assert_ok(scheduler_room(scheduler, &e));
        for (int i = 0; i < 2; i++) {
            size_t ends = 0;
            while (scheduler_next_event(requests[i], &event)) ends += event.kind == ENGINE_EVENT_FINISHED;
            assert_int_equal(ends, 2);
            scheduler_release(requests[i]);
        }
    }
    stop();
}

/* Each allocation of a ticket and of what it prepares fails once: a clean error, and every place comes back. */
static void without_memory_the_places_come_back(void **state) {
    (void)state;
    struct error e;
    bool failed = true;
    start(8, 100, small_queue);
    for (size_t n = 1; failed; n++) {
        struct engine_prompt prompts[2] = {prompt_of(10, 2), prompt_of(20, 2)};
        struct engine_ticket *ticket = NULL;
        failing_malloc_arm(n);
        enum status status = ticket_create(scheduler, 4, &ticket, &e);
        if (status == STATUS_OK) status = ticket_prepare(ticket, prompts, 2, &e);
        failed = failing_malloc_disarm();
        assert_int_equal(status, failed ? STATUS_NO_MEMORY : STATUS_OK);
        ticket_destroy(ticket);
        assert_ok(ticket_create(scheduler, 4, &ticket, &e));
        ticket_destroy(ticket);
    }
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_allocates_nothing),
        cmocka_unit_test(too_many_tokens_allocate_nothing),
        cmocka_unit_test(what_was_made_gets_in),
        cmocka_unit_test(without_memory_the_places_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
