/* What a model folder and the options say about it, as clients see it in /v1/models, /version and in answers. */
#include <unistd.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"

/* A folder of a golden case with its own config.json and, unless NULL, generation_config.json. */
static char *make_folder(const char *name, const char *key, json_t *value, const char *generation) {
    static const char *const copied[] = {"model.safetensors", "tokenizer.json"};
    char from[256];
    size_t length;
    snprintf(from, sizeof from, "tests/golden/families/%s", name);
    const char *source = test_source_path(from);
    char *folder = test_folder_create();
    for (size_t i = 0; i < 2; i++) {
        char *bytes = test_file_read(source, copied[i], &length);
        test_file_write(folder, copied[i], bytes, length);
        free(bytes);
    }
    char *text = test_file_read(source, "config.json", &length);
    json_t *config = json_loadb(text, length, 0, NULL);
    free(text);
    json_object_set_new(config, key, value);
    char *written = json_dumps(config, 0);
    test_file_write(folder, "config.json", written, strlen(written));
    if (generation) test_file_write(folder, "generation_config.json", generation, strlen(generation));
    free(written);
    json_decref(config);
    return folder;
}

static json_t *get(const struct daemon *d, const char *path) {
    struct answer a = http_get(d, path);
    assert_int_equal(a.status, 200);
    json_t *json = answer_json(&a);
    answer_free(&a);
    return json;
}

static const char *const few[] = {"--port", "0", "--threads", "1", "--kv-cache-mib", "16", NULL};

static void start(struct daemon *d, const char *folder, const char *const *flags) {
    const char *all[16] = {"serve", "--model", folder};
    size_t count = 3;
    for (const char *const *f = few; *f; f++) all[count++] = *f;
    for (; *flags; flags++) all[count++] = *flags;
    daemon_start(d, PRENORMD, all);
    daemon_wait_ready(d);
}
#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static char *read_log(const struct daemon *d, size_t *length) {
    char folder[1200], *slash;
    snprintf(folder, sizeof folder, "%s", d->log);
    slash = strrchr(folder, '/');
    *slash = '\0';
    return test_file_read(folder, slash + 1, length);
}

static void assert_logged(const struct daemon *d, const char *words) {
    size_t length;
    char *text = read_log(d, &length);
    if (!memmem(text, length, words, strlen(words)))
        fail_msg("'%s' is not in the log: %.*s", words, (int)length, text);
    free(text);
}

static void assert_not_logged(const struct daemon *d, const char *words) {
    size_t length;
    char *text = read_log(d, &length);
    if (memmem(text, length, words, strlen(words)))
        fail_msg("'%s' is in the log: %.*s", words, (int)length, text);
    free(text);
}

static void test_unknown_keys(void **state) {
    (void)state;
    struct daemon d;
    char *folder = make_folder("gpt2", "logits_soft_cap", json_real(30), NULL);
    start(&d, folder, FLAGS("--allow-unknown-config-keys"));
    json_t *version = get(&d, "/version");
    const json_t *model = json_object_get(version, "model");
    assert_string_equal(json_string_value(json_object_get(model, "unknown_config_keys")), "logits_soft_cap");
    assert_logged(&d, "logits_soft_cap");
    json_decref(version);
    daemon_stop(&d);
    test_folder_remove(folder);
}

/* Two readers read config.json; one says that a key stands there twice. */
static void test_a_key_that_stands_twice(void **state) {
    (void)state;
    struct daemon d;
    size_t length, config_length, count = 0;
    char *folder = make_folder("olmo2-bias", "use_cache", json_true(), NULL);
    char *config = test_file_read(folder, "config.json", &config_length), *twice;
    assert_true(asprintf(&twice, "%.*s, \"use_cache\": false}", (int)config_length - 1, config) > 0);
    test_file_write(folder, "config.json", twice, strlen(twice));
    start(&d, folder, FLAGS("--weights", "int8"));
    assert_logged(&d, "model: olmo2, norm placement output, in the rmsnorm form with int8 weights");
    char *log = read_log(&d, &length);
    for (char *at = log; (at = memmem(at, length - (size_t)(at - log), "of equal keys", 13)); at++) count++;
    assert_int_equal(count, 1);
    free(log);
    free(twice);
    free(config);
    daemon_stop(&d);
    test_folder_remove(folder);
}

