/* Who gets a place in the batch, one turn after the other: choices of one request, readers that do not read,
 * clients that take turns. */
#include "scheduler_fixture.h"

#include "engine/sched/sequence.h"

static void begin(struct collected *c, struct engine_prompt prompt) {
    prompt.ignore_end = true;
    collect_start(scheduler, c, &prompt);
}

/* Some turns in which the events of these are taken, of nobody else's. */
static void turn_for(int turns, struct collected *readers, size_t count) {
    for (int i = 0; i < turns; i++) {
        scheduler_turn(scheduler);
        for (size_t k = 0; k < count; k++) collect_some(&readers[k], SIZE_MAX);
        while (scheduler_next_ready(scheduler)) {
        }
    }
}

/* Also one that was not read before, and is not offered again by itself. */
static void read_to_end(struct collected *c) {
    collect_some(c, SIZE_MAX);
    collect_until_end(scheduler, c);
}

static struct engine_stats figures(void) {
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    return stats;
}

/* ---- choices ------------------------------------------------------------------------------------------- */

static void five_places(struct scheduler_options *o) {
    o->limits.sequences = 5;
}

/* Four choices of a prompt that takes three steps, and four others behind them: one of those has the fifth
 * place, the rest come when the choices are done. So it is with a prompt that is scored, and whatever the
 * priority of those behind. */
static void choices_are_not_overtaken_while_one_computes_their_prompt(void **state) {
    (void)state;
    static struct collected a, low[4];
    for (int scored = 0; scored < 2; scored++) {
        start(60, 200, five_places);
        struct engine_prompt prompt = fake_prompt(ids_of(100, 6), 100, 10);
        prompt.choices = 4, prompt.prompt_logprobs = scored;
        begin(&a, prompt);
        for (int i = 0; i < 4; i++) {
            struct engine_prompt behind = fake_prompt(ids_of(5, (unsigned)i), 5, 60);
            behind.priority = 9 * i;
            begin(&low[i], behind);
        }
        read_to_end(&a);
        collect_some(&low[0], SIZE_MAX);
        for (int i = 1; i < 4; i++) assert_int_equal(low[i].choices[0].count, 0);
        for (int i = 0; i < 4; i++) read_to_end(&low[i]);
        for (int i = 0; i < 4; i++) expect_greedy(&a.choices[i], prompt.ids, 100, 10);
        collect_release(&a);
        for (int i = 0; i < 4; i++) collect_release(&low[i]);
        stop();
    }
}

static void many_choices(struct scheduler_options *o) {
    o->queue_max = o->rules.choices_max = 5000;
}

/* One behind 4,096 choices that fit into the batch eight at a time. */
static void one_behind_very_many_choices_comes_after_them(void **state) {
    (void)state;
    static struct collected last;
    struct engine_request *request;
    struct engine_event event;
    struct error e;
    start(60, 200, many_choices);
    struct engine_prompt prompt = fake_prompt(ids_of(60, 1), 60, 3);
    prompt.choices = 4096, prompt.ignore_end = true;
    assert_ok(scheduler_submit(scheduler, &prompt, 1, &request, &e));
    begin(&last, fake_prompt(ids_of(5, 2), 5, 3));
    size_t ended = 0;
    while (last.ended == 0) {
        scheduler_turn(scheduler);
        while (scheduler_next_event(request, &event)) ended += event.kind == ENGINE_EVENT_FINISHED;
        collect_some(&last, SIZE_MAX);
        if (last.choices[0].count > 0) assert_true(ended > 4096 - 8);
    }
    assert_int_equal(figures().finished_length, 4097);
    scheduler_release(request);
    collect_release(&last);
    stop();
}

static void small_mailboxes(struct scheduler_options *o) {
    o->limits.sequences = 4;
    o->rules.max_pending_events = 3;
}

/* A scored prompt whose reader does not read holds its leader up; its siblings go on without it. */
static void siblings_go_on_without_a_leader_that_is_held_up(void **state) {
    (void)state;
    static struct collected a, other;
    start(60, 200, small_mailboxes);
    int32_t *ids = ids_of(40, 6), *other_ids = ids_of(20, 7);
    struct engine_prompt prompt = fake_prompt(ids, 40, 10);
    prompt.choices = 3, prompt.prompt_logprobs = true;
    begin(&a, prompt);
    turn_for(10, NULL, 0);
    assert_int_equal(figures().backpressured, 3); /* two of them after three tokens each */
    assert_int_equal(figures().generated_tokens, 2 * 3);
    begin(&other, fake_prompt(other_ids, 20, 10));
    turn_for(20, &other, 1);
    expect_greedy(&other.choices[0], other_ids, 20, 10);
    read_to_end(&a);
    assert_int_equal(a.prompt_count, 40);
    for (int i = 0; i < 3; i++) expect_greedy(&a.choices[i], ids, 40, 10);
    collect_release(&a);
    collect_release(&other);
    stop();
}

