/* Compute threads. Meant to run under ThreadSanitizer too. */
#include "engine/base/workers.h"

#include "tests/support/fake_system.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

static struct workers *create(size_t threads) {
    struct workers *w = NULL;
    struct error e;
    assert_ok(workers_create(threads, &w, &e));
    assert_int_equal(workers_count(w), threads);
    return w;
}

/* Plain memory on purpose: a tile that ran twice, or whose writes the caller does not see, is then an error
 * here or a data race for the sanitizer. */
struct count {
    unsigned *tiles;
    size_t threads;
};

static void count_tile(void *context, size_t tile, size_t worker) {
    struct count *count = context;
    count->tiles[tile]++;
    if (worker >= count->threads) count->tiles[tile] += 1000;
}

static void check_each_tile_once(size_t threads, size_t tiles, size_t runs) {
    struct workers *w = create(threads);
    struct count count = {calloc(tiles + 1, sizeof(unsigned)), threads};
    assert_non_null(count.tiles);
    for (size_t run = 1; run <= runs; run++) {
        workers_run(w, count_tile, &count, tiles);
        for (size_t i = 0; i < tiles; i++) assert_int_equal(count.tiles[i], run);
    }
    assert_int_equal(count.tiles[tiles], 0);
    free(count.tiles);
    workers_destroy(w);
}

static void test_each_tile_once(void **state) {
    (void)state;
    static const size_t threads[] = {1, 2, 3, 7, 8, 9, 17, 64}, tiles[] = {0, 1, 2, 3, 7, 64, 1000};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++)
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++)
            check_each_tile_once(threads[i], tiles[j], 20);
}

/* Seen to change by each tile, also where the caller works alone. */
struct watched {
    const struct workers *workers;
    uint64_t before;
    size_t changes;
};

static void watch_tile(void *context, size_t tile, size_t worker) {
    struct watched *watched = context;
    uint64_t now = workers_progress(watched->workers);
    (void)tile;
    if (worker != 0) return;
    watched->changes += now != watched->before;
    watched->before = now;
}

static void test_progress(void **state) {
    (void)state;
    static const size_t threads[] = {1, 2, 3};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        struct workers *w = create(threads[i]);
        for (size_t tiles = 1; tiles < 5; tiles++)
            for (int run = 0; run < 50; run++) {
                struct watched watched = {.workers = w, .before = workers_progress(w)};
                uint64_t before = watched.before;
                workers_run(w, watch_tile, &watched, tiles);
                if (threads[i] == 1) assert_int_equal(watched.changes, tiles);
                assert_true(workers_progress(w) != before);
                assert_true(workers_progress(w) == workers_progress(w));
            }
        workers_destroy(w);
    }
}

static void add_tile(void *context, size_t tile, size_t worker) {
    (void)worker;
    ((size_t *)context)[tile]++;
}

/* No run may be lost and none may hang, whether workers spin or sleep: pauses let them fall asleep. */
static void test_many_runs_back_to_back(void **state) {
    (void)state;
    enum { RUNS = 1000000, TILES = 3 };
    struct workers *w = create(2);
    size_t sums[TILES] = {0};
    for (size_t run = 0; run < RUNS; run++) {
        workers_run(w, add_tile, sums, TILES);
        if (run % 20000 == 0) usleep(200);
    }
    for (size_t i = 0; i < TILES; i++) assert_int_equal(sums[i], RUNS);
    workers_destroy(w);
}

/* More threads than cores: nobody spins, every wake goes through the kernel. */
static void test_runs_with_more_threads_than_cores(void **state) {
    (void)state;
    enum { RUNS = 5000, TILES = 9 };
    struct workers *w = create(workers_default_count() + 3);
    size_t sums[TILES] = {0};
    for (size_t run = 0; run < RUNS; run++) workers_run(w, add_tile, sums, TILES);
    for (size_t i = 0; i < TILES; i++) assert_int_equal(sums[i], RUNS);
    workers_destroy(w);
}

struct job {
    size_t values[4];
    size_t add;
};

static void add_job(void *context, size_t tile, size_t worker) {
    (void)worker;
    struct job *job = context;
    job->values[tile] += job->add;
}

/* A job on the stack that is gone after its run: a late worker must not look at it. */
static size_t run_short_job(struct workers *w, size_t add) {
    struct job job = {.add = add};
    workers_run(w, add_job, &job, 4);
    size_t sum = job.values[0] + job.values[1] + job.values[2] + job.values[3];
    memset(&job, 0xff, sizeof job);
    return sum;
}

