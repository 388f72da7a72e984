/* POST /v1/completions without a stream: forms of the prompt, parameters, the shape of the answer. */
#include "engine/api/engine.h"
#include "tests/http/one_fake_daemon.h"

static const json_t *choice(const json_t *answer, size_t index) {
    return json_array_get(json_object_get(answer, "choices"), index);
}

static const char *choice_string(const json_t *answer, size_t index, const char *name) {
    return json_string_value(json_object_get(choice(answer, index), name));
}

static long long usage(const json_t *answer, const char *name) {
    return json_integer_value(json_object_get(json_object_get(answer, "usage"), name));
}

static void test_shape(void **state) {
    (void)state;
    json_t *answer = complete(&d, "{\"prompt\":\"Once\",\"max_tokens\":7,\"seed\":3,\"ignore_eos\":true}");
    assert_int_equal(strncmp(json_string_value(json_object_get(answer, "id")), "cmpl-", 5), 0);
    assert_int_equal(strlen(json_string_value(json_object_get(answer, "id"))), 5 + 32);
    assert_string_equal(json_string_value(json_object_get(answer, "object")), "text_completion");
    assert_string_equal(json_string_value(json_object_get(answer, "model")), "tales");
    assert_true(json_is_integer(json_object_get(answer, "created")));
    assert_true(json_is_string(json_object_get(answer, "system_fingerprint")));
    assert_int_equal(json_array_size(json_object_get(answer, "choices")), 1);
    assert_int_equal(strlen(choice_text(answer, 0)), 7);
    assert_true(json_is_null(json_object_get(choice(answer, 0), "logprobs")));
    assert_string_equal(choice_string(answer, 0, "finish_reason"), "length");
    assert_int_equal(json_integer_value(json_object_get(choice(answer, 0), "seed")), 3);
    assert_int_equal(usage(answer, "prompt_tokens"), 4);
    assert_int_equal(usage(answer, "completion_tokens"), 7);
    assert_int_equal(usage(answer, "total_tokens"), 11);
    const json_t *details = json_object_get(json_object_get(answer, "usage"), "prompt_tokens_details");
    assert_true(json_is_integer(json_object_get(details, "cached_tokens")));
    json_decref(answer);
}

/* A text and its ids are the same prompt. */
static void test_prompt_forms(void **state) {
    (void)state;
    static const char *const forms[] = {
        "{\"temperature\":0,\"max_tokens\":9,\"prompt\":\"Hi!\"}",
        "{\"temperature\":0,\"max_tokens\":9,\"prompt\":[72,105,33]}",
        "{\"temperature\":0,\"max_tokens\":9,\"prompt\":[\"Hi!\"]}",
        "{\"temperature\":0,\"max_tokens\":9,\"prompt\":[[72,105,33]]}",
        "{\"temperature\":0,\"max_tokens\":9,\"prompt\":[[72,105,33],\"Ho!\"]}",
    };
    json_t *first = complete(&d, forms[0]);
    for (size_t i = 1; i < sizeof forms / sizeof *forms; i++) {
        json_t *answer = complete(&d, forms[i]);
        assert_string_equal(choice_text(answer, 0), choice_text(first, 0));
        assert_int_equal(json_array_size(json_object_get(answer, "choices")), i == 4 ? 2 : 1);
        json_decref(answer);
    }
    json_decref(first);
}

static void test_empty_prompt_starts_from_bos(void **state) {
    (void)state;
    static const char *const forms[] = {"{\"temperature\":0,\"prompt\":\"\"}",
                                        "{\"temperature\":0,\"prompt\":[]}",
                                        "{\"temperature\":0,\"prompt\":[256]}"};
    json_t *expected = complete(&d, forms[2]);
    for (size_t i = 0; i < 2; i++) {
        json_t *answer = complete(&d, forms[i]);
        assert_string_equal(choice_text(answer, 0), choice_text(expected, 0));
        assert_int_equal(usage(answer, "prompt_tokens"), 1);
        json_decref(answer);
    }
    json_decref(expected);
}

/* index = prompt * n + i; the same seed gives the same choices whatever n is. */
static void test_several_prompts_and_choices(void **state) {
    (void)state;
    json_t *both = complete(&d, "{\"prompt\":[\"ab\",\"cd\"],\"n\":3,\"seed\":1,\"max_tokens\":12}");
    assert_int_equal(json_array_size(json_object_get(both, "choices")), 6);
    assert_int_equal(usage(both, "prompt_tokens"), 4);
    json_t *second = complete(&d, "{\"prompt\":\"cd\",\"n\":3,\"seed\":1,\"max_tokens\":12}");
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(json_integer_value(json_object_get(choice(both, i), "index")), i);
    for (size_t i = 0; i < 3; i++) assert_string_equal(choice_text(both, 3 + i), choice_text(second, i));
    assert_string_not_equal(choice_text(second, 0), choice_text(second, 1));
    json_decref(both);
    json_decref(second);
}