/* Cancelled while the prompt of all is computed: the places are free, the pages too. */
static void a_cancelled_leader_takes_its_siblings_along(void **state) {
    (void)state;
    static struct collected a, other;
    start(60, 200, five_places);
    struct engine_prompt prompt = fake_prompt(ids_of(100, 6), 100, 10);
    prompt.choices = 4;
    begin(&a, prompt);
    scheduler_turn(scheduler);
    assert_int_equal(figures().running, 4);
    begin(&other, fake_prompt(ids_of(5, 1), 5, 10));
    scheduler_cancel(a.request);
    scheduler_turn(scheduler);
    assert_int_equal(figures().running, 1);
    assert_int_equal(figures().finished_cancelled, 4);
    read_to_end(&other);
    collect_release(&a);
    collect_release(&other);
    stop();
}

/* Nine pages: the leader's prompt and the others' next pages do not fit together, so that leaders are thrown
 * out while their siblings wait for them. */
static void preempted_leaders_lead_again(void **state) {
    (void)state;
    static struct collected first[2], a[3];
    start(9, 100, NULL);
    int32_t *first_ids = ids_of(10, 1), *ids = ids_of(50, 6);
    for (int i = 0; i < 2; i++) begin(&first[i], fake_prompt(first_ids, 10, 60));
    for (int i = 0; i < 3; i++) {
        struct engine_prompt prompt = fake_prompt(ids, 50 - (size_t)i, 20);
        prompt.choices = 3;
        begin(&a[i], prompt);
    }
    for (int i = 0; i < 3; i++) {
        read_to_end(&a[i]);
        for (int k = 0; k < 3; k++) expect_greedy(&a[i].choices[k], ids, 50 - (size_t)i, 20);
        collect_release(&a[i]);
    }
    for (int i = 0; i < 2; i++) {
        read_to_end(&first[i]);
        expect_greedy(&first[i].choices[0], first_ids, 10, 60);
        collect_release(&first[i]);
    }
    assert_true(figures().preemptions > 0);
    stop();
}

/* ---- readers that do not read -------------------------------------------------------------------------- */

static void two_places_no_index(struct scheduler_options *o) {
    o->limits.sequences = 2;
    o->pool->prefix = NULL;
}

/* Readers that never read hold both places: whoever comes has them to itself, the whole batch; nothing of the
 * slow ones is computed again when they are read after all. */
static void slow_readers_leave_their_places_and_keep_their_pages(void **state) {
    (void)state;
    static struct collected slow[2], quick[2];
    start(40, 120, two_places_no_index);
    int32_t *ids = ids_of(30, 4);
    for (int i = 0; i < 2; i++) begin(&slow[i], fake_prompt(ids, 30, 50));
    turn_for(20, NULL, 0);
    assert_int_equal(figures().backpressured, 2);
    assert_int_equal(figures().running, 0);
    for (int i = 0; i < 2; i++) begin(&quick[i], fake_prompt(ids, 30, 50));
    turn_for(10, quick, 2);
    assert_int_equal(figures().running, 2);
    assert_int_equal(figures().backpressured, 2);
    turn_for(60, quick, 2);
    for (int i = 0; i < 2; i++) expect_greedy(&quick[i].choices[0], ids, 30, 50);
    assert_int_equal(figures().backpressured, 2);
    for (int i = 0; i < 2; i++) {
        read_to_end(&slow[i]);
        expect_greedy(&slow[i].choices[0], ids, 30, 50);
    }
    assert_int_equal(figures().preemptions, 0);
    assert_int_equal(model.rows, 4 * (30 + 49));
    for (int i = 0; i < 2; i++) {
        collect_release(&slow[i]);
        collect_release(&quick[i]);
    }
    stop();
}

/* Of three that are not read those give their pages that came last, and only as others need them; nobody who
 * can run loses any. */
