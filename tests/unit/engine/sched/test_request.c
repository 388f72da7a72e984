/* Admission when memory runs out: each allocation of a request fails once, with a clean error and nothing
 * kept. Left out where a sanitizer owns malloc. */
#include "tests/unit/engine/sched/tales_tokenizer.h"

#include <malloc.h>
#include <stdbool.h>

#include "engine/sched/request.h"
#include "engine/sched/sequence.h"

static const int32_t end_tokens[] = {0};
static const struct sampler_vocabulary whole = {.rows = 4096, .sampleable = 4000};
static struct request_rules rules;

static void set_rules(void) {
    rules = (struct request_rules){.context = 200,
                                   .rows = 4096,
                                   .page_tokens = 16,
                                   .max_pending_events = 4,
                                   .logprobs_max = 5,
                                   .choices_max = 16,
                                   .vocabulary = &whole,
                                   .tokenizer = tokenizer,
                                   .end_tokens = end_tokens,
                                   .end_count = 1,
                                   .backend = {.rotary_length = rotary_length}};
}

/* A prompt that needs one of everything. */
static struct engine_prompt full_prompt(void) {
    static const int32_t ids[] = {5, 6, 7}, stop_tokens[] = {9}, allowed[] = {1, 2, 3};
    static const struct engine_bias biases[] = {{3, 1.0f}};
    static const struct engine_string stops[] = {{"one", 3}, {"two", 3}};
    static const struct engine_ban bans[] = {{ids, 2}, {ids, 1}};
    set_rules();
    return (struct engine_prompt){.ids = ids,
                                  .count = 3,
                                  .choices = 2,
                                  .max_tokens = 500,
                                  .logprobs = 5,
                                  .stops = stops,
                                  .stop_count = 2,
                                  .stop_tokens = stop_tokens,
                                  .stop_token_count = 1,
                                  .timeout_ms = 3,
                                  .sampling = {.top_p = 1,
                                               .typical_p = 1,
                                               .repetition_penalty = 1,
                                               .biases = biases,
                                               .bias_count = 1,
                                               .allowed = allowed,
                                               .allowed_count = 3,
                                               .bans = bans,
                                               .ban_count = 2}};
}

/* Two prompts of one request. */
static enum status create(struct engine_request **requests, struct error *e) {
    const struct engine_prompt prompts[2] = {full_prompt(), full_prompt()};
    return sched_requests_create(&rules, prompts, 2, requests, e);
}

static void a_request_owns_copies_of_all_it_was_given(void **state) {
    (void)state;
    struct error e;
    struct engine_request *requests[2], *request;
    size_t length;
    assert_ok(create(requests, &e));
    request = requests[0];
    assert_int_equal(request->max_tokens, 197); /* clamped to the context */
    assert_int_equal(request->terms->ender_count, 2);
    assert_int_equal(request->sequences[1].tokens[2], 7);
    assert_true(request->sequences[0].tokens != request->sequences[1].tokens);
    assert_memory_equal(stop_set_string(request->terms->stops, 1, &length), "two", 3);
    assert_true(request->sequences[0].rotary_length == 200);
    assert_int_equal(request->terms->sampling.bans[0].count, 2);
    assert_int_equal(request->terms->sampling.bans[0].ids[1], 6);
    sched_request_arrive(request, 7000000);
    assert_int_equal(request->deadline_ns, 10000000);
    sched_request_retain(request);
    sched_request_release(request);
    sched_request_release(request);
    sched_request_release(requests[1]);
}

/* One automaton for all choices of all prompts; a prompt with other lists has its own. */
static void lists_are_kept_once_for_all_prompts(void **state) {
    (void)state;
    struct error e;
    static const struct engine_string other[] = {{"one", 3}, {"two", 3}};
    struct engine_prompt prompts[3] = {full_prompt(), full_prompt(), full_prompt()};
    struct engine_request *requests[3];
    prompts[0].choices = prompts[1].choices = 16;
    prompts[2].stops = other;
    assert_ok(sched_requests_create(&rules, prompts, 3, requests, &e));
    const struct stop_set *set = requests[0]->terms->stops;
    for (int i = 0; i < 16; i++) {
        assert_ptr_equal(requests[0]->sequences[i].matcher.set, set);
        assert_ptr_equal(requests[1]->sequences[i].matcher.set, set);
    }
    assert_true(requests[2]->terms->stops != set);
    for (int i = 0; i < 3; i++) sched_request_release(requests[i]);
}

