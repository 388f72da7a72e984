/* /metrics: the text format, the names that others rely on, and figures that follow what was done. */
#include "tests/http/one_fake_daemon.h"

/* The name of a sample line without the endings of a histogram or summary, if it is one of the family. */
static bool is_of_family(const char *line, const char *family, const char *kind) {
    static const char *const endings[] = {"_bucket", "_sum", "_count"};
    size_t length = strlen(family), end = strcspn(line, "{ ");
    if (strncmp(line, family, length) != 0) return false;
    bool is_summary = strcmp(kind, "summary") == 0;
    if (strcmp(kind, "histogram") != 0 && !is_summary) return end == length;
    for (size_t i = is_summary; i < 3; i++)
        if (end == length + strlen(endings[i]) && strncmp(line + length, endings[i], strlen(endings[i])) == 0)
            return true;
    return false;
}

/* Each family has one HELP and one TYPE, then its samples; each sample a value. */
static void test_format(void **state) {
    (void)state;
    struct answer a = http_get(&d, "/metrics");
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    char family[128] = "", kind[32] = "", seen[65536] = "", *rest = NULL;
    for (char *line = strtok_r(a.body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            char mark[160];
            assert_int_equal(sscanf(line + 7, "%127s", family), 1);
            snprintf(mark, sizeof mark, "|%s|", family);
            if (strstr(seen, mark)) fail_msg("%s twice", family);
            strcat(seen, mark);
            line = strtok_r(NULL, "\n", &rest);
            char name[128];
            assert_int_equal(sscanf(line, "# TYPE %127s %31s", name, kind), 2);
            assert_string_equal(name, family);
            if (strcmp(kind, "counter") == 0) assert_string_equal(family + strlen(family) - 6, "_total");
            continue;
        }
        if (!is_of_family(line, family, kind)) fail_msg("'%s' after the head of %s", line, family);
        char *end, *value = strrchr(line, ' ') + 1;
        strtod(value, &end);
        assert_true(end > value && !*end);
    }
    answer_free(&a);
}

/* How long the loop was kept by each kind of call: the longest is none of less than the mean. */
static void test_loop_figures(void **state) {
    (void)state;
    static const char *const kinds[] = {"http", "wake", "tick", "work"};
    json_decref(complete(&d, "{\"prompt\":\"a\"}"));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char name[128];
        snprintf(name, sizeof name, "prenorm_loop_callback_seconds_count{kind=\"%s\"}", kinds[i]);
        double count = metric(&d, name);
        for (int tries = 0; count < 1 && tries < 400; tries++) {
            sleep_ms(50);
            count = metric(&d, name);
        }
        snprintf(name, sizeof name, "prenorm_loop_callback_seconds_max{kind=\"%s\"}", kinds[i]);
        double max = metric(&d, name);
        snprintf(name, sizeof name, "prenorm_loop_callback_seconds_sum{kind=\"%s\"}", kinds[i]);
        assert_true(count >= 1 && max > 0);
        assert_true(metric(&d, name) >= max);
        snprintf(name, sizeof name, "prenorm_loop_callback_cpu_seconds_max{kind=\"%s\"}", kinds[i]);
        assert_true(metric(&d, name) > 0);
    }
    assert_true(metric(&d, "prenorm_loop_callback_seconds_count{kind=\"signal\"}") == 0);
}

