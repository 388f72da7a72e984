/* One turn after the other, without a thread: what happens to requests, over a model whose every answer is
 * known. */
#include "scheduler_fixture.h"

#include "engine/base/clock.h"

static void one_place(struct scheduler_options *o) {
    o->limits.sequences = 1;
}

/* Greedy ids from the definition of the model. */
static void expect_greedy(const struct collected_choice *choice, const int32_t *prompt, size_t count) {
    int32_t tokens[2 * COLLECTED_MAX];
    memcpy(tokens, prompt, count * sizeof *tokens);
    for (size_t i = 0; i < choice->count; i++) {
        tokens[count + i] = fake_next(tokens, count + i);
        assert_int_equal(choice->ids[i], tokens[count + i]);
    }
}

static void greedy_text_is_the_models(void **state) {
    (void)state;
    start(8, 100, NULL);
    static struct collected c;
    for (size_t count = 1; count < 90; count += 11) {
        int32_t *ids = ids_of(count, (unsigned)count);
        struct engine_prompt prompt = fake_prompt(ids, count, 10);
        prompt.ignore_end = true;
        collect_start(scheduler, &c, &prompt);
        collect_until_end(scheduler, &c);
        assert_int_equal(c.choices[0].count, 10);
        assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_LENGTH);
        assert_int_equal(c.choices[0].end.prompt_tokens, count);
        assert_int_equal(c.choices[0].end.completion_tokens, 10);
        expect_greedy(&c.choices[0], ids, count);
        collect_release(&c);
    }
    stop();
}

/* 12 pages for up to 8 sequences that want 5 each: pages run out, somebody is thrown out, and no text shows
 * it. */
static void preempted_sequences_say_the_same(void **state) {
    (void)state;
    start(12, 90, NULL);
    static struct collected c[20];
    int32_t *prompts[20];
    static int32_t all[20][40];
    for (size_t i = 0; i < 20; i++) {
        memcpy(all[i], ids_of(40, (unsigned)i), sizeof all[i]);
        prompts[i] = all[i];
        struct engine_prompt prompt = fake_prompt(prompts[i], 1 + 2 * i, 45);
        prompt.ignore_end = true;
        collect_start(scheduler, &c[i], &prompt);
    }
    for (size_t i = 0; i < 20; i++) {
        collect_until_end(scheduler, &c[i]);
        assert_int_equal(c[i].choices[0].count, 45);
        expect_greedy(&c[i].choices[0], prompts[i], 1 + 2 * i);
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_true(stats.preemptions > 0);
    assert_int_equal(stats.finished_length, 20);
    assert_int_equal(stats.generated_tokens, 20 * 45);
    for (size_t i = 0; i < 20; i++) collect_release(&c[i]);
    stop();
}

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
    expect_greedy(&again.choices[0], ids, 100);
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
    collect_release(&first);
    collect_release(&again);
    collect_release(&scored);
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

static int32_t nth_greedy(const int32_t *prompt, size_t count, size_t n) {
    int32_t tokens[COLLECTED_MAX];
    memcpy(tokens, prompt, count * sizeof *tokens);
    for (size_t i = 0; i <= n; i++) tokens[count + i] = fake_next(tokens, count + i);
    return tokens[count + n];
}

static void stop_tokens_end_it_once_min_tokens_are_there(void **state) {
    (void)state;
    start(8, 100, NULL);
    static struct collected c;
    int32_t *ids = ids_of(5, 3);
    int32_t stops[] = {nth_greedy(ids, 5, 3), -5, 1000000};
    struct engine_prompt prompt = fake_prompt(ids, 5, 20);
    prompt.ignore_end = true, prompt.stop_tokens = stops, prompt.stop_token_count = 3;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_STOP);
    assert_int_equal(c.choices[0].end.stop_token, stops[0]);
    assert_int_equal(c.choices[0].end.stop_string, -1);
    assert_true(c.choices[0].count <= 4);
    assert_int_equal(c.choices[0].ids[c.choices[0].count - 1], stops[0]); /* the token itself is reported */
    collect_release(&c);
    prompt.min_tokens = 12;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_true(c.choices[0].count > 12 || c.choices[0].end.finish == ENGINE_FINISH_LENGTH);
    for (size_t i = 0; i < 12; i++) assert_int_not_equal(c.choices[0].ids[i], stops[0]);
    collect_release(&c);
    stop();
}