static void test_rotation(void **state) {
    (void)state;
    struct daemon d;
    char *folder = make_folder("gpt2", "n_inner", json_null(), NULL);
    for (int rotated = 0; rotated < 2; rotated++) {
        start(&d, folder, FLAGS("--weights", rotated ? "int8" : "int4"));
        json_t *version = get(&d, "/version");
        const json_t *rotation = json_object_get(json_object_get(version, "model"), "rotation");
        assert_true(json_is_boolean(rotation));
        assert_int_equal(json_boolean_value(rotation), rotated);
        if (rotated) assert_logged(&d, "the model is rotated");
        json_decref(version);
        daemon_stop(&d);
    }
    test_folder_remove(folder);
}

/* The default form beside int8 is what it says of itself; a model that has none of its kind is worth a warning. */
static void test_a_form_that_there_is_not(void **state) {
    (void)state;
    struct daemon d;
    start(&d, test_source_path("tests/golden/families/gpt2"), FLAGS("--weights", "int8"));
    assert_logged(&d, "in the orthonormal form with int8 weights");
    assert_not_logged(&d, "this model has no");
    daemon_stop(&d);
    start(&d, test_source_path("tests/golden/placements/deepnorm"), FLAGS(NULL));
    assert_logged(&d, "this model has no crmsnorm form: it runs in the layernorm form");
    daemon_stop(&d);
}

static void complete_to_the_end(const struct daemon *d, json_t **ids) {
    json_t *answer =
        complete(d, "{\"prompt\":[5,6,7],\"temperature\":0,\"max_tokens\":100,\"ignore_eos\":true,"
                    "\"return_token_ids\":true}");
    const json_t *usage = json_object_get(answer, "usage");
    assert_int_equal(json_integer_value(json_object_get(usage, "total_tokens")), 80);
    const json_t *choice = json_array_get(json_object_get(answer, "choices"), 0);
    *ids = json_incref(json_object_get(choice, "token_ids"));
    json_decref(answer);
}

/* The text is that of the same weights in a model that was made for so many tokens. */
static void test_a_longer_context(void **state) {
    (void)state;
    struct daemon d;
    json_t *extended, *made;
    char *folder = make_folder("phi", "max_position_embeddings", json_integer(80), NULL);
    start(&d, folder, FLAGS(NULL));
    complete_to_the_end(&d, &made);
    daemon_stop(&d);
    test_folder_remove(folder);
    folder = make_folder("phi", "max_position_embeddings", json_integer(64), NULL);
    start(&d, folder, FLAGS("--context", "80", "--extend-context"));
    json_t *version = get(&d, "/version");
    const json_t *model = json_object_get(version, "model");
    assert_int_equal(json_integer_value(json_object_get(model, "extended_from_context")), 64);
    assert_null(json_object_get(model, "unknown_config_keys"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(version, "limits"), "context")), 80);
    assert_logged(&d, "beyond the 64 tokens");
    json_decref(version);
    complete_to_the_end(&d, &extended);
    assert_int_equal(json_array_size(made), 77);
    assert_true(json_equal(made, extended));
    json_decref(made);
    json_decref(extended);
    daemon_stop(&d);
    test_folder_remove(folder);
}

/* A temperature of 0 and 3 tokens, said by the model: with the option requests that say nothing get them. */
static void test_defaults_of_the_model(void **state) {
    (void)state;
    static const char *const request = "{\"prompt\":[5,6,7],\"ignore_eos\":true,\"return_token_ids\":true}";
    char *folder = make_folder("gpt2", "use_cache", json_true(),
                               "{\"temperature\": 0.0, \"max_new_tokens\": 3, \"num_beams\": 2}");
    for (int applied = 0; applied < 2; applied++) {
        struct daemon d;
        start(&d, folder, applied ? FLAGS("--generation-defaults", "model") : FLAGS(NULL));
        json_t *models = get(&d, "/v1/models");
        const json_t *model = json_array_get(json_object_get(models, "data"), 0);
        const json_t *said = json_object_get(model, "generation_config");
        assert_int_equal(json_is_true(json_object_get(said, "applied")), applied);
        assert_int_equal(json_number_value(json_object_get(said, "max_new_tokens")), 3);
        assert_true(json_number_value(json_object_get(said, "temperature")) == 0);
        assert_null(json_object_get(said, "top_p"));
        if (applied) assert_logged(&d, "num_beams");
        json_t *answer = complete(&d, request);
        const json_t *usage = json_object_get(answer, "usage");
        assert_int_equal(json_integer_value(json_object_get(usage, "completion_tokens")), applied ? 3 : 16);
        json_t *greedy = complete(&d, "{\"prompt\":[5,6,7],\"ignore_eos\":true,\"return_token_ids\":true,"
                                      "\"temperature\":0,\"max_tokens\":3}");
        const json_t *choices = json_object_get(answer, "choices");
        if (applied)
            assert_true(json_equal(
                json_object_get(json_array_get(choices, 0), "token_ids"),
                json_object_get(json_array_get(json_object_get(greedy, "choices"), 0), "token_ids")));
        json_decref(greedy);
        json_decref(answer);
        json_decref(models);
        daemon_stop(&d);
    }
    test_folder_remove(folder);
}

