#include "tests/support/test_support.h"

#include "engine/sched/event_ring.h"

static struct ready_list ready_list;
static unsigned wakes;

static void count_wake(void *context) {
    ++*(unsigned *)context;
}

static int start(void **state) {
    (void)state;
    wakes = 0;
    ready_list_init(&ready_list, count_wake, &wakes);
    return 0;
}

static int stop(void **state) {
    (void)state;
    ready_list_deinit(&ready_list);
    return 0;
}

static void post(struct event_ring *ring, uint32_t choice, enum engine_event_kind kind, const char *text) {
    const struct engine_top top[] = {{7, -1.0f}, {8, -2.0f}};
    struct engine_event event = {.kind = kind,
                                 .choice = choice,
                                 .text = text,
                                 .text_length = strlen(text),
                                 .top = top,
                                 .top_count = kind == ENGINE_EVENT_TOKEN ? 2 : 0};
    assert_int_equal(event_ring_post(&ready_list, ring, &event), STATUS_OK);
}

static bool take(struct event_ring *ring, struct engine_event *event) {
    bool fed;
    return event_ring_take(&ready_list, ring, event, &fed);
}

static void events_come_in_order_with_all_they_carry(void **state) {
    (void)state;
    struct error e;
    struct event_ring m;
    struct engine_event event;
    char long_text[300];
    memset(long_text, 'x', 299);
    long_text[299] = '\0';
    assert_ok(event_ring_init(&m, 2, 3, 2, &e));
    for (int round = 0; round < 5; round++) {
        post(&m, 0, ENGINE_EVENT_TOKEN, "ab");
        post(&m, 1, ENGINE_EVENT_TOKEN, long_text);
        assert_true(take(&m, &event));
        assert_int_equal(event.choice, 0);
        assert_int_equal(event.text_length, 2);
        assert_memory_equal(event.text, "ab", 2);
        assert_int_equal(event.top_count, 2);
        assert_int_equal(event.top[1].id, 8);
        /* What was lent stays as it is while more is posted. */
        const char *text = event.text;
        post(&m, 0, ENGINE_EVENT_TOKEN, "cd");
        post(&m, 0, ENGINE_EVENT_TOKEN, "ef");
        assert_memory_equal(text, "ab", 2);
        assert_true(take(&m, &event));
        assert_int_equal(event.text_length, 299);
        assert_memory_equal(event.text, long_text, 299);
        assert_true(take(&m, &event) && take(&m, &event));
        assert_false(take(&m, &event));
    }
    post(&m, 1, ENGINE_EVENT_TOKEN, long_text); /* freed with the event ring */
    event_ring_close(&ready_list, &m);
    event_ring_deinit(&m);
}

static void the_end_finds_its_place_in_a_full_event_ring(void **state) {
    (void)state;
    struct error e;
    struct event_ring m;
    struct engine_event event;
    assert_ok(event_ring_init(&m, 2, 2, 2, &e));
    for (uint32_t choice = 0; choice < 2; choice++) {
        assert_int_equal(event_ring_room(&ready_list, &m, choice), 2);
        post(&m, choice, ENGINE_EVENT_TOKEN, "a");
        post(&m, choice, ENGINE_EVENT_TOKEN, "b");
        assert_int_equal(event_ring_room(&ready_list, &m, choice), 0);
        post(&m, choice, ENGINE_EVENT_FINISHED, "rest");
    }
    for (int i = 0; i < 6; i++) assert_true(take(&m, &event));
    assert_int_equal(event.kind, ENGINE_EVENT_FINISHED);
    assert_memory_equal(event.text, "rest", 4);
    assert_false(take(&m, &event));
    event_ring_close(&ready_list, &m);
    event_ring_deinit(&m);
}