static void end_token_of_the_model_ends_it(void **state) {
    (void)state;
    start(8, 100, NULL);
    static struct collected c;
    int32_t id = 9;
    const struct engine_bias bias = {0, 1000};
    struct engine_prompt prompt = fake_prompt(&id, 1, 20);
    prompt.sampling.biases = &bias, prompt.sampling.bias_count = 1;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].count, 1);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_STOP);
    assert_int_equal(c.choices[0].end.stop_token, 0);
    collect_release(&c);
    prompt.ignore_end = true;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].count, 20);
    collect_release(&c);
    stop();
}

/* Sampled ids and log probabilities, alone and in company. */
static void seeded_text_does_not_depend_on_company(void **state) {
    (void)state;
    static struct collected alone[8], together[8];
    for (int company = 0; company < 2; company++) {
        struct collected *c = company ? together : alone;
        start(20, 100, NULL);
        for (int i = 0; i < 8; i++) {
            struct engine_prompt prompt = fake_prompt(ids_of(20, 7), 10 + (size_t)i, 30);
            prompt.ignore_end = true, prompt.choices = 3, prompt.logprobs = 2;
            prompt.sampling.temperature = 1.3, prompt.sampling.top_p = i % 2 ? 0.8 : 1;
            prompt.sampling.frequency_penalty = i % 3 ? 0.5 : 0;
            prompt.sampling.has_seed = true, prompt.sampling.seed = i;
            collect_start(scheduler, &c[i], &prompt);
            if (!company) collect_until_end(scheduler, &c[i]);
        }
        for (int i = 0; i < 8; i++) {
            collect_until_end(scheduler, &c[i]);
            collect_release(&c[i]);
        }
        stop();
    }
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 3; k++) {
            assert_int_equal(alone[i].choices[k].count, 30);
            assert_memory_equal(alone[i].choices[k].ids, together[i].choices[k].ids, 30 * sizeof(int32_t));
            assert_memory_equal(alone[i].choices[k].logprobs, together[i].choices[k].logprobs,
                                30 * sizeof(float));
            assert_int_equal(alone[i].choices[k].end.seed, i);
        }
    assert_memory_not_equal(alone[0].choices[0].ids, alone[0].choices[1].ids, 30 * sizeof(int32_t));
}

static void a_drawn_seed_is_reported_and_repeats(void **state) {
    (void)state;
    static struct collected first, second;
    start(8, 100, NULL);
    int32_t id = 5;
    struct engine_prompt prompt = fake_prompt(&id, 1, 30);
    prompt.sampling.temperature = 1, prompt.ignore_end = true;
    collect_start(scheduler, &first, &prompt);
    collect_until_end(scheduler, &first);
    prompt.sampling.has_seed = true, prompt.sampling.seed = first.choices[0].end.seed;
    collect_start(scheduler, &second, &prompt);
    collect_until_end(scheduler, &second);
    assert_memory_equal(first.choices[0].ids, second.choices[0].ids, 30 * sizeof(int32_t));
    collect_release(&first);
    collect_release(&second);
    stop();
}

static void logprobs_come_best_first_with_the_tokens_own(void **state) {
    (void)state;
    start(8, 100, NULL);
    static struct collected c;
    struct engine_event event;
    struct engine_prompt prompt = fake_prompt(ids_of(5, 2), 5, 6);
    prompt.logprobs = 5, prompt.ignore_end = true;
    collect_start(scheduler, &c, &prompt);
    for (int i = 0; i < 10; i++) scheduler_turn(scheduler);
    for (int i = 0; i < 6; i++) {
        assert_true(scheduler_next_event(c.request, &event));
        assert_int_equal(event.top_count, 5);
        assert_int_equal(event.top[0].id, event.id); /* greedy */
        assert_memory_equal(&event.top[0].logprob, &event.logprob, sizeof(float));
        for (int k = 1; k < 5; k++) {
            assert_true(event.top[k].logprob <= event.top[k - 1].logprob && event.top[k].logprob < 0);
            assert_true(event.top[k].id < FAKE_VOCABULARY);
        }
    }
    assert_true(scheduler_next_event(c.request, &event));
    assert_int_equal(event.kind, ENGINE_EVENT_FINISHED);
    collect_release(&c);
    stop();
}

