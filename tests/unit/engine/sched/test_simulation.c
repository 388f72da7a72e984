/* 100,000 random turns of the scheduler over tiny pools: requests of several clients come, are cancelled,
 * given back, read slowly, share their beginnings; with drafts and without. In every turn: nobody who could run is
 * overtaken by one of worse rank, whatever request it is a choice of; where clients take turns, none has more than one turn more
 * than another that waits beside it; whoever is in the batch can go on or waits for its leader there. After
 * every turn: each page is held by exactly the sequences that have it in their tables, no limit is exceeded;
 * and in the end every request has ended once, rightly, and before others have passed it for ever. (The fake
 * model checks budgets, pages and texts.) */
#include "collector.h"
#include "fake_model.h"

#include "engine/base/clock.h"
#include "engine/sched/batch_slots.h"
#include "engine/sched/sequence_sets.h"

enum { CLIENTS = 3, PRIORITIES = 3, SEQUENCES_MAX = 8 };
enum { ROUNDS = TEST_SHARE ? 40 : 100, TURNS = 1000, TURNS_TO_WAIT_MAX = 8000 };
enum { LIVE = 24, PROMPT_MAX = 60, ANSWER_MAX = 30 };

struct job {
    struct collected got;
    struct engine_prompt prompt;
    int32_t ids[PROMPT_MAX], prediction[ANSWER_MAX];
    int32_t stop;
    bool cancelled;
    int patience; /* reads once in so many turns; 0: has been given back */
    unsigned turns;
};

static struct fake_model model;
static struct scheduler *scheduler;
static struct job jobs[LIVE];
static unsigned seed;
static uint64_t ended, cancelled, given_back, joined, backpressured;
static uint64_t draft_tokens, accepted_tokens, predicted_tokens, embeddings;
static int64_t turns_behind;