static void a_starving_choice_is_reported_when_half_is_free(void **state) {
    (void)state;
    struct error e;
    struct event_ring m;
    struct engine_event event;
    bool fed;
    assert_ok(event_ring_init(&m, 1, 4, 2, &e));
    for (int i = 0; i < 4; i++) post(&m, 0, ENGINE_EVENT_TOKEN, "a");
    assert_int_equal(event_ring_room(&ready_list, &m, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(event_ring_take(&ready_list, &m, &event, &fed));
        assert_false(fed); /* 4, then 3 undelivered: the one that was lent last counts */
    }
    struct event_ring *ring;
    uint32_t choice;
    assert_false(ready_list_next_fed(&ready_list, &ring, &choice));
    assert_true(event_ring_take(&ready_list, &m, &event, &fed));
    assert_true(fed);
    assert_true(event_ring_take(&ready_list, &m, &event, &fed));
    assert_false(fed); /* once */
    assert_true(ready_list_next_fed(&ready_list, &ring, &choice));
    assert_ptr_equal(ring, &m);
    assert_int_equal(choice, 0);
    assert_false(ready_list_next_fed(&ready_list, &ring, &choice));
    event_ring_close(&ready_list, &m);
    event_ring_deinit(&m);
}

/* Of three choices that were fed the one that ended meanwhile is not on the list: its request may be gone
 * before anybody looks. */
static void an_end_takes_a_choice_off_the_list_of_the_fed(void **state) {
    (void)state;
    struct error e;
    struct event_ring m, *ring;
    struct engine_event event;
    uint32_t choice;
    for (uint32_t gone = 0; gone < 3; gone++) {
        bool seen[3] = {false};
        assert_ok(event_ring_init(&m, 3, 2, 2, &e));
        for (uint32_t i = 0; i < 3; i++) {
            for (int k = 0; k < 2; k++) post(&m, i, ENGINE_EVENT_TOKEN, "a");
            assert_int_equal(event_ring_room(&ready_list, &m, i), 0);
        }
        while (take(&m, &event)) {
        }
        post(&m, gone, ENGINE_EVENT_FINISHED, "");
        while (ready_list_next_fed(&ready_list, &ring, &choice)) seen[choice] = true;
        for (uint32_t i = 0; i < 3; i++) assert_int_equal(seen[i], i != gone);
        event_ring_close(&ready_list, &m);
        event_ring_deinit(&m);
    }
    /* Nor does it come on it afterwards. */
    assert_ok(event_ring_init(&m, 1, 2, 2, &e));
    for (int k = 0; k < 2; k++) post(&m, 0, ENGINE_EVENT_TOKEN, "a");
    assert_int_equal(event_ring_room(&ready_list, &m, 0), 0);
    post(&m, 0, ENGINE_EVENT_FINISHED, "");
    while (take(&m, &event)) {
    }
    assert_false(ready_list_next_fed(&ready_list, &ring, &choice));
    event_ring_close(&ready_list, &m);
    event_ring_deinit(&m);
}

static void wakes_are_not_repeated_before_all_is_drained(void **state) {
    (void)state;
    struct error e;
    struct event_ring a, b;
    assert_ok(event_ring_init(&a, 1, 4, 2, &e));
    assert_ok(event_ring_init(&b, 1, 4, 2, &e));
    ready_list_wake(&ready_list);
    assert_int_equal(wakes, 0); /* nothing to tell */
    post(&a, 0, ENGINE_EVENT_TOKEN, "x");
    ready_list_wake(&ready_list);
    post(&b, 0, ENGINE_EVENT_TOKEN, "x");
    post(&a, 0, ENGINE_EVENT_TOKEN, "y");
    ready_list_wake(&ready_list);
    assert_int_equal(wakes, 1);
    assert_ptr_equal(ready_list_next_ready(&ready_list), &a);
    post(&a, 0, ENGINE_EVENT_TOKEN, "z"); /* ready again, behind b */
    assert_ptr_equal(ready_list_next_ready(&ready_list), &b);
    assert_ptr_equal(ready_list_next_ready(&ready_list), &a);
    ready_list_wake(&ready_list);
    assert_int_equal(wakes, 1); /* the taker has not seen the end of the list: it will look again */
    assert_null(ready_list_next_ready(&ready_list));
    post(&b, 0, ENGINE_EVENT_TOKEN, "z");
    ready_list_wake(&ready_list);
    assert_int_equal(wakes, 2);
    event_ring_close(&ready_list, &a);
    event_ring_close(&ready_list, &b);
    assert_null(ready_list_next_ready(&ready_list));
    event_ring_deinit(&a);
    event_ring_deinit(&b);
}

static void a_closed_mailbox_takes_nothing_more(void **state) {
    (void)state;
    struct error e;
    struct event_ring m;
    struct engine_event event;
    assert_ok(event_ring_init(&m, 1, 2, 2, &e));
    event_ring_close(&ready_list, &m);
    for (int i = 0; i < 5; i++) post(&m, 0, ENGINE_EVENT_TOKEN, "x");
    assert_int_equal(event_ring_room(&ready_list, &m, 0), 2);
    assert_false(take(&m, &event));
    ready_list_wake(&ready_list);
    assert_int_equal(wakes, 0);
    event_ring_deinit(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_come_in_order_with_all_they_carry, start, stop),
        cmocka_unit_test_setup_teardown(the_end_finds_its_place_in_a_full_event_ring, start, stop),
        cmocka_unit_test_setup_teardown(a_starving_choice_is_reported_when_half_is_free, start, stop),
        cmocka_unit_test_setup_teardown(an_end_takes_a_choice_off_the_list_of_the_fed, start, stop),
        cmocka_unit_test_setup_teardown(wakes_are_not_repeated_before_all_is_drained, start, stop),
        cmocka_unit_test_setup_teardown(a_closed_mailbox_takes_nothing_more, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