static void test_names_of_others(void **state) {
    (void)state;
    static const char *const names[] = {
        "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc",
        "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total", "vllm:num_preemptions_total", "vllm:prompt_tokens_cached_total",
        /* of older versions of vLLM's dashboard */
        "vllm:gpu_cache_usage_perc", "vllm:cpu_cache_usage_perc", "vllm:num_requests_swapped"};
    static const char *const histograms[] = {"vllm:time_to_first_token_seconds",
                                             "vllm:inter_token_latency_seconds",
                                             "vllm:e2e_request_latency_seconds",
                                             "vllm:request_queue_time_seconds",
                                             "vllm:request_prefill_time_seconds",
                                             "vllm:request_decode_time_seconds",
                                             "vllm:request_prompt_tokens",
                                             "vllm:request_generation_tokens",
                                             "vllm:iteration_tokens_total",
                                             "vllm:request_inference_time_seconds",
                                             "vllm:request_time_per_output_token_seconds",
                                             "vllm:request_params_n",
                                             "vllm:request_params_max_tokens",
                                             "vllm:request_max_num_generation_tokens",
                                             "vllm:request_prefill_kv_computed_tokens",
                                             "vllm:time_per_output_token_seconds"};
    char name[200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s{model_name=\"tales\"}", names[i]);
        if (metric(&d, name) < 0) fail_msg("no %s", name);
    }
    for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
        snprintf(name, sizeof name, "%s_bucket{model_name=\"tales\",le=\"+Inf\"}", histograms[i]);
        if (metric(&d, name) < 0) fail_msg("no %s", name);
    }
    assert_true(
        metric(&d,
               "vllm:cache_config_info{model_name=\"tales\",block_size=\"16\",num_gpu_blocks=\"1024\"}") ==
        1);
    assert_true(metric(&d, "vllm:request_success_total{model_name=\"tales\",finished_reason=\"length\"}") >=
                0);
    assert_true(metric(&d, "process_resident_memory_bytes") > 1e6);
    assert_true(metric(&d, "process_start_time_seconds") > 1.6e9);
    assert_true(metric(&d, "process_open_fds") > 4);
}

static void test_figures_follow(void **state) {
    (void)state;
    static const char ok[] = "prenorm_http_answers_total{route=\"/v1/completions\",code=\"200\"}";
    static const char bad[] = "prenorm_http_answers_total{route=\"/v1/completions\",code=\"400\"}";
    double tokens = metric(&d, "prenorm_generated_tokens_total");
    json_decref(complete(&d, "{\"prompt\":\"Once\",\"max_tokens\":11,\"ignore_eos\":true,\"n\":2}"));
    struct answer a = http_post(&d, "/v1/completions", "{}");
    answer_free(&a);
    assert_true(metric(&d, ok) == 1);
    assert_true(metric(&d, bad) == 1);
    assert_true(metric(&d, "prenorm_generated_tokens_total") == tokens + 22);
    assert_true(metric(&d, "prenorm_http_rejected_total{reason=\"invalid\"}") == 1);
    assert_true(metric(&d, "prenorm_sequences_finished_total{reason=\"length\"}") == 2);
}

static void test_step_times_are_told_apart(void **state) {
    (void)state;
    static const char *const phases[] = {"decode", "prefill", "mixed"};
    char name[100];
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        snprintf(name, sizeof name, "prenorm_step_duration_seconds_count{phase=\"%s\"}", phases[i]);
        if (metric(&d, name) < 0) fail_msg("no %s", name);
    }
    assert_true(metric(&d, "prenorm_step_budget_use_ratio_count") >= 0);
}

/* The linter of Prometheus has nothing to say about our own names. Of those that others gave (vllm:) it
 * dislikes the colon. */
static void test_linter_is_content(void **state) {
    (void)state;
    if (system("command -v promtool >/dev/null") != 0) skip();
    struct answer a = http_get(&d, "/metrics");
    FILE *linter = popen("grep -v '^vllm:\\|^# [A-Z]* vllm:' | promtool check metrics", "w");
    assert_non_null(linter);
    assert_int_equal(fwrite(a.body, 1, a.length, linter), a.length);
    assert_int_equal(pclose(linter), 0);
    answer_free(&a);
}

/* A model's name may hold anything. */
static void test_label_is_escaped(void **state) {
    (void)state;
    struct daemon other;
    daemon_start_fake(&other, "fake", "--model-name", "a\"b\\c\nd\xff", NULL);
    assert_true(metric(&other, "vllm:num_requests_running{model_name=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"}") == 0);
    struct answer a = http_get(&other, "/v1/models");
    json_decref(answer_json(&a));
    answer_free(&a);
    daemon_stop(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_figures_follow),
        cmocka_unit_test(test_step_times_are_told_apart),
        cmocka_unit_test(test_linter_is_content),
        cmocka_unit_test(test_label_is_escaped),
        cmocka_unit_test(test_loop_figures),
    };
    return cmocka_run_group_tests(tests, one_fake_daemon_start, one_fake_daemon_stop);
}
