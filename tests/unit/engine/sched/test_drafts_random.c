/* Random requests with everything that a request may ask for, each alone without drafts, and then all together with
 * them, over a small pool, with slow readers and cancels: every event is the same, bit by bit. */
#include "fake_model.h"
#include "fake_grammars.h"

/* Under a sanitizer a round takes ten times as long, and shows the same. */
enum { ROUNDS = TEST_SHARE ? 40 : 120 };

enum { REQUESTS = 16, PROMPT_MAX = 40, ANSWER_MAX = 60, CHOICES_MAX = 3, TURNS_MAX = 50000 };

struct said {
    uint64_t hash[ANSWER_MAX + 2]; /* of all events up to each, with all that is in them */
    int32_t ids[ANSWER_MAX];
    size_t events, ids_count;
    struct engine_event end;
    bool ended;
};

struct job {
    struct engine_request *request;
    struct engine_prompt prompt;
    struct said said[CHOICES_MAX];
    unsigned ended;
    bool is_cancelled;
    int32_t ids[PROMPT_MAX], prediction[ANSWER_MAX], allowed[40], stop_token, ban_ids[3][2];
    struct engine_ban bans[3];
    struct engine_bias biases[8];
    struct engine_string stops[2];
    char stop_texts[2][3];
};

static struct fake_model model;
static struct scheduler *scheduler;
static struct job jobs[REQUESTS], alone[REQUESTS];
static unsigned seed;
static struct fake_grammars grammars;
static const char *const grammar_texts[] = {
    "root ::= [!-Z]+ [A-K] [!-/]{3,9}",
    "root ::= [!-@] root [A-Z] | [#-+]",
    "root ::= ([!-.]{2} \"Q%Q%Q%\" [C-Y]{1,3})* end\nend ::= \"A\" | \"B\" end?",
};
static uint64_t matched; /* texts that a grammar ended */
static uint64_t drafted, accepted, preemptions, cancelled, stopped, failed, predicted, draft_steps;

static unsigned roll(unsigned sides) {
    return (unsigned)rand_r(&seed) % sides;
}

