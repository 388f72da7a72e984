/* Admission when memory runs out: each allocation of a request fails once, with a clean error and nothing
 * kept. Left out where a sanitizer owns malloc. */
#include "tests/support/test_support.h"

#include <malloc.h>
#include <stdbool.h>

#include "engine/sched/request.h"
#include "engine/sched/sequence.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#else
#define OWN_MALLOC 1
#endif

static struct tokenizer *tokenizer;

static double rope_theta(void *context, size_t length) {
    (void)context;
    return (double)length;
}

/* A request that needs one of everything. */
static enum status create(struct engine_request **request, struct error *e) {
    static const int32_t ids[] = {5, 6, 7}, stop_tokens[] = {9}, allowed[] = {1, 2, 3}, end_tokens[] = {0};
    static const struct engine_bias biases[] = {{3, 1.0f}};
    static const struct engine_string stops[] = {{"one", 3}, {"two", 3}};
    static const struct engine_ban bans[] = {{ids, 2}, {ids, 1}};
    static const struct sampler_vocabulary vocabulary = {.rows = 4096, .sampleable = 4000};
    static struct request_rules rules;
    rules = (struct request_rules){.context = 200,
                                   .rows = 4096,
                                   .page_tokens = 16,
                                   .mailbox_events = 4,
                                   .logprobs_max = 5,
                                   .choices_max = 4,
                                   .vocabulary = &vocabulary,
                                   .tokenizer = tokenizer,
                                   .end_tokens = end_tokens,
                                   .end_count = 1,
                                   .backend = {.rope_theta = rope_theta}};
    const struct engine_prompt prompt = {.ids = ids,
                                         .count = 3,
                                         .choices = 2,
                                         .max_tokens = 500,
                                         .logprobs = 5,
                                         .stops = stops,
                                         .stop_count = 2,
                                         .stop_tokens = stop_tokens,
                                         .stop_token_count = 1,
                                         .sampling = {.top_p = 1,
                                                      .typical_p = 1,
                                                      .repetition_penalty = 1,
                                                      .biases = biases,
                                                      .bias_count = 1,
                                                      .allowed = allowed,
                                                      .allowed_count = 3,
                                                      .bans = bans,
                                                      .ban_count = 2}};
    return sched_request_create(&rules, &prompt, 1, request, e);
}

static int open_tokenizer(void **state) {
    (void)state;
    struct error e;
    assert_ok(tokenizer_open(test_source_path("deploy/models/tales"), &tokenizer, &e));
    return 0;
}

static int close_tokenizer(void **state) {
    (void)state;
    tokenizer_close(tokenizer);
    return 0;
}

static void a_request_owns_copies_of_all_it_was_given(void **state) {
    (void)state;
    struct error e;
    struct engine_request *request;
    assert_ok(create(&request, &e));
    assert_int_equal(request->max_tokens, 197); /* clamped to the context */
    assert_int_equal(request->ender_count, 2);
    assert_int_equal(request->sequences[1].tokens[2], 7);
    assert_true(request->sequences[0].tokens != request->sequences[1].tokens);
    assert_memory_equal(request->stops[1].text, "two", 3);
    assert_true(request->sequences[0].rope_theta == 200);
    assert_int_equal(request->sampling.bans[0].count, 2);
    assert_int_equal(request->sampling.bans[0].ids[1], 6);
    sched_request_retain(request);
    sched_request_release(request);
    sched_request_release(request);
}

#if OWN_MALLOC
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
    struct engine_request *request;
    enum status status = STATUS_NO_MEMORY;
    long failed = 0;
    for (; status == STATUS_NO_MEMORY; failed++) {
        assert_true(failed < 1000);
        e.text[0] = '\0';
        until_failure = failed, live = 0;
        watching = true;
        status = create(&request, &e);
        if (status == STATUS_OK) sched_request_release(request);
        watching = false;
        assert_int_equal(live, 0);
        if (status != STATUS_OK) assert_null(request);
        if (status != STATUS_OK) assert_true(strlen(e.text) > 0);
    }
    assert_int_equal(status, STATUS_OK);
    assert_true(failed > 15);
}
#endif

