/* Against the definition: a list of clients for each priority, and a list of what each has waiting. */
#include "tests/support/test_support.h"

#include <malloc.h>
#include <unistd.h>

#include "engine/sched/fair_share.h"

enum { WAITING_MAX = 40, CLIENTS = 6, PRIORITIES = 3 };

static struct engine_request requests[CLIENTS][PRIORITIES];
static struct sequence sequences[WAITING_MAX];
static int client_of[WAITING_MAX], priority_of[WAITING_MAX];

/* What is to come out. */
static int ring[PRIORITIES][CLIENTS], ring_count[PRIORITIES];
static int waiting[PRIORITIES][CLIENTS][WAITING_MAX], waiting_count[PRIORITIES][CLIENTS];

static void append(int *list, int *count, int value) {
    list[(*count)++] = value;
}

static void drop(int *list, int *count, int value) {
    int i = 0;
    while (list[i] != value) i++;
    memmove(list + i, list + i + 1, (size_t)(--*count - i) * sizeof *list);
}

static void add(struct turns *turns, int i) {
    int client = client_of[i] = rand() % CLIENTS, priority = priority_of[i] = rand() % PRIORITIES;
    sequences[i] = (struct sequence){.request = &requests[client][priority]};
    if (waiting_count[priority][client] == 0) append(ring[priority], &ring_count[priority], client);
    append(waiting[priority][client], &waiting_count[priority][client], i);
    turns_add(turns, &sequences[i]);
}

static void end(struct turns *turns, int i, bool has_turn) {
    int client = client_of[i], priority = priority_of[i];
    drop(waiting[priority][client], &waiting_count[priority][client], i);
    if (has_turn || waiting_count[priority][client] == 0) drop(ring[priority], &ring_count[priority], client);
    if (has_turn && waiting_count[priority][client] > 0)
        append(ring[priority], &ring_count[priority], client);
    turns_remove(turns, &sequences[i], has_turn);
    assert_null(sequences[i].flow);
}

static int whose_turn(int priority) {
    return waiting[priority][ring[priority][0]][0];
}

static void clients_stand_in_a_ring(void **state) {
    (void)state;
    struct turns turns;
    struct error e;
    size_t count = 0, had_turn = 0;
    srand(8);
    for (int c = 0; c < CLIENTS; c++)
        for (int p = 0; p < PRIORITIES; p++)
            requests[c][p] = (struct engine_request){.client = (uint64_t)c << 40, .priority = p - 1};
    assert_ok(turns_init(&turns, WAITING_MAX, &e));
    for (int round = 0; round < 200000; round++) {
        int i = rand() % WAITING_MAX;
        if (!sequences[i].flow) {
            add(&turns, i);
            count++;
        } else {
            bool has_turn = rand() % 3 > 0;
            end(&turns, has_turn ? whose_turn(priority_of[i]) : i, has_turn);
            had_turn += has_turn;
            count--;
        }
        for (int k = 0; k < WAITING_MAX; k++)
            if (sequences[k].flow)
                assert_ptr_equal(turns_next(&sequences[k]), &sequences[whose_turn(priority_of[k])]);
        assert_true(turns.flows_used <= WAITING_MAX && turns.levels_used <= WAITING_MAX);
    }
    assert_true(had_turn > 10000);
    turns_deinit(&turns);
}

/* As many clients and priorities as sequences, again and again: nothing is used up. */
static void every_sequence_may_have_a_client_of_its_own(void **state) {
    (void)state;
    static struct engine_request own[WAITING_MAX];
    struct turns turns;
    struct error e;
    assert_ok(turns_init(&turns, WAITING_MAX, &e));
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < WAITING_MAX; i++) {
            own[i] = (struct engine_request){.client = (uint64_t)(i * round), .priority = i - round};
            sequences[i] = (struct sequence){.request = &own[i]};
            turns_add(&turns, &sequences[i]);
            assert_ptr_equal(turns_next(&sequences[i]), &sequences[i]);
        }
        for (int i = 0; i < WAITING_MAX; i++) turns_remove(&turns, &sequences[i], i % 2);
    }
    turns_deinit(&turns);
}

static void without_room_they_are_off(void **state) {
    (void)state;
    struct turns turns;
    struct error e;
    assert_ok(turns_init(&turns, 0, &e));
    assert_false(turns_are_on(&turns));
    turns_deinit(&turns);
}

/* So many that each table is a mapping of its own, whose size is known. */
static void memory_is_what_is_planned(void **state) {
    (void)state;
    enum { MANY = 300000, TABLES = 4 };
    struct turns turns;
    struct error e;
    if (SANITIZED) skip(); /* another heap */
    assert_int_equal(turns_memory_bytes(0), 0);
    const size_t before = mallinfo2().hblkhd, planned = turns_memory_bytes(MANY);
    assert_ok(turns_init(&turns, MANY, &e));
    const size_t taken = mallinfo2().hblkhd - before;
    const size_t rounding =
        2 * (size_t)sysconf(_SC_PAGESIZE); /* the heap's head, and the end of the last page */
    assert_in_range(taken, planned, planned + TABLES * rounding);
    turns_deinit(&turns);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(clients_stand_in_a_ring),
                                       cmocka_unit_test(every_sequence_may_have_a_client_of_its_own),
                                       cmocka_unit_test(without_room_they_are_off),
                                       cmocka_unit_test(memory_is_what_is_planned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