static int32_t any_id(void) {
    return (int32_t)roll(FAKE_VOCABULARY);
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static void draw_sampling(struct job *job) {
    struct engine_sampling *s = &job->prompt.sampling;
    static const double temperatures[] = {0, 0.1, 0.3, 1, 2};
    s->temperature = temperatures[roll(5)];
    s->top_p = roll(3) ? 1 : 0.8;
    s->min_p = roll(4) ? 0 : 0.05;
    s->typical_p = roll(6) ? 1 : 0.7;
    s->top_k = roll(3) ? 0 : 1 + roll(10);
    s->presence_penalty = roll(4) ? 0 : 0.5;
    s->frequency_penalty = roll(4) ? 0 : 0.3;
    s->repetition_penalty = roll(4) ? 1 : 1.3;
    s->has_seed = true;
    s->seed = (int64_t)roll(1000);
    for (s->bias_count = roll(2) ? 0 : roll(8); s->bias_count && !s->biases; s->biases = job->biases)
        for (size_t i = 0; i < s->bias_count; i++)
            job->biases[i] = (struct engine_bias){any_id(), (float)roll(5) - 2};
    if (roll(5) == 0) {
        s->allowed = job->allowed;
        s->allowed_count = 40;
        for (int i = 0; i < 40; i++) job->allowed[i] = 10 + i;
    }
    if (roll(4) == 0) {
        s->bans = job->bans;
        s->ban_count = 1 + roll(3);
        for (size_t i = 0; i < s->ban_count; i++) {
            job->ban_ids[i][0] = any_id(), job->ban_ids[i][1] = any_id();
            job->bans[i] = (struct engine_ban){job->ban_ids[i], 1 + roll(2)};
        }
    }
}

/* A letter is a token here, but for the first id. */
static void draw_ends(struct job *job) {
    struct engine_prompt *p = &job->prompt;
    p->ignore_end = roll(2);
    p->min_tokens = roll(3) ? 0 : roll(p->max_tokens);
    p->include_stop_text = roll(2);
    p->skip_special = roll(2);
    job->stop_token = any_id();
    if (roll(3) == 0) p->stop_tokens = &job->stop_token, p->stop_token_count = 1;
    p->stops = job->stops;
    for (p->stop_count = roll(3) ? 0 : 1; p->stop_count < 2 && roll(2);) p->stop_count++;
    for (size_t i = 0; i < p->stop_count; i++) {
        size_t length = 1 + roll(2);
        for (size_t k = 0; k < length; k++) job->stop_texts[i][k] = (char)('!' + roll(60));
        job->stops[i] = (struct engine_string){job->stop_texts[i], length};
    }
}

static void draw(struct job *job) {
    *job = (struct job){0};
    size_t count = 1 + roll(PROMPT_MAX), period = 1 + roll(12);
    for (size_t i = 0; i < count; i++)
        job->ids[i] = i < period || roll(9) == 0 ? any_id() : job->ids[i - period];
    job->prompt = fake_prompt(job->ids, count, 1 + roll(ANSWER_MAX));
    job->prompt.choices = roll(3) ? 1 : 1 + roll(CHOICES_MAX);
    job->prompt.logprobs = (int)roll(5) - 1;
    job->prompt.prompt_logprobs = roll(6) == 0;
    job->prompt.priority = (int)roll(3) - 1;
    if (roll(3) == 0) job->prompt.grammar = grammars.items[roll(3)];
    draw_sampling(job);
    draw_ends(job);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
    return hash ^ hash >> 31;
}

static void take(struct job *job, const struct engine_event *event) {
    struct said *said = &job->said[event->choice];
    assert_false(said->ended);
    uint64_t hash = said->events ? said->hash[said->events - 1] : 14695981039346656037u;
    hash = mix(hash, event->text, event->text_length);
    if (event->kind == ENGINE_EVENT_FINISHED) {
        said->end = *event;
        said->ended = true;
        job->ended++;
    } else {
        hash = mix(hash, &event->id, sizeof event->id);
        hash = mix(hash, &event->rank, sizeof event->rank);
        if (event->has_logprob) hash = mix(hash, &event->logprob, sizeof event->logprob);
        for (size_t i = 0; i < event->top_count; i++) {
            hash = mix(hash, &event->top[i].id, sizeof event->top[i].id);
            hash = mix(hash, &event->top[i].logprob, sizeof event->top[i].logprob);
        }
    }
    if (event->kind == ENGINE_EVENT_TOKEN) said->ids[said->ids_count++] = event->id;
    if (event->kind == ENGINE_EVENT_PROMPT) return; /* before all tokens, but counted by the first of them */
    assert_true(said->events < ANSWER_MAX + 2);
    said->hash[said->events++] = hash;
}

static void take_events(struct job *job, size_t most) {
    struct engine_event event;
    for (size_t i = 0; i < most && scheduler_next_event(job->request, &event); i++) take(job, &event);
}

static void check_same(const struct job *job, const struct job *reference) {
    for (uint32_t i = 0; i < job->prompt.choices; i++) {
        const struct said *a = &job->said[i], *b = &reference->said[i];
        assert_true(a->ids_count <= b->ids_count);
        assert_memory_equal(a->ids, b->ids, a->ids_count * sizeof *a->ids);
        assert_memory_equal(a->hash, b->hash, a->ids_count * sizeof *a->hash);
        if (a->end.finish == ENGINE_FINISH_CANCELLED) continue;
        assert_int_equal(a->ids_count, b->ids_count);
        assert_int_equal(a->end.finish, b->end.finish);
        assert_int_equal(a->end.stop_string, b->end.stop_string);
        assert_int_equal(a->end.stop_token, b->end.stop_token);
        assert_int_equal(a->end.completion_tokens, b->end.completion_tokens);
        assert_int_equal(a->end.predicted_tokens, b->end.predicted_tokens);
        assert_memory_equal(a->hash, b->hash, a->events * sizeof *a->hash);
        stopped += a->end.stop_string >= 0;
        failed += a->end.finish == ENGINE_FINISH_FAILED;
        matched += job->prompt.grammar && a->end.finish == ENGINE_FINISH_STOP;
        predicted += a->end.predicted_tokens;
    }
}

/* ---- ways to run --------------------------------------------------------------------------------------- */

static void start(size_t pages, size_t memory, bool speculate) {
    struct error e;
    struct scheduler_options options = fake_model_init(&model, pages, PROMPT_MAX + ANSWER_MAX + 1);
    model.memory = memory;
    options.rules.tokenizer = tokenizer;
    if (speculate) {
        options.speculate = true;
        options.draft_row_cost = roll(3) ? 0.001 : 0.05;
        if (roll(2)) options.self_drafts = fake_drafter(&model);
        options.limits.rows = 8 + roll(40);
        options.limits.sequences = 1 + roll(8);
        options.limits.mixed_prefill_rows = 1 + roll(16);
        options.rules.max_pending_events = 2 + roll(20);
    }
    assert_ok(scheduler_create(&options, &scheduler, &e));
}

static void stop(void) {
    struct engine_stats stats;
    scheduler_turn(scheduler);
    scheduler_stats(scheduler, &stats);
    drafted += stats.spec_draft_tokens;
    accepted += stats.spec_accepted_tokens;
    preemptions += stats.preemptions;
    draft_steps += model.draft_steps;
    assert_int_equal(kv_pool_available(&model.pool), model.pool.page_count);
    scheduler_destroy(scheduler);
    fake_model_deinit(&model);
}

/* false: it asks for what can never be sampled. */
static bool submit(struct job *job) {
    struct error e;
    memset(job->said, 0, sizeof job->said);
    job->ended = 0;
    return scheduler_submit(scheduler, &job->prompt, 1, &job->request, &e) == STATUS_OK;
}

static void run_alone(struct job *job) {
    for (int turns = 0; job->ended < job->prompt.choices; turns++) {
        assert_true(turns < TURNS_MAX);
        scheduler_turn(scheduler);
        while (scheduler_next_ready(scheduler)) {
        }
        take_events(job, SIZE_MAX);
    }
    scheduler_release(job->request);
}

/* What it says by itself, with some tokens changed, left out or put in between. */
static void predict(struct job *job) {
    size_t length = 0;
    const struct said *said = &job->said[0];
    for (size_t i = 0; i < said->ids_count && length < ANSWER_MAX; i++) {
        unsigned fate = roll(16);
        if (fate == 0) continue;
        job->prediction[length++] = fate > 2 ? said->ids[i] : any_id();
        i -= fate == 1;
    }
    job->prompt.prediction = job->prediction;
    job->prompt.prediction_count = length;
}

static void make_references(size_t memory) {
    start(64, memory, false);
    for (struct job *job = jobs; job < jobs + REQUESTS; job++) {
        do draw(job);
        while (!submit(job));
        run_alone(job);
        if (roll(2)) {
            predict(job);
            assert_true(submit(job));
            run_alone(job);
        }
        alone[job - jobs] = *job;
    }
    stop();
}

static void live(struct job *job, unsigned patience) {
    if (job->ended == job->prompt.choices) return;
    if (roll(patience) == 0) take_events(job, 1 + roll(30));
    if (job->is_cancelled || roll(900)) return;
    scheduler_cancel(job->request);
    job->is_cancelled = true;
    cancelled++;
}

static bool all_have_ended(void) {
    for (struct job *job = jobs; job < jobs + REQUESTS; job++)
        if (job->ended < job->prompt.choices) return false;
    return true;
}

static void run_together(size_t memory) {
    start(7 + roll(20), memory, true);
    for (struct job *job = jobs; job < jobs + REQUESTS; job++) {
        assert_true(submit(job));
        for (unsigned turns = roll(4); turns > 0; turns--) scheduler_turn(scheduler);
    }
    unsigned patience = 1 + roll(4);
    for (int turns = 0; !all_have_ended(); turns++) {
        assert_true(turns < TURNS_MAX);
        scheduler_turn(scheduler);
        while (scheduler_next_ready(scheduler)) {
        }
        for (struct job *job = jobs; job < jobs + REQUESTS; job++) live(job, patience);
    }
    for (struct job *job = jobs; job < jobs + REQUESTS; job++) {
        check_same(job, &alone[job - jobs]);
        scheduler_release(job->request);
    }
    stop();
}

static void drafts_change_no_bit_of_any_answer(void **state) {
    (void)state;
    fake_grammars_init(&grammars, grammar_texts, 3);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        seed = round;
        size_t memory = roll(4);
        make_references(memory);
        run_together(memory);
    }
    print_message("%llu drafted, %llu accepted, %llu preemptions, %llu cancelled, %llu stop strings, %llu "
                  "failed, %llu predicted, %llu steps of the drafter\n",
                  (unsigned long long)drafted, (unsigned long long)accepted, (unsigned long long)preemptions,
                  (unsigned long long)cancelled, (unsigned long long)stopped, (unsigned long long)failed,
                  (unsigned long long)predicted, (unsigned long long)draft_steps);
    const uint64_t many = 8 * ROUNDS, some = 3 * ROUNDS / 4;
    assert_true(accepted > many && drafted > accepted + many && preemptions > some && cancelled > some);
    assert_true(stopped > some && predicted > many && draft_steps > many);
    print_message("%llu matched a grammar\n", (unsigned long long)matched);
    assert_true(matched > some);
    fake_grammars_deinit(&grammars);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(drafts_change_no_bit_of_any_answer)};
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
