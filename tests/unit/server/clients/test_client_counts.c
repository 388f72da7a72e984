#include "tests/support/test_support.h"

#include <malloc.h>
#include <unistd.h>

#include "server/clients/client_counts.h"

enum { MOST = 3, CLIENTS = 40, REQUESTS = 60 };

/* Random requests of clients whose numbers lie close together and far apart: each has what the definition
 * says, never more than the limit, and an empty table is empty. */
static void the_limit_is_never_exceeded(void **state) {
    (void)state;
    struct client_counts counts;
    struct error e;
    size_t under_way[CLIENTS] = {0}, total = 0, refused = 0;
    srand(3);
    assert_ok(client_counts_init(&counts, MOST, REQUESTS, &e));
    for (int round = 0; round < 500000; round++) {
        size_t c = (size_t)rand() % CLIENTS;
        uint64_t client = c % 2 ? c : (uint64_t)c << 57;
        bool gives = total == REQUESTS || round % 2000 > 1500 || rand() % 2;
        if (!gives) {
            bool taken = client_counts_take(&counts, client) == CLIENT_COUNTS_TAKEN;
            assert_int_equal(taken, under_way[c] < MOST);
            under_way[c] += taken;
            total += taken;
            refused += !taken;
        } else if (under_way[c] > 0) {
            client_counts_give(&counts, client);
            under_way[c]--;
            total--;
        }
        size_t clients = 0;
        for (size_t i = 0; i < CLIENTS; i++) clients += under_way[i] > 0;
        assert_int_equal(counts.client_count, clients);
    }
    assert_true(refused > 1000);
    for (size_t c = 0; c < CLIENTS; c++)
        while (under_way[c]-- > 0) client_counts_give(&counts, c % 2 ? c : (uint64_t)c << 57);
    for (size_t i = 0; i < counts.entry_count; i++) assert_int_equal(counts.entries[i].requests, 0);
    client_counts_deinit(&counts);
}

/* No more clients than there is room for, and those that are there get on; when one leaves another may come. */
static void a_full_table_refuses_new_clients(void **state) {
    (void)state;
    struct client_counts counts;
    struct error e;
    assert_ok(client_counts_init(&counts, MOST, REQUESTS, &e));
    uint64_t clients = 0;
    while (client_counts_take(&counts, clients) == CLIENT_COUNTS_TAKEN) clients++;
    assert_in_range(clients, REQUESTS, 2 * REQUESTS);
    assert_int_equal(client_counts_take(&counts, clients), CLIENT_COUNTS_FULL);
    for (int i = 1; i < MOST; i++) assert_int_equal(client_counts_take(&counts, 0), CLIENT_COUNTS_TAKEN);
    assert_int_equal(client_counts_take(&counts, 0), CLIENT_COUNTS_AT_LIMIT);
    client_counts_give(&counts, 1);
    assert_int_equal(client_counts_take(&counts, clients), CLIENT_COUNTS_TAKEN);
    assert_int_equal(client_counts_take(&counts, 1), CLIENT_COUNTS_FULL);
    client_counts_deinit(&counts);
}

/* So many that the table is a mapping of its own, whose size is known. */
static void memory_is_what_is_planned(void **state) {
    (void)state;
    enum { MANY = 300000 };
    struct client_counts counts;
    struct error e;
    if (SANITIZED) skip(); /* another heap */
    assert_int_equal(client_counts_bytes(0, MANY), 0);
    const size_t before = mallinfo2().hblkhd, planned = client_counts_bytes(MOST, MANY);
    assert_ok(client_counts_init(&counts, MOST, MANY, &e));
    assert_in_range(mallinfo2().hblkhd - before, planned, planned + 2 * (size_t)sysconf(_SC_PAGESIZE));
    client_counts_deinit(&counts);
}

static void without_a_limit_nothing_is_counted(void **state) {
    (void)state;
    struct client_counts counts;
    struct error e;
    assert_ok(client_counts_init(&counts, 0, REQUESTS, &e));
    for (int i = 0; i < 1000; i++) assert_int_equal(client_counts_take(&counts, 7), CLIENT_COUNTS_TAKEN);
    client_counts_give(&counts, 8);
    assert_null(counts.entries);
    client_counts_deinit(&counts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_never_exceeded), cmocka_unit_test(a_full_table_refuses_new_clients),
        cmocka_unit_test(memory_is_what_is_planned), cmocka_unit_test(without_a_limit_nothing_is_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