static void small_steps(struct scheduler_options *o) {
    o->limits.rows = 8;
    o->limits.sequences = 4;
    o->limits.logit_rows = 5;
    o->limits.mixed_prefill_rows = 3;
    o->rules.max_pending_events = 3;
}

/* Scores of a prompt: the same in one chunk and in small ones, with others beside and pages short; one event
 * a token. */
static void prompt_scores_do_not_depend_on_chunks(void **state) {
    (void)state;
    static struct collected plain, chunked, other[3];
    for (uint32_t max_tokens = 0; max_tokens <= 4; max_tokens += 4) {
        struct engine_prompt prompt = fake_prompt(ids_of(70, 8), 70, max_tokens);
        prompt.prompt_logprobs = true, prompt.logprobs = 1, prompt.ignore_end = true;
        start(8, 100, NULL);
        collect_start(scheduler, &plain, &prompt);
        collect_until_end(scheduler, &plain);
        collect_release(&plain);
        stop();
        start(7, 100, small_steps);
        for (int i = 0; i < 3; i++) {
            struct engine_prompt noise = fake_prompt(ids_of(30, (unsigned)i), 30, 40);
            collect_start(scheduler, &other[i], &noise);
        }
        collect_start(scheduler, &chunked, &prompt);
        collect_until_end(scheduler, &chunked);
        for (int i = 0; i < 3; i++) collect_until_end(scheduler, &other[i]);
        for (int i = 0; i < 3; i++) collect_release(&other[i]);
        collect_release(&chunked);
        stop();
        assert_int_equal(plain.prompt_count, 70);
        assert_int_equal(chunked.prompt_count, 70);
        assert_memory_equal(plain.prompt_ids, prompt.ids, 70 * sizeof(int32_t));
        assert_memory_equal(plain.prompt_ids, chunked.prompt_ids, 70 * sizeof(int32_t));
        assert_memory_equal(plain.prompt_logprobs + 1, chunked.prompt_logprobs + 1, 69 * sizeof(float));
        assert_int_equal(plain.choices[0].count, max_tokens);
        assert_memory_equal(plain.choices[0].ids, chunked.choices[0].ids, max_tokens * sizeof(int32_t));
        assert_int_equal(chunked.choices[0].end.finish, ENGINE_FINISH_LENGTH);
    }
}

static void nothing_to_compute_ends_at_once(void **state) {
    (void)state;
    static struct collected c;
    start(8, 100, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(100, 1), 100, 0);
    prompt.choices = 3;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_int_equal(model.steps, 0);
    collect_release(&c);
    prompt.count = 1, prompt.prompt_logprobs = true;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_int_equal(c.prompt_count, 1);
    assert_int_equal(model.steps, 0);
    collect_release(&c);
    stop();
}

static void the_context_ends_a_sequence(void **state) {
    (void)state;
    static struct collected c;
    start(7, 100, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(99, 1), 99, UINT32_MAX);
    prompt.ignore_end = true;
    collect_start(scheduler, &c, &prompt);
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].count, 1);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_LENGTH);
    collect_release(&c);
    stop();
}

