/* prenormd convert, and what --model FILE is to the other commands. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/http/support_http.h"

#define MODEL  PRENORM_SOURCE_DIR "/deploy/models/tales"
#define GREEDY "generate --temperature 0 --max-tokens 32 --log-level error --model "

struct place {
    char *folder, file[1200];
    char *output, *errors; /* of the last command */
};

/* Runs prenormd with arguments for the shell; gives its exit code. */
__attribute__((format(printf, 2, 3))) static int run(struct place *place, const char *format, ...) {
    char arguments[6000], line[10000];
    va_list values;
    va_start(values, format);
    vsnprintf(arguments, sizeof arguments, format, values);
    va_end(values);
    snprintf(line, sizeof line, "'%s' %s >'%s/out' 2>'%s/err'", PRENORMD, arguments, place->folder,
             place->folder);
    int status = system(line);
    free(place->output);
    free(place->errors);
    place->output = test_file_read(place->folder, "out", NULL);
    place->errors = test_file_read(place->folder, "err", NULL);
    if (!WIFEXITED(status)) fail_msg("'%s' did not exit: %s", line, place->errors);
    return WEXITSTATUS(status);
}

static void failed_with(const struct place *place, const char *words) {
    if (strncmp(place->errors, "prenormd: ", 10) != 0 ||
        strcspn(place->errors, "\n") + 1 != strlen(place->errors))
        fail_msg("expected one line of prenormd, found '%s'", place->errors);
    assert_says(place->errors, words);
}

static void convert(struct place *place, const char *options) {
    int code =
        run(place, "convert --log-level error --model '" MODEL "' --out '%s' %s", place->file, options);
    if (code != 0) fail_msg("convert: %s", place->errors);
}

static int setup(void **state) {
    struct place *place = calloc(1, sizeof *place);
    place->folder = test_folder_create();
    snprintf(place->file, sizeof place->file, "%s/tales.prenorm", place->folder);
    *state = place;
    return 0;
}

static int teardown(void **state) {
    struct place *place = *state;
    test_folder_remove(place->folder);
    free(place->output);
    free(place->errors);
    free(place);
    return 0;
}

static bool is_there(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

/* ---- what it writes ---- */

static void test_it_says_what_it_wrote(void **state) {
    struct place *place = *state;
    struct stat info;
    char expected[1400];
    convert(place, "");
    assert_int_equal(stat(place->file, &info), 0);
    snprintf(expected, sizeof expected, "%s: %zu bytes, crmsnorm, f32, with its tokenizer; ", place->file,
             (size_t)info.st_size);
    assert_int_equal(strncmp(place->output, expected, strlen(expected)), 0);
    assert_string_equal(place->errors, "");
    snprintf(expected, sizeof expected, "%s.part-0", place->file);
    assert_false(is_there(expected));
}

/* Every type of weights gives the text that the folder gives with the same type, without being told the
 * type. */
static void test_the_text_is_that_of_the_folder(void **state) {
    struct place *place = *state;
    static const char *const choices[] = {"--weights f32",         "--weights bf16",
                                          "--weights int8",        "--weights int4",
                                          "--norm-form layernorm", "--norm-form rmsnorm --weights int8"};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        convert(place, choices[i]);
        assert_int_equal(run(place, GREEDY "'" MODEL "' %s 'Once upon a time'", choices[i]), 0);
        char *expected = strdup(place->output);
        assert_int_equal(run(place, GREEDY "'%s' 'Once upon a time'", place->file), 0);
        assert_string_equal(place->output, expected);
        assert_string_equal(place->errors, "");
        assert_int_equal(run(place, GREEDY "'%s' %s 'Once upon a time'", place->file, choices[i]), 0);
        assert_string_equal(place->output, expected);
        free(expected);
    }
}

static void test_a_converted_file_is_replaced_and_no_other(void **state) {
    struct place *place = *state;
    size_t length;
    convert(place, "");
    convert(place, "--weights int8");
    assert_int_equal(run(place, GREEDY "'%s' --weights int8 x", place->file), 0);
    test_file_write(place->folder, "precious.txt", "data", 4);
    assert_int_equal(
        run(place, "convert --log-level error --model '" MODEL "' --out '%s/precious.txt'", place->folder),
        1);
    failed_with(place, "precious.txt|not a converted model|left as it is");
    char *kept = test_file_read(place->folder, "precious.txt", &length);
    assert_string_equal(kept, "data");
    free(kept);
    assert_int_equal(run(place, "convert --log-level error --model '" MODEL "' --out '%s'", place->folder),
                     1);
    failed_with(place, "left as it is");
}

/* ---- what it refuses ---- */

static void test_mistakes(void **state) {
    struct place *place = *state;
    assert_int_equal(run(place, "convert --log-level error --model '" MODEL "'"), 2);
    failed_with(place, "--out: is missing");
    assert_int_equal(run(place, "convert --log-level error --model /nowhere --out '%s'", place->file), 2);
    failed_with(place, "/nowhere");
    assert_int_equal(
        run(place, "convert --log-level error --model '" MODEL "' --out '%s/nowhere/x'", place->folder), 1);
    failed_with(place, "nowhere/x.part-0|cannot create");
    assert_int_equal(
        run(place, "convert --log-level error --norm-form none --model '" MODEL "' --out '%s'", place->file),
        2);
    failed_with(place, "--norm-form none: |only for bench");
    assert_false(is_there(place->file));
    convert(place, "");
    assert_int_equal(
        run(place, "convert --log-level error --model '%s' --out '%s.2'", place->file, place->file), 2);
    failed_with(place, "--model|is a file");
}