static void test_jobs_may_end_with_their_run(void **state) {
    (void)state;
    struct workers *w = create(3);
    for (size_t i = 0; i < 3000; i++) assert_int_equal(run_short_job(w, i), 4 * i);
    workers_destroy(w);
}

struct meeting {
    atomic_size_t arrived;
    size_t threads;
    unsigned char seen[4];
};

static void meet(void *context, size_t tile, size_t worker) {
    (void)tile;
    struct meeting *m = context;
    m->seen[worker] = 1;
    atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < m->threads) usleep(50);
}

/* As many tiles as threads, none of which ends before all have begun: each thread must take one. */
static void test_all_threads_work(void **state) {
    (void)state;
    struct workers *w = create(4);
    for (int i = 0; i < 50; i++) {
        struct meeting m = {.threads = 4};
        workers_run(w, meet, &m, 4);
        for (size_t t = 0; t < 4; t++) assert_int_equal(m.seen[t], 1);
        if (i % 10 == 0) usleep(1000);
    }
    workers_destroy(w);
}

/* More threads than cores by far; now few of them have a share, now all. */
static void test_many_threads_work_together(void **state) {
    (void)state;
    enum { THREADS = 19, RUNS = 300 };
    struct workers *w = create(THREADS);
    for (size_t tiles = 1; tiles < 3 * THREADS; tiles += 5) {
        size_t sums[3 * THREADS] = {0};
        for (size_t run = 0; run < RUNS; run++) workers_run(w, add_tile, sums, tiles);
        for (size_t i = 0; i < tiles; i++) assert_int_equal(sums[i], RUNS);
    }
    workers_destroy(w);
}

/* The caller does all, split as for many; and every run is seen to begin and to end, and each of its tiles. */
static void count_observed(void *context, size_t tiles, enum workers_event event) {
    size_t *seen = context;
    seen[event] += event == WORKERS_TILE_ENDS ? 1 : tiles;
}

/* Each share as the worker that it belongs to, in order. */
struct order {
    const struct workers *workers;
    size_t tiles, next;
};

static void check_order(void *context, size_t tile, size_t worker) {
    struct order *o = context;
    const struct workers_share share = workers_share(o->workers, o->tiles, worker);
    assert_int_equal(tile, o->next++);
    assert_true(tile >= share.first && tile < share.end);
}

static void test_a_pool_without_threads(void **state) {
    (void)state;
    enum { SHARES = 24, TILES = 100 };
    struct workers *w = NULL;
    struct error e;
    size_t seen[3] = {0}, sums[TILES] = {0};
    assert_ok(workers_create_alone(SHARES, &w, &e));
    assert_int_equal(workers_count(w), SHARES);
    assert_int_equal(workers_share(w, TILES, SHARES - 1).end, TILES);
    workers_observe(w, count_observed, seen);
    for (size_t tiles = 0; tiles <= TILES; tiles++) workers_run(w, add_tile, sums, tiles);
    for (size_t i = 0; i < TILES; i++) assert_int_equal(sums[i], TILES - i);
    for (size_t i = 0; i < 3; i++) assert_int_equal(seen[i], TILES * (TILES + 1) / 2);
    workers_observe(w, NULL, NULL);
    for (size_t tiles = 0; tiles <= TILES; tiles++) {
        struct order order = {.workers = w, .tiles = tiles};
        workers_run(w, check_order, &order, tiles);
        assert_int_equal(order.next, tiles);
    }
    assert_int_equal(seen[WORKERS_RUN_ENDS], TILES * (TILES + 1) / 2);
    workers_destroy(w);
    assert_int_equal(workers_create_alone(0, &w, &e), STATUS_INVALID_ARGUMENT);
}

/* Of CPUs that this machine does not have: threads that may not be there run anywhere. */
static void check_places(const char *root, enum pin_threads pin, size_t threads, size_t nodes) {
    struct workers *w = NULL;
    struct error e;
    size_t sums[150] = {0};
    assert_ok(workers_create_pinned(threads, pin, root, &w, &e));
    assert_int_equal(workers_count(w), threads);
    assert_int_equal(workers_nodes(w), nodes);
    for (size_t tiles = 0; tiles <= 150; tiles += 25) workers_run(w, add_tile, sums, tiles);
    for (size_t i = 0; i < 150; i++) assert_int_equal(sums[i], 6 - i / 25);
    for (size_t run = 0; run < 3; run++) workers_run_each(w, add_tile, sums);
    for (size_t i = 0; i < 150; i++) assert_int_equal(sums[i], 6 - i / 25 + (i < threads ? 3 : 0));
    workers_destroy(w);
}