static void refuse(const struct engine_prompt *prompt, const char *where, const char *text) {
    struct engine_request *request;
    struct error e;
    assert_int_equal(scheduler_submit(scheduler, prompt, 1, &request, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, where);
    assert_non_null(strstr(e.text, text));
}

static void what_can_never_run_is_refused(void **state) {
    (void)state;
    start(8, 100, NULL);
    struct engine_prompt good = fake_prompt(ids_of(101, 1), 50, 12), p = good;
    p.count = 100;
    refuse(&p, "context",
           "This model's maximum context length is 100 tokens, however you requested 112 tokens (100 in your "
           "prompt; 12 "
           "for the completion).");
    p.count = 101, p.max_tokens = 0;
    refuse(&p, "context", "maximum context length is 100 tokens");
    p = good, p.count = 0;
    refuse(&p, "prompt", "at least one");
    int32_t bad = FAKE_ROWS;
    p = good, p.ids = &bad, p.count = 1;
    refuse(&p, "prompt", "64 is not in");
    bad = -1;
    refuse(&p, "prompt", "-1 is not in");
    p = good, p.choices = 0;
    refuse(&p, "n", "0 is not in");
    p = good, p.logprobs = 6;
    refuse(&p, "logprobs", "more than 5");
    p = good, p.sampling.temperature = NAN;
    refuse(&p, "temperature", "nan");
    p = good, p.sampling.repetition_penalty = 0;
    refuse(&p, "repetition_penalty", "0 is not in");
    const struct engine_bias bias = {FAKE_ROWS, 1};
    p = good, p.sampling.biases = &bias, p.sampling.bias_count = 1;
    refuse(&p, "logit_bias", "64");
    const struct engine_string empty = {"", 0};
    p = good, p.stops = &empty, p.stop_count = 1;
    refuse(&p, "stop", "empty");
    stop();
}

static void small_queue(struct scheduler_options *o) {
    o->queue_max = 4;
    o->queue_tokens_max = 50;
}

static void a_full_queue_takes_all_or_none(void **state) {
    (void)state;
    static struct collected c;
    struct engine_request *requests[2];
    struct error e;
    start(8, 100, small_queue);
    struct engine_prompt prompts[2] = {fake_prompt(ids_of(10, 1), 10, 5), fake_prompt(ids_of(10, 2), 10, 5)};
    collect_start(scheduler, &c, prompts);
    prompts[0].choices = prompts[1].choices = 2;
    assert_int_equal(scheduler_submit(scheduler, prompts, 2, requests, &e), STATUS_LIMIT); /* 1 + 4 choices */
    assert_null(requests[0]);
    prompts[0].choices = prompts[1].choices = 1;
    prompts[1].count = 31, prompts[1].ids = ids_of(31, 1);
    assert_int_equal(scheduler_submit(scheduler, prompts, 2, requests, &e),
                     STATUS_LIMIT); /* 10 + 41 tokens */
    prompts[0].choices = 5;
    assert_int_equal(scheduler_submit(scheduler, prompts, 1, requests, &e), STATUS_INVALID_ARGUMENT);
    collect_until_end(scheduler, &c);
    collect_release(&c);
    /* More tokens than the limit, but nothing waits. */
    struct engine_prompt large = fake_prompt(ids_of(60, 1), 60, 1);
    collect_start(scheduler, &c, &large);
    collect_until_end(scheduler, &c);
    collect_release(&c);
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.refused_queue, 2);
    scheduler_drain(scheduler);
    assert_int_equal(scheduler_submit(scheduler, &large, 1, requests, &e), STATUS_CLOSING);
    stop();
}

/* Cancelled while queued, in the middle of its prompt, while it decodes, and while preempted. */
static void cancel_works_in_every_state(void **state) {
    (void)state;
    static struct collected c, hog[2];
    for (int turns = 0; turns < 12; turns++) {
        start(8, 120, small_steps);
        struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
        prompt.ignore_end = true;
        for (int i = 0; i < 2; i++) collect_start(scheduler, &hog[i], &prompt);
        collect_start(scheduler, &c, &prompt);
        for (int i = 0; i < turns * 4; i++) {
            scheduler_turn(scheduler);
            collect_ready(scheduler);
        }
        scheduler_cancel(c.request);
        size_t before = c.choices[0].count;
        collect_until_end(scheduler, &c);
        if (c.choices[0].end.finish == ENGINE_FINISH_CANCELLED) assert_int_equal(c.choices[0].count, before);
        for (int i = 0; i < 2; i++) {
            collect_until_end(scheduler, &hog[i]);
            assert_int_equal(hog[i].choices[0].count, 50); /* the others are not touched */
            collect_release(&hog[i]);
        }
        collect_release(&c);
        stop();
    }
}