/* A limit on the size of files is met as a full disk is: nothing is left behind. */
static void test_no_room(void **state) {
    struct place *place = *state;
    char line[8000], part[1300];
    snprintf(line, sizeof line,
             "ulimit -f 1000; '%s' convert --log-level error --model '" MODEL "' --out '%s' 2>'%s/err'",
             PRENORMD, place->file, place->folder);
    int status = system(line);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    place->errors = test_file_read(place->folder, "err", NULL);
    failed_with(place, "part-0");
    snprintf(part, sizeof part, "%s.part-0", place->file);
    assert_false(is_there(place->file));
    assert_false(is_there(part));
}

/* ---- the other commands ---- */

static void test_what_a_file_cannot_do(void **state) {
    struct place *place = *state;
    convert(place, "");
    assert_int_equal(run(place, "verify --log-level error --model '%s'", place->file), 2);
    failed_with(place, "is a converted file|checkpoint's folder");
    assert_int_equal(run(place, GREEDY "'%s' --verify x", place->file), 2);
    failed_with(place, "--verify true: |is a converted file");
    assert_int_equal(run(place, GREEDY "'%s' --weights int8 x", place->file), 2);
    failed_with(place, "--weights int8: |was converted to f32");
    assert_int_equal(run(place, GREEDY "'%s' --norm-form layernorm x", place->file), 2);
    failed_with(place, "--norm-form layernorm: |was converted to crmsnorm");
    assert_int_equal(run(place, GREEDY "'%s' --matmul openblas x", place->file), 2);
    failed_with(place, "--matmul openblas: ");
}

static void test_a_damaged_file_is_not_served(void **state) {
    struct place *place = *state;
    size_t length;
    convert(place, "");
    char *bytes = test_file_read(place->folder, "tales.prenorm", &length);
    bytes[length / 2] ^= 1;
    test_file_write(place->folder, "tales.prenorm", bytes, length);
    assert_int_equal(run(place, "serve --log-level error --port 0 --model '%s'", place->file), 1);
    failed_with(place, "tales.prenorm: damaged|prenorm/packed");
    test_file_write(place->folder, "tales.prenorm", bytes, length / 2);
    assert_int_equal(run(place, "serve --log-level error --port 0 --model '%s'", place->file), 1);
    failed_with(place, "tales.prenorm: cut short");
    free(bytes);
}

static void test_it_is_served(void **state) {
    struct place *place = *state;
    struct daemon d;
    convert(place, "--weights int8");
    assert_int_equal(run(place, GREEDY "'" MODEL "' --weights int8 'Once upon a time'"), 0);
    daemon_start(
        &d, PRENORMD,
        (const char *const[]){"serve", "--port", "0", "--model", place->file, "--kv-cache-mib", "64", NULL});
    daemon_wait_ready(&d);
    json_t *answer =
        complete(&d, "{\"prompt\": \"Once upon a time\", \"max_tokens\": 32, \"temperature\": 0}");
    assert_string_equal(choice_text(answer, 0), place->output);
    assert_string_equal(json_string_value(json_object_get(answer, "model")), "tales.prenorm");
    json_decref(answer);
    daemon_stop(&d);
}

/* What was merged is told to clients, whether from a folder or from the file. */
static void serve_adapted(const struct place *place, const char *const *flags) {
    struct daemon d;
    daemon_start(&d, PRENORMD, flags);
    daemon_wait_ready(&d);
    struct answer a = http_get(&d, "/version");
    json_t *version = answer_json(&a);
    const json_t *adapter = json_object_get(json_object_get(version, "model"), "adapter");
    assert_string_equal(json_string_value(json_object_get(adapter, "name")), "gpt2-c_attn");
    assert_int_equal(json_string_length(json_object_get(adapter, "config_xxh64")), 16);
    assert_int_equal(json_string_length(json_object_get(adapter, "weights_xxh64")), 16);
    json_t *answer = complete(&d, "{\"prompt\": \"w5 w6\", \"max_tokens\": 8, \"temperature\": 0}");
    assert_string_equal(choice_text(answer, 0), place->output);
    json_decref(answer);
    json_decref(version);
    answer_free(&a);
    daemon_stop(&d);
}

static void test_an_adapter_is_served(void **state) {
    struct place *place = *state;
    const char *model = PRENORM_SOURCE_DIR "/tests/golden/families/gpt2";
    const char *adapter = PRENORM_SOURCE_DIR "/tests/golden/adapters/gpt2-c_attn";
#define SMALL "generate --temperature 0 --max-tokens 8 --log-level error --model "
    assert_int_equal(run(place, SMALL "'%s' 'w5 w6'", model), 0);
    char *base = strdup(place->output);
    assert_int_equal(run(place, SMALL "'%s' --lora '%s' 'w5 w6'", model, adapter), 0);
    assert_string_not_equal(place->output, base);
    free(base);
    serve_adapted(place,
                  (const char *const[]){"serve", "--port", "0", "--model", model, "--lora", adapter, NULL});
    char *output = strdup(place->output);
    assert_int_equal(run(place, "convert --log-level error --model '%s' --lora '%s' --out '%s'", model,
                         adapter, place->file),
                     0);
    free(place->output);
    place->output = output;
    serve_adapted(place, (const char *const[]){"serve", "--port", "0", "--model", place->file, NULL});
    assert_int_equal(run(place, SMALL "'%s' --lora '%s' x", place->file, adapter), 2);
    failed_with(place, "--lora|converted file");
    assert_int_equal(run(place, SMALL "'%s' x", adapter), 1);
    failed_with(place, "needs its base|--lora");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_says_what_it_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_text_is_that_of_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_converted_file_is_replaced_and_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_file_cannot_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_is_not_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_is_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_adapter_is_served, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
