#include "tests/support/test_support.h"

#include "engine/sched/batch.h"

static const struct batch_limits limits = {
    .rows = 64, .logit_rows = 20, .sequences = 16, .mixed_prefill_rows = 8};

static struct batch_sequence decode(size_t held) {
    return (struct batch_sequence){.decoding = true, .pending = 1, .room = 4, .held = held};
}

static struct batch_sequence prefill(size_t pending) {
    return (struct batch_sequence){.pending = pending, .plain = pending - 1, .room = 4, .held = 1};
}

/* A prompt each of whose rows is scored. */
static struct batch_sequence scoring(size_t pending, size_t room) {
    return (struct batch_sequence){.pending = pending, .room = room, .held = 1};
}

static void expect_rows(const struct batch_sequence *sequences, size_t count, const size_t *rows,
                        const size_t *logit_rows) {
    struct batch_share shares[16];
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += rows[i];
    assert_int_equal(batch_share_rows(&limits, sequences, count, shares), total);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(shares[i].rows, rows[i]);
        assert_int_equal(shares[i].logit_rows, logit_rows[i]);
    }
}

static void prompts_fill_a_step_in_order(void **state) {
    (void)state;
    const struct batch_sequence s[] = {prefill(40), prefill(100), prefill(5)};
    expect_rows(s, 3, (size_t[]){40, 24, 0}, (size_t[]){1, 0, 0});
}

static void decode_comes_before_prefill_of_lower_rank(void **state) {
    (void)state;
    const struct batch_sequence s[] = {prefill(100), decode(1), prefill(3), decode(1)};
    expect_rows(s, 4, (size_t[]){8, 1, 0, 1}, (size_t[]){0, 1, 0, 1});
}

static void prefill_beside_decode_is_bounded(void **state) {
    (void)state;
    assert_int_equal(batch_prefill_rows(&limits, 0), 64);
    assert_int_equal(batch_prefill_rows(&limits, 1), 8);
    assert_int_equal(batch_prefill_rows(&limits, 12), 8);
    assert_int_equal(batch_prefill_rows(&limits, 60), 4);
}

/* 64 rows; more readers get their next token than wait for it. */
static void a_burst_of_short_prompts_is_taken_whole(void **state) {
    (void)state;
    const struct batch_sequence burst[] = {decode(1), prefill(10), prefill(20), prefill(30)};
    assert_int_equal(batch_burst_rows(&limits, burst, 4), 60);
    assert_int_equal(batch_burst_rows(&limits, burst, 3), 30);
    assert_int_equal(batch_burst_rows(&limits, burst, 2), 0); /* one for one */
    /* What does not fit into the step is left for the next, and with it all that follows. */
    const struct batch_sequence over[] = {decode(1), prefill(30), prefill(30), prefill(5), prefill(1)};
    assert_int_equal(batch_burst_rows(&limits, over, 5), 60);
    const struct batch_sequence behind[] = {prefill(100), decode(1), prefill(5), prefill(5)};
    assert_int_equal(batch_burst_rows(&limits, behind, 4), 0);
    const struct batch_sequence exact[] = {decode(1), prefill(60), prefill(3)};
    assert_int_equal(batch_burst_rows(&limits, exact, 3), 63);
}

static void a_burst_counts_only_prompts_that_it_finishes(void **state) {
    (void)state;
    struct batch_sequence s[] = {decode(1), prefill(10), prefill(10), scoring(10, 9), decode(1)};
    assert_int_equal(batch_burst_rows(&limits, s, 4), 20);
    assert_int_equal(batch_burst_rows(&limits, s, 5), 0);
    s[1].needs_page = true;
    assert_int_equal(batch_burst_rows(&limits, s, 4), 0);
    s[1].needs_page = false, s[2].plain = s[2].room = 0;
    assert_int_equal(batch_burst_rows(&limits, s, 4), 0);
}

/* 20 rows with logits, of which those that decode have theirs. */
static void a_burst_ends_where_logits_do(void **state) {
    (void)state;
    const struct batch_sequence one[] = {decode(1), scoring(10, 10), scoring(10, 10), scoring(10, 10)};
    assert_int_equal(batch_burst_rows(&limits, one, 4), 0); /* 10 and 9: one for one */
    const struct batch_sequence two[] = {scoring(10, 10), scoring(9, 10), decode(1), scoring(10, 10)};
    assert_int_equal(batch_burst_rows(&limits, two, 4), 19);
}

