/* Random requests whose grammars take much, some of them the same grammar, in company on several compute threads, over a small
 * pool, in few slots, with choices, priorities, drafts and cancels: each says what it says alone, and nobody is forgotten. */
#include "tests/support/test_support.h"

#include "fake_grammars.h"
#include "scheduler_fixture.h"

/* Under a sanitizer a round takes ten times as long, and shows the same. */
enum { ROUNDS = TEST_SHARE ? 4 : 12 };

enum {
    REQUESTS = 7,
    CHOICES_MAX = 3,
    LENGTH_MAX = 70,
    PROMPT = 20,
    CONTEXT = 100,
    GRAMMARS = 3,
    TURNS_MAX = 60000
};

static const char *const grammar_texts[] = {
    "root ::= (([A-C]{2,70} [AC]){1,50} [A-C]{1,40} \"A\"?){200} \"!\"",
    "root ::= (([A-C]{2,9} [AB]){1,60} [A-C]{1,5} \"B\"?){1,9} \"!\"?",
    "root ::= [A-C]{1,9} (\"Q%\" | root)",
};
static struct fake_grammars grammars;
static struct workers *workers;
static unsigned seed;
static bool any_leave; /* where nobody does there is no other way out of a turn in which none gets on */
static uint64_t preemptions, waits, cancelled, matched;

struct said {
    char text[LENGTH_MAX * 2 + 1];
    size_t length, tokens;
    enum engine_finish finish;
    bool has_ended;
};

struct job {
    struct engine_request *request;
    struct engine_prompt prompt;
    int32_t ids[PROMPT];
    struct said said[CHOICES_MAX], alone[CHOICES_MAX];
    size_t grammar; /* GRAMMARS: none */
    unsigned ended;
};
static struct job jobs[REQUESTS];

static unsigned roll(unsigned sides) {
    return (unsigned)rand_r(&seed) % sides;
}

static void draw(struct job *job) {
    *job = (struct job){0};
    for (size_t i = 0; i < PROMPT; i++) job->ids[i] = 1 + (int32_t)roll(FAKE_VOCABULARY - 1);
    job->prompt = fake_prompt(job->ids, 1 + roll(PROMPT), 1 + roll(LENGTH_MAX));
    job->prompt.choices = 1 + roll(CHOICES_MAX);
    job->prompt.priority = (int)roll(3) - 1;
    job->prompt.ignore_end = roll(2);
    job->prompt.sampling.temperature = 1;
    job->prompt.sampling.has_seed = true;
    job->prompt.sampling.seed = (int64_t)roll(1000);
    job->grammar = roll(5) ? roll(GRAMMARS) : GRAMMARS;
}

static void take(struct job *job) {
    struct engine_event event;
    while (scheduler_next_event(job->request, &event)) {
        struct said *said = &job->said[event.choice];
        assert_true(!said->has_ended && said->length + event.text_length < sizeof said->text);
        memcpy(said->text + said->length, event.text, event.text_length);
        said->length += event.text_length;
        said->tokens += event.kind == ENGINE_EVENT_TOKEN;
        if (event.kind != ENGINE_EVENT_FINISHED) continue;
        said->has_ended = true;
        said->finish = event.finish;
        job->ended++;
    }
}

static void submit(struct job *job) {
    struct error e;
    memset(job->said, 0, sizeof job->said);
    job->ended = 0;
    job->prompt.grammar = job->grammar < GRAMMARS ? grammars.items[job->grammar] : NULL;
    assert_ok(scheduler_submit(scheduler, &job->prompt, 1, &job->request, &e));
}

/* A turn after which the scheduler would sleep is one that leaves nobody behind. */
static void turn(void) {
    bool goes_on = scheduler_turn(scheduler);
    size_t left = 0;
    while (scheduler_next_ready(scheduler)) {
    }
    for (size_t i = 0; i < REQUESTS; i++) {
        if (!jobs[i].request) continue;
        take(&jobs[i]);
        left += jobs[i].ended < jobs[i].prompt.choices;
    }
    assert_true(goes_on || left == 0);
}

