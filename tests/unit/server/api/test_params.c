/* Defaults of the fields, and what several of them say together; ranges and types are among the cases of tests/cases/http. */
#include "tests/support/test_support.h"

#include "server/api/params.h"

static const struct generation_defaults of_model = {.temperature = {true, 0.25},
                                                    .top_k = {true, 40},
                                                    .repetition_penalty = {true, 1.5},
                                                    .max_tokens = {true, 99}};

static struct api_params read_of(enum api_endpoint endpoint, const char *body,
                                 const struct generation_defaults *generation) {
    const struct api_limits limits = {.context = 128,
                                      .vocabulary = 300,
                                      .logprobs_max = 20,
                                      .n_max = 16,
                                      .choices_max = 128,
                                      .stops_max = 16,
                                      .model = "m",
                                      .generation = generation};
    struct api_params p;
    struct api_error e = {0};
    json_t *json = json_loads(body, 0, NULL);
    assert_non_null(json);
    if (api_params_read(&p, endpoint, json, &limits, &e) != API_OK) fail_msg("%s", e.message);
    json_decref(json);
    return p;
}

static struct api_params read_body(const char *body, const struct generation_defaults *generation) {
    return read_of(API_COMPLETIONS, body, generation);
}

static void test_defaults_of_the_api(void **state) {
    (void)state;
    struct api_params p = read_body("{}", NULL);
    assert_true(p.temperature == 1 && p.top_p == 1 && p.repetition_penalty == 1);
    assert_int_equal(p.top_k, 0);
    assert_int_equal(p.max_tokens, 16);
    api_params_deinit(&p);
}

/* They hold where the request says nothing, or null; what the model does not say is the API's. */
static void test_defaults_of_the_model(void **state) {
    (void)state;
    static const char *const silent[] = {"{}",
                                         "{\"temperature\": null, \"top_k\": null, \"max_tokens\": null}"};
    for (size_t i = 0; i < 2; i++) {
        struct api_params p = read_body(silent[i], &of_model);
        assert_true(p.temperature == 0.25 && p.repetition_penalty == 1.5 && p.top_p == 1);
        assert_int_equal(p.top_k, 40);
        assert_int_equal(p.max_tokens, 99);
        api_params_deinit(&p);
    }
    struct api_params p = read_body(
        "{\"temperature\": 0, \"top_k\": -1, \"max_tokens\": 3, \"repetition_penalty\": 1}", &of_model);
    assert_true(p.temperature == 0 && p.repetition_penalty == 1);
    assert_int_equal(p.top_k, 0);
    assert_int_equal(p.max_tokens, 3);
    api_params_deinit(&p);
}

/* Several names, of which the endpoint's own goes before; without any, the room or what the model says. */
static void test_lengths(void **state) {
    (void)state;
    static const struct {
        enum api_endpoint endpoint;
        const char *body;
        const struct generation_defaults *generation;
        int64_t expected;
    } cases[] = {
        {API_CHAT, "{}", NULL, INT32_MAX},
        {API_CHAT, "{\"max_tokens\": null}", NULL, INT32_MAX},
        {API_CHAT, "{\"max_tokens\": 0}", NULL, 0},
        {API_CHAT, "{\"max_tokens\": 3, \"max_completion_tokens\": 0}", NULL, 0},
        {API_CHAT, "{}", &of_model, 99},
        {API_CHAT, "{\"max_completion_tokens\": 7}", &of_model, 7},
        {API_INFILL, "{}", NULL, INT32_MAX},
        {API_INFILL, "{\"n_predict\": -1, \"max_tokens\": 3}", NULL, INT32_MAX},
        {API_INFILL, "{\"n_predict\": 0}", NULL, 0},
        {API_INFILL, "{\"max_tokens\": 3}", NULL, 3},
        {API_INFILL, "{}", &of_model, 99},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_params p = read_of(cases[i].endpoint, cases[i].body, cases[i].generation);
        if (p.max_tokens != cases[i].expected) fail_msg("%s: %lld", cases[i].body, (long long)p.max_tokens);
        api_params_deinit(&p);
    }
}

/* The two fields of a chat are the one of the others. */
static void test_logprobs_of_chats(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int64_t expected;
    } cases[] = {{"{}", -1},
                 {"{\"logprobs\": false}", -1},
                 {"{\"logprobs\": false, \"top_logprobs\": 0}", -1},
                 {"{\"logprobs\": true}", 0},
                 {"{\"logprobs\": true, \"top_logprobs\": null}", 0},
                 {"{\"logprobs\": true, \"top_logprobs\": 4}", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_params p = read_of(API_CHAT, cases[i].body, NULL);
        assert_int_equal(p.logprobs, cases[i].expected);
        assert_false(p.add_special_tokens);
        api_params_deinit(&p);
    }
}

static void test_opening_of_chats(void **state) {
    (void)state;
    struct api_params p = read_of(API_CHAT, "{}", NULL);
    assert_true(p.add_generation_prompt && !p.continue_final_message);
    api_params_deinit(&p);
    p = read_of(API_CHAT, "{\"continue_final_message\": true}", NULL);
    assert_true(!p.add_generation_prompt && p.continue_final_message);
    api_params_deinit(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_of_the_api),
        cmocka_unit_test(test_defaults_of_the_model),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_logprobs_of_chats),
        cmocka_unit_test(test_opening_of_chats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
