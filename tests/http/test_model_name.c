/* Models that are named and not pathed, and files that are no models of ours. */
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
    struct command found = {
        .words = {PRENORMD, "generate", "--model", "org/tales@0a1b", "--max-tokens", "4", "Once"},
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
        struct command c = {.words = {PRENORMD, "generate", "--model", path, "x"}};
        assert_int_equal(command_run(&c), 1);
        assert_says(c.error_text, files[i].words);
        command_free(&c);
    }
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_model_of_the_hub),
                                       cmocka_unit_test(files_of_other_formats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
