/* The door, over the bundled model: what it refuses when opening, what it says about itself, texts, and
 * closing while things run. (Texts and bits: tests/golden/test_same_bits.c.) */
#include "tests/unit/engine/api/fixture.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

static struct engine *engine;

static struct engine_options options(void) {
    struct engine_options o = fixture_options("deploy/models/tales");
    o.context = 64;
    return o;
}

static int open_engine(void **state) {
    (void)state;
    struct error e;
    struct engine_options o = options();
    assert_ok(engine_open(&o, &engine, &e));
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

static void refuse(const struct engine_options *o, enum status status, const char *where) {
    struct engine *none;
    struct error e;
    assert_int_equal(engine_open(o, &none, &e), status);
    assert_null(none);
    assert_string_equal(e.where, where);
    assert_true(strlen(e.text) > 0);
}

/* One that no machine has beside the one that the program is built for. */
static enum kernel_isa foreign_isa(void) {
#if defined(__x86_64__)
    return KERNEL_ISA_neon;
#else
    return KERNEL_ISA_avx2;
#endif
}

static void refuses_options_that_it_cannot_honour(void **state) {
    (void)state;
    struct engine_options o = options();
    o.norm_form = NORM_FORM_NONE;
    refuse(&o, STATUS_OPTION, "norm-form");
    o = options(), o.matmul = MATMUL_OPENBLAS, o.weights = WEIGHT_TYPE_INT8;
    refuse(&o, STATUS_OPTION, "weights");
    o = options(), o.isa = foreign_isa();
    refuse(&o, STATUS_OPTION, "isa");
    o = options(), o.kv_page_tokens = 24;
    refuse(&o, STATUS_OPTION, "kv-page-tokens");
    o = options(), o.kv_cache_mib = SIZE_MAX >> 10;
    refuse(&o, STATUS_OPTION, "kv-cache-mib");
    o = options(), o.context = 513;
    refuse(&o, STATUS_OPTION, "context");
    o = options(), o.speculate = SPECULATE_NGRAM, o.matmul = MATMUL_OPENBLAS;
    refuse(&o, STATUS_OPTION, "speculate");
    o = options(), o.speculate = SPECULATE_INT4, o.weights = WEIGHT_TYPE_INT8;
    refuse(&o, STATUS_OPTION, "speculate");
}

static void drafts_are_what_was_asked_for(void **state) {
    (void)state;
    static const struct {
        enum speculate_mode asked, runs;
    } modes[] = {{SPECULATE_OFF, SPECULATE_OFF},
                 {SPECULATE_NGRAM, SPECULATE_NGRAM},
                 {SPECULATE_AUTO, SPECULATE_NGRAM},
                 {SPECULATE_INT4, SPECULATE_INT4}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct engine *opened;
        struct engine_info info;
        struct error e;
        struct engine_options o = options();
        o.speculate = modes[i].asked;
        assert_ok(engine_open(&o, &opened, &e));
        engine_info(opened, &info);
        assert_int_equal(info.speculate, modes[i].runs);
        engine_close(opened);
    }
    assert_int_equal(speculate_choose(SPECULATE_AUTO, MATMUL_OPENBLAS), SPECULATE_OFF);
}

/* A position takes 6 layers * 8 heads * 32 * 2 floats = 12 KiB, a page of 16 of them 4 KiB more (they are
 * kept from lying a power of two apart): a context of 512, 32 pages, takes a little more than 6 MiB. */
static void refuses_a_cache_too_small_for_one_context(void **state) {
    (void)state;
    struct engine *opened;
    struct error e;
    struct engine_options o = options();
    o.context = 0;
    o.kv_cache_mib = 6;
    refuse(&o, STATUS_OPTION, "kv-cache-mib");
    o.kv_cache_mib = 7;
    assert_ok(engine_open(&o, &opened, &e));
    engine_close(opened);
}

static void says_what_it_is(void **state) {
    (void)state;
    struct engine_info info;
    engine_info(engine, &info);
    assert_string_equal(info.family, "gpt2");
    assert_string_equal(info.norm_placement, "pre");
    assert_int_equal(info.norm_form, NORM_FORM_CRMSNORM);
    assert_int_equal(info.weights, WEIGHT_TYPE_F32);
    assert_int_equal(info.kv_type, KV_TYPE_F32);
    assert_int_equal(info.matmul, MATMUL_OWN);
    assert_true(info.isa != KERNEL_ISA_AUTO && info.isa < KERNEL_ISA_COUNT);
    assert_int_equal(info.context, 64);
    assert_int_equal(info.vocabulary, 4096);
    assert_int_equal(info.kv_pages, 4 * 4);
    assert_int_equal(info.kv_bytes, 16 * (16 * 12 + 4) << 10);
    assert_int_equal(info.threads, 2);
    assert_int_equal(info.end_count, 1);
    assert_int_equal(info.end_tokens[0], 0);
    assert_true(info.parameters > 4000000 && info.weight_bytes > 16000000 && info.load_seconds > 0);
}

static struct engine_options crowded_options(size_t reserved) {
    struct engine_options o = options();
    o.sequences_max = o.step_tokens = 256; /* 1.5 GiB of cache, if there were so much */
    o.context = 512;
    o.reserves[0] = (struct engine_reserve){"the test", reserved};
    o.reserve_count = 1;
    return o;
}

/* 0: it does not open. */
static size_t cache_bytes(size_t reserved) {
    struct engine_options o = crowded_options(reserved);
    struct engine *other;
    struct engine_info info;
    struct error e;
    if (engine_open(&o, &other, &e) != STATUS_OK) return 0;
    engine_info(other, &info);
    engine_close(other);
    return info.kv_bytes;
}

/* Whether the cache is what the limit of 1 GiB leaves, in a process of its own: 0 if so. */
static int check_crowded(size_t limit) {
    size_t used = 0, most = (size_t)1 << 30, reserved = (size_t)600 << 20;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmData:", 7) == 0) used = strtoul(line + 7, NULL, 10) * 1024;
    if (setrlimit(RLIMIT_DATA, &(struct rlimit){used + limit, RLIM_INFINITY}) != 0) return 2;
    size_t alone = cache_bytes(0), beside = cache_bytes(reserved);
    if (alone <= most / 2 || alone >= most * 3 / 4) return 3; /* three quarters of what is left */
    if (beside == 0 || beside > most - reserved) return 4;
    return cache_bytes(most) == 0 ? 0 : 5;
}

/* The limit is that of a process, so that nothing else on the machine matters. */
static void what_is_reserved_is_not_for_the_cache(void **state) {
    (void)state;
    int status;
    size_t limit = (size_t)1 << 30;
    if (SANITIZED) skip(); /* the shadow memory counts */
    if (memory_available_bytes() < 2 * limit) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(check_crowded(limit));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct engine_options o = crowded_options(2 * memory_available_bytes());
    refuse(&o, STATUS_LIMIT, "memory");
    o.kv_cache_mib = 64;
    refuse(&o, STATUS_OPTION, "kv-cache-mib");
}

static void encodes_and_decodes(void **state) {
    (void)state;
    const char *text = "Once upon a time there was a fox.";
    struct error e;
    int32_t *ids;
    size_t count, length;
    char *back;
    assert_ok(engine_encode(engine, text, strlen(text), false, 0, &ids, &count, &e));
    assert_ok(engine_decode(engine, ids, count, true, &back, &length, NULL, &e));
    assert_string_equal(back, text);
    assert_int_equal(length, strlen(text));
    free(ids);
    free(back);
    assert_ok(engine_encode(engine, "", 0, false, 0, &ids, &count, &e));
    assert_int_equal(count, 0);
    assert_non_null(ids);
    free(ids);
}

static void ids_are_limited_by_the_caller_not_by_the_context(void **state) {
    (void)state;
    char text[4096] = "";
    struct error e;
    int32_t *ids;
    size_t count;
    for (int i = 0; i < 900; i++) strcat(text, " the");
    assert_ok(engine_encode(engine, text, strlen(text), false, 0, &ids, &count, &e)); /* the context is 64 */
    assert_int_equal(count, 900);
    free(ids);
    assert_ok(engine_encode(engine, text, strlen(text), false, 900, &ids, &count, &e));
    free(ids);
    assert_int_equal(engine_encode(engine, text, strlen(text), false, 899, &ids, &count, &e), STATUS_LIMIT);
    assert_null(ids);
    assert_string_equal(e.where, "tokens");
    assert_non_null(strstr(e.text, "more than 899 tokens"));
}

/* Half a character at the end is U+FFFD for now, but not for certain. */
static void text_is_certain_up_to_half_a_character(void **state) {
    (void)state;
    struct error e;
    int32_t *ids;
    size_t count, length, certain;
    char *text;
    assert_ok(engine_encode(engine, "the \u20ac", 7, false, 0, &ids, &count, &e));
    assert_ok(engine_decode(engine, ids, count, true, &text, &length, &certain, &e));
    assert_int_equal(length, 7);
    assert_int_equal(certain, 7);
    free(text);
    assert_ok(engine_decode(engine, ids, count - 1, true, &text, &length, &certain, &e));
    assert_string_equal(text, "the \uFFFD");
    assert_int_equal(certain, 4);
    free(text);
    free(ids);
}

/* A text that is longer than the context's worth of the longest token is refused by its length: it need not
 * even be text. */
static void a_text_that_cannot_fit_is_refused_before_it_is_read(void **state) {
    (void)state;
    struct error e;
    int32_t *ids;
    size_t count, length = (size_t)1 << 20;
    char *text = malloc(length);
    memset(text, 0xff, length);
    size_t most = engine_text_bytes_max(engine, 64);
    assert_true(most >= 64 && most < length);
    assert_int_equal(engine_encode(engine, text, length, false, 64, &ids, &count, &e), STATUS_LIMIT);
    assert_null(ids);
    assert_string_equal(e.where, "tokens");
    assert_non_null(strstr(e.text, "a text of 1048576 bytes has more than 64 tokens"));
    /* As long as that it is read, and found not to be UTF-8. */
    assert_int_equal(engine_encode(engine, text, most, false, 64, &ids, &count, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(engine_encode(engine, text, most + 1, false, 64, &ids, &count, &e), STATUS_LIMIT);
    free(text);
}

static int32_t only_id(const char *text) {
    struct error e;
    int32_t *ids, id;
    size_t count;
    assert_ok(engine_encode(engine, text, strlen(text), false, 0, &ids, &count, &e));
    assert_int_equal(count, 1);
    id = ids[0];
    free(ids);
    return id;
}

static void expect_token_text(int32_t id, const char *expect) {
    size_t length;
    const char *text = engine_token_text(engine, id, &length);
    assert_string_equal(text, expect);
    assert_int_equal(length, strlen(expect));
    assert_ptr_equal(engine_token_text(engine, id, &length), text); /* it stays where it is */
}

static void token_texts_are_valid_utf8_and_keep_their_blank(void **state) {
    (void)state;
    struct error e;
    int32_t *ids;
    size_t count;
    expect_token_text(only_id(" the"), " the");
    expect_token_text(only_id("the"), "the");
    expect_token_text(0, "<|endoftext|>");
    expect_token_text(-1, "");
    expect_token_text(1 << 20, "");
    assert_ok(engine_encode(engine, "\u20ac", 3, false, 0, &ids, &count, &e));
    assert_true(count >= 2);
    expect_token_text(ids[0], count == 3 ? "bytes:\\xe2" : "bytes:\\xe2\\x82");
    free(ids);
}

static struct engine_prompt prompt_of(const int32_t *ids, size_t count) {
    return (struct engine_prompt){
        .ids = ids,
        .count = count,
        .choices = 2,
        .max_tokens = 40,
        .logprobs = -1,
        .ignore_end = true,
        .sampling = {.temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
}

static void draining_refuses_and_goes_on(void **state) {
    (void)state;
    const int32_t ids[] = {5, 6, 7};
    struct error e;
    struct engine *own;
    struct engine_request *request, *refused;
    struct engine_options o = options();
    assert_ok(engine_open(&o, &own, &e));
    struct engine_prompt prompt = prompt_of(ids, 3);
    assert_ok(engine_submit(own, &prompt, 1, &request, &e));
    engine_drain(own);
    assert_int_equal(engine_submit(own, &prompt, 1, &refused, &e), STATUS_CLOSING);
    struct engine_event event;
    for (int ended = 0; ended < 2;) {
        usleep(1000);
        while (engine_next_ready(own)) {
        }
        while (engine_request_next_event(request, &event)) ended += event.kind == ENGINE_EVENT_FINISHED;
    }
    assert_int_equal(event.completion_tokens, 40);
    assert_int_equal(engine_retry_after(own), 1);
    engine_request_release(request);
    engine_close(own);
}

/* Runs a request to the end of its last choice, whose event is given. */
static struct engine_event run_request(struct engine *own, const struct engine_prompt *prompt) {
    struct error e;
    struct engine_request *request;
    struct engine_event event = {0};
    assert_ok(engine_submit(own, prompt, 1, &request, &e));
    for (uint32_t ended = 0; ended < prompt->choices;) {
        usleep(1000);
        while (engine_next_ready(own)) {
        }
        while (engine_request_next_event(request, &event)) ended += event.kind == ENGINE_EVENT_FINISHED;
    }
    engine_request_release(request);
    return event;
}

static void a_prompt_is_found_in_the_cache_unless_that_is_off(void **state) {
    (void)state;
    int32_t ids[20];
    struct error e;
    for (int i = 0; i < 20; i++) ids[i] = 200 + i;
    struct engine_prompt prompt = prompt_of(ids, 20);
    prompt.choices = 1;
    for (int on = 0; on < 2; on++) {
        struct engine *own;
        struct engine_options o = options();
        o.prefix_cache = on;
        assert_ok(engine_open(&o, &own, &e));
        assert_int_equal(run_request(own, &prompt).cached_tokens, 0);
        assert_int_equal(run_request(own, &prompt).cached_tokens, on ? 16 : 0);
        engine_close(own);
    }
}

static void closing_ends_what_runs(void **state) {
    (void)state;
    int32_t ids[20];
    struct error e;
    for (int i = 0; i < 20; i++) ids[i] = 100 + i;
    for (int round = 0; round < 3; round++) {
        struct engine *own;
        struct engine_options o = options();
        assert_ok(engine_open(&o, &own, &e));
        for (int i = 0; i < 4; i++) {
            struct engine_request *request;
            struct engine_prompt prompt = prompt_of(ids, 5 + (size_t)i * 5);
            if (engine_submit(own, &prompt, 1, &request, &e) == STATUS_OK) engine_request_release(request);
            usleep((unsigned)round * 1000);
        }
        engine_close(own);
    }
}

/* By the engine's clock, whenever the events are taken: the parts are within the time that passed. */
static void a_request_says_how_long_its_parts_took(void **state) {
    (void)state;
    int32_t ids[20];
    for (int i = 0; i < 20; i++) ids[i] = 300 + i;
    struct engine_prompt prompt = prompt_of(ids, 20);
    prompt.choices = 1;
    double begin = clock_seconds();
    struct engine_event end = run_request(engine, &prompt);
    double passed = clock_seconds() - begin;
    assert_int_equal(end.completion_tokens, 40);
    assert_true(end.prefill_seconds > 0 && end.decode_seconds > 0);
    assert_true(end.prefill_seconds + end.decode_seconds <= passed);
    prompt.max_tokens = 1; /* one token: nothing lies between the first and the last */
    assert_true(run_request(engine, &prompt).decode_seconds == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_options_that_it_cannot_honour),
        cmocka_unit_test(drafts_are_what_was_asked_for),
        cmocka_unit_test(refuses_a_cache_too_small_for_one_context),
        cmocka_unit_test(says_what_it_is),
        cmocka_unit_test(what_is_reserved_is_not_for_the_cache),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(encodes_and_decodes),
        cmocka_unit_test(ids_are_limited_by_the_caller_not_by_the_context),
        cmocka_unit_test(text_is_certain_up_to_half_a_character),
        cmocka_unit_test(a_text_that_cannot_fit_is_refused_before_it_is_read),
        cmocka_unit_test(token_texts_are_valid_utf8_and_keep_their_blank),
        cmocka_unit_test(draining_refuses_and_goes_on),
        cmocka_unit_test(a_prompt_is_found_in_the_cache_unless_that_is_off),
        cmocka_unit_test(closing_ends_what_runs),
        cmocka_unit_test(a_request_says_how_long_its_parts_took),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