static unsigned roll(unsigned sides) {
    return (unsigned)rand_r(&seed) % sides;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

/* Now and then it is to become an embedding. */
static void make_pooled(struct job *job) {
    job->prompt.pooling = roll(2) ? ENGINE_POOLING_LAST : ENGINE_POOLING_MEAN;
    job->prompt.choices = 1;
    job->prompt.max_tokens = 0;
    job->prompt.prompt_logprobs = false;
}

/* Few beginnings, so that prefixes are shared. */
static void make_prompt(struct job *job) {
    size_t count = 1 + roll(PROMPT_MAX), shared = roll(2) ? count : roll((unsigned)count + 1);
    unsigned family = roll(3);
    for (size_t i = 0; i < count; i++)
        job->ids[i] =
            i < shared ? 1 + (int32_t)(family * 7 + i) % 60 : 1 + (int32_t)roll(FAKE_VOCABULARY - 1);
    job->prompt = fake_prompt(job->ids, count, roll(20) ? 1 + roll(ANSWER_MAX) : 0);
    job->prompt.choices = roll(4) ? 1 : 1 + roll(COLLECTED_CHOICES);
    job->prompt.ignore_end = roll(2);
    job->prompt.prompt_logprobs = roll(6) == 0;
    job->prompt.logprobs = (int)roll(3) - 1;
    job->prompt.priority = (int)roll(PRIORITIES) - 1;
    job->prompt.client = roll(3) ? 0 : roll(CLIENTS); /* one has more than the others */
    job->stop = 1 + (int32_t)roll(60);
    if (roll(3) == 0) job->prompt.stop_tokens = &job->stop, job->prompt.stop_token_count = 1;
    if (roll(8) == 0) make_pooled(job);
}

/* The answer itself with some tokens changed, left out or put in between. */
static void make_prediction(struct job *job) {
    int32_t tokens[PROMPT_MAX + ANSWER_MAX];
    size_t count = job->prompt.count, length = 0;
    memcpy(tokens, job->ids, count * sizeof *tokens);
    for (size_t i = 0; i < ANSWER_MAX && length < ANSWER_MAX; i++) {
        tokens[count + i] = fake_next_of(model.memory, tokens, count + i);
        unsigned fate = roll(20);
        if (fate == 0) continue;
        job->prediction[length++] = fate > 2 ? tokens[count + i] : (int32_t)roll(FAKE_VOCABULARY);
        i -= fate == 1;
    }
    job->prompt.prediction = job->prediction;
    job->prompt.prediction_count = length;
}

static void submit(struct job *job) {
    struct error e;
    memset(job, 0, sizeof *job);
    make_prompt(job);
    if (roll(3) == 0) make_prediction(job);
    job->prompt.user = job;
    job->patience = roll(5) ? 1 : roll(4) ? 20 : 100;
    if (scheduler_submit(scheduler, &job->prompt, 1, &job->got.request, &e) != STATUS_OK) job->patience = 0;
}

static void check_embedding(const struct job *job, const struct engine_event *end) {
    const bool is_mean = job->prompt.pooling == ENGINE_POOLING_MEAN;
    const size_t count = job->prompt.count;
    double row[FAKE_HIDDEN], sum[FAKE_HIDDEN] = {0};
    for (size_t i = is_mean ? 0 : count - 1; i < count; i++) {
        fake_hidden_of(job->ids, i, row);
        for (int k = 0; k < FAKE_HIDDEN; k++) sum[k] += row[k];
    }
    assert_int_equal(end->finish, ENGINE_FINISH_STOP);
    for (int k = 0; k < FAKE_HIDDEN; k++)
        assert_true(end->embedding[k] == (float)(sum[k] / (is_mean ? (double)count : 1)));
    embeddings++;
}

static void check_choice(const struct job *job, const struct collected_choice *choice) {
    int32_t tokens[PROMPT_MAX + ANSWER_MAX];
    size_t count = job->prompt.count;
    memcpy(tokens, job->ids, count * sizeof *tokens);
    for (size_t i = 0; i < choice->count; i++) {
        tokens[count + i] = fake_next_of(model.memory, tokens, count + i);
        assert_int_equal(choice->ids[i], tokens[count + i]);
    }
    assert_int_equal(choice->ends, 1);
    assert_true(choice->end.predicted_tokens <= job->prompt.prediction_count);
    predicted_tokens += choice->end.predicted_tokens;
    if (job->cancelled) return;
    if (job->prompt.pooling) {
        check_embedding(job, &choice->end);
        return;
    }
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

static void hold(uint32_t *held, const struct sequence *q) {
    assert_true(q->table.count * FAKE_PAGE_TOKENS >= q->computed);
    for (size_t p = 0; p < q->table.count; p++) held[q->table.pages[p]]++;
}

static void check_pages(void) {
    uint32_t held[64] = {0};
    size_t available = 0;
    for (size_t i = 0; i < scheduler->running_count; i++) hold(held, scheduler->running[i]);
    for (int i = 0; i < SCHEDULER_QUEUES; i++)
        for (const struct sequence *q = scheduler->queues[i].first; q; q = q->next) {
            assert_int_equal(q->table.count > 0, i == QUEUE_BACKPRESSURED || i == QUEUE_RESUMED);
            hold(held, q);
        }
    for (uint32_t p = 0; p < model.pool.page_count; p++) {
        assert_int_equal(model.pool.references[p], held[p]);
        available += held[p] == 0;
    }
    assert_int_equal(kv_pool_available(&model.pool), available);
}

static size_t count_aside(void) {
    size_t count = 0;
    for (int i = QUEUE_WAITING + 1; i < SCHEDULER_QUEUES; i++) count += scheduler->queues[i].count;
    return count;
}

static void check_order(void) {
    const struct scheduler_options *options = &scheduler->options;
    static const enum sequence_state states[] = {SEQUENCE_WAITING, SEQUENCE_PREEMPTED, SEQUENCE_RESUMED,
                                                 SEQUENCE_BACKPRESSURED, SEQUENCE_BACKPRESSURED};
    assert_true(scheduler->running_count <= options->limits.sequences);
    assert_true(scheduler->running_count + count_aside() <= options->limits.sequences + options->aside_max);
    for (size_t i = 1; i < scheduler->running_count; i++)
        assert_true(queue_before(scheduler->running[i - 1], scheduler->running[i]));
    for (int i = 0; i < SCHEDULER_QUEUES; i++)
        for (const struct sequence *q = scheduler->queues[i].first; q; q = q->next) {
            assert_int_equal(q->state, states[i]);
            assert_int_equal(q->flow != NULL, options->fair_share && i == QUEUE_WAITING);
            if (q->next) assert_true(queue_before(q, q->next));
        }
}

/* Everybody in the batch has a use for its place. */
static void check_batch(void) {
    slots_describe(scheduler);
    for (size_t i = 0; i < scheduler->running_count; i++) {
        const struct sequence *q = scheduler->running[i], *leader = q->request->leader;
        assert_int_equal(q->state == SEQUENCE_JOINING, scheduler->needs[i].joining);
        if (!scheduler->needs[i].joining) {
            assert_true(batch_can_run(&scheduler->needs[i]) && !scheduler->needs[i].needs_page);
            continue;
        }
        assert_true(leader && !leader->queue && queue_before(leader, q));
        assert_int_equal(q->table.count, q->count % FAKE_PAGE_TOKENS != 0);
        joined++;
    }
}

/* ---- rank ---------------------------------------------------------------------------------------------- */

static struct sequence *batch_before[SEQUENCES_MAX];
static size_t batch_before_count;

static bool is_new_in_batch(const struct sequence *q) {
    for (size_t i = 0; i < batch_before_count; i++)
        if (batch_before[i] == q) return false;
    return true;
}

static void remember_batch(void) {
    batch_before_count = scheduler->running_count;
    for (size_t i = 0; i < batch_before_count; i++) batch_before[i] = scheduler->running[i];
}

/* New ones cannot run while too many are set aside. */
static void check_nobody_was_overtaken(void) {
    const struct scheduler_options *o = &scheduler->options;
    bool new_ones_wait = scheduler->running_count + count_aside() >= o->limits.sequences + o->aside_max;
    for (size_t i = 0; i < scheduler->running_count; i++) {
        const struct sequence *q = scheduler->running[i];
        if (!is_new_in_batch(q)) continue;
        for (int queue = QUEUE_WAITING; queue <= QUEUE_RESUMED; queue++) {
            const struct sequence *first = scheduler->queues[queue].first;
            if (first && (queue != QUEUE_WAITING || !new_ones_wait)) assert_false(queue_before(first, q));
        }
    }
}

/* ---- turns of clients ---------------------------------------------------------------------------------- */

static bool waited[LIVE][COLLECTED_CHOICES];
static int lead_of[PRIORITIES][CLIENTS]
                  [CLIENTS]; /* turns of the second beyond those of the first, which waits */

static bool waits(const struct job *job, uint32_t choice) {
    return job->got.request && choice < job->prompt.choices &&
           job->got.request->sequences[choice].state == SEQUENCE_WAITING;
}

static void remember_waiting(void) {
    for (int j = 0; j < LIVE; j++)
        for (uint32_t c = 0; c < COLLECTED_CHOICES; c++) waited[j][c] = waits(&jobs[j], c);
}

static void check_turns(void) {
    int turns[PRIORITIES][CLIENTS] = {0};
    bool waiting[PRIORITIES][CLIENTS] = {0};
    for (int j = 0; j < LIVE; j++)
        for (uint32_t c = 0; c < COLLECTED_CHOICES; c++) {
            if (!waited[j][c]) continue;
            int priority = jobs[j].prompt.priority + 1, client = (int)jobs[j].prompt.client;
            bool still = waits(&jobs[j], c);
            waiting[priority][client] |= still;
            turns[priority][client] += !still && jobs[j].got.request->sequences[c].state != SEQUENCE_DONE;
        }
    for (int p = 0; p < PRIORITIES; p++)
        for (int a = 0; a < CLIENTS; a++)
            for (int b = 0; b < CLIENTS; b++) {
                int *lead = &lead_of[p][a][b];
                *lead += turns[p][b] - turns[p][a];
                if (*lead < 0 || !waiting[p][a]) *lead = 0;
                assert_true(*lead <= 1);
                turns_behind += *lead;
            }
}

/* As scheduler_turn, looked at where those that run have been chosen. */
static void checked_turn(void) {
    struct engine_request *arrivals;
    remember_batch();
    remember_waiting();
    submit_queue_wait(&scheduler->submit_queue, 0, &arrivals);
    sets_take_arrivals(scheduler, arrivals);
    sets_sweep(scheduler, clock_ns());
    slots_make_room(scheduler, clock_ns());
    check_batch();
    check_nobody_was_overtaken();
    if (scheduler->options.fair_share) check_turns();
    check_pages();
    check_order();
    step_run(scheduler);
    sets_publish(scheduler);
    ready_list_wake(&scheduler->ready_list);
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static void start(void) {
    struct error e;
    struct scheduler_options options = fake_model_init(&model, 6 + roll(20), 90);
    options.limits.rows = 8 + roll(40);
    options.limits.sequences = 1 + roll(8);
    options.limits.logit_rows = options.limits.sequences + roll(12 - (unsigned)options.limits.sequences + 1);
    options.limits.mixed_prefill_rows = roll(16);
    options.rules.max_pending_events = 2 + roll(10);
    options.aside_max = roll(2) ? 64 : roll(6);
    options.fair_share = roll(2);
    options.speculate = roll(4) > 0;
    options.draft_row_cost = 0.01;
    model.memory = roll(3);
    if (roll(2)) options.self_drafts = fake_drafter(&model);
    memset(lead_of, 0, sizeof lead_of);
    assert_ok(scheduler_create(&options, &scheduler, &e));
}

static void drain(void) {
    for (unsigned left = LIVE, turns = 0; left > 0; turns++) {
        assert_true(turns < TURNS_TO_WAIT_MAX);
        checked_turn();
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
            checked_turn();
            backpressured +=
                scheduler->queues[QUEUE_BACKPRESSURED].count + scheduler->queues[QUEUE_STRIPPED].count;
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
        draft_tokens += stats.spec_draft_tokens;
        accepted_tokens += stats.spec_accepted_tokens;
        scheduler_turn(scheduler);
        assert_int_equal(kv_pool_available(&model.pool), model.pool.page_count);
        scheduler_destroy(scheduler);
        fake_model_deinit(&model);
        seed = round;
    }
    print_message(
        "%llu ended, %llu cancelled, %llu given back, %llu preemptions, %llu tokens from the cache, "
        "%llu turns of joining, %llu of pausing, %lld behind another client\n",
        (unsigned long long)ended, (unsigned long long)cancelled, (unsigned long long)given_back,
        (unsigned long long)preemptions, (unsigned long long)hits, (unsigned long long)joined,
        (unsigned long long)backpressured, (long long)turns_behind);
    print_message("%llu draft tokens, %llu accepted, %llu predicted\n", (unsigned long long)draft_tokens,
                  (unsigned long long)accepted_tokens, (unsigned long long)predicted_tokens);
    assert_true(accepted_tokens > 1000 && draft_tokens > accepted_tokens + 1000 && predicted_tokens > 1000);
    assert_true(embeddings > 10 * ROUNDS);
    assert_true(joined > 1000 && backpressured > 1000 && turns_behind > 1000);
    assert_true(ended > 1000 && cancelled > 100 && given_back > 100 && preemptions > 1000 && hits > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_turns_keep_the_invariants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
