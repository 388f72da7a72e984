/* The bundled model through the whole daemon: greedy texts and ids of the reference implementation, in plain
 * answers, streams and scores. */
#include <unistd.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"

static struct daemon d;
static json_t *reference;

static int start(void **state) {
    (void)state;
    reference = json_load_file(test_source_path("deploy/models/tales/reference.json"), 0, NULL);
    assert_non_null(reference);
    daemon_start_tales(&d, NULL);
    return 0;
}

static int stop(void **state) {
    (void)state;
    daemon_stop(&d);
    json_decref(reference);
    return 0;
}

/* Asks with the fields of `more` and returns the first choice; decref the answer. */
static json_t *ask(const json_t *prompt, size_t tokens, const char *more, const json_t **choice) {
    json_t *body = json_loads(more, 0, NULL);
    assert_non_null(body);
    json_object_set(body, "prompt", (json_t *)prompt);
    json_object_set_new(body, "max_tokens", json_integer((json_int_t)tokens));
    json_object_set_new(body, "temperature", json_integer(0));
    char *text = json_dumps(body, 0);
    json_t *answer = complete(&d, text);
    free(text);
    json_decref(body);
    *choice = json_array_get(json_object_get(answer, "choices"), 0);
    return answer;
}

static void test_greedy(void **state) {
    (void)state;
    size_t index;
    const json_t *one, *choice;
    json_array_foreach(json_object_get(reference, "cases"), index, one) {
        const json_t *ids = json_object_get(one, "ids"), *greedy = json_object_get(one, "greedy");
        json_t *answer = ask(json_object_get(one, "prompt"), json_array_size(greedy),
                             "{\"return_token_ids\":true}", &choice);
        assert_true(json_equal(json_object_get(choice, "prompt_token_ids"), ids));
        assert_true(json_equal(json_object_get(choice, "token_ids"), greedy));
        assert_string_equal(choice_text(answer, 0), json_string_value(json_object_get(one, "text")));
        json_decref(answer);
        answer = ask(ids, json_array_size(greedy), "{}", &choice);
        assert_string_equal(choice_text(answer, 0), json_string_value(json_object_get(one, "text")));
        json_decref(answer);
    }
}

/* Scoring a text that was generated finds the generated tokens to be the likeliest, each with the value that
 * it was generated with. */
static void test_scores(void **state) {
    (void)state;
    const json_t *one = json_array_get(json_object_get(reference, "cases"), 0), *choice;
    json_t *ids = json_copy((json_t *)json_object_get(one, "ids"));
    size_t count = json_array_size(ids);
    json_t *generated = ask(ids, 32, "{\"logprobs\":1}", &choice);
    const json_t *values = json_object_get(json_object_get(choice, "logprobs"), "token_logprobs");
    json_array_extend(ids, (json_t *)json_object_get(one, "greedy"));
    const json_t *scored_choice;
    json_t *scored = ask(ids, 0, "{\"logprobs\":1,\"echo\":true}", &scored_choice);
    const json_t *logprobs = json_object_get(scored_choice, "logprobs");
    const json_t *scores = json_object_get(logprobs, "token_logprobs"),
                 *top = json_object_get(logprobs, "top_logprobs");
    assert_int_equal(json_array_size(scores), count + 32);
    assert_true(json_is_null(json_array_get(scores, 0)));
    for (size_t i = 0; i < 32; i++) {
        double score = json_number_value(json_array_get(scores, count + i));
        assert_true(score == json_number_value(json_array_get(values, i)));
        assert_true(score < 0 && score > -20);
        assert_int_equal(json_object_size(json_array_get(top, count + i)),
                         1); /* the best is the actual one */
    }
    const json_t *offsets = json_object_get(logprobs, "text_offset");
    for (size_t i = 1; i < json_array_size(offsets); i++)
        assert_true(json_integer_value(json_array_get(offsets, i)) >=
                    json_integer_value(json_array_get(offsets, i - 1)));
    json_decref(ids);
    json_decref(generated);
    json_decref(scored);
}

/* Offsets count characters of the echoed text: a BOS that the tokenizer added takes none of them, the bytes
 * of one character share its place. */
