/* Text and ends of a sequence, with the bundled tokenizer: what is said with each token, and what at the end. */
#include "tests/support/failing_malloc.h"
#include "tests/unit/engine/sched/tales_tokenizer.h"

#include <stdbool.h>

#include "engine/sched/sequence.h"

static struct engine_request *request;
static struct sequence *sequence;
static char said[1000]; /* by TOKEN events */
static struct sequence_progress progress;

static struct token_list encode(const char *text) {
    struct error e;
    struct token_list list = {0};
    assert_ok(tokenizer_encode(tokenizer, text, strlen(text), false, 0, &list, &e));
    return list;
}

static struct engine_prompt prompt_with_stops(const struct engine_string *stops, size_t count) {
    static const int32_t ids[] = {5};
    return (struct engine_prompt){.ids = ids,
                                  .count = 1,
                                  .choices = 1,
                                  .max_tokens = 100,
                                  .logprobs = -1,
                                  .stops = stops,
                                  .stop_count = count,
                                  .skip_special = true,
                                  .sampling = {.top_p = 1, .typical_p = 1, .repetition_penalty = 1}};
}

static void start(const struct engine_prompt *prompt) {
    static const int32_t end_tokens[] = {0};
    static struct request_rules rules;
    struct error e;
    rules = (struct request_rules){.context = 200,
                                   .rows = 4096,
                                   .page_tokens = 16,
                                   .max_pending_events = 4,
                                   .choices_max = 4,
                                   .tokenizer = tokenizer,
                                   .end_tokens = end_tokens,
                                   .end_count = 1,
                                   .backend = {.rotary_length = rotary_length}};
    assert_ok(sched_requests_create(&rules, prompt, 1, &request, &e));
    sequence = &request->sequences[0];
    said[0] = '\0';
    progress =
        (struct sequence_progress){.finish = ENGINE_FINISH_CANCELLED, .stop_string = -1, .stop_token = -1};
}

/* Accepts the tokens of a text until it finishes; returns how many were taken. */
static size_t accept_ids(const int32_t *ids, size_t count) {
    struct error e;
    size_t taken = 0;
    while (taken < count && !progress.finished) {
        assert_ok(sequence_accept(sequence, ids[taken++], &progress, &e));
        strncat(said, progress.text, progress.text_length);
    }
    return taken;
}

static size_t accept_text(const char *text) {
    struct token_list list = encode(text);
    size_t taken = accept_ids(list.ids, list.count);
    free(list.ids);
    return taken;
}

static void expect_end(const char *expect_said, const char *expect_rest, enum engine_finish finish,
                       int stop_string) {
    struct error e;
    if (!progress.finished) progress.finish = ENGINE_FINISH_CANCELLED; /* from outside */
    assert_ok(sequence_end(sequence, &progress, &e));
    assert_string_equal(said, expect_said);
    assert_int_equal(sequence->ending.length, strlen(expect_rest));
    if (sequence->ending.length > 0)
        assert_memory_equal(sequence->ending.bytes, expect_rest, strlen(expect_rest));
    assert_int_equal(progress.finish, finish);
    assert_int_equal(progress.stop_string, stop_string);
    sched_request_release(request);
}

static void text_without_stops_comes_at_once(void **state) {
    (void)state;
    struct engine_prompt prompt = prompt_with_stops(NULL, 0);
    start(&prompt);
    accept_text("the fox said");
    expect_end("the fox said", "", ENGINE_FINISH_CANCELLED, -1);
}

static void a_stop_string_ends_it_and_is_cut_out(void **state) {
    (void)state;
    const struct engine_string stops[] = {{"zebra", 5}, {"x sa", 4}};
    struct engine_prompt prompt = prompt_with_stops(stops, 2);
    start(&prompt);
    accept_text("the fox said: no");
    assert_true(progress.finished);
    expect_end("the fo", "", ENGINE_FINISH_STOP, 1);
    prompt.include_stop_text = true;
    start(&prompt);
    accept_text("the fox said: no");
    expect_end("the fo", "x sa", ENGINE_FINISH_STOP, 1);
}

static void what_was_held_back_comes_at_the_end(void **state) {
    (void)state;
    const struct engine_string stops[] = {{"fox said nothing", 16}};
    struct engine_prompt prompt = prompt_with_stops(stops, 1);
    start(&prompt);
    accept_text("the fox said");
    assert_false(progress.finished);
    expect_end("the ", "fox said", ENGINE_FINISH_CANCELLED, -1);
}