static enum status refused(const struct engine_prompt *prompt, struct error *e) {
    struct engine_request *request;
    enum status status = sched_requests_create(&rules, prompt, 1, &request, e);
    if (status == STATUS_OK) sched_request_release(request);
    return status;
}

/* Ids that would end the text are banned before min_tokens: others must be left, and they must be tokens. */
static void some_token_must_be_left_to_sample(void **state) {
    (void)state;
    struct error e;
    static const int32_t unused[] = {2, 3}, unused_and_padding[] = {2, 3, 4000}, end_and_stop[] = {0, 9},
                         plain[] = {0, 1};
    const struct sampler_vocabulary vocabulary = {
        .rows = 4096, .sampleable = 4000, .unused_ids = unused, .unused_id_count = 2};
    struct engine_prompt p = full_prompt();
    rules.vocabulary = &vocabulary;
    p.sampling.allowed = unused_and_padding;
    assert_int_equal(refused(&p, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "allowed_token_ids");
    p.sampling.allowed = end_and_stop, p.sampling.allowed_count = 2;
    assert_ok(refused(&p, &e)); /* one of them ends the text at once */
    p.min_tokens = 1;
    assert_int_equal(refused(&p, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "allowed_token_ids");
    p.max_tokens = 0; /* samples nothing */
    assert_ok(refused(&p, &e));
    p.max_tokens = 5, p.sampling.allowed = plain;
    assert_ok(refused(&p, &e));
    p.sampling.allowed = end_and_stop, p.sampling.allowed_count = 1, p.ignore_end = true;
    assert_ok(refused(&p, &e)); /* the end token is a token like others */
}

/* All of the vocabulary as stop tokens. */
static void stop_tokens_may_not_be_everything_before_min_tokens(void **state) {
    (void)state;
    struct error e;
    static int32_t all[4096];
    struct engine_prompt p = full_prompt();
    for (int32_t i = 0; i < 4096; i++) all[i] = i;
    p.sampling.allowed_count = 0, p.stop_tokens = all, p.stop_token_count = 4096;
    p.sampling.ban_count = 0;
    assert_ok(refused(&p, &e));
    p.min_tokens = 2;
    assert_int_equal(refused(&p, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "min_tokens");
    p.stop_token_count = 3999; /* 3999 is left; what is above is padding */
    assert_ok(refused(&p, &e));
}

/* The second of two prompts fails: nothing of the first is left, and e->where tells which kind of fault it
 * is. */
static void a_bad_prompt_fails_all(void **state) {
    (void)state;
    struct error e;
    static const int32_t beyond = 4096;
    static int32_t many[200];
    struct engine_prompt prompts[2] = {full_prompt(), full_prompt()};
    struct engine_request *requests[2];
    prompts[1].ids = &beyond, prompts[1].count = 1;
    assert_int_equal(sched_requests_create(&rules, prompts, 2, requests, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "prompt");
    assert_null(requests[0]);
    assert_null(requests[1]);
    prompts[1].ids = many, prompts[1].count = 200;
    assert_int_equal(sched_requests_create(&rules, prompts, 2, requests, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "context");
}

#if !SANITIZED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *memory);

static bool watching;
static long until_failure, live;

/* Whether this allocation is the one that fails; else it is counted. */
static bool fails(void) {
    if (!watching) return false;
    if (until_failure-- == 0) return true;
    live++;
    return false;
}

void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    bool again = watching && old;
    if (fails()) return NULL;
    live -= again;
    return __libc_realloc(old, size);
}

void free(void *memory) {
    live -= watching && memory;
    __libc_free(memory);
}

static void each_allocation_that_fails_is_a_clean_error(void **state) {
    (void)state;
    struct error e;
    struct engine_request *requests[2];
    enum status status = STATUS_NO_MEMORY;
    long failed = 0;
    for (; status == STATUS_NO_MEMORY; failed++) {
        assert_true(failed < 1000);
        e.text[0] = '\0';
        until_failure = failed, live = 0;
        watching = true;
        status = create(requests, &e);
        for (int i = 0; i < 2 && status == STATUS_OK; i++) sched_request_release(requests[i]);
        watching = false;
        assert_int_equal(live, 0);
        if (status != STATUS_OK) assert_true(!requests[0] && !requests[1]);
        if (status != STATUS_OK) assert_true(strlen(e.text) > 0);
    }
    assert_int_equal(status, STATUS_OK);
    assert_true(failed > 15);
}
#endif

/* By name, before it begins: what is allowed are unused ids and padding, end and stop tokens under min_tokens, or
 * the ends of bad words. */
static void a_request_that_may_be_left_without_a_token_is_refused(void **state) {
    (void)state;
    static const int32_t ids[] = {5}, stop_tokens[] = {9}, unused[] = {4}, ended[] = {0, 9, 4, 45};
    static const struct sampler_vocabulary vocabulary = {
        .rows = 50, .sampleable = 40, .unused_ids = unused, .unused_id_count = 1};
    rules = (struct request_rules){.context = 200,
                                   .rows = 50,
                                   .page_tokens = 16,
                                   .max_pending_events = 4,
                                   .choices_max = 4,
                                   .vocabulary = &vocabulary,
                                   .end_tokens = end_tokens,
                                   .end_count = 1,
                                   .backend = {.rotary_length = rotary_length}};
    struct engine_prompt prompt = {.ids = ids,
                                   .count = 1,
                                   .choices = 1,
                                   .max_tokens = 5,
                                   .min_tokens = 1,
                                   .logprobs = -1,
                                   .stop_tokens = stop_tokens,
                                   .stop_token_count = 1,
                                   .sampling = {.top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
    struct error e;
    prompt.sampling.allowed = ended, prompt.sampling.allowed_count = 4;
    assert_int_equal(refused(&prompt, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "allowed_token_ids");
    prompt.min_tokens = 0; /* then the end token may be sampled */
    assert_ok(refused(&prompt, &e));
    prompt.sampling.allowed = ended + 2, prompt.sampling.allowed_count = 2;
    assert_int_equal(refused(&prompt, &e), STATUS_INVALID_ARGUMENT);
    prompt.max_tokens = 0; /* nothing is sampled */
    assert_ok(refused(&prompt, &e));
}

/* ---- memory -------------------------------------------------------------------------------------------- */

/* Of one request, in these tests. */
enum { PROMPTS = 6 };

static size_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void check_bytes(const struct engine_prompt *prompts, size_t count) {
    struct error e;
    struct engine_request *requests[PROMPTS];
    size_t before = heap_bytes();
    assert_ok(sched_requests_create(&rules, prompts, count, requests, &e));
    size_t taken = heap_bytes() - before, promised = sched_requests_bytes(&rules, prompts, count);
    for (size_t i = 0; i < count; i++) sched_request_release(requests[i]);
    if (taken > promised || promised > 8 * taken)
        fail_msg(
            "%zu prompts, %u choices of %zu tokens, %zu stops, %d logprobs: %zu bytes taken, %zu promised",
            count, prompts->choices, prompts->count, prompts->stop_count, prompts->logprobs, taken, promised);
}

static void check_one_and_many(struct engine_prompt prompt) {
    struct engine_prompt prompts[PROMPTS];
    for (int i = 0; i < PROMPTS; i++) prompts[i] = prompt;
    check_bytes(prompts, 1);
    check_bytes(prompts, PROMPTS);
}

/* As many pieces of the longest text as events may wait, of each choice; where stop strings hold pieces back, those of so many
 * tokens at once. */
static void post_long_texts(struct ready_list *list, struct engine_request *r, size_t together) {
    enum { TOGETHER_MAX = 3 };
    static char text[TOGETHER_MAX * TOKEN_TEXT_BYTES_MAX];
    assert_true(together <= TOGETHER_MAX);
    memset(text, 'x', sizeof text);
    struct engine_event event = {.kind = ENGINE_EVENT_TOKEN, .text = text};
    for (; event.choice < r->choices; event.choice++)
        for (size_t i = 1; i <= rules.max_pending_events; i++) {
            event.text_length = i % together ? 0 : together * rules.token_bytes_max;
            assert_int_equal(event_ring_post(list, &r->ring, &event), STATUS_OK);
        }
}

static void check_long_texts(size_t bytes, size_t together) {
    struct error e;
    struct engine_request *request;
    struct ready_list list;
    struct engine_prompt prompt = full_prompt();
    rules.max_pending_events = 1000;
    rules.token_bytes_max = bytes;
    ready_list_init(&list, NULL, NULL);
    size_t before = heap_bytes();
    assert_ok(sched_requests_create(&rules, &prompt, 1, &request, &e));
    post_long_texts(&list, request, together);
    size_t taken = heap_bytes() - before, promised = sched_requests_bytes(&rules, &prompt, 1);
    if (taken > promised)
        fail_msg("texts of %zu bytes, %zu together: %zu bytes taken, %zu promised", bytes, together, taken,
                 promised);
    event_ring_close(&list, &request->ring);
    sched_request_release(request);
    ready_list_deinit(&list);
}

static void long_texts_that_nobody_reads_are_in_what_is_said(void **state) {
    (void)state;
    if (SANITIZED) skip();
    const size_t lengths[] = {EVENT_RING_TEXT_BYTES / 2 + 1, EVENT_RING_TEXT_BYTES, EVENT_RING_TEXT_BYTES + 1,
                              300, TOKEN_TEXT_BYTES_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t together = 1; together <= 3; together++) check_long_texts(lengths[i], together);
    set_rules();
}

/* What is promised is enough, and not many times too much: what prompts share is counted once. */
static void a_request_takes_no_more_memory_than_is_said(void **state) {
    (void)state;
    if (SANITIZED) skip();
    enum { TOKENS = 50000, STOPS = 16, STOP_BYTES = 4096 };
    static char text[STOP_BYTES];
    static int32_t ids[TOKENS];
    static struct engine_bias biases[4096];
    struct engine_string stops[STOPS];
    for (size_t i = 0; i < STOP_BYTES; i++) text[i] = (char)('a' + i % 7);
    for (size_t i = 0; i < STOPS; i++) stops[i] = (struct engine_string){text + i, STOP_BYTES - i};
    rules = (struct request_rules){.context = 100000,
                                   .rows = 4096,
                                   .page_tokens = 16,
                                   .max_pending_events = 64,
                                   .logprobs_max = 20,
                                   .choices_max = 16,
                                   .tokenizer = tokenizer,
                                   .backend = {.rotary_length = rotary_length}};
    const size_t counts[] = {1, 500, TOKENS}, stop_counts[] = {0, 1, STOPS};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            for (uint32_t choices = 1; choices <= 16; choices += 15)
                for (int logprobs = -1; logprobs <= 20; logprobs += 21)
                    check_one_and_many((struct engine_prompt){.ids = ids,
                                                              .count = counts[i],
                                                              .choices = choices,
                                                              .max_tokens = (uint32_t)counts[2 - i],
                                                              .logprobs = logprobs,
                                                              .stops = stops,
                                                              .stop_count = stop_counts[j],
                                                              .sampling = {.top_p = 1,
                                                                           .typical_p = 1,
                                                                           .repetition_penalty = 1,
                                                                           .biases = biases,
                                                                           .bias_count = j ? 4096 : 0}});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_takes_no_more_memory_than_is_said),
        cmocka_unit_test(long_texts_that_nobody_reads_are_in_what_is_said),
        cmocka_unit_test(a_request_owns_copies_of_all_it_was_given),
        cmocka_unit_test(lists_are_kept_once_for_all_prompts),
        cmocka_unit_test(some_token_must_be_left_to_sample),
        cmocka_unit_test(stop_tokens_may_not_be_everything_before_min_tokens),
        cmocka_unit_test(a_bad_prompt_fails_all),
#if !SANITIZED
        cmocka_unit_test(each_allocation_that_fails_is_a_clean_error),
#endif
        cmocka_unit_test(a_request_that_may_be_left_without_a_token_is_refused),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