static void pages_of_slow_readers_are_taken_when_others_need_them(void **state) {
    (void)state;
    static struct collected slow[3], quick;
    start(13, 120, two_places_no_index);
    int32_t *ids = ids_of(60, 4);
    for (int i = 0; i < 3; i++) begin(&slow[i], fake_prompt(ids, 30, 20)); /* 3 pages each */
    turn_for(20, NULL, 0);
    assert_int_equal(figures().backpressured, 3);
    assert_int_equal(figures().kv_pages_used, 9);
    begin(&quick, fake_prompt(ids, 60, 50)); /* 4 pages, then 7 */
    turn_for(3, &quick, 1);
    assert_int_equal(figures().preemptions, 0);
    turn_for(60, &quick, 1);
    expect_greedy(&quick.choices[0], ids, 60, 50);
    assert_int_equal(figures().preemptions, 1);
    assert_int_equal(figures().kv_pages_used, 6);
    assert_int_equal(figures().backpressured, 3);
    assert_int_equal(slow[2].request->sequences[0].table.count, 0);
    uint64_t rows = model.rows;
    for (int i = 0; i < 3; i++) {
        read_to_end(&slow[i]);
        expect_greedy(&slow[i].choices[0], ids, 30, 20);
    }
    assert_int_equal(model.rows - rows,
                     3 * 12 + 37); /* 8 tokens were in the event ring; one is computed again */
    for (int i = 0; i < 3; i++) collect_release(&slow[i]);
    collect_release(&quick);
    stop();
}

/* Who came last has to wait for the one that runs, whatever a slow reader gives: it keeps its pages, and so it is where the
 * slow one is read again and has no place yet. */
static void nobody_gives_pages_for_one_that_has_to_wait_all_the_same(void **state) {
    (void)state;
    static struct collected slow, quick, last;
    for (int resumed = 0; resumed < 2; resumed++) {
        start(10, 120, two_places_no_index);
        int32_t *ids = ids_of(110, 4);
        begin(&slow, fake_prompt(ids, 30, 20)); /* 3 pages */
        turn_for(20, NULL, 0);
        assert_int_equal(figures().backpressured, 1);
        begin(&quick, fake_prompt(ids, 50, 50)); /* 4 pages, then 7 */
        turn_for(3, &quick, 1);
        assert_int_equal(figures().kv_pages_used, 3 + 4);
        struct engine_prompt behind = fake_prompt(ids, 110, 5); /* 7 pages */
        behind.priority = resumed ? -1 : 0;
        begin(&last, behind);
        if (resumed) collect_some(&slow, SIZE_MAX);
        turn_for(5, &quick, 1);
        assert_int_equal(figures().running, 1);
        assert_int_equal(figures().preemptions, 0);
        assert_int_equal(slow.request->sequences[0].table.count, 3);
        read_to_end(&quick);
        read_to_end(&last);
        read_to_end(&slow);
        expect_greedy(&quick.choices[0], ids, 50, 50);
        expect_greedy(&last.choices[0], ids, 110, 5);
        expect_greedy(&slow.choices[0], ids, 30, 20);
        collect_release(&slow);
        collect_release(&quick);
        collect_release(&last);
        stop();
    }
}

/* It comes back before those that came after it, and as soon as there is a place. */
static void who_is_read_again_comes_back_by_rank(void **state) {
    (void)state;
    static struct collected slow, later[2];
    start(40, 120, one_place);
    int32_t *ids = ids_of(30, 4);
    begin(&slow, fake_prompt(ids, 30, 20));
    turn_for(12, NULL, 0);
    for (int i = 0; i < 2; i++) begin(&later[i], fake_prompt(ids, 30, 20));
    turn_for(2, later, 2);
    collect_some(&slow, SIZE_MAX); /* 8 events; the first of the others has the place */
    read_to_end(&later[0]);
    assert_int_equal(later[1].choices[0].count, 0);
    while (slow.ended == 0) {
        turn_for(1, &slow, 1);
        collect_some(&later[1], SIZE_MAX);
        assert_int_equal(later[1].choices[0].count, 0);
    }
    read_to_end(&later[1]);
    expect_greedy(&slow.choices[0], ids, 30, 20);
    collect_release(&slow);
    for (int i = 0; i < 2; i++) collect_release(&later[i]);
    stop();
}

static void few_aside(struct scheduler_options *o) {
    o->limits.sequences = 2;
    o->aside_max = 1;
}

/* Two places and one aside: a fourth that never had a place waits until one of three is read or ends. */
static void few_may_be_set_aside(void **state) {
    (void)state;
    static struct collected slow[3], last;
    start(40, 120, few_aside);
    int32_t *ids = ids_of(30, 4);
    for (int i = 0; i < 3; i++) begin(&slow[i], fake_prompt(ids, 30, 20));
    turn_for(30, NULL, 0);
    assert_int_equal(figures().backpressured, 3);
    begin(&last, fake_prompt(ids, 30, 20));
    turn_for(10, &last, 1);
    assert_int_equal(figures().waiting, 1);
    assert_int_equal(last.choices[0].count, 0);
    scheduler_cancel(slow[1].request);
    read_to_end(&last);
    assert_int_equal(figures().backpressured, 2);
    read_to_end(&slow[2]); /* those that had a place come back however many are aside */
    for (int i = 0; i < 3; i++) collect_release(&slow[i]);
    collect_release(&last);
    stop();
}

