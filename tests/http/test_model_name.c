/* Models that are named and not pathed, and what is no model of ours: a mistake of who named it, in every command. */
#include "tests/http/support_command.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODEL PRENORM_SOURCE_DIR "/deploy/models/tales"

static void make_folder(const char *path) {
    assert_int_equal(mkdir(path, 0700), 0);
}

/* The bundled model, as if it had been fetched from the hub. */
static void a_model_of_the_hub(void **state) {
    (void)state;
    char *cache = test_folder_create(), path[PATH_MAX], setting[PATH_MAX];
    snprintf(path, sizeof path, "%s/models--org--tales", cache);
    make_folder(path);
    snprintf(path, sizeof path, "%s/models--org--tales/snapshots", cache);
    make_folder(path);
    snprintf(path, sizeof path, "%s/models--org--tales/snapshots/0a1b", cache);
    assert_int_equal(symlink(MODEL, path), 0);
    snprintf(setting, sizeof setting, "HF_HUB_CACHE=%s", cache);
    struct command found = {.words = {PRENORMD, "generate", "--model", "org/tales@0a1b", "--temperature", "0",
                                      "--max-tokens", "4", "Once"},
                            .setting = setting};
    assert_int_equal(command_run(&found), 0);
    assert_true(strlen(found.output_text) > 0);
    command_free(&found);
    struct command missing = {.words = {PRENORMD, "serve", "--model", "org/other"}, .setting = setting};
    assert_int_equal(command_run(&missing), 2);
    assert_says(missing.error_text, "--model org/other: there is no such path|'hf download org/other'");
    command_free(&missing);
    test_folder_remove(cache);
}

static void refused_by_all(const char *path, const char *words) {
    char *folder = test_folder_create(), out[PATH_MAX];
    snprintf(out, sizeof out, "%s/out", folder);
    const char *const commands[][3] = {{"serve", "--port", "0"},  {"generate", "x"}, {"check"},
                                       {"convert", "--out", out}, {"verify"},        {"bench"}};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct command c = {.words = {PRENORMD, commands[i][0], "--model", path, "--log-level", "error",
                                      commands[i][1], commands[i][2]}};
        int code = command_run(&c);
        if (code != 2 || command_complaints(&c) != 1)
            fail_msg("%s: %d: %s", commands[i][0], code, c.error_text);
        assert_says(c.error_text, words);
        command_free(&c);
    }
    assert_int_equal(access(out, F_OK), -1);
    test_folder_remove(folder);
}

/* What people name who look into the cache, or whose download was ended. */
static void folders_of_the_cache(void **state) {
    (void)state;
    char *cache = test_folder_create(), path[PATH_MAX];
    snprintf(path, sizeof path, "%s/models--org--tales", cache);
    make_folder(path);
    snprintf(path, sizeof path, "%s/models--org--tales/snapshots", cache);
    make_folder(path);
    snprintf(path, sizeof path, "%s/models--org--tales/snapshots/0a1b", cache);
    make_folder(path);
    size_t length;
    char *config = test_file_read(MODEL, "config.json", &length);
    test_file_write(path, "config.json", config, length);
    free(config);
    refused_by_all(path, "there are no weights|'hf download' with its name completes what it has begun");
    char link[PATH_MAX];
    snprintf(link, sizeof link, "%s/link", cache);
    assert_int_equal(symlink(path, link), 0);
    refused_by_all(link, "there are no weights|'hf download' with its name completes what it has begun");
    assert_int_equal(unlink(link), 0);
    test_file_write(path, "a.gguf", "GGUF", 4);
    refused_by_all(path, "there are no weights|GGUF is llama.cpp's format");
    snprintf(path, sizeof path, "%s/models--org--tales", cache);
    refused_by_all(path,
                   "config.json: there is no such file; this is a folder of the Hugging Face cache|ORG/NAME");
    strcat(path, "/snapshots");
    refused_by_all(path,
                   "config.json: there is no such file; this is a folder of the Hugging Face cache|ORG/NAME");
    refused_by_all("https://huggingface.co/org/tales",
                   "--model https://huggingface.co/org/tales: |'hf download ORG/NAME'");
    test_folder_remove(cache);
}

/* Of a file system, or of a training: nothing was downloaded. */
static void other_folders_of_snapshots(void **state) {
    (void)state;
    char *parent = test_folder_create(), path[PATH_MAX];
    snprintf(path, sizeof path, "%s/snapshots", parent);
    make_folder(path);
    struct command c = {.words = {PRENORMD, "check", "--model", parent}};
    assert_int_equal(command_run(&c), 2);
    assert_says(c.error_text, "config.json: there is no such file\n");
    command_free(&c);
    snprintf(path, sizeof path, "%s/snapshots/daily", parent);
    make_folder(path);
    c.words[3] = path;
    assert_int_equal(command_run(&c), 2);
    assert_says(c.error_text, "config.json: there is no such file\n");
    command_free(&c);
    test_folder_remove(parent);
}

static void files_of_other_formats(void **state) {
    (void)state;
    static const struct {
        const char *name, *words;
    } files[] = {{"a.gguf", "a.gguf|llama.cpp's format|Hugging Face folder"},
                 {"a.onnx", "a.onnx|ONNX|Hugging Face folder"},
                 {"a.safetensors", "a.safetensors|the folder that it lies in"}};
    char *folder = test_folder_create(), path[PATH_MAX];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        test_file_write(folder, files[i].name, "something else", 14);
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        refused_by_all(path, files[i].words);
    }
    test_folder_remove(folder);
}

/* Another start would not help with any of them. */
static void folders_that_are_no_model(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *words;
    } cases[] = {
        {"adapter_config.json", "{}", "--model|adapter_config.json|this is an adapter|--lora"},
        {"a.Q4_K_M.gguf", "GGUF", "--model|config.json: there is no such file; GGUF is llama.cpp's format"},
        {"notes.txt", "", "--model|config.json: there is no such file"},
        {"config.json", "{\"model_type\":", "--model|config.json|line 1"},
        {"config.json", "{\"model_type\":\"resnet\"}", "--model|unknown model type \"resnet\"; supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *folder = test_folder_create();
        test_file_write(folder, cases[i].name, cases[i].text, strlen(cases[i].text));
        refused_by_all(folder, cases[i].words);
        test_folder_remove(folder);
    }
}

/* Some of them are published with the configuration of what they were made from. */
static void a_folder_of_gguf_with_a_configuration(void **state) {
    (void)state;
    char *folder = test_folder_create();
    size_t length;
    char *config = test_file_read(MODEL, "config.json", &length);
    test_file_write(folder, "config.json", config, length);
    test_file_write(folder, "a.Q4_K_M.gguf", "GGUF", 4);
    refused_by_all(folder, "--model|there are no weights: looked for|GGUF is llama.cpp's format");
    free(config);
    test_folder_remove(folder);
}

static void an_adapter_that_is_none(void **state) {
    (void)state;
    struct command c = {.words = {PRENORMD, "generate", "--model", MODEL, "--lora", "/nowhere", "x"}};
    assert_int_equal(command_run(&c), 2);
    assert_says(c.error_text, "--lora /nowhere|adapter_config.json: there is no such file");
    command_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_of_the_hub),         cmocka_unit_test(folders_of_the_cache),
        cmocka_unit_test(other_folders_of_snapshots), cmocka_unit_test(files_of_other_formats),
        cmocka_unit_test(folders_that_are_no_model),  cmocka_unit_test(a_folder_of_gguf_with_a_configuration),
        cmocka_unit_test(an_adapter_that_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
