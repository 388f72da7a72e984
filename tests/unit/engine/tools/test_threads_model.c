/* Many threads, simulated: bounds that hold whatever a cache line costs. */
#include "engine/tools/threads_model.h"

#include <math.h>

#include "tests/support/test_support.h"

static const struct threads_costs nothing, usual = {.line = 1e-7, .store = 1e-8, .load = 1e-8};

static void one_thread_takes_what_it_took(void **state) {
    (void)state;
    const struct threads_run run = {.tiles = 12, .seconds = 3e-3}, single = {.tiles = 1, .seconds = 2e-3};
    assert_true(fabs(threads_model_run(&usual, &run, 1) - 3e-3) < 1e-9);
    assert_true(fabs(threads_model_run(&usual, &single, 64) - 2e-3) < 1e-9);
}

/* Without a price of lines only whole tiles count. */
static void tiles_are_shared_out(void **state) {
    (void)state;
    static const size_t threads[] = {2, 3, 8, 9, 20, 64}, tiles[] = {2, 7, 64, 100, 1000};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        for (size_t k = 0; k < sizeof tiles / sizeof *tiles; k++) {
            const struct threads_run run = {.tiles = tiles[k], .seconds = 1e-3 * (double)tiles[k]};
            double rounds = (double)((tiles[k] + threads[i] - 1) / threads[i]);
            assert_true(fabs(threads_model_run(&nothing, &run, threads[i]) - 1e-3 * rounds) < 1e-9);
        }
}

/* Dear lines make it slower; more threads have more of them, but those of many are under way at once. */
static void lines_cost(void **state) {
    (void)state;
    double before = 0;
    for (size_t threads = 2; threads <= 64; threads *= 2) {
        const struct threads_run run = {.tiles = threads, .seconds = 1e-5 * (double)threads};
        double seconds = threads_model_run(&usual, &run, threads) - 1e-5;
        assert_true(seconds > before);
        assert_true(seconds < 6 * usual.line + (double)threads * (usual.store + 2 * usual.load));
        before = seconds;
    }
}

/* A run of few tiles costs what it would with as few threads. */
static void few_tiles_do_not_disturb_the_others(void **state) {
    (void)state;
    const struct threads_run run = {.tiles = 3, .seconds = 3e-5};
    assert_true(threads_model_run(&usual, &run, 64) == threads_model_run(&usual, &run, 3));
}

/* The largest tile is waited for; who has only small ones takes those of others. */
static void tiles_differ(void **state) {
    (void)state;
    static const double seconds[] = {4e-3, 1e-3, 1e-3, 1e-3};
    const struct threads_run run = {.tiles = 4, .seconds = 7e-3, .tile_seconds = seconds};
    assert_true(fabs(threads_model_run(&nothing, &run, 2) - 4e-3) < 1e-9);
    assert_true(fabs(threads_model_run(&nothing, &run, 4) - 4e-3) < 1e-9);
}

/* Who is told late has its tiles taken by others, and none is lost: never slower than one thread by more than the
 * lines. */
static void what_one_leaves_others_take(void **state) {
    (void)state;
    const struct threads_costs dear = {.line = 1e-3};
    const struct threads_run run = {.tiles = 64, .seconds = 64e-6};
    double seconds = threads_model_run(&dear, &run, 64);
    assert_true(seconds > 1e-3 && seconds < 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_takes_what_it_took),
        cmocka_unit_test(tiles_are_shared_out),
        cmocka_unit_test(lines_cost),
        cmocka_unit_test(few_tiles_do_not_disturb_the_others),
        cmocka_unit_test(tiles_differ),
        cmocka_unit_test(what_one_leaves_others_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