static void released_requests_give_their_pages_back(void **state) {
    (void)state;
    static struct collected c;
    start(8, 120, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
    prompt.choices = 3, prompt.logprobs = 2;
    collect_start(scheduler, &c, &prompt);
    for (int i = 0; i < 5; i++) scheduler_turn(scheduler);
    assert_true(kv_pool_available(&model.pool) < model.pool.page_count);
    collect_release(&c);
    scheduler_turn(scheduler);
    assert_null(scheduler_next_ready(scheduler));
    stop();
}

static void a_timeout_ends_it(void **state) {
    (void)state;
    static struct collected c;
    start(8, 120, NULL);
    struct engine_prompt prompt = fake_prompt(ids_of(30, 4), 30, 50);
    prompt.ignore_end = true, prompt.timeout_ms = 1;
    collect_start(scheduler, &c, &prompt);
    scheduler_turn(scheduler);
    for (uint64_t until = clock_ns() + 2000000; clock_ns() < until;) {
    }
    collect_until_end(scheduler, &c);
    assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_TIMEOUT);
    collect_release(&c);
    stop();
}

/* A reader that takes nothing holds its own sequence up, and only that. */
static void a_slow_reader_pauses_its_own_sequence(void **state) {
    (void)state;
    static struct collected slow, quick;
    start(8, 120, NULL);
    int32_t *ids = ids_of(30, 4);
    struct engine_prompt prompt = fake_prompt(ids, 30, 50);
    prompt.ignore_end = true;
    collect_start(scheduler, &slow, &prompt);
    collect_start(scheduler, &quick, &prompt);
    for (int i = 0; i < 60; i++) {
        scheduler_turn(scheduler);
        collect_some(&quick, SIZE_MAX);
    }
    assert_int_equal(quick.choices[0].count, 50);
    assert_false(scheduler_turn(scheduler));
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.backpressured, 1);
    assert_int_equal(stats.generated_tokens, 50 + 8);
    collect_until_end(scheduler, &slow);
    assert_int_equal(slow.choices[0].count, 50);
    expect_greedy(&slow.choices[0], ids, 30);
    collect_release(&slow);
    collect_release(&quick);
    stop();
}

static void two_places(struct scheduler_options *o) {
    o->limits.sequences = 2;
}

/* Slow readers hold every place: whoever waits gets one. */
static void slow_readers_do_not_keep_the_others_out(void **state) {
    (void)state;
    static struct collected slow[2], quick;
    start(16, 120, two_places);
    int32_t *ids = ids_of(30, 4);
    struct engine_prompt prompt = fake_prompt(ids, 30, 50);
    prompt.ignore_end = true;
    for (int i = 0; i < 2; i++) collect_start(scheduler, &slow[i], &prompt);
    for (int i = 0; i < 20; i++) scheduler_turn(scheduler);
    collect_start(scheduler, &quick, &prompt);
    for (int i = 0; i < 80; i++) {
        scheduler_turn(scheduler);
        collect_some(&quick, SIZE_MAX);
    }
    assert_int_equal(quick.ended, 1);
    for (int i = 0; i < 2; i++) {
        collect_until_end(scheduler, &slow[i]);
        assert_int_equal(slow[i].choices[0].count, 50);
        expect_greedy(&slow[i].choices[0], ids, 30);
        collect_release(&slow[i]);
    }
    collect_release(&quick);
    stop();
}

static void priority_orders_what_waits(void **state) {
    (void)state;
    static struct collected c[4];
    start(16, 120, one_place);
    static const int priorities[4] = {0, 5, 0, -5};
    for (int i = 0; i < 4; i++) {
        struct engine_prompt prompt = fake_prompt(ids_of(3, (unsigned)i), 3, 4);
        prompt.priority = priorities[i], prompt.ignore_end = true;
        collect_start(scheduler, &c[i], &prompt);
    }
    static const int order[4] = {3, 0, 2, 1};
    for (int i = 0; i < 4; i++) {
        collect_until_end(scheduler, &c[order[i]]);
        for (int k = i + 1; k < 4; k++) assert_int_equal(c[order[k]].choices[0].count, 0);
    }
    for (int i = 0; i < 4; i++) collect_release(&c[i]);
    stop();
}