static void an_end_token_ends_it_without_text(void **state) {
    (void)state;
    struct engine_prompt prompt = prompt_with_stops(NULL, 0);
    start(&prompt);
    accept_text("the");
    const int32_t end = 0;
    accept_ids(&end, 1);
    assert_int_equal(progress.stop_token, 0);
    assert_int_equal(sequence_generated(sequence), 2);
    expect_end("the", "", ENGINE_FINISH_STOP, -1);
    prompt.ignore_end = true;
    start(&prompt);
    accept_ids(&end, 1);
    assert_false(progress.finished);
    expect_end("", "", ENGINE_FINISH_CANCELLED, -1);
}

static void a_stop_token_says_its_text_only_if_asked(void **state) {
    (void)state;
    struct token_list list = encode(" fox");
    struct engine_prompt prompt = prompt_with_stops(NULL, 0);
    prompt.stop_tokens = &list.ids[list.count - 1], prompt.stop_token_count = 1;
    for (int included = 0; included < 2; included++) {
        prompt.include_stop_text = included;
        start(&prompt);
        accept_ids(&list.ids[list.count - 1], 1);
        assert_int_equal(progress.stop_token, list.ids[list.count - 1]);
        if (!included) assert_string_equal(said, "");
        if (included) assert_true(strlen(said) > 0);
        sched_request_release(request);
    }
    free(list.ids);
}

/* Stop strings count from the token after min_tokens on; ids that would end it are banned before. */
static void min_tokens_puts_every_end_off(void **state) {
    (void)state;
    const struct engine_string stops[] = {{"the", 3}};
    const int32_t stop_token = 77, *banned;
    struct engine_prompt prompt = prompt_with_stops(stops, 1);
    prompt.min_tokens = 1;
    prompt.stop_tokens = &stop_token, prompt.stop_token_count = 1;
    start(&prompt);
    assert_int_equal(sequence_banned(sequence, sequence->count, &banned), 2);
    assert_int_equal(banned[0], 0);
    assert_int_equal(banned[1], 77);
    struct token_list list = encode("the");
    assert_int_equal(list.count, 1);
    accept_ids(list.ids, 1);
    assert_false(progress.finished);
    assert_int_equal(sequence_banned(sequence, sequence->count, &banned), 0);
    accept_ids(list.ids, 1);
    assert_true(progress.finished);
    expect_end("the", "", ENGINE_FINISH_STOP, 0);
    free(list.ids);
}

static void max_tokens_end_it_and_flush(void **state) {
    (void)state;
    const struct engine_string stops[] = {{"fox said nothing", 16}};
    struct token_list list = encode("the fox said");
    struct engine_prompt prompt = prompt_with_stops(stops, 1);
    prompt.max_tokens = (uint32_t)list.count;
    start(&prompt);
    assert_int_equal(accept_ids(list.ids, list.count), list.count);
    assert_true(progress.finished);
    expect_end("the ", "fox said", ENGINE_FINISH_LENGTH, -1);
    free(list.ids);
}

/* Half a character at the end is replaced; that may even complete a stop string. */
static void half_a_character_is_replaced_at_the_end(void **state) {
    (void)state;
    struct token_list list = encode("\u20ac");
    assert_true(list.count > 1); /* bytes: no token of its own */
    struct engine_prompt prompt = prompt_with_stops(NULL, 0);
    prompt.max_tokens = 1;
    start(&prompt);
    accept_ids(list.ids, 1);
    expect_end("", "\uFFFD", ENGINE_FINISH_LENGTH, -1);
    const struct engine_string stops[] = {{"\uFFFD", 3}};
    prompt = prompt_with_stops(stops, 1);
    prompt.max_tokens = 1;
    start(&prompt);
    accept_ids(list.ids, 1);
    expect_end("", "", ENGINE_FINISH_STOP, 0);
    free(list.ids);
}

/* Accepts tokens, the last of which is the first half of a character, and ends; the n-th allocation
 * fails. */
static enum status say_with_failure(const struct token_list *list, size_t n, bool *failed, struct error *e) {
    enum status status = STATUS_OK;
    failing_malloc_arm(n);
    for (size_t i = 0; i < list->count && status == STATUS_OK; i++) {
        status = sequence_accept(sequence, list->ids[i], &progress, e);
        if (status == STATUS_OK) strncat(said, progress.text, progress.text_length);
    }
    if (status == STATUS_OK) status = sequence_end(sequence, &progress, e);
    *failed = failing_malloc_disarm();
    return status;
}

