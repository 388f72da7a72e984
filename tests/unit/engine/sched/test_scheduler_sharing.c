/* Pages that several sequences have in common: beginnings that are known, and the prompt of several choices. */
#include "scheduler_fixture.h"

/* Keys with other rotary frequencies are other keys: only sequences of the same share their pages. */
static void a_beginning_with_other_frequencies_is_another(void **state) {
    (void)state;
    start(40, 200, NULL);
    model.short_context = 110;
    static const uint32_t max_tokens[] = {10, 11, 10, 12}, cached[] = {0, 0, 96, 96};
    int32_t *ids = ids_of(100, 5);
    for (size_t i = 0; i < 4; i++) {
        static struct collected c;
        struct engine_prompt prompt = fake_prompt(ids, 100, max_tokens[i]);
        prompt.ignore_end = true;
        collect_start(scheduler, &c, &prompt);
        collect_until_end(scheduler, &c);
        assert_int_equal(c.choices[0].end.cached_tokens, cached[i]);
        collect_release(&c);
    }
    stop();
}

/* The second of the same prompt takes the pages of the first, and says the same. */
static void a_known_beginning_is_not_computed_again(void **state) {
    (void)state;
    start(20, 200, NULL);
    static struct collected first, again, scored;
    int32_t *ids = ids_of(100, 5);
    struct engine_prompt prompt = fake_prompt(ids, 100, 30);
    prompt.ignore_end = true;
    collect_start(scheduler, &first, &prompt);
    collect_until_end(scheduler, &first);
    assert_int_equal(first.choices[0].end.cached_tokens, 0);
    uint64_t rows = model.rows;
    collect_start(scheduler, &again, &prompt);
    collect_until_end(scheduler, &again);
    assert_int_equal(again.choices[0].end.cached_tokens, 96); /* whole pages of 16 */
    assert_int_equal(model.rows - rows, 4 + 29);
    assert_memory_equal(first.choices[0].ids, again.choices[0].ids, 30 * sizeof *ids);
    expect_greedy(&again.choices[0], ids, 100, 30);
    /* What it said is known too: a prompt that goes on from there. */
    memcpy(ids + 100, first.choices[0].ids, 30 * sizeof *ids);
    prompt.count = 128, prompt.max_tokens = 1;
    collect_release(&again);
    collect_start(scheduler, &again, &prompt);
    collect_until_end(scheduler, &again);
    assert_int_equal(again.choices[0].end.cached_tokens, 112); /* the last row is always computed */
    prompt.prompt_logprobs = true;
    collect_start(scheduler, &scored, &prompt);
    collect_until_end(scheduler, &scored);
    assert_int_equal(scored.choices[0].end.cached_tokens, 0);
    assert_int_equal(scored.prompt_count, 128);
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.prefix_queries_tokens, 100 + 100 + 128);
    assert_int_equal(stats.prefix_hit_tokens, 96 + 112);
    assert_int_equal(stats.prompt_tokens, 100 + 100 + 128 + 128);
    assert_int_equal(stats.prompt_tokens_computed, 100 + 4 + 16 + 128);
    collect_release(&first);
    collect_release(&again);
    collect_release(&scored);
    stop();
}

static void no_prefix_index(struct scheduler_options *o) {
    o->pool->prefix = NULL;
}

static void without_an_index_everything_is_computed(void **state) {
    (void)state;
    static struct collected c;
    start(20, 200, no_prefix_index);
    int32_t *ids = ids_of(100, 5);
    struct engine_prompt prompt = fake_prompt(ids, 100, 10);
    prompt.ignore_end = true;
    for (uint64_t round = 1; round <= 2; round++) {
        collect_start(scheduler, &c, &prompt);
        collect_until_end(scheduler, &c);
        assert_int_equal(c.choices[0].end.cached_tokens, 0);
        assert_int_equal(model.rows, round * 109);
        expect_greedy(&c.choices[0], ids, 100, 10);
        collect_release(&c);
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.prefix_queries_tokens, 0);
    stop();
}

/* Choices of a prompt compute it once, share its whole pages, and go their own ways from there. */
static void choices_share_their_prompt(void **state) {
    (void)state;
    static struct collected alone, together;
    int32_t *ids = ids_of(40, 6);
    struct engine_prompt prompt = fake_prompt(ids, 40, 20);
    prompt.ignore_end = true, prompt.logprobs = 3, prompt.choices = 4;
    prompt.sampling.temperature = 1, prompt.sampling.has_seed = true, prompt.sampling.seed = 3;
    start(20, 100, one_place); /* one after the other: nothing to fork */
    collect_start(scheduler, &alone, &prompt);
    collect_until_end(scheduler, &alone);
    collect_release(&alone);
    stop();
    start(20, 100, NULL);
    collect_start(scheduler, &together, &prompt);
    scheduler_turn(scheduler);
    assert_int_equal(model.rows, 40);
    assert_int_equal(model.pool.page_count - kv_pool_available(&model.pool),
                     2 + 4); /* 2 shared, 4 of 8 tokens */
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.running, 4);
    assert_int_equal(stats.generated_tokens, 4);
    collect_until_end(scheduler, &together);
    assert_int_equal(model.rows, 40 + 4 * 19);
    for (int k = 0; k < 4; k++) {
        assert_memory_equal(alone.choices[k].ids, together.choices[k].ids, 20 * sizeof *ids);
        assert_memory_equal(alone.choices[k].logprobs, together.choices[k].logprobs, 20 * sizeof(float));
        assert_int_equal(together.choices[k].end.cached_tokens, 0);
    }
    assert_memory_not_equal(together.choices[0].ids, together.choices[3].ids, 20 * sizeof *ids);
    collect_release(&together);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beginning_with_other_frequencies_is_another),
        cmocka_unit_test(a_known_beginning_is_not_computed_again),
        cmocka_unit_test(without_an_index_everything_is_computed),
        cmocka_unit_test(choices_share_their_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
