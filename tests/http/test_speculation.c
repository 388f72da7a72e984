/* Drafts over HTTP: two daemons with the bundled model, one of which has none, answer everything alike, byte by byte;
 * and what is told of predictions and counted of drafts. */
#include "tests/http/drafting_daemons.h"

#define REPETITION                                                                                           \
    "The red fox ran to the mill. The red fox ran to the mill. The red fox ran to the mill. The red"
#define ID "\"request_id\":\"one\""

enum { ANSWER_TOKENS = TEST_SHARE ? 40 : 120 };

static void answers_are_the_same_bytes(void **state) {
    (void)state;
    static const char *const fields[] = {
        "\"temperature\":0,\"seed\":0,\"logprobs\":5,\"ignore_eos\":true",
        "\"temperature\":0,\"seed\":0,\"stream\":true,\"return_token_ids\":true,\"stream_options\":{"
        "\"include_usage\":"
        "true}",
        "\"temperature\":0.7,\"seed\":3,\"n\":3,\"frequency_penalty\":0.3,\"echo\":true,\"logprobs\":1",
        "\"temperature\":1,\"seed\":9,\"stop\":[\"mill. "
        "T\",\"fox\"],\"min_tokens\":7,\"include_stop_str_in_output\":true",
        "\"temperature\":0,\"seed\":0,\"ignore_eos\":true,\"prediction\":{\"type\":\"content\",\"content\":"
        "\" fox ran "
        "to a mill.\"}",
        "\"temperature\":0.5,\"seed\":1,\"best_of\":3,\"n\":2,\"prediction\":{\"type\":\"content\","
        "\"content\":"
        "[{\"type\":\"text\",\"text\":\" fox ran\"},{\"type\":\"text\",\"text\":\" to the mill.\"}]}",
        "\"temperature\":2,\"seed\":4,\"stream\":true,\"bad_words\":[\"fox\"],\"repetition_penalty\":1.1",
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char request[1024];
        snprintf(request, sizeof request, "{\"prompt\":\"" REPETITION "\",\"max_tokens\":%d," ID ",%s}",
                 ANSWER_TOKENS, fields[i]);
        expect_same_body(request);
    }
}

static json_int_t detail(const json_t *answer, const char *name) {
    const json_t *usage = json_object_get(answer, "usage");
    const json_t *value = json_object_get(json_object_get(usage, "completion_tokens_details"), name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* The answer itself as prediction is all there; details stand only where there was one. */
static void usage_says_what_was_predicted(void **state) {
    (void)state;
    const char *plain = "{\"prompt\":\"Once upon a time\",\"temperature\":0,\"max_tokens\":40}";
    json_t *answer = complete(&with, plain);
    assert_null(json_object_get(json_object_get(answer, "usage"), "completion_tokens_details"));
    json_t *request = json_loads(plain, 0, NULL), *longer = json_string(choice_text(answer, 0));
    json_object_set_new(request, "prediction", json_pack("{s:s, s:o}", "type", "content", "content", longer));
    char *text = json_dumps(request, 0);
    json_t *predicted = complete(&with, text);
    assert_string_equal(choice_text(predicted, 0), choice_text(answer, 0));
    assert_int_equal(detail(predicted, "accepted_prediction_tokens"), 40);
    assert_int_equal(detail(predicted, "rejected_prediction_tokens"), 0);
    json_decref(predicted);
    free(text);
    json_object_set_new(json_object_get(request, "prediction"), "content", json_string("#$%#$%#$%"));
    text = json_dumps(request, 0);
    predicted = complete(&with, text);
    assert_string_equal(choice_text(predicted, 0), choice_text(answer, 0));
    assert_int_equal(detail(predicted, "accepted_prediction_tokens"), 0);
    assert_int_equal(detail(predicted, "rejected_prediction_tokens"), 9);
    json_decref(predicted);
    json_decref(answer);
    json_decref(request);
    free(text);
}

static void a_prediction_longer_than_the_context_is_refused(void **state) {
    (void)state;
    static char request[20000];
    int head = snprintf(request, sizeof request,
                        "{\"prompt\":\"a\",\"prediction\":{\"type\":\"content\",\"content\":\"");
    memset(request + head, '!', 9000);
    for (int i = 0; i < 9000; i += 2) request[head + i] = "0123456789"[i / 2 % 10];
    snprintf(request + head + 9000, sizeof request - (size_t)head - 9000, "\"}}");
    struct answer a = http_post(&with, "/v1/completions", request);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "'prediction' is longer"));
    answer_free(&a);
}

/* What is drafted follows the clock; what is counted is so much at least, and the one that has none says 0. */
static void drafts_are_counted(void **state) {
    (void)state;
    for (int tries = 0; tries < 200 && metric(&with, "prenorm_spec_accepted_tokens_total") < 1; tries++)
        json_decref(complete(&with, "{\"prompt\":\"" REPETITION
                                    "\",\"max_tokens\":400,\"temperature\":0,\"ignore_eos\":true}"));
    double accepted = metric(&with, "prenorm_spec_accepted_tokens_total");
    double drafted = metric(&with, "prenorm_spec_draft_tokens_total");
    assert_true(accepted >= 1 && drafted >= accepted);
    assert_true(metric(&with, "prenorm_spec_steps_total") >= 1);
    assert_true(metric(&with, "vllm:spec_decode_num_drafts_total{model_name=\"tales\"}") >= 1);
    assert_true(metric(&with, "vllm:spec_decode_num_draft_tokens_total{model_name=\"tales\"}") == drafted);
    assert_true(metric(&with, "vllm:spec_decode_num_accepted_tokens_total{model_name=\"tales\"}") ==
                accepted);
    assert_true(metric(&without, "prenorm_spec_draft_tokens_total") == 0);
}

static void version_says_the_mode(void **state) {
    (void)state;
    struct answer a = http_get(&with, "/version");
    assert_non_null(strstr(a.body, "\"speculate\":\"ngram\""));
    answer_free(&a);
    a = http_get(&without, "/version");
    assert_non_null(strstr(a.body, "\"speculate\":\"off\""));
    answer_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_bytes),
        cmocka_unit_test(usage_says_what_was_predicted),
        cmocka_unit_test(a_prediction_longer_than_the_context_is_refused),
        cmocka_unit_test(drafts_are_counted),
        cmocka_unit_test(version_says_the_mode),
    };
    return cmocka_run_group_tests(tests, drafting_setup, drafting_teardown);
}