static void test_offsets_of_a_text(void **state) {
    (void)state;
    static const int expected[] = {0, 0, 4, 9, 10, 10, 11, 13, 14, 14, 14, 15};
    const json_t *choice;
    json_t *prompt = json_string("Once upon \xc3\xa9 a \xe4\xbd\xa0 time");
    json_t *answer = ask(prompt, 0, "{\"logprobs\":0,\"echo\":true}", &choice);
    const json_t *offsets = json_object_get(json_object_get(choice, "logprobs"), "text_offset");
    assert_int_equal(json_array_size(offsets), sizeof expected / sizeof *expected);
    for (size_t i = 0; i < json_array_size(offsets); i++)
        assert_int_equal(json_integer_value(json_array_get(offsets, i)), expected[i]);
    json_decref(answer);
    json_decref(prompt);
}

/* tokenize and detokenize are each other's inverse on plain text, whatever its letters. */
static void test_tokens(void **state) {
    (void)state;
    struct answer a =
        http_post(&d, "/tokenize",
                  "{\"prompt\":\"Gr\\u00fc\\u00dfe, \\ud83d\\ude00 \\u0000!\",\"add_special_tokens\":false}");
    json_t *json = answer_json(&a), *body = json_object();
    json_object_set(body, "tokens", json_object_get(json, "tokens"));
    char *text = json_dumps(body, 0);
    answer_free(&a);
    a = http_post(&d, "/detokenize", text);
    assert_string_equal(a.body, "{\"prompt\":\"Gr\xc3\xbc\xc3\x9f"
                                "e, \xf0\x9f\x98\x80 \\u0000!\"}");
    answer_free(&a);
    free(text);
    json_decref(json);
    json_decref(body);
}

/* What the request itself makes impossible is its fault: 400, before anything runs. With the end token alone
 * that is so only while it is banned. */
static void test_no_token_left_to_sample(void **state) {
    (void)state;
    char body[256];
    struct answer a = http_get(&d, "/tokenizer_info");
    json_t *info = answer_json(&a);
    int end = (int)json_integer_value(json_object_get(info, "eos_token_id"));
    json_decref(info);
    answer_free(&a);
    for (int min_tokens = 0; min_tokens < 2; min_tokens++) {
        snprintf(body, sizeof body, "{\"prompt\":\"Once\",\"allowed_token_ids\":[%d],\"min_tokens\":%d}", end,
                 min_tokens);
        a = http_post(&d, "/v1/completions", body);
        assert_int_equal(a.status, min_tokens ? 400 : 200);
        if (min_tokens) assert_non_null(strstr(a.body, "\"param\":\"allowed_token_ids\",\"code\":null"));
        answer_free(&a);
    }
    snprintf(body, sizeof body,
             "{\"prompt\":\"Once\",\"allowed_token_ids\":[77],\"ignore_eos\":true,\"stop_token_ids\":[77],"
             "\"min_tokens\":2}");
    a = http_post(&d, "/v1/completions", body);
    assert_int_equal(a.status, 400);
    answer_free(&a);
    assert_true(metric(&d, "prenorm_http_answers_total{route=\"/v1/completions\",code=\"500\"}") == -1);
}

/* One of several, and beside texts, is the same as alone; and of length 1. */
static void test_embeddings(void **state) {
    (void)state;
    json_t *alone = post_json(&d, "/v1/embeddings", "{\"input\":\"The king was old.\",\"pooling\":\"mean\"}");
    const int text = raw_connect(&d);
    raw_post(text, "{\"prompt\":\"Once\",\"max_tokens\":400,\"n\":4,\"ignore_eos\":true}");
    json_t *beside =
        post_json(&d, "/v1/embeddings",
                  "{\"input\":[\"Once upon a time\",\"The king was old.\",[7,8,9]],\"pooling\":\"mean\"}");
    close(text);
    const json_t *data = json_object_get(alone, "data"), *more = json_object_get(beside, "data");
    const json_t *one = json_object_get(json_array_get(data, 0), "embedding");
    double squares = 0;
    for (size_t i = 0; i < json_array_size(one); i++)
        squares += json_number_value(json_array_get(one, i)) * json_number_value(json_array_get(one, i));
    assert_int_equal(json_array_size(one), 256);
    assert_true(squares > 1 - 1e-5 && squares < 1 + 1e-5);
    assert_true(json_equal(one, json_object_get(json_array_get(more, 1), "embedding")));
    assert_false(json_equal(one, json_object_get(json_array_get(more, 0), "embedding")));
    json_decref(alone);
    json_decref(beside);
}

