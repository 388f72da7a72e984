/* Sequences whose masks take much, beside others: of each turn they have so many steps and no more, those that take little
 * have their token in each, and what all of them say is what they say alone. */
#include "tests/support/test_support.h"

#include "engine/sched/constraint.h"
#include "engine/sched/scheduler_state.h"
#include "fake_grammars.h"
#include "scheduler_fixture.h"

enum {
    HOSTILE = 3,
    TURNS_MAX = 20000,
    LENGTH = 40,
    LONG = 150,
    TEXT_MAX = 512,
    LIGHT = HOSTILE,
    PLAIN,
    REQUESTS
};

/* The last operation of a piece: a row of so many ways. */
enum { OVERSHOOT = 3000 };

static const char *const grammar_texts[] = {
    "root ::= (([A-C]{2,70} [AC]){1,50} [A-C]{1,40} \"A\"?){200} \"!\"",
    "root ::= (([A-C]{2,60} [AB]){1,60} [A-C]{1,30} \"B\"?){200} \"!\"",
    "root ::= (([A-C]{2,80} [BC]){1,40} [A-C]{1,50} \"C\"?){200} \"!\"",
    "root ::= [A-C]+ \"!\"",
};
static struct fake_grammars grammars;

struct said {
    struct engine_request *request;
    char text[TEXT_MAX];
    size_t length, tokens;
    enum engine_finish finish;
    bool has_ended;
};

static int open_all(void **state) {
    return open_tokenizer(state);
}

static int close_all(void **state) {
    return close_tokenizer(state);
}

static void submit(size_t number, struct said *out) {
    struct engine_prompt prompt = fake_prompt(ids_of(5, 3 + (unsigned)number), 5, LENGTH);
    struct error e;
    if (number < PLAIN) prompt.grammar = grammars.items[number];
    prompt.ignore_end = true;
    prompt.sampling.temperature = 1;
    prompt.sampling.has_seed = true;
    prompt.sampling.seed = number;
    *out = (struct said){0};
    assert_ok(scheduler_submit(scheduler, &prompt, 1, &out->request, &e));
}

static void listen(struct said *s) {
    struct engine_event event;
    while (scheduler_next_event(s->request, &event)) {
        assert_true(s->length + event.text_length < TEXT_MAX);
        memcpy(s->text + s->length, event.text, event.text_length);
        s->length += event.text_length;
        s->tokens += event.kind == ENGINE_EVENT_TOKEN;
        if (event.kind != ENGINE_EVENT_FINISHED) continue;
        s->has_ended = true;
        s->finish = event.finish;
    }
}

static uint64_t mask_steps(void) {
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    return stats.mask_steps;
}

static void turn(struct said *all, size_t count) {
    scheduler_turn(scheduler);
    while (scheduler_next_ready(scheduler)) {
    }
    for (size_t i = 0; i < count; i++)
        if (all[i].request) listen(&all[i]);
}

static void begin(void (*change)(struct scheduler_options *)) {
    fake_grammars_init(&grammars, grammar_texts, sizeof grammar_texts / sizeof *grammar_texts);
    start(32, 200, change);
}

static void end(struct said *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (all[i].request) scheduler_release(all[i].request);
    stop();
    fake_grammars_deinit(&grammars);
}

static bool have_all_ended(const struct said *all) {
    for (size_t i = 0; i < REQUESTS; i++)
        if (!all[i].has_ended) return false;
    return true;
}

/* Of one turn, with so many rows. */
static size_t steps_bound(size_t rows) {
    return CONSTRAINT_WAITING_STEPS + 2 * CONSTRAINT_NEW_STEPS +
           rows * (4 * CONSTRAINT_ROW_STEPS + OVERSHOOT);
}

static void run_together(void (*change)(struct scheduler_options *), struct said *all) {
    uint64_t waits;
    struct engine_stats stats;
    begin(change);
    for (size_t i = 0; i < REQUESTS; i++) submit(i, &all[i]);
    for (size_t turns = 0; !have_all_ended(all); turns++) {
        uint64_t before = mask_steps(), rows = model.rows;
        size_t tokens = all[PLAIN].tokens;
        assert_true(turns < TURNS_MAX);
        turn(all, REQUESTS);
        assert_in_range(mask_steps() - before, 0, steps_bound(REQUESTS + model.rows - rows));
        if (!all[PLAIN].has_ended && turns > 5) assert_true(all[PLAIN].tokens > tokens);
    }
    scheduler_stats(scheduler, &stats);
    waits = stats.mask_waits;
    assert_true(waits > 20); /* so there was something to wait for */
    end(all, REQUESTS);
}