static void a_burst_is_small_however_large_the_step(void **state) {
    (void)state;
    const struct batch_limits large = {.rows = 4096, .logit_rows = 64, .sequences = 64};
    struct batch_sequence s[40] = {decode(1)};
    for (size_t i = 1; i < 40; i++) s[i] = prefill(32);
    assert_int_equal(batch_burst_rows(&large, s, 40), BATCH_BURST_ROWS_MAX);
    for (size_t i = 1; i < 40; i++) s[i] = prefill(500);
    assert_int_equal(batch_burst_rows(&large, s, 40), 0);
}

static void scoring_is_bounded_by_logit_rows_and_room(void **state) {
    (void)state;
    const struct batch_sequence a[] = {scoring(50, 100)};
    expect_rows(a, 1, (size_t[]){20}, (size_t[]){20});
    const struct batch_sequence b[] = {scoring(50, 6), scoring(50, 100), prefill(9)};
    expect_rows(b, 3, (size_t[]){6, 14, 8}, (size_t[]){6, 14, 0});
}

static void no_room_means_no_row_with_logits(void **state) {
    (void)state;
    struct batch_sequence full = decode(1), begun = prefill(9);
    full.room = begun.room = 0;
    assert_false(batch_can_run(&full));
    assert_true(batch_can_run(&begun));
    const struct batch_sequence s[] = {full, begun};
    expect_rows(s, 2, (size_t[]){0, 8}, (size_t[]){0, 0});
}

static void no_page_means_no_row(void **state) {
    (void)state;
    struct batch_sequence s = decode(1);
    s.needs_page = true;
    expect_rows(&s, 1, (size_t[]){0}, (size_t[]){0});
}

static void the_last_in_rank_gives_its_pages(void **state) {
    (void)state;
    struct batch_sequence s[] = {decode(3), decode(2), decode(2), prefill(4)};
    bool victims[4];
    s[0].needs_page = s[1].needs_page = true;
    assert_int_equal(batch_preempt(s, 4, 2, victims), 0);
    assert_int_equal(batch_preempt(s, 4, 1, victims), 1);
    assert_true(victims[3]);
    s[2].needs_page = true;
    assert_int_equal(batch_preempt(s, 4, 0, victims), 2);
    assert_true(victims[3] && victims[2] && !victims[1]);
}

static void one_that_cannot_run_goes_first(void **state) {
    (void)state;
    struct batch_sequence s[] = {decode(3), decode(2), decode(2)};
    bool victims[3];
    s[1].room = 0;
    s[0].needs_page = true;
    assert_int_equal(batch_preempt(s, 3, 0, victims), 1);
    assert_true(victims[1]);
    s[0].room = 0, s[0].needs_page = false, s[1].room = 4, s[1].needs_page = true;
    assert_int_equal(batch_preempt(s, 3, 0, victims), 1);
    assert_true(victims[0]);
}

static void the_first_that_can_run_is_no_victim(void **state) {
    (void)state;
    struct batch_sequence s[] = {decode(3), decode(0)};
    bool victims[2];
    s[0].needs_page = true;
    assert_int_equal(batch_preempt(s, 1, 0, victims), 0);
    assert_int_equal(batch_preempt(s, 2, 0, victims),
                     1); /* holds none for itself, but what it shares may come free */
    assert_false(victims[0]);
}

/* It waits in the place that its rank gave it: it is a victim like those that run, and gets no row. */
static void one_that_joins_keeps_its_place_by_rank(void **state) {
    (void)state;
    struct batch_sequence s[] = {decode(1), {.joining = true, .held = 1}, decode(1), decode(1)};
    bool victims[4];
    s[0].needs_page = true;
    assert_int_equal(batch_pages_needed(s, 4), 1);
    assert_int_equal(batch_preempt(s, 4, 0, victims), 1);
    assert_memory_equal(victims, ((bool[]){false, false, false, true}), sizeof victims);
    assert_int_equal(batch_preempt(s, 2, 0, victims), 1);
    assert_true(victims[1]);
    expect_rows(s, 4, (size_t[]){0, 0, 1, 1}, (size_t[]){0, 0, 1, 1});
}

static void admission_leaves_a_page_for_each_that_runs(void **state) {
    (void)state;
    assert_true(batch_admits(&limits, 0, 5, 5));
    assert_false(batch_admits(&limits, 0, 4, 5));
    assert_false(batch_admits(&limits, 3, 7, 5));
    assert_true(batch_admits(&limits, 3, 8, 5));
    assert_false(batch_admits(&limits, 16, 1000, 1));
}