/* The grammars are made anew for each run, so that nothing of them is known. */
static void begin(void (*change)(struct scheduler_options *), size_t pages) {
    fake_grammars_init(&grammars, grammar_texts, GRAMMARS);
    start(pages, CONTEXT, change);
}

static void end(void) {
    struct engine_stats stats;
    scheduler_stats(scheduler, &stats);
    preemptions += stats.preemptions;
    waits += stats.mask_waits;
    for (size_t i = 0; i < REQUESTS; i++) {
        if (jobs[i].request) scheduler_release(jobs[i].request);
        jobs[i].request = NULL;
    }
    stop();
    fake_grammars_deinit(&grammars);
}

static void alone(struct scheduler_options *o) {
    o->rules.tokenizer = tokenizer;
}

static void together(struct scheduler_options *o) {
    alone(o);
    o->workers = workers;
    o->limits.sequences = 1 + roll(6);
    o->speculate = roll(2);
    o->draft_row_cost = 0.001;
}

static void run_alone(struct job *job) {
    begin(alone, 64);
    submit(job);
    for (int turns = 0; job->ended < job->prompt.choices; turns++) {
        assert_true(turns < TURNS_MAX);
        turn();
    }
    memcpy(job->alone, job->said, sizeof job->alone);
    end();
}

static bool have_all_ended(void) {
    for (size_t i = 0; i < REQUESTS; i++)
        if (jobs[i].ended < jobs[i].prompt.choices) return false;
    return true;
}

static void live(struct job *job) {
    if (!any_leave || job->ended == job->prompt.choices || roll(200)) return;
    scheduler_cancel(job->request);
    cancelled++;
}

static void run_together(void) {
    begin(together, 7 + roll(8));
    for (size_t i = 0; i < REQUESTS; i++) {
        submit(&jobs[i]);
        for (unsigned turns = roll(30); turns > 0; turns--) turn();
    }
    for (int turns = 0; !have_all_ended(); turns++) {
        assert_true(turns < TURNS_MAX);
        turn();
        for (size_t i = 0; i < REQUESTS; i++) live(&jobs[i]);
    }
    end();
}

static void check(const struct job *job) {
    for (uint32_t i = 0; i < job->prompt.choices; i++) {
        const struct said *a = &job->said[i], *b = &job->alone[i];
        assert_true(a->length <= b->length);
        assert_memory_equal(a->text, b->text, a->length);
        if (a->finish == ENGINE_FINISH_CANCELLED) continue;
        assert_int_equal(a->length, b->length);
        assert_int_equal(a->tokens, b->tokens);
        assert_int_equal(a->finish, b->finish);
        assert_int_not_equal(a->finish, ENGINE_FINISH_FAILED);
        matched += job->grammar < GRAMMARS && a->finish == ENGINE_FINISH_STOP;
    }
}

static void each_says_what_it_says_alone(void **state) {
    (void)state;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        seed = round;
        any_leave = round % 2 == 0;
        for (size_t i = 0; i < REQUESTS; i++) {
            draw(&jobs[i]);
            run_alone(&jobs[i]);
        }
        run_together();
        for (size_t i = 0; i < REQUESTS; i++) check(&jobs[i]);
    }
    print_message("%llu preemptions, %llu waits, %llu cancelled, %llu ended by their grammar\n",
                  (unsigned long long)preemptions, (unsigned long long)waits, (unsigned long long)cancelled,
                  (unsigned long long)matched);
    assert_true(preemptions >= ROUNDS / 4 && waits > 100 * ROUNDS && cancelled >= ROUNDS / 4 &&
                matched > ROUNDS);
}

static int open_all(void **state) {
    struct error e;
    assert_ok(workers_create(3, &workers, &e));
    return open_tokenizer(state);
}

static int close_all(void **state) {
    workers_destroy(workers);
    return close_tokenizer(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_says_what_it_says_alone)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
