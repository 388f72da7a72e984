/* A sequence with a grammar: what it may say, where it ends, and drafts of text that is the only way on. */
#include "tests/support/failing_malloc.h"
#include "tests/support/test_support.h"

#include "engine/sched/scheduler_state.h"
#include "fake_grammars.h"
#include "scheduler_fixture.h"

static struct fake_grammars grammars;
static const char *const grammar_texts[] = {
    "root ::= \"Q%\" [!-/] \"Q%Q%Q%Q%Q%Q%Q%Q%Q%Q%Q%\"",
    "root ::= [A-C]+",
    "root ::= \"Q\" | \"%\"",
};

static int open_all(void **state) {
    if (open_tokenizer(state)) return -1;
    fake_grammars_init(&grammars, grammar_texts, 3);
    return 0;
}

static int close_all(void **state) {
    fake_grammars_deinit(&grammars);
    return close_tokenizer(state);
}

static char said[512];
static struct engine_event end;

/* One request to its end; *stats as they are then. */
static void run(void (*change)(struct scheduler_options *), const struct engine_prompt *prompt,
                struct engine_stats *stats) {
    struct engine_request *request;
    struct engine_event event;
    struct error e;
    size_t length = 0;
    bool ended = false;
    start(16, 200, change);
    assert_ok(scheduler_submit(scheduler, prompt, 1, &request, &e));
    for (int turns = 0; !ended && turns < 1000; turns++) {
        scheduler_turn(scheduler);
        while (scheduler_next_ready(scheduler)) {
        }
        while (scheduler_next_event(request, &event)) {
            memcpy(said + length, event.text, event.text_length);
            length += event.text_length;
            if (event.kind == ENGINE_EVENT_FINISHED) end = event, ended = true;
        }
    }
    assert_true(ended);
    said[length] = '\0';
    scheduler_stats(scheduler, stats);
    scheduler_release(request);
    stop();
}

static struct engine_prompt constrained(size_t grammar, uint32_t max_tokens) {
    struct engine_prompt prompt = fake_prompt(ids_of(5, 3), 5, max_tokens);
    prompt.grammar = grammars.items[grammar];
    return prompt;
}

static void a_text_to_which_nothing_can_be_added_ends(void **state) {
    (void)state;
    struct engine_stats stats;
    struct engine_prompt prompt = constrained(2, 50);
    prompt.ignore_end = true; /* there is no end token that could say so */
    run(plain, &prompt, &stats);
    assert_int_equal(strlen(said), 1);
    assert_true(*said == 'Q' || *said == '%');
    assert_int_equal(end.finish, ENGINE_FINISH_STOP);
    assert_int_equal(end.stop_token, -1);
    assert_int_equal(end.completion_tokens, 1);
}

static void the_next_mask_is_made_beside_the_token(void **state) {
    (void)state;
    struct engine_prompt prompt = constrained(1, 20);
    struct engine_request *request;
    struct error e;
    start(16, 200, NULL);
    assert_ok(scheduler_submit(scheduler, &prompt, 1, &request, &e));
    for (int turns = 0; turns < 5; turns++) scheduler_turn(scheduler);
    assert_int_equal(scheduler->running_count, 1);
    assert_true(scheduler->running[0]->count > 5);
    assert_int_equal(scheduler->running[0]->mask_count, scheduler->running[0]->count);
    scheduler_cancel(request);
    scheduler_turn(scheduler);
    scheduler_release(request);
    stop();
}

/* It may go on for ever, and end anywhere but at its beginning. */
static void an_end_token_may_come_where_the_text_may_end(void **state) {
    (void)state;
    struct engine_stats stats;
    struct engine_prompt prompt = constrained(1, 150);
    prompt.sampling.temperature = 1;
    prompt.sampling.has_seed = true;
    bool by_token = false;
    for (prompt.sampling.seed = 0; prompt.sampling.seed < 20; prompt.sampling.seed++) {
        run(plain, &prompt, &stats);
        assert_int_equal(strspn(said, "ABC"), strlen(said));
        assert_true(strlen(said) >= 1);
        if (end.finish == ENGINE_FINISH_STOP) by_token = true;
        if (end.finish == ENGINE_FINISH_STOP)
            assert_int_equal(end.stop_token, 0);
        else
            assert_int_equal(strlen(said), 150);
    }
    assert_true(by_token);
    prompt.ignore_end = true;
    run(plain, &prompt, &stats);
    assert_int_equal(strlen(said), 150);
    assert_int_equal(end.finish, ENGINE_FINISH_LENGTH);
}

/* A token is a letter: of 25 the 24 that are certain come in the steps of a few. */
static void what_is_certain_takes_fewer_steps(void **state) {
    (void)state;
    struct engine_stats with, without;
    struct engine_prompt prompt = constrained(0, 100);
    char alone[512];
    run(plain, &prompt, &without);
    strcpy(alone, said);
    assert_int_equal(strlen(alone), 25);
    assert_int_equal(end.finish, ENGINE_FINISH_STOP);
    uint64_t steps = model.steps;
    run(drafting, &prompt, &with);
    assert_string_equal(said, alone);
    assert_int_equal(end.completion_tokens, 25);
    assert_true(with.spec_accepted_tokens >= 15);
    assert_true(with.spec_draft_tokens - with.spec_accepted_tokens <= 8); /* of what it said before */
    assert_true(model.steps < steps / 2);
}

/* A grammar that nobody has read yet, of which an allocation fails, and the first of each turn behind that: what was unsettled
 * for want of memory finds none. false: all have been. */
