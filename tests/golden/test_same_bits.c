/* The bundled model through the whole engine: the texts that another implementation gives, and the promise
 * that a request's ids and log probabilities are the same bits whatever runs beside it, however its prompt is
 * cut into chunks, on one thread or two, with a cache that is too small for all, and with drafts. */
#include "tests/support/test_support.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "engine/api/engine.h"

/* Kernels are some twenty times slower under a sanitizer: fewer requests, and of the types the narrowest
 * (test_batch_bits.c has all). */
#if TEST_SHARE
enum { REQUESTS = 10, FIRST_TYPE = 4, DRAFTS_MIN = 25 };
#else
enum { REQUESTS = 24, FIRST_TYPE = 0, DRAFTS_MIN = 250 };
#endif

enum { TOKENS_MAX = 48, PROMPT_MAX = 200 };

/* ---- an engine, and a thread that waits for it --------------------------------------------------------- */

struct notice {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool given;
};

static struct notice notice = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

static void notify(void *context) {
    (void)context;
    pthread_mutex_lock(&notice.mutex);
    notice.given = true;
    pthread_cond_signal(&notice.changed);
    pthread_mutex_unlock(&notice.mutex);
}

static void wait_for_notice(void) {
    pthread_mutex_lock(&notice.mutex);
    while (!notice.given) pthread_cond_wait(&notice.changed, &notice.mutex);
    notice.given = false;
    pthread_mutex_unlock(&notice.mutex);
}

