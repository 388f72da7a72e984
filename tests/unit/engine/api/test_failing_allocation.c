/* Whichever allocation fails, the engine says so and goes on or gives up, and nothing is lost (the leak
 * checker looks at that): at opening, and at admission and for the text of a request. */
#include "tests/support/failing_malloc.h"
#include "tests/unit/engine/api/fixture.h"

#include <pthread.h>

#include "engine/base/log.h"

enum { CHOICES = 2, TOKENS = 12 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rings = PTHREAD_COND_INITIALIZER;
static bool rang;

static void ring(void *context) {
    (void)context;
    pthread_mutex_lock(&mutex);
    rang = true;
    pthread_cond_signal(&rings);
    pthread_mutex_unlock(&mutex);
}

static void wait_for_ring(void) {
    pthread_mutex_lock(&mutex);
    while (!rang) pthread_cond_wait(&rings, &mutex);
    rang = false;
    pthread_mutex_unlock(&mutex);
}

/* Of the allocations of opening: in part every fifth. */
enum { STRIDE = TEST_SHARE ? 5 : 1 };

static struct engine_options options(void) {
    struct engine_options o = fixture_options("tests/golden/placements/pre");
    o.kv_cache_mib = 1;
    o.wake = ring;
    return o;
}

static void opening_fails_cleanly_wherever_memory_ends(void **state) {
    (void)state;
    struct engine_options o = options();
    o.chat_template = test_source_path("tests/clients/chat.jinja");
    bool failed = true;
    size_t n = 0, refused = 0;
    while (failed) {
        struct engine *engine;
        struct error e = {0};
        failing_malloc_arm(n += STRIDE);
        enum status status = engine_open(&o, &engine, &e);
        failed = failing_malloc_disarm();
        assert_true(status == STATUS_OK || failed);
        assert_true((status == STATUS_OK) == (engine != NULL));
        if (status == STATUS_OK) {
            /* What failed could be done without; chats cannot. */
            assert_null(engine_no_chat_template(engine));
            engine_close(engine);
            continue;
        }
        refused++;
        bool is_memory = status == STATUS_NO_MEMORY || status == STATUS_LIMIT; /* LIMIT: of threads */
        if (!is_memory || e.code != status || !e.text[0])
            fail_msg("allocation %zu: %s, '%s: %s'", n, status_name(status), e.where, e.text);
    }
    assert_true(refused > 100 / STRIDE);
}

/* Takes all events of a request; the tokens that were said, and how many of its choices failed. */
static size_t take_all(struct engine *engine, struct engine_request *request, size_t *failures) {
    struct engine_event event;
    size_t tokens = 0;
    *failures = 0;
    for (size_t ends = 0; ends < CHOICES;) {
        while (engine_next_ready(engine)) {
        }
        while (engine_request_next_event(request, &event)) {
            tokens += event.kind == ENGINE_EVENT_TOKEN;
            if (event.kind != ENGINE_EVENT_FINISHED) continue;
            ends++;
            if (event.finish != ENGINE_FINISH_FAILED) continue;
            ++*failures;
            assert_int_equal(event.error->code, STATUS_NO_MEMORY);
            assert_true(event.error->text[0]);
        }
        if (ends < CHOICES) wait_for_ring();
    }
    return tokens;
}

static struct engine_prompt prompt(void) {
    static const int32_t ids[] = {5, 60, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21};
    static const int32_t stop_tokens[] = {1};
    static const struct engine_bias biases[] = {{3, 1}};
    static const struct engine_string stops[] = {{"never said", 10}, {"nor this", 8}};
    return (struct engine_prompt){.ids = ids,
                                  .count = sizeof ids / sizeof *ids,
                                  .choices = CHOICES,
                                  .max_tokens = TOKENS,
                                  .stops = stops,
                                  .stop_count = 2,
                                  .stop_tokens = stop_tokens,
                                  .stop_token_count = 1,
                                  .ignore_end = true,
                                  .logprobs = 2,
                                  .sampling = {.temperature = 1,
                                               .top_p = 1,
                                               .typical_p = 1,
                                               .repetition_penalty = 1,
                                               .biases = biases,
                                               .bias_count = 1,
                                               .has_seed = true,
                                               .seed = 4}};
}

/* Everything that an embedding needs is made before it is admitted. */
static void an_embedding_is_refused(void **state) {
    (void)state;
    struct engine *engine;
    struct error e;
    struct engine_options o = options();
    struct engine_prompt one = prompt();
    one.choices = 1, one.max_tokens = 0, one.logprobs = -1, one.pooling = ENGINE_POOLING_MEAN;
    bool failed = true;
    size_t refused = 0;
    assert_ok(engine_open(&o, &engine, &e));
    for (size_t n = 1; failed; n++) {
        struct engine_request *request;
        struct engine_event event = {0};
        e = (struct error){0};
        failing_malloc_arm(n);
        enum status status = engine_submit(engine, &one, 1, &request, &e);
        failed = failing_malloc_disarm();
        if (status != STATUS_OK && (status != STATUS_NO_MEMORY || !e.text[0]))
            fail_msg("allocation %zu: %s, '%s: %s'", n, status_name(status), e.where, e.text);
        refused += status != STATUS_OK;
        if (status != STATUS_OK) continue;
        while (event.kind != ENGINE_EVENT_FINISHED) {
            while (engine_next_ready(engine)) {
            }
            if (!engine_request_next_event(request, &event)) wait_for_ring();
        }
        assert_int_equal(event.finish, ENGINE_FINISH_STOP);
        assert_non_null(event.embedding);
        engine_request_release(request);
    }
    assert_true(refused > 8);
    engine_close(engine);
}

static void a_request_is_refused_or_fails_alone(void **state) {
    (void)state;
    struct engine *engine;
    struct error e;
    struct engine_options o = options();
    struct engine_prompt both[] = {prompt(), prompt()};
    size_t refused = 0, broken = 0;
    bool failed = true;
    assert_ok(engine_open(&o, &engine, &e));
    for (size_t n = 1; failed; n++) {
        struct engine_request *requests[2];
        size_t failures[2] = {0}, tokens = 0;
        e = (struct error){0};
        failing_malloc_arm(n);
        enum status status = engine_submit(engine, both, 2, requests, &e);
        for (size_t i = 0; i < 2 && status == STATUS_OK; i++) {
            tokens += take_all(engine, requests[i], &failures[i]);
            engine_request_release(requests[i]);
        }
        failed = failing_malloc_disarm();
        if (status != STATUS_OK && (status != STATUS_NO_MEMORY || !e.text[0]))
            fail_msg("allocation %zu: %s, '%s: %s'", n, status_name(status), e.where, e.text);
        refused += status != STATUS_OK;
        broken += failures[0] + failures[1];
        assert_true(failures[0] + failures[1] <= 1); /* only the choice that needed the memory */
        if (!failed) assert_true(status == STATUS_OK && tokens == 2 * CHOICES * TOKENS);
    }
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.finished_failed, broken);
    assert_int_equal(stats.kv_pages_used, 0);
    assert_true(refused > 10 && broken > 0);
    engine_close(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_fails_cleanly_wherever_memory_ends),
        cmocka_unit_test(a_request_is_refused_or_fails_alone),
        cmocka_unit_test(an_embedding_is_refused),
    };
    engine_process_init();
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