static bool fails_for_want_of_memory(size_t allocation, size_t *of_grammar) {
    struct fake_grammars fresh;
    struct engine_request *request;
    struct engine_event event;
    struct error e;
    bool ended = false, has_failed = false;
    fake_grammars_init(&fresh, grammar_texts, 3);
    start(16, 200, plain);
    struct engine_prompt prompt = constrained(1, 12);
    prompt.grammar = fresh.items[1];
    assert_ok(scheduler_submit(scheduler, &prompt, 1, &request, &e));
    for (int turns = 0; !ended && turns < 1000; turns++) {
        failing_malloc_arm(allocation);
        scheduler_turn(scheduler);
        has_failed |= failing_malloc_disarm();
        allocation = has_failed ? 1 : allocation - failing_malloc_count();
        while (scheduler_next_event(request, &event)) ended = event.kind == ENGINE_EVENT_FINISHED;
    }
    assert_true(ended);
    if (event.finish == ENGINE_FINISH_FAILED) {
        assert_true(has_failed);
        assert_int_equal(event.error->code, STATUS_NO_MEMORY);
        assert_string_not_equal(event.error->where, "sampling");
        *of_grammar += strcmp(event.error->where, "structured_outputs") == 0;
    }
    scheduler_release(request);
    stop();
    fake_grammars_deinit(&fresh);
    return has_failed;
}

static void want_of_memory_is_told_as_such(void **state) {
    (void)state;
    size_t allocation = 1, of_grammar = 0;
    while (fails_for_want_of_memory(allocation, &of_grammar)) allocation++;
    assert_true(of_grammar > 0);
}

/* A grammar that nobody has read yet, of which an allocation fails. false: all have been. *dropped: of a row that decides on
 * a draft, in a step that then goes on by itself. */
static bool drafts_fail_for_want_of_memory(size_t allocation, size_t *dropped) {
    struct fake_grammars fresh;
    struct engine_request *request;
    struct engine_event event;
    struct error e;
    bool ended = false, of_draft = false, of_first = false;
    size_t length = 0;
    fake_grammars_init(&fresh, grammar_texts, 3);
    start(16, 200, drafting);
    struct engine_prompt prompt = constrained(0, 100);
    prompt.grammar = fresh.items[0];
    assert_ok(scheduler_submit(scheduler, &prompt, 1, &request, &e));
    failing_malloc_arm(allocation);
    for (int turns = 0; !ended && turns < 1000; turns++) {
        scheduler_turn(scheduler);
        const struct step *step = &scheduler->step;
        for (size_t i = 0; i < step->row_count; i++)
            *(i ? &of_draft : &of_first) |= step->rows[i].status == STATUS_NO_MEMORY;
        while (scheduler_next_event(request, &event)) {
            memcpy(said + length, event.text, event.text_length);
            length += event.text_length;
            if (event.kind == ENGINE_EVENT_FINISHED) end = event, ended = true;
        }
    }
    bool has_failed = failing_malloc_disarm();
    said[length] = '\0';
    assert_true(ended);
    assert_false(of_first); /* its mask was there: whether the text has ended shows later, if not now */
    if (of_draft) {
        assert_int_equal(end.finish, ENGINE_FINISH_STOP);
        assert_int_equal(length, 25);
        ++*dropped;
    }
    scheduler_release(request);
    stop();
    fake_grammars_deinit(&fresh);
    return has_failed;
}

static void a_draft_without_memory_is_dropped(void **state) {
    (void)state;
    size_t allocation = 1, dropped = 0;
    while (drafts_fail_for_want_of_memory(allocation, &dropped)) allocation++;
    assert_true(dropped > 0);
}

/* The last token that a text may have, behind which it is too much to find out whether anything could follow. That it is not
 * found out at once may be by others' texts, so it must not make a difference. */
static void the_last_token_needs_no_mask_behind_it(void **state) {
    (void)state;
    static const char text[] = "root ::= ([A-B]{2,70} | \"A\" root)*";
    const struct grammar_options options = {.bytes_max = 15000, .seconds_max = 10};
    struct grammar *small;
    struct engine_stats stats;
    struct error e;
    assert_ok(grammar_compile(GRAMMAR_GBNF, (struct engine_string){text, strlen(text)}, &options,
                              grammars.vocabulary, &small, &e));
    struct engine_prompt prompt = constrained(1, 150);
    prompt.grammar = small;
    prompt.ignore_end = true;
    prompt.sampling.temperature = 1;
    prompt.sampling.has_seed = true;
    run(plain, &prompt, &stats);
    assert_int_equal(end.finish, ENGINE_FINISH_FAILED); /* so far it may go, and no further */
    assert_in_range(end.completion_tokens, 5, 149);
    prompt.max_tokens = end.completion_tokens;
    run(plain, &prompt, &stats);
    assert_int_equal(end.finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(end.completion_tokens, prompt.max_tokens);
    assert_int_equal(strlen(said), prompt.max_tokens);
    assert_true(stats.mask_waits > 0); /* it was not seen at once */
    grammar_release(small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_to_which_nothing_can_be_added_ends),
        cmocka_unit_test(the_next_mask_is_made_beside_the_token),
        cmocka_unit_test(an_end_token_may_come_where_the_text_may_end),
        cmocka_unit_test(what_is_certain_takes_fewer_steps),
        cmocka_unit_test(the_last_token_needs_no_mask_behind_it),
        cmocka_unit_test(want_of_memory_is_told_as_such),
        cmocka_unit_test(a_draft_without_memory_is_dropped),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
