/* Drafts in the steps of the scheduler: when there are any, what they take and give back, and what is counted. A row
 * for a draft costs next to nothing here, so that all that may be tried are. */
#include "drafting_fixture.h"

static struct collected other;

static void off(struct scheduler_options *o) {
    o->speculate = false;
}

static void repetition_takes_fewer_steps_and_says_the_same(void **state) {
    (void)state;
    uint64_t steps[2];
    int32_t *ids = ids_of(5, 3);
    for (int on = 0; on < 2; on++) {
        start_drafting(40, 300, on ? NULL : off);
        struct engine_prompt prompt = endless(ids, 5, 200);
        collect_start(scheduler, &got, &prompt);
        collect_until_end(scheduler, &got);
        expect_text(&got.choices[0], ids, 5, 200);
        assert_int_equal(got.choices[0].end.completion_tokens, 200);
        struct engine_stats stats = figures();
        steps[on] = stats.steps;
        assert_int_equal(stats.generated_tokens, 200);
        assert_int_equal(stats.spec_draft_tokens > 0, on);
        assert_true(stats.spec_accepted_tokens <= stats.spec_draft_tokens);
        assert_true(stats.spec_drafts == stats.spec_steps && stats.spec_steps < stats.steps);
        /* Each step has the token of its own row, and those that were accepted. */
        assert_int_equal(stats.steps + stats.spec_accepted_tokens, 200);
        collect_release(&got);
        stop();
    }
    assert_true(steps[1] * 4 < steps[0]);
}

/* The answer itself is the best prediction; more than the answer is no harm, and what was right is told. */
static void a_prediction_is_tried_and_told(void **state) {
    (void)state;
    for (int on = 0; on < 2; on++) {
        int32_t tokens[140];
        start_drafting(40, 300, on ? NULL : off);
        model.memory = 0; /* it never says the same again: nothing but the prediction is tried */
        memcpy(tokens, ids_of(9, 3), 9 * sizeof *tokens);
        for (size_t i = 9; i < 140; i++) tokens[i] = fake_next_of(model.memory, tokens, i);
        struct engine_prompt prompt = endless(tokens, 9, 100);
        prompt.prediction = tokens + 9;
        prompt.prediction_count = 120;
        collect_start(scheduler, &got, &prompt);
        collect_until_end(scheduler, &got);
        expect_text(&got.choices[0], tokens, 9, 100);
        assert_int_equal(got.choices[0].end.predicted_tokens, 100);
        struct engine_stats stats = figures();
        assert_int_equal(stats.spec_accepted_tokens > 80, on);
        assert_int_equal(stats.steps < 20, on);
        collect_release(&got);
        stop();
    }
}

static void a_wrong_prediction_changes_nothing(void **state) {
    (void)state;
    start_drafting(40, 300, NULL);
    int32_t *ids = ids_of(9, 3), *wrong = ids_of(100, 4);
    struct engine_prompt prompt = endless(ids, 9, 100);
    prompt.prediction = wrong;
    prompt.prediction_count = 100;
    collect_start(scheduler, &got, &prompt);
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 9, 100);
    assert_true(got.choices[0].end.predicted_tokens < 50);
    collect_release(&got);
    stop();
}