/* By name, before it begins: what is allowed are holes and padding, end and stop tokens under min_tokens, or
 * the ends of bad words. */
static void a_request_that_may_be_left_without_a_token_is_refused(void **state) {
    (void)state;
    static const int32_t ids[] = {5}, end_tokens[] = {0}, stop_tokens[] = {9}, holes[] = {4},
                         ended[] = {0, 9, 4, 45};
    static const struct sampler_vocabulary vocabulary = {
        .rows = 50, .sampleable = 40, .holes = holes, .hole_count = 1};
    const struct request_rules rules = {.context = 200,
                                        .rows = 50,
                                        .page_tokens = 16,
                                        .mailbox_events = 4,
                                        .choices_max = 4,
                                        .vocabulary = &vocabulary,
                                        .end_tokens = end_tokens,
                                        .end_count = 1,
                                        .backend = {.rope_theta = rope_theta}};
    struct engine_prompt prompt = {.ids = ids,
                                   .count = 1,
                                   .choices = 1,
                                   .max_tokens = 5,
                                   .min_tokens = 1,
                                   .logprobs = -1,
                                   .stop_tokens = stop_tokens,
                                   .stop_token_count = 1,
                                   .sampling = {.top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
    struct engine_request *request;
    struct error e;
    prompt.sampling.allowed = ended, prompt.sampling.allowed_count = 4;
    assert_int_equal(sched_request_create(&rules, &prompt, 1, &request, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.where, "allowed_token_ids");
    prompt.min_tokens = 0; /* then the end token may be sampled */
    assert_ok(sched_request_create(&rules, &prompt, 1, &request, &e));
    sched_request_release(request);
    prompt.sampling.allowed = ended + 2, prompt.sampling.allowed_count = 2;
    assert_int_equal(sched_request_create(&rules, &prompt, 1, &request, &e), STATUS_INVALID_ARGUMENT);
    prompt.max_tokens = 0; /* nothing is sampled */
    assert_ok(sched_request_create(&rules, &prompt, 1, &request, &e));
    sched_request_release(request);
}

static size_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void check_bytes(const struct request_rules *rules, const struct engine_prompt *prompt) {
    struct error e;
    struct engine_request *request;
    size_t before = heap_bytes();
    assert_ok(sched_request_create(rules, prompt, 1, &request, &e));
    size_t taken = heap_bytes() - before, promised = sched_request_bytes(rules, prompt);
    sched_request_release(request);
    if (taken > promised || promised > 8 * taken)
        fail_msg("%u choices of %zu tokens, %zu stops, %d logprobs: %zu bytes taken, %zu promised",
                 prompt->choices, prompt->count, prompt->stop_count, prompt->logprobs, taken, promised);
}

/* What is promised is enough, and not many times too much. */
static void a_request_takes_no_more_memory_than_is_said(void **state) {
    (void)state;
    if (!OWN_MALLOC) skip();
    enum { TOKENS = 50000, STOPS = 16, STOP_BYTES = 4096 };
    static char text[STOP_BYTES];
    static int32_t ids[TOKENS];
    static struct engine_bias biases[4096];
    struct engine_string stops[STOPS];
    memset(text, 'a', sizeof text);
    for (int i = 0; i < STOPS; i++) stops[i] = (struct engine_string){text, STOP_BYTES};
    const struct request_rules rules = {.context = 100000,
                                        .rows = 4096,
                                        .page_tokens = 16,
                                        .mailbox_events = 64,
                                        .logprobs_max = 20,
                                        .choices_max = 16,
                                        .tokenizer = tokenizer,
                                        .backend = {.rope_theta = rope_theta}};
    const size_t counts[] = {1, 500, TOKENS}, stop_counts[] = {0, 1, STOPS};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            for (uint32_t choices = 1; choices <= 16; choices += 15)
                for (int logprobs = -1; logprobs <= 20; logprobs += 21)
                    check_bytes(&rules, &(struct engine_prompt){.ids = ids,
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
        cmocka_unit_test(a_request_owns_copies_of_all_it_was_given),
#if OWN_MALLOC
        cmocka_unit_test(each_allocation_that_fails_is_a_clean_error),
#endif
        cmocka_unit_test(a_request_that_may_be_left_without_a_token_is_refused),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