/* Text is never lost in silence, nor a stop string overlooked. */
static void without_memory_it_fails(void **state) {
    (void)state;
    const struct engine_string stops[] = {{"fox said nothing", 16}, {"\uFFFD!", 4}};
    struct engine_prompt prompt = prompt_with_stops(stops, 2);
    struct token_list list = encode("the fox said\u20ac");
    bool failed = true;
    size_t n = 1;
    list.count--; /* half of the last character: its replacement comes at the end */
    for (; failed; n++) {
        struct error e = {0};
        start(&prompt);
        enum status status = say_with_failure(&list, n, &failed, &e);
        assert_int_equal(status, failed ? STATUS_NO_MEMORY : STATUS_OK);
        assert_int_equal(e.text[0] != '\0', failed);
        if (!failed) {
            assert_string_equal(said, "the ");
            assert_int_equal(sequence->ending.length, strlen("fox said\uFFFD"));
            assert_memory_equal(sequence->ending.bytes, "fox said\uFFFD", sequence->ending.length);
        }
        sched_request_release(request);
    }
    assert_true(n > 3);
    free(list.ids);
}

static void plain_rows_follow_what_is_known(void **state) {
    (void)state;
    int32_t ids[50] = {0};
    struct engine_prompt prompt = prompt_with_stops(NULL, 0);
    prompt.ids = ids, prompt.count = 50;
    start(&prompt);
    assert_int_equal(sequence_target(sequence), 50);
    assert_int_equal(sequence_plain_rows(sequence), 49);
    sequence->computed = 50;
    accept_text("a");
    assert_int_equal(sequence_target(sequence) - sequence->computed, 1);
    assert_int_equal(sequence_plain_rows(sequence), 0);
    sched_request_release(request);
    prompt.prompt_logprobs = true, prompt.max_tokens = 0;
    start(&prompt);
    sequence->prompt_scored = 1;
    assert_int_equal(sequence_target(sequence), 49);
    assert_int_equal(sequence_plain_rows(sequence), 0);
    sequence->prompt_scored = 20; /* preempted after that: row 19 is the next that is needed */
    assert_int_equal(sequence_plain_rows(sequence), 19);
    sched_request_release(request);
}

/* It begins in a token that min_tokens covers and ends after it; one that ends under it is text. */
static void a_stop_string_may_begin_under_min_tokens(void **state) {
    (void)state;
    const struct engine_string stops[] = {{"the fox", 7}};
    struct token_list list = encode("the the fox said");
    struct engine_prompt prompt = prompt_with_stops(stops, 1);
    for (uint32_t covered = 0; covered <= list.count; covered++) {
        prompt.min_tokens = covered;
        start(&prompt);
        size_t taken = accept_ids(list.ids, list.count);
        if (covered < 3) {
            assert_int_equal(taken, 3);
            expect_end("the ", "", ENGINE_FINISH_STOP, 0);
        } else {
            assert_int_equal(taken, list.count);
            expect_end("the the fox said", "", ENGINE_FINISH_CANCELLED, -1);
        }
    }
    free(list.ids);
    /* What is held back under min_tokens comes at the end. */
    list = encode("the");
    prompt.min_tokens = 1, prompt.max_tokens = 1;
    start(&prompt);
    accept_ids(list.ids, list.count);
    expect_end("", "the", ENGINE_FINISH_LENGTH, -1);
    free(list.ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_without_stops_comes_at_once),
        cmocka_unit_test(a_stop_string_ends_it_and_is_cut_out),
        cmocka_unit_test(what_was_held_back_comes_at_the_end),
        cmocka_unit_test(an_end_token_ends_it_without_text),
        cmocka_unit_test(a_stop_token_says_its_text_only_if_asked),
        cmocka_unit_test(min_tokens_puts_every_end_off),
        cmocka_unit_test(max_tokens_end_it_and_flush),
        cmocka_unit_test(half_a_character_is_replaced_at_the_end),
        cmocka_unit_test(without_memory_it_fails),
        cmocka_unit_test(plain_rows_follow_what_is_known),
        cmocka_unit_test(a_stop_string_may_begin_under_min_tokens),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