static void test_stop(void **state) {
    (void)state;
    json_t *whole =
        complete(&d, "{\"prompt\":\"Once\",\"temperature\":0,\"max_tokens\":60,\"ignore_eos\":true}");
    char stop[3] = {choice_text(whole, 0)[20], choice_text(whole, 0)[21], 0}, body[256];
    const char *found = strstr(choice_text(whole, 0), stop);
    snprintf(body, sizeof body,
             "{\"prompt\":\"Once\",\"temperature\":0,\"max_tokens\":60,\"ignore_eos\":true,\"stop\":[\"#\","
             "\"%s\"]}",
             stop);
    json_t *cut = complete(&d, body);
    assert_int_equal(strlen(choice_text(cut, 0)), found - choice_text(whole, 0));
    assert_string_equal(choice_string(cut, 0, "finish_reason"), "stop");
    assert_string_equal(choice_string(cut, 0, "stop_reason"), stop);
    json_decref(cut);
    snprintf(body, sizeof body,
             "{\"prompt\":\"Once\",\"temperature\":0,\"max_tokens\":60,\"ignore_eos\":true,\"stop\":\"%s\","
             "\"include_stop_str_in_output\":true}",
             stop);
    cut = complete(&d, body);
    assert_int_equal(strlen(choice_text(cut, 0)), found - choice_text(whole, 0) + 2);
    json_decref(cut);
    json_decref(whole);
}

static void test_stop_token_is_named(void **state) {
    (void)state;
    json_t *answer = complete(&d, "{\"prompt\":\"Once\",\"allowed_token_ids\":[120],\"stop_token_ids\":[120],"
                                  "\"return_token_ids\":true}");
    assert_string_equal(choice_text(answer, 0), "");
    assert_int_equal(json_integer_value(json_object_get(choice(answer, 0), "stop_reason")), 120);
    assert_int_equal(json_array_size(json_object_get(choice(answer, 0), "token_ids")), 1);
    assert_int_equal(json_array_size(json_object_get(choice(answer, 0), "prompt_token_ids")), 4);
    json_decref(answer);
}

static void test_logit_bias(void **state) {
    (void)state;
    json_t *answer = complete(&d, "{\"prompt\":\"Once\",\"logit_bias\":{\"122\":100},\"max_tokens\":4}");
    assert_string_equal(choice_text(answer, 0), "zzzz");
    json_decref(answer);
}

static void check_logprobs(const json_t *logprobs, size_t count, bool is_prompt_first) {
    const json_t *tokens = json_object_get(logprobs, "tokens"),
                 *values = json_object_get(logprobs, "token_logprobs");
    const json_t *top = json_object_get(logprobs, "top_logprobs"),
                 *offsets = json_object_get(logprobs, "text_offset");
    assert_int_equal(json_array_size(tokens), count);
    assert_int_equal(json_array_size(values), count);
    assert_int_equal(json_array_size(top), count);
    assert_int_equal(json_array_size(offsets), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(json_integer_value(json_array_get(offsets, i)), i);
        if (is_prompt_first && i == 0) {
            assert_true(json_is_null(json_array_get(values, 0)));
            assert_true(json_is_null(json_array_get(top, 0)));
            continue;
        }
        const json_t *actual =
            json_object_get(json_array_get(top, i), json_string_value(json_array_get(tokens, i)));
        assert_non_null(actual);
        assert_true(json_object_size(json_array_get(top, i)) >= 1);
    }
}

static void test_logprobs(void **state) {
    (void)state;
    json_t *answer =
        complete(&d, "{\"prompt\":\"Once\",\"logprobs\":2,\"max_tokens\":6,\"ignore_eos\":true}");
    check_logprobs(json_object_get(choice(answer, 0), "logprobs"), 6, false);
    json_decref(answer);
    answer = complete(
        &d,
        "{\"prompt\":\"Once\",\"logprobs\":0,\"max_tokens\":6,\"echo\":true,\"n\":2,\"ignore_eos\":true}");
    for (size_t i = 0; i < 2; i++) {
        check_logprobs(json_object_get(choice(answer, i), "logprobs"), 10, true);
        assert_int_equal(strncmp(choice_text(answer, i), "Once", 4), 0);
        assert_int_equal(strlen(choice_text(answer, i)), 10);
    }
    json_decref(answer);
}

