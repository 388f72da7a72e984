/* `prenormd bench`: what stands in its JSON. How fast anything is says nothing here. */
#include "tests/http/support_command.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#define BENCH_MODEL PRENORM_SOURCE_DIR "/tests/golden/families/falcon-rw-long"
#define BENCH(...)                                                                                           \
    {                                                                                                        \
        .words = { PRENORMD, "bench", "--model", BENCH_MODEL, "--threads", "1", __VA_ARGS__ }                \
    }

static double number_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("'%s' is no number", key);
    return json_number_value(value);
}

static void check_items(const json_t *items) {
    bool prefilled = false, decoded = false;
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item) {
        const char *work = json_string_value(json_object_get(item, "work"));
        bool decode = strcmp(work, "decode") == 0;
        assert_string_equal(json_string_value(json_object_get(item, "weights")), "f32");
        assert_true(number_of(item, "tokens_per_s") > 0 && number_of(item, "gb_per_s") > 0);
        assert_true(number_of(item, "gflop_per_s") > 0 && number_of(item, "share_of_bound") > 0);
        assert_true(decode ? number_of(item, "batch") >= 1 && number_of(item, "context") > 0
                           : number_of(item, "tokens") > 1);
        prefilled |= !decode, decoded |= decode;
    }
    assert_true(prefilled && decoded);
}

static void check_sampling(const json_t *rows) {
    size_t i;
    json_t *row;
    assert_int_equal(json_array_size(rows), 3);
    json_array_foreach(rows, i, row) {
        assert_string_equal(json_string_value(json_object_get(row, "weights")), "f32");
        assert_true(number_of(row, "batch") > 1 && number_of(row, "context") > 1);
        assert_true((number_of(row, "temperature") == 0) == (i == 0));
        assert_true((number_of(row, "top_p") == 1) == (i == 0));
        assert_true(number_of(row, "tokens_per_s") > 0 && number_of(row, "share_of_greedy") > 0);
    }
    assert_true(number_of(json_array_get(rows, 0), "share_of_greedy") == 1);
}

static void test_bench_as_json(void **state) {
    (void)state;
    struct command c = BENCH("--json", "--weights", "f32", "--log-level", "error");
    assert_int_equal(command_run(&c), 0);
    assert_string_equal(c.error_text, "");
    json_t *root = json_loads(c.output_text, 0, NULL);
    assert_non_null(root);
    const json_t *machine = json_object_get(root, "machine"), *bounds = json_object_get(root, "bounds");
    assert_true(number_of(machine, "threads") == 1);
    assert_true(json_is_string(json_object_get(machine, "isa")));
    assert_true(number_of(bounds, "read_gb_per_s") > 0 && number_of(bounds, "near_gb_per_s") > 0);
    assert_true(number_of(json_object_get(bounds, "gflop_per_s"), "int4") > 0);
    const json_t *cache = json_object_get(root, "cache");
    assert_true(number_of(cache, "weight_bytes") > 0 && number_of(cache, "last_level_bytes") >= 0);
    assert_true(json_is_boolean(json_object_get(cache, "weights_exceed_it")));
    assert_true(json_is_array(json_object_get(cache, "shapes_beyond")));
    assert_string_equal(json_string_value(json_object_get(root, "norm_form")), "crmsnorm");
    assert_string_equal(json_string_value(json_object_get(root, "kv_type")), "f32");
    assert_true(number_of(root, "load_seconds") >= 0);
    check_items(json_object_get(root, "results"));
    check_sampling(json_object_get(root, "sampling"));
    json_decref(root);
    command_free(&c);
}

static void test_bench_of_chosen_works(void **state) {
    (void)state;
    struct command c = BENCH("--json", "--works", "decode-4,prefill-128", "--log-level", "error");
    assert_int_equal(command_run(&c), 0);
    json_t *root = json_loads(c.output_text, 0, NULL);
    const json_t *results = json_object_get(root, "results");
    assert_int_equal(json_array_size(results), 2);
    assert_true(number_of(json_array_get(results, 0), "tokens") == 128);
    assert_true(number_of(json_array_get(results, 1), "batch") == 4);
    assert_int_equal(json_array_size(json_object_get(root, "sampling")), 0);
    json_decref(root);
    command_free(&c);
    struct command refused = BENCH("--works", "decode-1,x");
    assert_int_equal(command_run(&refused), 2);
    assert_says(refused.error_text, "--works decode-1,x: 'x' is none of sampling, prefill-128");
    command_free(&refused);
}

static void count(const char *path, const char *name, void *context) {
    (void)path, (void)name;
    ++*(size_t *)context;
}

/* Stopped while it writes its weights, it leaves none of them. */
static void test_stopped_bench_leaves_nothing(void **state) {
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char *base = test_folder_create(), setting[1200];
        size_t folders = 0;
        snprintf(setting, sizeof setting, "TMPDIR=%s", base);
        struct command c = {.words = {PRENORMD, "bench", "--shape", "gpt2-1.5b"}, .setting = setting};
        command_start(&c);
        assert_true(command_wait_for(&c, "writing random weights"));
        assert_int_equal(kill(c.pid, numbers[i]), 0);
        command_wait(&c);
        assert_true(WIFSIGNALED(c.status) && WTERMSIG(c.status) == numbers[i]);
        test_each_folder(base, count, &folders);
        assert_int_equal(folders, 0);
        command_free(&c);
        test_folder_remove(base);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bench_as_json),
                                       cmocka_unit_test(test_bench_of_chosen_works),
                                       cmocka_unit_test(test_stopped_bench_leaves_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