/* Random states: no budget is exceeded, no row is planned that cannot be, whoever decodes and can run gets
 * its row, and where anyone can run, someone does. */
static void random_plans_keep_the_rules(void **state) {
    (void)state;
    srand(4);
    for (int round = 0; round < 100000; round++) {
        struct batch_sequence s[16];
        struct batch_share shares[16];
        size_t count = 1 + (size_t)rand() % 16, total = 0, logit_rows = 0, decode_rows = 0, could = 0;
        for (size_t i = 0; i < count; i++) {
            size_t pending = 1 + (size_t)rand() % 90;
            int kind = rand() % 3;
            s[i] = kind == 0 ? decode(1) : kind == 1 ? prefill(pending) : scoring(pending, 3);
            s[i].room = (size_t)rand() % 5;
            could += batch_can_run(&s[i]);
        }
        size_t sum = batch_share_rows(&limits, s, count, shares);
        for (size_t i = 0; i < count; i++) {
            total += shares[i].rows;
            logit_rows += shares[i].logit_rows;
            decode_rows += s[i].decoding ? shares[i].rows : 0;
            assert_true(shares[i].rows <= s[i].pending && shares[i].logit_rows <= s[i].room);
            size_t with_logits = shares[i].rows > s[i].plain ? shares[i].rows - s[i].plain : 0;
            assert_int_equal(shares[i].logit_rows, with_logits);
            if (s[i].decoding && batch_can_run(&s[i])) assert_int_equal(shares[i].rows, 1);
        }
        assert_int_equal(sum, total);
        assert_int_equal(batch_decode_rows(s, count), decode_rows);
        assert_true(total <= limits.rows && logit_rows <= limits.logit_rows);
        if (decode_rows > 0) assert_true(total - decode_rows <= 8);
        if (could > 0) assert_true(total > 0);
    }
}

/* Random states: a step that has the rows of a burst finishes more prompts than sequences that it keeps
 * waiting, with all of those rows. */
static void random_bursts_finish_what_they_promise(void **state) {
    (void)state;
    srand(5);
    size_t bursts = 0;
    for (int round = 0; round < 100000; round++) {
        struct batch_sequence s[16];
        struct batch_share shares[16];
        size_t count = 2 + (size_t)rand() % 15, finished = 0;
        for (size_t i = 0; i < count; i++) {
            size_t pending = 1 + (size_t)rand() % 20;
            int kind = rand() % 5;
            s[i] = kind == 0   ? decode(1)
                   : kind == 1 ? scoring(pending, (size_t)rand() % 20)
                               : prefill(pending);
            s[i].needs_page = rand() % 20 == 0;
        }
        struct batch_limits with_burst = limits;
        with_burst.mixed_prefill_rows = batch_burst_rows(&limits, s, count);
        size_t decode_rows = batch_decode_rows(s, count);
        if (with_burst.mixed_prefill_rows == 0 || decode_rows == 0) continue;
        bursts++;
        size_t total = batch_share_rows(&with_burst, s, count, shares);
        assert_int_equal(total, decode_rows + with_burst.mixed_prefill_rows);
        for (size_t i = 0; i < count; i++) finished += !s[i].decoding && shares[i].rows == s[i].pending;
        assert_true(finished > decode_rows);
    }
    assert_true(bursts > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_fill_a_step_in_order),
        cmocka_unit_test(decode_comes_before_prefill_of_lower_rank),
        cmocka_unit_test(prefill_beside_decode_is_bounded),
        cmocka_unit_test(a_burst_of_short_prompts_is_taken_whole),
        cmocka_unit_test(a_burst_counts_only_prompts_that_it_finishes),
        cmocka_unit_test(a_burst_ends_where_logits_do),
        cmocka_unit_test(a_burst_is_small_however_large_the_step),
        cmocka_unit_test(scoring_is_bounded_by_logit_rows_and_room),
        cmocka_unit_test(no_room_means_no_row_with_logits),
        cmocka_unit_test(no_page_means_no_row),
        cmocka_unit_test(the_last_in_rank_gives_its_pages),
        cmocka_unit_test(one_that_cannot_run_goes_first),
        cmocka_unit_test(the_first_that_can_run_is_no_victim),
        cmocka_unit_test(one_that_joins_keeps_its_place_by_rank),
        cmocka_unit_test(admission_leaves_a_page_for_each_that_runs),
        cmocka_unit_test(random_plans_keep_the_rules),
        cmocka_unit_test(random_bursts_finish_what_they_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