static void a_prediction_of_no_token_of_the_model_is_refused(void **state) {
    (void)state;
    struct error e;
    struct engine_request *request;
    const int32_t beyond = FAKE_ROWS;
    start_drafting(10, 90, NULL);
    struct engine_prompt prompt = endless(ids_of(3, 1), 3, 5);
    prompt.prediction = &beyond;
    prompt.prediction_count = 1;
    assert_int_equal(scheduler_submit(scheduler, &prompt, 1, &request, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "prediction");
    stop();
}

static bool is_drafting(void) {
    return scheduler->step.draft_rows > 0;
}

static void turn_until_it_drafts(void) {
    for (int turns = 0; turns < 300; turns++) {
        scheduler_turn(scheduler);
        collect_ready(scheduler);
        if (is_drafting()) return;
    }
    fail_msg("there were no drafts");
}

/* Whose prompt is computed waits for its first token; nobody guesses meanwhile, and then it goes on. */
static void prompts_go_before_drafts(void **state) {
    (void)state;
    start_drafting(60, 300, NULL);
    struct engine_prompt prompt = endless(ids_of(5, 3), 5, 250);
    collect_start(scheduler, &got, &prompt);
    turn_until_it_drafts();
    prompt = endless(ids_of(30, 9), 30, 200);
    collect_start(scheduler, &other, &prompt);
    while (other.choices[0].count == 0) {
        scheduler_turn(scheduler);
        collect_ready(scheduler);
        assert_false(is_drafting());
    }
    turn_until_it_drafts();
    collect_until_end(scheduler, &other);
    collect_until_end(scheduler, &got);
    collect_release(&got);
    collect_release(&other);
    stop();
}

/* Behind each step a sequence has the pages of its tokens, and no more. */
static void pages_of_drafts_come_back(void **state) {
    (void)state;
    start_drafting(40, 300, NULL);
    struct engine_prompt prompt = endless(ids_of(5, 3), 5, 200);
    collect_start(scheduler, &got, &prompt);
    const struct sequence *q = &got.request->sequences[0];
    while (got.choices[0].count < 190) {
        scheduler_turn(scheduler);
        assert_int_equal(q->drafts, 0);
        assert_int_equal(q->computed + 1, q->count);
        assert_true(q->table.count <= kv_pages_for(q->count, FAKE_PAGE_TOKENS));
        collect_ready(scheduler);
    }
    assert_true(figures().spec_draft_tokens > 0);
    collect_until_end(scheduler, &got);
    collect_release(&got);
    stop();
}

/* The pool holds one context and a page more: drafts end where the page of the last token does. */
static void no_page_is_taken_where_there_is_none_to_spare(void **state) {
    (void)state;
    start_drafting(4, 64, NULL);
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 59);
    collect_start(scheduler, &got, &prompt);
    const struct sequence *q = &got.request->sequences[0];
    while (got.ended == 0) {
        size_t pages = kv_pages_for(q->count, FAKE_PAGE_TOKENS), before = q->count;
        bool is_last = pages == 3 || pages == 4; /* one or none is left: it is kept for the sequence itself */
        scheduler_turn(scheduler);
        if (got.request->sequences[0].state != SEQUENCE_DONE && is_last && before > 5)
            assert_true(q->count <= pages * FAKE_PAGE_TOKENS + 1);
        collect_ready(scheduler);
    }
    expect_text(&got.choices[0], ids, 5, 59);
    assert_true(figures().spec_accepted_tokens > 0);
    assert_int_equal(figures().preemptions, 0);
    collect_release(&got);
    stop();
}

static void three_events(struct scheduler_options *o) {
    o->rules.max_pending_events = 3;
}

/* As many tokens at once as its reader has room for. */
static void drafts_leave_room_for_their_events(void **state) {
    (void)state;
    start_drafting(40, 300, three_events);
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 150);
    collect_start(scheduler, &got, &prompt);
    size_t most = 0;
    while (got.ended == 0) {
        size_t before = got.choices[0].count;
        scheduler_turn(scheduler);
        collect_ready(scheduler);
        size_t at_once = got.choices[0].count - before;
        most = at_once > most ? at_once : most;
    }
    assert_int_equal(most, 3);
    expect_text(&got.choices[0], ids, 5, 150);
    collect_release(&got);
    stop();
}

/* The token that ends it is the end, though drafts behind it were right. */
static void an_end_among_the_drafts_is_the_end(void **state) {
    (void)state;
    int32_t tokens[60];
    start_drafting(40, 300, NULL);
    model.memory = 0;
    memcpy(tokens, ids_of(9, 5), 9 * sizeof *tokens);
    for (size_t i = 9; i < 60; i++) tokens[i] = fake_next_of(model.memory, tokens, i);
    for (size_t length = 2; length < 30; length++) {
        struct engine_prompt prompt = endless(tokens, 9, 50);
        prompt.prediction = tokens + 9;
        prompt.prediction_count = 50;
        prompt.stop_tokens = &tokens[9 + length - 1];
        prompt.stop_token_count = 1;
        size_t first = 0;
        while (tokens[9 + first] != *prompt.stop_tokens) first++;
        collect_start(scheduler, &got, &prompt);
        collect_until_end(scheduler, &got);
        expect_text(&got.choices[0], tokens, 9, first + 1);
        assert_int_equal(got.choices[0].end.finish, ENGINE_FINISH_STOP);
        assert_int_equal(got.choices[0].end.stop_token, *prompt.stop_tokens);
        assert_int_equal(got.choices[0].end.completion_tokens, first + 1);
        collect_release(&got);
    }
    assert_true(figures().spec_accepted_tokens > 50);
    stop();
}