/* The sum of what `echo` says of the same tokens; several continuations find their prompt in the cache, or not. */
static void test_scores_of_continuations(void **state) {
    (void)state;
    const json_t *choice;
    json_t *prompt = json_string("Once upon a time there was"),
           *answer = ask(prompt, 0, "{\"logprobs\":0,\"echo\":true}", &choice);
    const json_t *all = json_object_get(json_object_get(choice, "logprobs"), "token_logprobs");
    const size_t count = json_array_size(all);
    json_t *scores = post_json(
        &d, "/score", "{\"prompt\":\"Once upon a time\",\"continuation\":[\" there was\",\" there\"]}");
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_array_get(json_object_get(scores, "data"), i);
        const json_t *values = json_object_get(one, "token_logprobs");
        assert_int_equal(json_array_size(values), 2 - i);
        double sum = 0;
        for (size_t k = 0; k < 2 - i; k++) {
            assert_true(json_equal(json_array_get(values, k), json_array_get(all, count - 2 + k)));
            sum += json_number_value(json_array_get(values, k));
        }
        const double difference = json_number_value(json_object_get(one, "score")) - sum;
        assert_true(difference < 1e-6 && difference > -1e-6);
    }
    json_decref(scores);
    json_decref(answer);
    json_decref(prompt);
}

static void test_model_is_described(void **state) {
    (void)state;
    struct answer a = http_get(&d, "/v1/models/tales");
    assert_int_equal(a.status, 200);
    json_t *json = answer_json(&a);
    assert_string_equal(json_string_value(json_object_get(json, "norm_form")), "crmsnorm");
    assert_true(json_integer_value(json_object_get(json, "max_model_len")) > 0);
    json_decref(json);
    answer_free(&a);
}

/* What lm-evaluation-harness does with a document: the context (512) is no limit, in either direction. */
static void test_a_text_of_many_contexts_is_measured(void **state) {
    (void)state;
    json_t *body = json_object(), *ids;
    char text[20001];
    for (size_t i = 0; i < sizeof text - 1; i++) text[i] = "the fox "[i % 8];
    text[sizeof text - 1] = '\0';
    json_object_set_new(body, "prompt", json_string(text));
    json_object_set_new(body, "add_special_tokens", json_false());
    char *sent = json_dumps(body, 0);
    struct answer a = http_post(&d, "/tokenize", sent);
    assert_int_equal(a.status, 200);
    json_t *answer = answer_json(&a);
    ids = json_object_get(answer, "tokens");
    assert_true(json_array_size(ids) > 4096);
    assert_int_equal(json_integer_value(json_object_get(answer, "count")), json_array_size(ids));
    free(sent);
    answer_free(&a);
    json_object_clear(body);
    json_object_set(body, "tokens", ids);
    sent = json_dumps(body, 0);
    a = http_post(&d, "/detokenize", sent);
    json_t *back = answer_json(&a);
    assert_string_equal(json_string_value(json_object_get(back, "prompt")), text);
    free(sent);
    answer_free(&a);
    json_decref(back);
    json_decref(answer);
    json_decref(body);
}

/* Texts of the chunks of a stream, in one; the caller frees. */
static char *streamed_text(const char *body) {
    struct answer a = http_post(&d, "/v1/completions", body);
    assert_int_equal(a.status, 200);
    char *text = calloc(1, a.length + 1);
    for (char *at = a.body, *end; (at = strstr(at, "data: {")); at = end) {
        end = strstr(at, "\n\n");
        json_t *chunk = json_loadb(at + 6, (size_t)(end - at) - 6, 0, NULL);
        assert_non_null(chunk);
        strcat(text, choice_text(chunk, 0));
        json_decref(chunk);
    }
    answer_free(&a);
    return text;
}