static struct engine *open_engine(enum weight_type weights, enum head_weights head, enum kv_type kv_type,
                                  size_t threads, size_t step_tokens, size_t kv_cache_mib,
                                  enum speculate_mode speculate) {
    struct error e;
    struct engine *engine;
    struct engine_options options = {.model = test_source_path("deploy/models/tales"),
                                     .norm_form = NORM_FORM_CRMSNORM,
                                     .weights = weights,
                                     .head = head,
                                     .kv_type = kv_type,
                                     .matmul = MATMUL_OWN,
                                     .isa = KERNEL_ISA_AUTO,
                                     .threads = threads,
                                     .kv_cache_mib = kv_cache_mib,
                                     .kv_page_tokens = 16,
                                     .prefix_cache = true,
                                     .speculate = speculate,
                                     .draft_row_cost = 0.001,
                                     .sequences_max = 40,
                                     .queue_max = 64,
                                     .step_tokens = step_tokens,
                                     .max_pending_events = 16,
                                     .logprobs_max = 20,
                                     .wake = notify};
    assert_ok(engine_open(&options, &engine, &e));
    return engine;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

struct result {
    int32_t ids[TOKENS_MAX];
    float logprobs[TOKENS_MAX], top[TOKENS_MAX][3];
    float prompt_logprobs[PROMPT_MAX];
    size_t count, prompt_count;
    char text[4096];
    size_t text_length;
    bool ended;
    enum engine_finish finish;
};

static void take_event(struct result *r, const struct engine_event *event) {
    assert_true(r->text_length + event->text_length < sizeof r->text);
    memcpy(r->text + r->text_length, event->text, event->text_length);
    r->text_length += event->text_length;
    if (event->kind == ENGINE_EVENT_FINISHED) {
        r->ended = true;
        r->finish = event->finish;
    } else if (event->kind == ENGINE_EVENT_PROMPT) {
        r->prompt_logprobs[r->prompt_count++] = event->logprob;
    } else {
        for (size_t i = 0; i < event->top_count; i++) r->top[r->count][i] = event->top[i].logprob;
        r->logprobs[r->count] = event->logprob;
        r->ids[r->count++] = event->id;
    }
}

/* Submits count prompts at once and takes events until all have ended. */
static void run_requests(struct engine *engine, const struct engine_prompt *prompts, struct result *results,
                         size_t count) {
    struct error e;
    struct engine_prompt with_user[REQUESTS];
    struct engine_request *requests[REQUESTS], *ready;
    struct engine_event event;
    memset(results, 0, count * sizeof *results);
    for (size_t i = 0; i < count; i++) {
        with_user[i] = prompts[i];
        with_user[i].user = &results[i];
    }
    assert_ok(engine_submit(engine, with_user, count, requests, &e));
    for (size_t ended = 0; ended < count;) {
        wait_for_notice();
        while ((ready = engine_next_ready(engine)))
            while (engine_request_next_event(ready, &event)) {
                take_event(engine_request_user(ready), &event);
                ended += event.kind == ENGINE_EVENT_FINISHED;
            }
    }
    for (size_t i = 0; i < count; i++) engine_request_release(requests[i]);
}

static struct engine_prompt plain_prompt(const int32_t *ids, size_t count, uint32_t max_tokens) {
    return (struct engine_prompt){.ids = ids,
                                  .count = count,
                                  .choices = 1,
                                  .max_tokens = max_tokens,
                                  .logprobs = -1,
                                  .sampling = {.top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
}

/* ---- texts of the reference ---------------------------------------------------------------------------- */

static void check_case(struct engine *engine, const json_t *expect) {
    struct error e;
    const json_t *expect_ids = json_object_get(expect, "ids"), *greedy = json_object_get(expect, "greedy");
    const char *text = json_string_value(json_object_get(expect, "prompt"));
    int32_t *ids;
    size_t count;
    assert_ok(engine_encode(engine, text, strlen(text), true, 0, &ids, &count, &e));
    assert_int_equal(count, json_array_size(expect_ids));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ids[i], json_integer_value(json_array_get(expect_ids, i)));
    struct engine_prompt prompt = plain_prompt(ids, count, (uint32_t)json_array_size(greedy));
    prompt.skip_special = true;
    static struct result result;
    run_requests(engine, &prompt, &result, 1);
    assert_int_equal(result.count, json_array_size(greedy));
    for (size_t i = 0; i < result.count; i++)
        assert_int_equal(result.ids[i], json_integer_value(json_array_get(greedy, i)));
    result.text[result.text_length] = '\0';
    assert_string_equal(result.text, json_string_value(json_object_get(expect, "text")));
    free(ids);
}

static void greedy_texts_are_those_of_the_reference(void **state) {
    (void)state;
    json_error_t problem;
    json_t *reference = json_load_file(test_source_path("deploy/models/tales/reference.json"), 0, &problem);
    assert_non_null(reference);
    struct engine *engine =
        open_engine(WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, KV_TYPE_AUTO, 0, 256, 0, SPECULATE_NGRAM);
    size_t i;
    json_t *expect;
    json_array_foreach(json_object_get(reference, "cases"), i, expect) check_case(engine, expect);
    assert_true(i > 0);
    engine_close(engine);
    json_decref(reference);
}

/* ---- same bits ----------------------------------------------------------------------------------------- */

static int32_t prompt_ids[REQUESTS][PROMPT_MAX];
static uint64_t accepted, rejected; /* draft tokens */

/* What was said alone, with every ninth token another. */
static void predict(struct engine_prompt *prompt, const struct result *alone, int32_t *prediction) {
    for (size_t i = 0; i < alone->count; i++)
        prediction[i] = i % 9 == 8 ? (alone->ids[i] + 1) % 4096 : alone->ids[i];
    prompt->prediction = prediction;
    prompt->prediction_count = alone->count;
}

/* Prompts of all lengths, greedy and sampled, some scored. */
static void make_prompts(struct engine_prompt *prompts) {
    static const struct engine_string stops[] = {{" little", 7}, {"ed and", 6}};
    srand(11);
    for (size_t i = 0; i < REQUESTS; i++) {
        size_t count = 1 + (size_t)rand() % PROMPT_MAX;
        size_t period = i % 3 == 1 ? 4 + (size_t)rand() % 20 : PROMPT_MAX; /* some say the same again */
        for (size_t k = 0; k < count; k++)
            prompt_ids[i][k] = k < period ? rand() % 4096 : prompt_ids[i][k - period];
        prompts[i] = plain_prompt(prompt_ids[i], count, TOKENS_MAX - (uint32_t)rand() % 20);
        prompts[i].ignore_end = true;
        prompts[i].logprobs = 3;
        prompts[i].prompt_logprobs = i % 4 == 0;
        prompts[i].sampling.temperature = i % 2 ? 1 : 0;
        prompts[i].sampling.top_p = i % 3 ? 0.9 : 1;
        prompts[i].sampling.repetition_penalty = i % 5 ? 1 : 1.2;
        prompts[i].sampling.frequency_penalty = i % 7 ? 0 : 0.2;
        prompts[i].min_tokens = i % 6 == 2 ? 20 : 0;
        prompts[i].stops = stops;
        prompts[i].stop_count = i % 4 == 2 ? 2 : 0;
        prompts[i].sampling.has_seed = true;
        prompts[i].sampling.seed = (int64_t)i;
    }
}

static void expect_same(const struct result *a, const struct result *b) {
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->prompt_count, b->prompt_count);
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, sizeof a->logprobs);
    assert_memory_equal(a->top, b->top, sizeof a->top);
    assert_memory_equal(a->prompt_logprobs, b->prompt_logprobs, sizeof a->prompt_logprobs);
    assert_int_equal(a->text_length, b->text_length);
    assert_memory_equal(a->text, b->text, a->text_length);
}