static void run_alone(size_t number, struct said *out) {
    begin(plain);
    submit(number, out);
    for (size_t turns = 0; !out->has_ended; turns++) {
        assert_true(turns < TURNS_MAX);
        turn(out, 1);
    }
    end(out, 1);
}

static void check(void (*change)(struct scheduler_options *)) {
    static struct said together[REQUESTS], alone;
    run_together(change, together);
    for (size_t i = 0; i < REQUESTS; i++) {
        run_alone(i, &alone);
        assert_int_equal(together[i].length, alone.length);
        assert_memory_equal(together[i].text, alone.text, alone.length);
        assert_int_equal(together[i].tokens, alone.tokens);
        assert_int_equal(together[i].finish, alone.finish);
        assert_int_not_equal(alone.finish, ENGINE_FINISH_FAILED);
    }
}

static void each_turn_has_its_steps(void **state) {
    (void)state;
    check(plain);
}

static void with_drafts_too(void **state) {
    (void)state;
    check(drafting);
}

/* Those that take much, some way into their masks. */
static void begin_hostile(struct said *all) {
    begin(plain);
    memset(all, 0, REQUESTS * sizeof *all);
    for (size_t i = 0; i < HOSTILE; i++) submit(i, &all[i]);
    for (int turns = 0; turns < 60; turns++) turn(all, REQUESTS);
}

/* One that takes little is served before those that take much, whenever it comes. */
static void who_takes_little_waits_little(void **state) {
    (void)state;
    static struct said all[REQUESTS];
    begin_hostile(all);
    submit(LIGHT, &all[LIGHT]);
    for (size_t turns = 0; !all[LIGHT].has_ended; turns++) {
        assert_true(turns < 2 * LENGTH);
        turn(all, REQUESTS);
    }
    end(all, REQUESTS);
}

/* Of those that take much: which have had no token in a turn, for want of a mask. */
static size_t count_sitting_out(const struct said *all, const size_t *tokens_before) {
    size_t count = 0;
    for (size_t i = 0; i < HOSTILE; i++)
        count += !all[i].has_ended && all[i].tokens == tokens_before[i] &&
                 constraint_waits(&all[i].request->sequences[0]);
    return count;
}

/* Who sits out computes no prompt: the others have drafts as if it were not there. */
static void others_have_drafts_meanwhile(void **state) {
    (void)state;
    static struct said all[REQUESTS];
    struct error e;
    size_t drafted = 0, tokens[HOSTILE];
    begin(drafting);
    model.memory = 1; /* greedy texts say the same again and again */
    memset(all, 0, sizeof all);
    for (size_t i = 0; i < HOSTILE; i++) submit(i, &all[i]);
    for (int turns = 0; turns < 60; turns++) turn(all, REQUESTS);
    struct engine_prompt prompt = fake_prompt(ids_of(5, 3), 5, LONG);
    prompt.ignore_end = true;
    assert_ok(scheduler_submit(scheduler, &prompt, 1, &all[PLAIN].request, &e));
    for (size_t turns = 0; !all[PLAIN].has_ended; turns++) {
        assert_true(turns < 2 * LONG);
        for (size_t i = 0; i < HOSTILE; i++) tokens[i] = all[i].tokens;
        turn(all, REQUESTS);
        drafted += count_sitting_out(all, tokens) > 0 && scheduler->step.draft_rows > 0;
    }
    assert_true(drafted > 0);
    end(all, REQUESTS);
}

/* While their masks are in the making. */
static void they_can_be_cancelled(void **state) {
    (void)state;
    static struct said all[REQUESTS];
    begin_hostile(all);
    for (size_t i = 0; i < HOSTILE; i++) assert_false(all[i].has_ended);
    for (size_t i = 0; i < HOSTILE; i++) scheduler_cancel(all[i].request);
    for (int turns = 0; turns < 3; turns++) turn(all, REQUESTS);
    for (size_t i = 0; i < HOSTILE; i++) assert_int_equal(all[i].finish, ENGINE_FINISH_CANCELLED);
    end(all, REQUESTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_turn_has_its_steps),       cmocka_unit_test(with_drafts_too),
        cmocka_unit_test(who_takes_little_waits_little), cmocka_unit_test(others_have_drafts_meanwhile),
        cmocka_unit_test(they_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