/* "Once " and the euro sign's three bytes, of which the prompt has as many as said; the rest is forced. */
static void test_half_a_character_of_the_prompt_comes_once(void **state) {
    (void)state;
    struct answer a = http_post(&d, "/tokenize", "{\"prompt\":\"x\\u20ac\",\"add_special_tokens\":false}");
    json_t *json = answer_json(&a), *ids = json_object_get(json, "tokens");
    answer_free(&a);
    size_t count = json_array_size(ids);
    assert_true(count >= 3);
    int last = (int)json_integer_value(json_array_get(ids, count - 1));
    json_array_remove(ids, count - 1);
    char *prompt = json_dumps(ids, JSON_COMPACT), body[512];
    snprintf(body, sizeof body,
             "{\"prompt\":%s,\"echo\":true,\"max_tokens\":1,\"logprobs\":0,\"allowed_token_ids\":[%d]}",
             prompt, last);
    json_t *answer = complete(&d, body);
    assert_string_equal(choice_text(answer, 0), "x\xe2\x82\xac");
    const json_t *logprobs =
        json_object_get(json_array_get(json_object_get(answer, "choices"), 0), "logprobs");
    const json_t *offsets = json_object_get(logprobs, "text_offset");
    assert_int_equal(json_array_size(offsets), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(json_integer_value(json_array_get(offsets, i)), i > 0);
    json_decref(answer);
    snprintf(body, sizeof body,
             "{\"prompt\":%s,\"echo\":true,\"max_tokens\":1,\"stream\":true,\"allowed_token_ids\":[%d]}",
             prompt, last);
    char *text = streamed_text(body);
    assert_string_equal(text, "x\xe2\x82\xac");
    free(text);
    /* Without the rest it is U+FFFD, once. */
    snprintf(body, sizeof body, "{\"prompt\":%s,\"echo\":true,\"max_tokens\":0}", prompt);
    answer = complete(&d, body);
    assert_string_equal(choice_text(answer, 0), "x\uFFFD");
    json_decref(answer);
    free(prompt);
    json_decref(json);
}

/* Of the model's own greedy text each token is the first; of any prompt the ranks are places in one order. */
static void test_prompt_logprobs_have_their_rank(void **state) {
    (void)state;
    const json_t *one = json_array_get(json_object_get(reference, "cases"), 0), *choice;
    json_t *ids = json_copy((json_t *)json_object_get(one, "ids"));
    size_t count = json_array_size(ids);
    json_array_extend(ids, (json_t *)json_object_get(one, "greedy"));
    json_t *answer = ask(ids, 1, "{\"prompt_logprobs\":3,\"logprobs\":1,\"echo\":true}", &choice);
    const json_t *scores = json_object_get(choice, "prompt_logprobs");
    const json_t *values = json_object_get(json_object_get(choice, "logprobs"), "token_logprobs");
    assert_int_equal(json_array_size(scores), json_array_size(ids));
    assert_true(json_is_null(json_array_get(scores, 0)));
    for (size_t i = 1; i < json_array_size(ids); i++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)json_integer_value(json_array_get(ids, i)));
        const json_t *entry = json_object_get(json_array_get(scores, i), key);
        long long rank = json_integer_value(json_object_get(entry, "rank"));
        assert_true(rank >= 1);
        if (i >= count) assert_int_equal(rank, 1);
        assert_int_equal(json_object_size(json_array_get(scores, i)), rank <= 3 ? 3 : 4);
        assert_true(json_equal(json_object_get(entry, "logprob"), json_array_get(values, i)));
    }
    json_decref(answer);
    json_decref(ids);
}

/* A word of the greedy text, with the blank before it or without. */
static void test_bad_words_are_not_said(void **state) {
    (void)state;
    static const char asked[] = "{\"prompt\":\"Once upon a\",\"max_tokens\":24,\"temperature\":0%s}";
    char body[256], more[128], word[32] = "";
    snprintf(body, sizeof body, asked, "");
    json_t *plain = complete(&d, body);
    assert_int_equal(sscanf(choice_text(plain, 0), " %31[a-z]", word), 1);
    snprintf(more, sizeof more, ",\"bad_words\":[\"%s\"]", word);
    snprintf(body, sizeof body, asked, more);
    json_t *answer = complete(&d, body);
    assert_null(strstr(choice_text(answer, 0), word));
    assert_true(strlen(choice_text(answer, 0)) > 0);
    json_decref(answer);
    json_decref(plain);
}