static void rank_is_arrival_put_off_by_priority(void **state) {
    (void)state;
    const uint64_t second = 1000000000;
    assert_true(request_rank(5 * second, 0) < request_rank(6 * second, 0));
    assert_true(request_rank(6 * second, -1) < request_rank(5 * second, 0));
    /* Whoever has waited long enough goes before any new arrival of higher priority. */
    assert_true(request_rank(5 * second, 1) < request_rank((6 + REQUEST_PRIORITY_SECONDS) * second, 0));
    assert_true(request_rank(second, INT32_MIN) < 0 && request_rank(second, INT32_MAX) > 0);
}

static void values_that_are_no_numbers_fail_one_request(void **state) {
    (void)state;
    static struct collected sick, well;
    start(8, 120, NULL);
    int32_t bad = 33, good = 7;
    model.nan_after = bad;
    struct engine_prompt prompt = fake_prompt(&bad, 1, 10);
    collect_start(scheduler, &sick, &prompt);
    prompt.ids = &good, prompt.ignore_end = true;
    const struct engine_bias never = {33, -1000};
    prompt.sampling.biases = &never, prompt.sampling.bias_count = 1;
    collect_start(scheduler, &well, &prompt);
    collect_until_end(scheduler, &sick);
    assert_int_equal(sick.choices[0].end.finish, ENGINE_FINISH_FAILED);
    assert_int_equal(sick.choices[0].count, 0);
    assert_int_equal(sick.choices[0].end.error->code, STATUS_MALFORMED);
    assert_string_equal(sick.choices[0].end.error->where, "logits");
    collect_until_end(scheduler, &well);
    assert_int_equal(well.choices[0].count, 10);
    assert_null(well.choices[0].end.error);
    collect_release(&sick);
    collect_release(&well);
    stop();
}

static void destroying_ends_what_is_there(void **state) {
    (void)state;
    static struct collected c[6];
    start(8, 120, small_steps);
    for (int i = 0; i < 6; i++) {
        struct engine_prompt prompt = fake_prompt(ids_of(30, (unsigned)i), 30, 50);
        collect_start(scheduler, &c[i], &prompt);
        if (i == 3)
            for (int k = 0; k < 12; k++) scheduler_turn(scheduler);
    }
    for (int i = 0; i < 6; i++) collect_release(&c[i]);
    scheduler_destroy(scheduler);
    fake_model_deinit(&model);
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
        expect_greedy(&c.choices[0], ids, 100);
        collect_release(&c);
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_int_equal(stats.prefix_queries_tokens, 0);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_text_is_the_models),
        cmocka_unit_test(preempted_sequences_say_the_same),
        cmocka_unit_test(a_beginning_with_other_frequencies_is_another),
        cmocka_unit_test(a_known_beginning_is_not_computed_again),
        cmocka_unit_test(choices_share_their_prompt),
        cmocka_unit_test(stop_tokens_end_it_once_min_tokens_are_there),
        cmocka_unit_test(end_token_of_the_model_ends_it),
        cmocka_unit_test(seeded_text_does_not_depend_on_company),
        cmocka_unit_test(a_drawn_seed_is_reported_and_repeats),
        cmocka_unit_test(logprobs_come_best_first_with_the_tokens_own),
        cmocka_unit_test(prompt_scores_do_not_depend_on_chunks),
        cmocka_unit_test(nothing_to_compute_ends_at_once),
        cmocka_unit_test(the_context_ends_a_sequence),
        cmocka_unit_test(what_can_never_run_is_refused),
        cmocka_unit_test(a_full_queue_takes_all_or_none),
        cmocka_unit_test(cancel_works_in_every_state),
        cmocka_unit_test(released_requests_give_their_pages_back),
        cmocka_unit_test(a_timeout_ends_it),
        cmocka_unit_test(a_slow_reader_pauses_its_own_sequence),
        cmocka_unit_test(slow_readers_do_not_keep_the_others_out),
        cmocka_unit_test(priority_orders_what_waits),
        cmocka_unit_test(rank_is_arrival_put_off_by_priority),
        cmocka_unit_test(values_that_are_no_numbers_fail_one_request),
        cmocka_unit_test(without_an_index_everything_is_computed),
        cmocka_unit_test(destroying_ends_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