/* Full pages of accepted tokens are known to the prefix cache as others are: what continues the text finds them. */
static void accepted_tokens_are_in_the_prefix_cache(void **state) {
    (void)state;
    uint32_t cached[2];
    for (int on = 0; on < 2; on++) {
        int32_t tokens[205];
        start_drafting(40, 300, on ? NULL : off);
        memcpy(tokens, ids_of(5, 3), 5 * sizeof *tokens);
        struct engine_prompt prompt = endless(tokens, 5, 100);
        collect_start(scheduler, &got, &prompt);
        collect_until_end(scheduler, &got);
        memcpy(tokens + 5, got.choices[0].ids, 100 * sizeof *tokens);
        collect_release(&got);
        prompt = endless(tokens, 105, 10);
        collect_start(scheduler, &other, &prompt);
        collect_until_end(scheduler, &other);
        expect_text(&other.choices[0], tokens, 105, 10);
        cached[on] = other.choices[0].end.cached_tokens;
        collect_release(&other);
        stop();
    }
    assert_true(cached[0] > 80);
    assert_int_equal(cached[0], cached[1]);
}

static void few_logit_rows(struct scheduler_options *o) {
    o->limits.logit_rows = 4;
    o->limits.sequences = 3;
}

static void rows_with_logits_are_not_more_than_there_are(void **state) {
    (void)state;
    start_drafting(60, 300, few_logit_rows);
    struct engine_prompt prompt = endless(ids_of(5, 3), 5, 150);
    collect_start(scheduler, &got, &prompt);
    collect_start(scheduler, &other, &prompt);
    size_t most = 0;
    while (got.ended == 0 || other.ended == 0) {
        scheduler_turn(scheduler);
        collect_ready(scheduler);
        assert_true(scheduler->step.row_count <= 4);
        if (scheduler->step.row_count > most) most = scheduler->step.row_count;
    }
    assert_int_equal(most, 4);
    collect_release(&got);
    collect_release(&other);
    stop();
}

static void measured(struct scheduler_options *o) {
    o->draft_row_cost = 0;
}

/* By the clock: how many there are is left open, the text is not. */
static void measured_costs_change_no_text(void **state) {
    (void)state;
    start_drafting(40, 500, measured);
    int32_t *ids = ids_of(5, 3);
    struct engine_prompt prompt = endless(ids, 5, 400);
    collect_start(scheduler, &got, &prompt);
    collect_until_end(scheduler, &got);
    expect_text(&got.choices[0], ids, 5, 400);
    assert_true(step_cost_is_known(&scheduler->drafting.cost, 1));
    collect_release(&got);
    stop();
}

/* So that what a step without costs is known. */
static void one_step_in_many_has_none(void **state) {
    (void)state;
    start_drafting(200, 3000, three_events);
    struct engine_prompt prompt = endless(ids_of(5, 3), 5, 500);
    collect_start(scheduler, &got, &prompt);
    unsigned in_a_row = 0, longest = 0;
    while (got.ended == 0) {
        scheduler_turn(scheduler);
        collect_ready(scheduler);
        in_a_row = is_drafting() ? in_a_row + 1 : 0;
        longest = in_a_row > longest ? in_a_row : longest;
    }
    assert_int_equal(longest, 64);
    collect_release(&got);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repetition_takes_fewer_steps_and_says_the_same),
        cmocka_unit_test(a_prediction_is_tried_and_told),
        cmocka_unit_test(a_wrong_prediction_changes_nothing),
        cmocka_unit_test(a_prediction_of_no_token_of_the_model_is_refused),
        cmocka_unit_test(prompts_go_before_drafts),
        cmocka_unit_test(pages_of_drafts_come_back),
        cmocka_unit_test(no_page_is_taken_where_there_is_none_to_spare),
        cmocka_unit_test(drafts_leave_room_for_their_events),
        cmocka_unit_test(an_end_among_the_drafts_is_the_end),
        cmocka_unit_test(accepted_tokens_are_in_the_prefix_cache),
        cmocka_unit_test(rows_with_logits_are_not_more_than_there_are),
        cmocka_unit_test(measured_costs_change_no_text),
        cmocka_unit_test(one_step_in_many_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