/* The command too: what its flags do not say the model's files say. */
static void test_generate(void **state) {
    (void)state;
    char *folder = make_folder("gpt2", "use_cache", json_true(),
                               "{\"temperature\": 0.0, \"max_new_tokens\": 3, \"eos_token_id\": []}");
    struct command asked = {.words = {PRENORMD, "generate", "--model", folder, "--temperature", "0",
                                      "--max-tokens", "3", "--threads", "1", "--kv-cache-mib", "16", "Once"}};
    struct command by_model = {.words = {PRENORMD, "generate", "--model", folder, "--generation-defaults",
                                         "model", "--threads", "1", "--kv-cache-mib", "16", "Once"}};
    assert_int_equal(command_run(&asked), 0);
    assert_int_equal(command_run(&by_model), 0);
    assert_true(strlen(asked.output_text) > 0);
    assert_string_equal(by_model.output_text, asked.output_text);
    command_free(&asked);
    command_free(&by_model);
    struct command longer = {.words = {PRENORMD, "generate", "--model", folder, "--generation-defaults",
                                       "model", "--max-tokens", "6", "--threads", "1", "--kv-cache-mib", "16",
                                       "Once"}};
    assert_int_equal(command_run(&longer), 0);
    assert_non_null(strstr(longer.error_text, "generation: 6 tokens"));
    command_free(&longer);
    test_folder_remove(folder);
}

/* Every command says no to an unknown key, and takes the option that lets it pass. */
static void test_commands_and_unknown_keys(void **state) {
    (void)state;
    char out[1200], *folder = make_folder("gpt2", "logits_soft_cap", json_real(30), NULL);
    snprintf(out, sizeof out, "%s/converted", folder);
    const char *const commands[][4] = {{"generate", "Once"}, {"verify"}, {"convert", "--out", out}};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        for (int allowed = 0; allowed < 2; allowed++) {
            struct command c = {.words = {PRENORMD, commands[i][0], "--model", folder}};
            size_t count = 4;
            if (allowed) c.words[count++] = "--allow-unknown-config-keys";
            for (size_t k = 1; k < 4 && commands[i][k]; k++) c.words[count++] = commands[i][k];
            int code = command_run(&c);
            if ((code == 0) != allowed || !strstr(c.error_text, "logits_soft_cap"))
                fail_msg("%s: %d: %s", commands[i][0], code, c.error_text);
            command_free(&c);
        }
    struct command c = {.words = {PRENORMD, "generate", "--model", out, "Once"}};
    assert_int_equal(command_run(&c), 2); /* the file says what the folder said */
    assert_non_null(strstr(c.error_text, "logits_soft_cap"));
    command_free(&c);
    test_folder_remove(folder);
}

/* Said where it helps, and only there: with AMX, of a cache that attention by AMX does not read, and of heads that it does. */
static void expect_hint(const char *family, bool helps, const char *type) {
    struct daemon d;
    char *folder = make_folder(family, "use_cache", json_true(), NULL);
    start(&d, folder, FLAGS("--kv-type", type));
    json_t *version = get(&d, "/version");
    const char *isa = json_string_value(json_object_get(version, "isa"));
    assert_non_null(isa);
    if (helps && strcmp(isa, "amx") == 0)
        assert_logged(&d, "with kv-type bf16 attention over prompts runs on AMX");
    else
        assert_not_logged(&d, "kv-type bf16");
    json_decref(version);
    daemon_stop(&d);
    test_folder_remove(folder);
}

static void test_hint_of_a_faster_cache(void **state) {
    (void)state;
    const char *const types[] = {"f32", "f16", "bf16", "int8"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        expect_hint("llama-yarn", strcmp(types[i], "f16") == 0, types[i]);
    expect_hint("gpt2", false, "f16"); /* heads of 8: bf16 goes by vectors, too */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_a_form_that_there_is_not),
        cmocka_unit_test(test_hint_of_a_faster_cache),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_a_longer_context),
        cmocka_unit_test(test_defaults_of_the_model),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_a_key_that_stands_twice),
        cmocka_unit_test(test_commands_and_unknown_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