/* 400 with the field, never 500 in the midst of it. */
static void test_nothing_to_sample_is_refused(void **state) {
    (void)state;
    struct answer a = http_get(&d, "/tokenizer_info");
    json_t *info = answer_json(&a);
    char body[256];
    snprintf(body, sizeof body, "{\"prompt\":\"a\",\"allowed_token_ids\":[%lld],\"min_tokens\":2}",
             (long long)json_integer_value(json_array_get(json_object_get(info, "eos_token_ids"), 0)));
    answer_free(&a);
    a = http_post(&d, "/v1/completions", body);
    assert_int_equal(a.status, 400);
    json_t *error = answer_json(&a);
    assert_string_equal(json_string_value(json_object_get(json_object_get(error, "error"), "param")),
                        "allowed_token_ids");
    json_decref(error);
    json_decref(info);
    answer_free(&a);
}

/* generate --json says what the daemon says, but for what differs from one request to the next: with each option that
 * the API has as a field. */
#define SEEDED "{\"prompt\":\"Once upon a time\",\"max_tokens\":20,\"seed\":4"

static void compare_with_the_api(const char *body, const char *option, const char *value) {
    struct command c = {.words = {PRENORMD, "generate", "--model", test_source_path("deploy/models/tales"),
                                  "--json", "--max-tokens", "20", "--seed", "4", "--temperature", "1",
                                  "Once upon a time", option, value}};
    assert_int_equal(command_run(&c), 0);
    json_t *said = json_loads(c.output_text, 0, NULL), *answer = complete(&d, body);
    assert_memory_equal(json_string_value(json_object_get(said, "id")), "cmpl-", 5);
    assert_int_equal(json_string_length(json_object_get(said, "id")),
                     json_string_length(json_object_get(answer, "id")));
    assert_true(json_integer_value(json_object_get(said, "created")) > 0);
    for (size_t j = 0; j < 2; j++) {
        json_object_del(j ? said : answer, "id");
        json_object_del(j ? said : answer, "created");
    }
    if (!json_equal(said, answer)) fail_msg("%s %s: %s", option, value, c.output_text);
    json_decref(said);
    json_decref(answer);
    command_free(&c);
}

static void test_generate_writes_the_same_answer(void **state) {
    (void)state;
    compare_with_the_api(SEEDED "}", "--no-ignore-eos", NULL);
    compare_with_the_api(SEEDED ",\"stop\":\"n\"}", "--stop", "n");
    compare_with_the_api(SEEDED ",\"stop\":\"n\",\"include_stop_str_in_output\":true}", "--stop=n",
                         "--include-stop-str-in-output");
    compare_with_the_api(SEEDED ",\"logit_bias\":{\"12\":50.5}}", "--logit-bias", "12=50.5");
    compare_with_the_api(SEEDED ",\"logit_bias\":{\"12\":100},\"stop_token_ids\":[12]}",
                         "--logit-bias=12=100", "--stop-token-ids=12");
    compare_with_the_api(SEEDED ",\"bad_words\":[\"the\",\"a\"]}", "--bad-words=the", "--bad-words=a");
    compare_with_the_api(SEEDED ",\"n\":3,\"stop\":\"n\"}", "--n=3", "--stop=n");
    compare_with_the_api(SEEDED ",\"n\":2,\"logprobs\":4}", "--n=2", "--logprobs=4");
    compare_with_the_api(SEEDED ",\"stop\":\" was\",\"logprobs\":0}", "--stop= was", "--logprobs=0");
    compare_with_the_api(SEEDED ",\"allowed_token_ids\":[12,300]}", "--allowed-token-ids=12",
                         "--allowed-token-ids=300");
    compare_with_the_api(SEEDED ",\"logit_bias\":{\"0\":100},\"skip_special_tokens\":false}",
                         "--logit-bias=0=100", "--no-skip-special-tokens");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_offsets_of_a_text),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_no_token_left_to_sample),
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_scores_of_continuations),
        cmocka_unit_test(test_model_is_described),
        cmocka_unit_test(test_a_text_of_many_contexts_is_measured),
        cmocka_unit_test(test_half_a_character_of_the_prompt_comes_once),
        cmocka_unit_test(test_prompt_logprobs_have_their_rank),
        cmocka_unit_test(test_bad_words_are_not_said),
        cmocka_unit_test(test_nothing_to_sample_is_refused),
        cmocka_unit_test(test_generate_writes_the_same_answer),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