/* Four nodes of eight cores of two threads. */
static void test_places_on_nodes(void **state) {
    (void)state;
    char *root = test_folder_create();
    fake_system_cpus(root, 4, 8, 2, "4096-4100");
    check_places(root, PIN_THREADS_ON, 5, 1); /* the system says nothing of their nodes */
    fake_system_cpus(root, 4, 8, 2, "0-63");
    for (size_t threads = 1; threads <= 65; threads++) {
        const size_t needed = threads > 32 ? 4 : (threads + 7) / 8;
        check_places(root, PIN_THREADS_OFF, threads, 1);
        check_places(root, PIN_THREADS_AUTO, threads, threads >= 32 && threads <= 64 ? 4 : 1);
        check_places(root, PIN_THREADS_ON, threads, threads <= 64 ? needed : 1);
    }
    test_folder_remove(root);
}

static void check_signals(void *context, size_t tile, size_t worker) {
    (void)tile;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (worker != 0 && !sigismember(&blocked, SIGTERM)) atomic_store((atomic_bool *)context, true);
    usleep(100);
}

static void test_signals_go_to_other_threads(void **state) {
    (void)state;
    struct workers *w = create(2);
    atomic_bool open = false;
    workers_run(w, check_signals, &open, 50);
    assert_false(open);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_false(sigismember(&blocked, SIGTERM));
    workers_destroy(w);
}

static void test_create_and_destroy(void **state) {
    (void)state;
    for (size_t i = 0; i < 200; i++) workers_destroy(create(1 + i % 4));
    workers_destroy(NULL);
}

static void test_bad_counts_are_refused(void **state) {
    (void)state;
    struct workers *w = NULL;
    struct error e;
    assert_int_equal(workers_create(0, &w, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(workers_create(WORKERS_THREADS_MAX + 1, &w, &e), STATUS_INVALID_ARGUMENT);
    assert_null(w);
    assert_string_equal(e.where, "threads");
}

static void test_default_count(void **state) {
    (void)state;
    size_t count = workers_default_count();
    assert_in_range(count, 1, WORKERS_THREADS_MAX);
    assert_true(count <= (size_t)sysconf(_SC_NPROCESSORS_CONF));
}

static void test_shares_are_all_tiles_in_order(void **state) {
    (void)state;
    static const size_t threads[] = {1, 2, 3, 8}, tiles[] = {0, 1, 2, 3, 7, 64, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        struct workers *w = create(threads[i]);
        for (size_t j = 0; j < sizeof tiles / sizeof tiles[0]; j++) {
            size_t end = 0;
            for (size_t worker = 0; worker < threads[i]; worker++) {
                struct workers_share share = workers_share(w, tiles[j], worker);
                assert_int_equal(share.first, end);
                assert_in_range(share.end, share.first, share.first + tiles[j] / threads[i] + 1);
                end = share.end;
            }
            assert_int_equal(end, tiles[j]);
        }
        workers_destroy(w);
    }
}

struct sharing {
    atomic_size_t done;
    size_t tiles;
};

/* The first tile waits for all the others: its worker's share is then taken by the rest, or the test never
 * ends. */
static void wait_in_first(void *context, size_t tile, size_t worker) {
    (void)worker;
    struct sharing *s = context;
    while (tile == 0 && atomic_load(&s->done) + 1 < s->tiles) usleep(50);
    atomic_fetch_add(&s->done, 1);
}

static void test_share_of_a_slow_worker_is_taken(void **state) {
    (void)state;
    struct workers *w = create(3);
    for (int i = 0; i < 20; i++) {
        struct sharing s = {.tiles = 100};
        workers_run(w, wait_in_first, &s, s.tiles);
        assert_int_equal(s.done, s.tiles);
    }
    workers_destroy(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_tile_once),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_many_runs_back_to_back),
        cmocka_unit_test(test_runs_with_more_threads_than_cores),
        cmocka_unit_test(test_jobs_may_end_with_their_run),
        cmocka_unit_test(test_all_threads_work),
        cmocka_unit_test(test_many_threads_work_together),
        cmocka_unit_test(test_a_pool_without_threads),
        cmocka_unit_test(test_places_on_nodes),
        cmocka_unit_test(test_shares_are_all_tiles_in_order),
        cmocka_unit_test(test_share_of_a_slow_worker_is_taken),
        cmocka_unit_test(test_signals_go_to_other_threads),
        cmocka_unit_test(test_create_and_destroy),
        cmocka_unit_test(test_bad_counts_are_refused),
        cmocka_unit_test(test_default_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
