/* Defaults of the fields of a completion; ranges and types are among the cases of tests/cases/http. */
#include "tests/support/test_support.h"

#include "server/api/params.h"

static const struct generation_defaults of_model = {.temperature = {true, 0.25},
                                                    .top_k = {true, 40},
                                                    .repetition_penalty = {true, 1.5},
                                                    .max_tokens = {true, 99}};

static struct api_params read_body(const char *body, const struct generation_defaults *generation) {
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
    if (api_params_read(&p, API_COMPLETIONS, json, &limits, &e) != API_OK) fail_msg("%s", e.message);
    json_decref(json);
    return p;
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_of_the_api),
        cmocka_unit_test(test_defaults_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