/* ---- clients ------------------------------------------------------------------------------------------- */

static void fair_one_place(struct scheduler_options *o) {
    one_place(o);
    o->fair_share = true;
}

static struct engine_prompt of_client(uint64_t client, int priority) {
    static int32_t ids[5] = {1, 2, 3, 4, 5};
    struct engine_prompt prompt = fake_prompt(ids, 5, 4);
    prompt.client = client, prompt.priority = priority;
    return prompt;
}

/* The indices of requests in the order in which they end, one place for all. */
static void order_of_ends(struct collected *c, size_t count, size_t *order) {
    size_t ended = 0;
    for (size_t turns = 0; ended < count; turns++) {
        assert_true(turns < 10000);
        scheduler_turn(scheduler);
        for (size_t i = 0; i < count; i++) {
            bool was = c[i].ended == c[i].request->choices;
            collect_some(&c[i], SIZE_MAX);
            if (!was && c[i].ended == c[i].request->choices) order[ended++] = i;
        }
    }
    for (size_t i = 0; i < count; i++) collect_release(&c[i]);
}

/* Client 1 has queued ten, then come one of client 2 and two of client 3. */
static void clients_take_turns(void **state) {
    (void)state;
    static struct collected c[13];
    size_t order[13];
    static const size_t expected[2][13] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                                           {0, 1, 10, 11, 2, 12, 3, 4, 5, 6, 7, 8, 9}};
    for (int fair = 0; fair < 2; fair++) {
        start(40, 120, fair ? fair_one_place : one_place);
        for (size_t i = 0; i < 10; i++) begin(&c[i], of_client(1, 0));
        scheduler_turn(scheduler);
        begin(&c[10], of_client(2, 0));
        for (size_t i = 11; i < 13; i++) begin(&c[i], of_client(3, 0));
        order_of_ends(c, 13, order);
        assert_memory_equal(order, expected[fair], sizeof order);
        stop();
    }
}

/* Which priority is served when is the same with and without turns; among those of one, clients take them. */
static void turns_leave_priorities_alone(void **state) {
    (void)state;
    static struct collected c[9];
    static const int priorities[9] = {0, 1, 0, 0, 1, 0, -1, 1, 0};
    static const uint64_t clients[9] = {1, 1, 1, 1, 1, 2, 1, 2, 2};
    static const size_t expected[2][9] = {{6, 0, 2, 3, 5, 8, 1, 4, 7}, {6, 0, 5, 2, 8, 3, 1, 7, 4}};
    size_t order[9];
    for (int fair = 0; fair < 2; fair++) {
        start(40, 120, fair ? fair_one_place : one_place);
        for (size_t i = 0; i < 9; i++) begin(&c[i], of_client(clients[i], priorities[i]));
        order_of_ends(c, 9, order);
        assert_memory_equal(order, expected[fair], sizeof order);
        stop();
    }
}

/* Eight choices of one request are eight turns. */
static void choices_are_turns_of_their_own(void **state) {
    (void)state;
    static struct collected c[3];
    size_t order[3];
    start(40, 120, fair_one_place);
    struct engine_prompt many = of_client(1, 0);
    many.choices = 4;
    begin(&c[0], many);
    begin(&c[1], of_client(2, 0));
    begin(&c[2], of_client(2, 0));
    order_of_ends(c, 3, order);
    assert_memory_equal(order, ((size_t[]){1, 2, 0}), sizeof order);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_not_overtaken_while_one_computes_their_prompt),
        cmocka_unit_test(one_behind_very_many_choices_comes_after_them),
        cmocka_unit_test(siblings_go_on_without_a_leader_that_is_held_up),
        cmocka_unit_test(a_cancelled_leader_takes_its_siblings_along),
        cmocka_unit_test(preempted_leaders_lead_again),
        cmocka_unit_test(slow_readers_leave_their_places_and_keep_their_pages),
        cmocka_unit_test(pages_of_slow_readers_are_taken_when_others_need_them),
        cmocka_unit_test(nobody_gives_pages_for_one_that_has_to_wait_all_the_same),
        cmocka_unit_test(who_is_read_again_comes_back_by_rank),
        cmocka_unit_test(few_may_be_set_aside),
        cmocka_unit_test(clients_take_turns),
        cmocka_unit_test(turns_leave_priorities_alone),
        cmocka_unit_test(choices_are_turns_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
