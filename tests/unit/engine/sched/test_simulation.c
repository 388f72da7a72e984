/* 100,000 random turns of the scheduler over tiny pools: requests come, are cancelled, given back, read
 * slowly, share their beginnings. After every turn: each page is held by exactly the sequences that have it
 * in their tables, no limit is exceeded; and in the end every request has ended once, rightly, and before
 * others have passed it for ever. (The fake model checks budgets, pages and texts.) */
#include "collector.h"
#include "fake_model.h"

#include "engine/sched/scheduler_state.h"

enum { ROUNDS = 100, TURNS = 1000, LIVE = 24, PROMPT_MAX = 60, TURNS_TO_WAIT_MAX = 4000 };

struct job {
    struct collected got;
    struct engine_prompt prompt;
    int32_t ids[PROMPT_MAX];
    int32_t stop;
    bool cancelled;
    int patience; /* reads once in so many turns; 0: has been given back */
    unsigned turns;
};

static struct fake_model model;
static struct scheduler *scheduler;
static struct job jobs[LIVE];
static unsigned seed;
static uint64_t ended, cancelled, given_back;

static unsigned roll(unsigned sides) {
    return (unsigned)rand_r(&seed) % sides;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

/* Few beginnings, so that prefixes are shared. */
static void make_prompt(struct job *job) {
    size_t count = 1 + roll(PROMPT_MAX), shared = roll(2) ? count : roll((unsigned)count + 1);
    unsigned family = roll(3);
    for (size_t i = 0; i < count; i++)
        job->ids[i] =
            i < shared ? 1 + (int32_t)(family * 7 + i) % 60 : 1 + (int32_t)roll(FAKE_VOCABULARY - 1);
    job->prompt = fake_prompt(job->ids, count, roll(20) ? 1 + roll(30) : 0);
    job->prompt.choices = roll(4) ? 1 : 1 + roll(COLLECTED_CHOICES);
    job->prompt.ignore_end = roll(2);
    job->prompt.prompt_logprobs = roll(6) == 0;
    job->prompt.logprobs = (int)roll(3) - 1;
    job->prompt.priority = (int)roll(3) - 1;
    job->stop = 1 + (int32_t)roll(60);
    if (roll(3) == 0) job->prompt.stop_tokens = &job->stop, job->prompt.stop_token_count = 1;
}

static void submit(struct job *job) {
    struct error e;
    memset(job, 0, sizeof *job);
    make_prompt(job);
    job->prompt.user = job;
    job->patience = roll(5) ? 1 : 20;
    if (scheduler_submit(scheduler, &job->prompt, 1, &job->got.request, &e) != STATUS_OK) job->patience = 0;
}

static void check_choice(const struct job *job, const struct collected_choice *choice) {
    int32_t tokens[PROMPT_MAX + 30];
    size_t count = job->prompt.count;
    memcpy(tokens, job->ids, count * sizeof *tokens);
    for (size_t i = 0; i < choice->count; i++) {
        tokens[count + i] = fake_next(tokens, count + i);
        assert_int_equal(choice->ids[i], tokens[count + i]);
    }
    assert_int_equal(choice->ends, 1);
    if (job->cancelled) return;
    bool stopped =
        choice->count > 0 && ((!job->prompt.ignore_end && choice->ids[choice->count - 1] == 0) ||
                              (job->prompt.stop_token_count && choice->ids[choice->count - 1] == job->stop));
    assert_int_equal(choice->end.finish, stopped ? ENGINE_FINISH_STOP : ENGINE_FINISH_LENGTH);
    if (!stopped) assert_int_equal(choice->count, job->prompt.max_tokens);
}

static void end_job(struct job *job) {
    for (uint32_t i = 0; i < job->prompt.choices; i++) check_choice(job, &job->got.choices[i]);
    if (job->prompt.prompt_logprobs && !job->cancelled)
        assert_int_equal(job->got.prompt_count, job->prompt.count);
    collect_release(&job->got);
    job->patience = 0;
    ended++;
}

static void live(struct job *job) {
    if (!job->patience) {
        if (roll(4) == 0) submit(job);
        return;
    }
    assert_true(job->turns++ < TURNS_TO_WAIT_MAX);
    if (roll((unsigned)job->patience) == 0) collect_some(&job->got, SIZE_MAX);
    if (job->got.ended == job->prompt.choices) {
        end_job(job);
    } else if (roll(300) == 0) {
        scheduler_cancel(job->got.request);
        job->cancelled = true;
        cancelled++;
    } else if (roll(400) == 0) {
        collect_release(&job->got);
        job->patience = 0;
        given_back++;
    }
}

/* ---- invariants ---------------------------------------------------------------------------------------- */

static void check_pages(void) {
    uint32_t held[64] = {0};
    size_t available = 0;
    for (size_t i = 0; i < scheduler->running_count; i++) {
        const struct sequence *q = scheduler->running[i];
        assert_true(q->table.count * FAKE_PAGE_TOKENS >= q->computed);
        for (size_t p = 0; p < q->table.count; p++) held[q->table.pages[p]]++;
    }
    for (const struct sequence *q = scheduler->waiting.first; q; q = q->next)
        assert_int_equal(q->table.count, 0);
    for (uint32_t p = 0; p < model.pool.page_count; p++) {
        assert_int_equal(model.pool.references[p], held[p]);
        available += held[p] == 0;
    }
    assert_int_equal(kv_pool_available(&model.pool), available);
}

static void check_order(void) {
    assert_true(scheduler->running_count <= scheduler->options.limits.sequences);
    for (size_t i = 1; i < scheduler->running_count; i++)
        assert_true(queue_before(scheduler->running[i - 1], scheduler->running[i]));
    for (const struct sequence *q = scheduler->waiting.first; q && q->next; q = q->next)
        assert_true(queue_before(q, q->next));
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static void start(void) {
    struct error e;
    struct scheduler_options options = fake_model_init(&model, 6 + roll(20), 90);
    options.limits.rows = 8 + roll(40);
    options.limits.sequences = 1 + roll(8);
    options.limits.logit_rows = options.limits.sequences + roll(12 - (unsigned)options.limits.sequences + 1);
    options.limits.mixed_prefill_rows = roll(16);
    options.rules.mailbox_events = 2 + roll(10);
    assert_ok(scheduler_create(&options, &scheduler, &e));
}

static void drain(void) {
    for (unsigned left = LIVE, turns = 0; left > 0; turns++) {
        assert_true(turns < TURNS_TO_WAIT_MAX);
        scheduler_turn(scheduler);
        left = 0;
        for (struct job *job = jobs; job < jobs + LIVE; job++) {
            if (!job->patience) continue;
            collect_some(&job->got, SIZE_MAX);
            if (job->got.ended == job->prompt.choices)
                end_job(job);
            else
                left++;
        }
    }
}

static void random_turns_keep_the_invariants(void **state) {
    (void)state;
    uint64_t preemptions = 0, hits = 0;
    for (seed = 1; seed <= ROUNDS; seed++) {
        unsigned round = seed;
        start();
        for (int turn = 0; turn < TURNS; turn++) {
            for (struct job *job = jobs; job < jobs + LIVE; job++) live(job);
            scheduler_turn(scheduler);
            while (scheduler_next_ready(scheduler)) {
            }
            check_pages();
            check_order();
        }
        drain();
        struct engine_stats stats;
        scheduler_stats(scheduler, &stats);
        preemptions += stats.preemptions;
        hits += stats.prefix_hit_tokens;
        scheduler_turn(scheduler);
        assert_int_equal(kv_pool_available(&model.pool), model.pool.page_count);
        scheduler_destroy(scheduler);
        fake_model_deinit(&model);
        seed = round;
    }
    print_message(
        "%llu ended, %llu cancelled, %llu given back, %llu preemptions, %llu tokens from the cache\n",
        (unsigned long long)ended, (unsigned long long)cancelled, (unsigned long long)given_back,
        (unsigned long long)preemptions, (unsigned long long)hits);
    assert_true(ended > 1000 && cancelled > 100 && given_back > 100 && preemptions > 1000 && hits > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_turns_keep_the_invariants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
