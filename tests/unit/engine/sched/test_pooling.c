/* Embeddings: of the last token and the mean of all, in chunks, in company, after their pages were lost; and scores that
 * begin behind the start of a prompt. */
#include "scheduler_fixture.h"

static struct engine_prompt pooled(const int32_t *ids, size_t count, enum engine_pooling kind) {
    struct engine_prompt prompt = fake_prompt(ids, count, 0);
    prompt.pooling = kind;
    return prompt;
}

static void expect_embedding(const struct collected *c, const int32_t *ids, size_t count,
                             enum engine_pooling kind) {
    const struct engine_event *end = &c->choices[0].end;
    double row[FAKE_HIDDEN], sum[FAKE_HIDDEN] = {0};
    for (size_t i = kind == ENGINE_POOLING_MEAN ? 0 : count - 1; i < count; i++) {
        fake_hidden_of(ids, i, row);
        for (int k = 0; k < FAKE_HIDDEN; k++) sum[k] += row[k];
    }
    assert_int_equal(end->finish, ENGINE_FINISH_STOP);
    assert_int_equal(end->prompt_tokens, count);
    assert_int_equal(end->completion_tokens, 0);
    assert_non_null(end->embedding);
    for (int k = 0; k < FAKE_HIDDEN; k++)
        assert_true(end->embedding[k] == (float)(sum[k] / (kind == ENGINE_POOLING_MEAN ? (double)count : 1)));
}

static void embed(struct collected *c, const int32_t *ids, size_t count, enum engine_pooling kind) {
    const struct engine_prompt prompt = pooled(ids, count, kind);
    collect_start(scheduler, c, &prompt);
    collect_until_end(scheduler, c);
    expect_embedding(c, ids, count, kind);
}

static void alone_and_in_chunks(void **state) {
    (void)state;
    static struct collected c;
    static const size_t counts[] = {1, 2, 16, 17, 48, 49, 150, 200};
    for (int small = 0; small < 2; small++) {
        start(20, 200, small ? small_steps : NULL);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            for (enum engine_pooling kind = ENGINE_POOLING_LAST; kind <= ENGINE_POOLING_MEAN; kind++) {
                embed(&c, ids_of(counts[i], (unsigned)i), counts[i], kind);
                collect_release(&c);
            }
        struct engine_stats stats;
        scheduler_stats(scheduler, &stats);
        assert_int_equal(stats.embeddings, 2 * sizeof counts / sizeof *counts);
        assert_int_equal(stats.generated_tokens, 0);
        stop();
    }
}

/* The mean needs every row, the last token only its own. */
static void what_the_cache_has_serves_the_last_alone(void **state) {
    (void)state;
    static struct collected c;
    start(20, 200, NULL);
    const int32_t *ids = ids_of(100, 5);
    embed(&c, ids, 100, ENGINE_POOLING_MEAN);
    collect_release(&c);
    embed(&c, ids, 100, ENGINE_POOLING_LAST);
    assert_int_equal(c.choices[0].end.cached_tokens, 96);
    collect_release(&c);
    embed(&c, ids, 100, ENGINE_POOLING_MEAN);
    assert_int_equal(c.choices[0].end.cached_tokens, 0);
    collect_release(&c);
    assert_int_equal(model.rows, 100 + 4 + 100);
    stop();
}

static void one_prefill_row(struct scheduler_options *o) {
    small_steps(o);
    o->limits.mixed_prefill_rows = 1;
}

