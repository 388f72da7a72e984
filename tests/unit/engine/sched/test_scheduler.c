/* One turn after the other, without a thread: what a request is answered, over a model whose every answer is known, at
 * any load. */
#include "scheduler_fixture.h"

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
        assert_int_equal(c.choices[0].end.finish, ENGINE_FINISH_LENGTH);
        assert_int_equal(c.choices[0].end.prompt_tokens, count);
        assert_int_equal(c.choices[0].end.completion_tokens, 10);
        expect_greedy(&c.choices[0], ids, count, 10);
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
        expect_greedy(&c[i].choices[0], prompts[i], 1 + 2 * i, 45);
    }
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    assert_true(stats.preemptions > 0);
    assert_int_equal(stats.finished_length, 20);
    assert_int_equal(stats.generated_tokens, 20 * 45);
    for (size_t i = 0; i < 20; i++) collect_release(&c[i]);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_text_is_the_models),
        cmocka_unit_test(preempted_sequences_say_the_same),
        cmocka_unit_test(stop_tokens_end_it_once_min_tokens_are_there),
        cmocka_unit_test(end_token_of_the_model_ends_it),
        cmocka_unit_test(seeded_text_does_not_depend_on_company),
        cmocka_unit_test(a_drawn_seed_is_reported_and_repeats),
        cmocka_unit_test(logprobs_come_best_first_with_the_tokens_own),
        cmocka_unit_test(prompt_scores_do_not_depend_on_chunks),
        cmocka_unit_test(nothing_to_compute_ends_at_once),
        cmocka_unit_test(the_context_ends_a_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