enum { WAYS = 4, PREEMPTING = 2 };

/* Each type of weights with preemption, and with one of the other ways, the next type with another. */
static bool is_passed_over(size_t way, size_t type) {
    static const size_t others[] = {0, 1, 3};
    return !TEST_WHOLE && way != PREEMPTING && way != others[type % 3];
}

/* Returns how often a request was preempted. */
static size_t check_types(size_t type, enum weight_type weights, enum head_weights head, enum kv_type kv_type,
                          size_t small_mib) {
    static struct result alone[REQUESTS], together[REQUESTS];
    static struct engine_prompt prompts[REQUESTS];
    static int32_t predictions[REQUESTS][TOKENS_MAX];
    make_prompts(prompts);
    struct engine *engine = open_engine(weights, head, kv_type, 1, 256, 0, SPECULATE_OFF);
    for (size_t i = 0; i < REQUESTS; i++) {
        run_requests(engine, &prompts[i], &alone[i], 1);
        if (i % 2) predict(&prompts[i], &alone[i], predictions[i]);
    }
    engine_close(engine);
    bool has_self_drafts = weights == WEIGHT_TYPE_F32 || weights == WEIGHT_TYPE_BF16;
    /* The small cache has about two full contexts: with long steps, which take many prompts in at once, 5 to
     * 20 of 24 are preempted, as the machine is quick or slow. */
    const struct {
        size_t threads, step_tokens, kv_cache_mib;
        enum speculate_mode speculate;
    } ways[WAYS] = {{1, 256, 0, SPECULATE_OFF},
                    {2, 61, 0, SPECULATE_NGRAM},
                    [PREEMPTING] = {2, 512, small_mib, has_self_drafts ? SPECULATE_INT4 : SPECULATE_NGRAM},
                    {1, 43, small_mib, SPECULATE_NGRAM}};
    uint64_t accepted_before = accepted;
    size_t preemptions = 0;
    for (size_t w = 0; w < WAYS; w++) {
        if (is_passed_over(w, type)) continue;
        engine = open_engine(weights, head, kv_type, ways[w].threads, ways[w].step_tokens,
                             ways[w].kv_cache_mib, ways[w].speculate);
        run_requests(engine, prompts, together, REQUESTS);
        for (size_t i = 0; i < REQUESTS; i++) expect_same(&alone[i], &together[i]);
        /* Once more, over what the cache has kept. */
        struct engine_stats stats;
        run_requests(engine, prompts, together, REQUESTS);
        for (size_t i = 0; i < REQUESTS; i++) expect_same(&alone[i], &together[i]);
        engine_stats(engine, &stats);
        /* Of some 100 tokens a prompt. */
        if (!ways[w].kv_cache_mib) assert_true(stats.prefix_hit_tokens > (size_t)REQUESTS * 30);
        preemptions += stats.preemptions;
        accepted += stats.spec_accepted_tokens;
        rejected += stats.spec_draft_tokens - stats.spec_accepted_tokens;
        engine_close(engine);
    }
    assert_true(accepted > accepted_before);
    return preemptions;
}

static void company_chunks_threads_and_preemption_change_nothing(void **state) {
    (void)state;
    static const struct {
        enum weight_type weights;
        enum head_weights head;
        enum kv_type kv_type;
        size_t small_mib;
    } types[] = {{WEIGHT_TYPE_F32, HEAD_WEIGHTS_AUTO, KV_TYPE_AUTO, 12},
                 {WEIGHT_TYPE_BF16, HEAD_WEIGHTS_AUTO, KV_TYPE_BF16, 6},
                 {WEIGHT_TYPE_INT8, HEAD_WEIGHTS_AUTO, KV_TYPE_INT8, 4},
                 {WEIGHT_TYPE_INT4, HEAD_WEIGHTS_AUTO, KV_TYPE_F16, 6},
                 {WEIGHT_TYPE_INT4, HEAD_WEIGHTS_INT4, KV_TYPE_F16, 6}};
    size_t preemptions = 0;
    for (size_t i = FIRST_TYPE; i < sizeof types / sizeof *types; i++)
        preemptions += check_types(i, types[i].weights, types[i].head, types[i].kv_type, types[i].small_mib);
    assert_true(preemptions > 0);
    print_message("%llu draft tokens accepted, %llu rejected\n", (unsigned long long)accepted,
                  (unsigned long long)rejected);
    assert_true(accepted > 2 * DRAFTS_MIN && rejected > DRAFTS_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_texts_are_those_of_the_reference),
        cmocka_unit_test(company_chunks_threads_and_preemption_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