/* Beside readers, in a cache that is too small for all: sequences lose their pages and are computed again. */
static void in_company_that_takes_pages(void **state) {
    (void)state;
    enum { COUNT = 4, LONG = 120 };
    static struct collected all[2 * COUNT];
    start(13, 200, one_prefill_row);
    const int32_t *ids[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = ids_of(LONG, (unsigned)i);
        struct engine_prompt text = fake_prompt(ids[i], 20, 80),
                             one = pooled(ids[i], LONG, i % 2 ? ENGINE_POOLING_MEAN : ENGINE_POOLING_LAST);
        text.ignore_end = true;
        collect_start(scheduler, &all[2 * i], &text);
        collect_start(scheduler, &all[2 * i + 1], &one);
    }
    for (size_t i = 0; i < 2 * COUNT; i++) collect_until_end(scheduler, &all[i]);
    for (size_t i = 0; i < COUNT; i++) {
        expect_greedy(&all[2 * i].choices[0], ids[i], 20, 80);
        expect_embedding(&all[2 * i + 1], ids[i], LONG, i % 2 ? ENGINE_POOLING_MEAN : ENGINE_POOLING_LAST);
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_true(stats.preemptions > 0);
    for (size_t i = 0; i < 2 * COUNT; i++) collect_release(&all[i]);
    stop();
}

static void what_is_no_number_fails_alone(void **state) {
    (void)state;
    static struct collected bad, good;
    start(20, 200, NULL);
    int32_t *ids = ids_of(30, 1), *others = ids_of(30, 2);
    for (size_t i = 0; i < 30; i++) ids[i] = 1 + (int32_t)i % 20, others[i] = 1 + (int32_t)i % 19;
    model.nan_after = ids[19]; /* nowhere else in either */
    const struct engine_prompt prompts[] = {pooled(ids, 30, ENGINE_POOLING_MEAN),
                                            pooled(others, 30, ENGINE_POOLING_MEAN)};
    collect_start(scheduler, &bad, &prompts[0]);
    collect_start(scheduler, &good, &prompts[1]);
    collect_until_end(scheduler, &bad);
    collect_until_end(scheduler, &good);
    assert_int_equal(bad.choices[0].end.finish, ENGINE_FINISH_FAILED);
    assert_null(bad.choices[0].end.embedding);
    assert_string_equal(bad.choices[0].end.error->where, "hidden states");
    expect_embedding(&good, others, 30, ENGINE_POOLING_MEAN);
    collect_release(&bad);
    collect_release(&good);
    stop();
}

static void one_that_is_cancelled_has_none(void **state) {
    (void)state;
    static struct collected c;
    start(20, 200, small_steps);
    const struct engine_prompt prompt = pooled(ids_of(100, 3), 100, ENGINE_POOLING_MEAN);
    collect_start(scheduler, &c, &prompt);
    scheduler_turn(scheduler);
    scheduler_cancel(c.request);
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_CANCELLED);
    assert_null(c.choices[0].end.embedding);
    assert_true(model.rows < 100);
    collect_release(&c);
    stop();
}

static void expect_refusal(struct engine_prompt prompt, const char *where) {
    struct engine_request *request;
    struct error e;
    assert_int_equal(scheduler_submit(scheduler, &prompt, 1, &request, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, where);
}

static void an_embedding_is_nothing_else(void **state) {
    (void)state;
    start(20, 200, NULL);
    int32_t *ids = ids_of(201, 3);
    struct engine_prompt prompt = pooled(ids, 20, ENGINE_POOLING_LAST);
    prompt.choices = 2;
    expect_refusal(prompt, "pooling");
    prompt.choices = 1, prompt.max_tokens = 1;
    expect_refusal(prompt, "pooling");
    prompt.max_tokens = 0, prompt.prompt_logprobs = true;
    expect_refusal(prompt, "pooling");
    prompt.pooling = ENGINE_POOLING_NONE, prompt.prompt_logprobs_from = 20;
    expect_refusal(prompt, "prompt_logprobs");
    expect_refusal(pooled(ids, 201, ENGINE_POOLING_MEAN), "context");
    expect_refusal(pooled(ids, 0, ENGINE_POOLING_MEAN), "prompt");
    stop();
}

/* The values are those of a prompt that is scored from its start; what comes before may come from the cache. */
static void scores_from_a_token_on(void **state) {
    (void)state;
    static struct collected whole, rest;
    start(20, 200, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(100, 5), 100, 0);
    prompt.prompt_logprobs = true;
    collect_start(scheduler, &whole, &prompt);
    collect_until_end(scheduler, &whole);
    const uint64_t rows = model.rows;
    for (size_t from = 1; from < 100; from += 14) {
        prompt.prompt_logprobs_from = from;
        memset(&rest, 0, sizeof rest);
        rest.prompt_count = from > 1; /* the collector takes the first for one without a value */
        struct error e;
        prompt.user = &rest;
        assert_ok(scheduler_submit(scheduler, &prompt, 1, &rest.request, &e));
        collect_until_end(scheduler, &rest);
        const size_t skipped = from > 1 ? from - 1 : 0;
        assert_int_equal(rest.prompt_count, 100 - skipped);
        assert_memory_equal(rest.prompt_logprobs + 1, whole.prompt_logprobs + skipped + 1,
                            (99 - skipped) * sizeof(float));
        assert_int_equal(rest.choices[0].end.cached_tokens, skipped / 16 * 16);
        collect_release(&rest);
    }
    assert_true(model.rows - rows < 99 * 8);
    collect_release(&whole);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_and_in_chunks),
        cmocka_unit_test(what_the_cache_has_serves_the_last_alone),
        cmocka_unit_test(in_company_that_takes_pages),
        cmocka_unit_test(what_is_no_number_fails_alone),
        cmocka_unit_test(one_that_is_cancelled_has_none),
        cmocka_unit_test(an_embedding_is_nothing_else),
        cmocka_unit_test(scores_from_a_token_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