/* What lm-evaluation-harness sends: nothing is generated, the prompt is scored. */
static void test_score_only(void **state) {
    (void)state;
    json_t *answer =
        complete(&d, "{\"prompt\":[[79,110,99,101]],\"logprobs\":1,\"max_tokens\":0,\"echo\":true}");
    assert_string_equal(choice_text(answer, 0), "Once");
    check_logprobs(json_object_get(choice(answer, 0), "logprobs"), 4, true);
    assert_int_equal(usage(answer, "completion_tokens"), 0);
    json_decref(answer);
}

/* The best by mean log-probability of those that n alone would give. */
static void test_best_of(void **state) {
    (void)state;
    json_t *all = complete(&d, "{\"prompt\":\"Once\",\"n\":6,\"seed\":9,\"max_tokens\":10,\"logprobs\":0}");
    json_t *best = complete(&d, "{\"prompt\":\"Once\",\"n\":2,\"best_of\":6,\"seed\":9,\"max_tokens\":10}");
    double means[6];
    size_t first = 0;
    for (size_t i = 0; i < 6; i++) {
        const json_t *values = json_object_get(json_object_get(choice(all, i), "logprobs"), "token_logprobs");
        means[i] = 0;
        for (size_t j = 0; j < json_array_size(values); j++)
            means[i] += json_number_value(json_array_get(values, j));
        means[i] /= (double)json_array_size(values);
        if (means[i] > means[first]) first = i;
    }
    assert_int_equal(json_array_size(json_object_get(best, "choices")), 2);
    assert_string_equal(choice_text(best, 0), choice_text(all, first));
    assert_true(json_is_null(json_object_get(choice(best, 0), "logprobs")));
    assert_int_equal(usage(best, "completion_tokens"), usage(all, "completion_tokens"));
    json_decref(all);
    json_decref(best);
}

/* NUL is text; what is not UTF-8 by itself does not break the answer. */
static void test_hostile_text(void **state) {
    (void)state;
    json_t *answer = complete(&d, "{\"prompt\":\"a\\u0000b\\\"\\\\\\n\",\"echo\":true,\"max_tokens\":1}");
    const json_t *text = json_object_get(choice(answer, 0), "text");
    assert_memory_equal(json_string_value(text), "a\0b\"\\\n", 6);
    json_decref(answer);
    answer = complete(&d, "{\"prompt\":[97,255,98],\"echo\":true,\"max_tokens\":0,\"logprobs\":1}");
    assert_string_equal(choice_text(answer, 0), "a\xef\xbf\xbd"
                                                "b");
    json_decref(answer);
}

static void test_request_id(void **state) {
    (void)state;
    static const char *const sane[] = {"X-Request-Id: abc-1.2_3", NULL}, *const insane[] = {
                                                                             "X-Request-Id: a b<c>", NULL};
    struct answer a = http_request(&d, "GET", "/health", sane, NULL, 0);
    assert_string_equal(answer_header(&a, "X-Request-Id"), "abc-1.2_3");
    answer_free(&a);
    a = http_request(&d, "GET", "/health", insane, NULL, 0);
    assert_int_equal(strncmp(answer_header(&a, "X-Request-Id"), "req-", 4), 0);
    answer_free(&a);
}

static void test_models_and_tokens(void **state) {
    (void)state;
    struct answer a = http_get(&d, "/v1/models");
    json_t *json = answer_json(&a);
    const json_t *model = json_array_get(json_object_get(json, "data"), 0);
    assert_string_equal(json_string_value(json_object_get(model, "id")), "tales");
    assert_int_equal(json_integer_value(json_object_get(model, "max_model_len")), 2048);
    json_decref(json);
    answer_free(&a);
    a = http_post(&d, "/tokenize", "{\"prompt\":\"Hi\"}");
    assert_string_equal(a.body, "{\"tokens\":[72,105],\"count\":2,\"max_model_len\":2048}");
    answer_free(&a);
    a = http_post(&d, "/detokenize", "{\"tokens\":[72,105]}");
    assert_string_equal(a.body, "{\"prompt\":\"Hi\"}");
    answer_free(&a);
    a = http_get(&d, "/tokenizer_info");
    json = answer_json(&a);
    assert_string_equal(json_string_value(json_object_get(json, "eos_token")), "<256>");
    assert_true(json_is_null(json_object_get(json, "pad_token")));
    json_decref(json);
    answer_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_prompt_forms),
        cmocka_unit_test(test_empty_prompt_starts_from_bos),
        cmocka_unit_test(test_several_prompts_and_choices),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_token_is_named),
        cmocka_unit_test(test_logit_bias),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_score_only),
        cmocka_unit_test(test_best_of),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_models_and_tokens),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
