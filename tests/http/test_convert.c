/* prenormd convert, and what --model FILE is to the other commands. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gnutls/crypto.h>

#include "tests/http/support_http.h"

#define MODEL  PRENORM_SOURCE_DIR "/deploy/models/tales"
#define SMALL  PRENORM_SOURCE_DIR "/tests/golden/families/gpt2" /* wherever any model does */
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

static void convert(struct place *place, const char *model, const char *options) {
    int code =
        run(place, "convert --log-level error --model '%s' --out '%s' %s", model, place->file, options);
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
    convert(place, SMALL, "");
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
        convert(place, SMALL, choices[i]);
        assert_int_equal(run(place, GREEDY "'" SMALL "' %s 'w5 w6'", choices[i]), 0);
        char *expected = strdup(place->output);
        assert_int_equal(run(place, GREEDY "'%s' 'w5 w6'", place->file), 0);
        assert_string_equal(place->output, expected);
        assert_string_equal(place->errors, "");
        assert_int_equal(run(place, GREEDY "'%s' %s 'w5 w6'", place->file, choices[i]), 0);
        assert_string_equal(place->output, expected);
        free(expected);
    }
}

static void test_a_converted_file_is_replaced_and_no_other(void **state) {
    struct place *place = *state;
    size_t length;
    convert(place, SMALL, "");
    convert(place, SMALL, "--weights int8");
    assert_int_equal(run(place, GREEDY "'%s' --weights int8 x", place->file), 0);
    test_file_write(place->folder, "precious.txt", "data", 4);
    assert_int_equal(
        run(place, "convert --log-level error --model '" SMALL "' --out '%s/precious.txt'", place->folder),
        1);
    failed_with(place, "precious.txt|not a converted model|left as it is");
    char *kept = test_file_read(place->folder, "precious.txt", &length);
    assert_string_equal(kept, "data");
    free(kept);
    assert_int_equal(run(place, "convert --log-level error --model '" SMALL "' --out '%s'", place->folder),
                     1);
    failed_with(place, "left as it is");
}

/* ---- what it refuses ---- */

static void test_mistakes(void **state) {
    struct place *place = *state;
    assert_int_equal(run(place, "convert --log-level error --model '" SMALL "'"), 2);
    failed_with(place, "--out: is missing");
    assert_int_equal(run(place, "convert --log-level error --model /nowhere --out '%s'", place->file), 2);
    failed_with(place, "/nowhere");
    assert_int_equal(
        run(place, "convert --log-level error --model '" SMALL "' --out '%s/nowhere/x'", place->folder), 1);
    failed_with(place, "nowhere/x: |cannot create");
    assert_int_equal(
        run(place, "convert --log-level error --norm-form none --model '" SMALL "' --out '%s'", place->file),
        2);
    failed_with(place, "--norm-form none: |only for bench");
    assert_false(is_there(place->file));
    convert(place, SMALL, "");
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
    failed_with(place, place->file);
    snprintf(part, sizeof part, "%s.part-0", place->file);
    assert_false(is_there(place->file));
    assert_false(is_there(part));
}

/* ---- the other commands ---- */

static void test_what_a_file_cannot_do(void **state) {
    struct place *place = *state;
    convert(place, SMALL, "");
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
    convert(place, MODEL, "");
    char *bytes = test_file_read(place->folder, "tales.prenorm", &length);
    bytes[length / 2] ^= 1;
    test_file_write(place->folder, "tales.prenorm", bytes, length);
    assert_int_equal(run(place, "serve --log-level error --port 0 --model '%s'", place->file), 2);
    failed_with(place, "tales.prenorm: damaged|prenorm/packed");
    test_file_write(place->folder, "tales.prenorm", bytes, length / 2);
    assert_int_equal(run(place, "serve --log-level error --port 0 --model '%s'", place->file), 2);
    failed_with(place, "tales.prenorm: cut short");
    free(bytes);
}

static void test_it_is_served(void **state) {
    struct place *place = *state;
    struct daemon d;
    convert(place, MODEL, "--weights int8");
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
    const char *model = SMALL;
    const char *adapter = PRENORM_SOURCE_DIR "/tests/golden/adapters/gpt2-c_attn";
#define GREEDY_8 "generate --temperature 0 --max-tokens 8 --log-level error --model "
    assert_int_equal(run(place, GREEDY_8 "'%s' 'w5 w6'", model), 0);
    char *base = strdup(place->output);
    assert_int_equal(run(place, GREEDY_8 "'%s' --lora '%s' 'w5 w6'", model, adapter), 0);
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
    assert_int_equal(run(place, GREEDY_8 "'%s' --lora '%s' x", place->file, adapter), 2);
    failed_with(place, "--lora|converted file");
    assert_int_equal(run(place, GREEDY_8 "'%s' x", adapter), 2);
    failed_with(place, "needs its base|--lora");
}

/* ---- calibration ---- */

/* Under a sanitizer the bundled model takes minutes. */
#if TEST_SHARE
#define CALIBRATED SMALL
#else
#define CALIBRATED MODEL
#endif

#define HELD_OUT MODEL "/held-out.txt"
#define CALIBRATE_AS(types)                                                                                  \
    "convert --log-level error --model '" CALIBRATED "' --weights " types                                    \
    " --calibrate-tokens 2048 --out '%s' "
#define CALIBRATE CALIBRATE_AS("int4")

/* The second half of the held-out text, of which verify is asked about the beginning. Its SHA-256 into hash. */
static void write_text(const struct place *place, char hash[65]) {
    size_t length;
    unsigned char sum[32];
    char *text = test_file_read("", HELD_OUT, &length);
    const char *half = strchr(text + length / 2, '\n');
    const size_t rest = length - (size_t)(half - text);
    test_file_write(place->folder, "text.txt", half, rest);
    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, half, rest, sum), 0);
    for (size_t i = 0; i < sizeof sum; i++) snprintf(hash + 2 * i, 3, "%02x", sum[i]);
    free(text);
}

static json_t *version_of(const char *model) {
    struct daemon d;
    daemon_start(&d, PRENORMD, (const char *const[]){"serve", "--port", "0", "--model", model, NULL});
    daemon_wait_ready(&d);
    struct answer a = http_get(&d, "/version");
    json_t *version = answer_json(&a);
    answer_free(&a);
    daemon_stop(&d);
    return version;
}

/* The row of a converted file in the JSON of verify, and one of the same form and type from the folder. */
static json_t *verify_file_as(struct place *place, const char *types, unsigned tokens,
                              const json_t **converted, const json_t **plain) {
    size_t i;
    json_t *row;
    assert_int_equal(run(place,
                         "verify --log-level error --model '" CALIBRATED "' --text '" HELD_OUT
                         "' --verify-tokens %u --weights %s --converted '%s' --json",
                         tokens, types, place->file),
                     0);
    json_t *told = json_loads(place->output, 0, NULL);
    *converted = *plain = NULL;
    json_array_foreach(json_object_get(told, "forms"), i, row) {
        if (json_is_true(json_object_get(row, "converted")))
            *converted = row;
        else if (!json_is_true(json_object_get(row, "reference")))
            *plain = row;
    }
    assert_non_null(*converted);
    assert_non_null(*plain);
    return told;
}

/* So many tokens tell how much calibration gains; a few do where that is not asked. */
enum { FEW_TOKENS = 32, MANY_TOKENS = TEST_SHARE ? FEW_TOKENS : 512 };

/* The text is said where the file is written, served and verified; and verify shows the gain on another one: less than
 * half of the divergence is left after as few tokens as this. */
static void test_a_calibrated_file(void **state) {
    struct place *place = *state;
    char hash[65];
    const json_t *converted, *plain;
    write_text(place, hash);
    assert_int_equal(run(place, CALIBRATE "--calibrate '%s/text.txt'", place->file, place->folder), 0);
    assert_says(place->output, "orthonormal, int4 calibrated with 2048 tokens, with its tokenizer");
    json_t *version = version_of(place->file);
    const json_t *calibration = json_object_get(json_object_get(version, "model"), "calibration");
    assert_string_equal(json_string_value(json_object_get(calibration, "text_sha256")), hash);
    assert_int_equal(json_integer_value(json_object_get(calibration, "tokens")), 2048);
    json_decref(version);
    json_t *told = verify_file_as(place, "int4", MANY_TOKENS, &converted, &plain);
    calibration = json_object_get(converted, "calibration");
    assert_string_equal(json_string_value(json_object_get(calibration, "text_sha256")), hash);
    assert_null(json_object_get(plain, "calibration"));
    const double left = json_real_value(json_object_get(converted, "kl_divergence")),
                 before = json_real_value(json_object_get(plain, "kl_divergence"));
    assert_true(left > 0 && before > 0);
    if (strcmp(CALIBRATED, MODEL) == 0) assert_true(left < 0.5 * before); /* a random model's says nothing */
    json_decref(told);
}

/* int8 loses most by its activations, which no rounding of weights changes. */
static void test_a_calibrated_file_in_int8(void **state) {
    struct place *place = *state;
    char hash[65];
    const json_t *converted, *plain;
    write_text(place, hash);
    assert_int_equal(run(place, CALIBRATE_AS("int8") "--calibrate '%s/text.txt'", place->file, place->folder),
                     0);
    assert_says(place->output, "orthonormal, int8 calibrated with 2048 tokens, with its tokenizer");
    json_t *told = verify_file_as(place, "int8", MANY_TOKENS, &converted, &plain);
    const json_t *calibration = json_object_get(converted, "calibration");
    assert_string_equal(json_string_value(json_object_get(calibration, "text_sha256")), hash);
    const double left = json_real_value(json_object_get(converted, "kl_divergence")),
                 before = json_real_value(json_object_get(plain, "kl_divergence"));
    assert_true(left > 0 && before > 0);
    if (strcmp(CALIBRATED, MODEL) == 0) assert_true(left < 0.95 * before);
    json_decref(told);
}

/* The head is in int4 where that is asked for, and is calibrated too; the file, the server and verify say so. */
static void test_a_head_in_int4(void **state) {
    struct place *place = *state;
    char hash[65];
    const json_t *converted, *plain;
    write_text(place, hash);
    assert_int_equal(run(place, CALIBRATE_AS("int4 --head-weights int4") "--calibrate '%s/text.txt'",
                         place->file, place->folder),
                     0);
    json_t *version = version_of(place->file);
    const json_t *model = json_object_get(version, "model");
    assert_string_equal(json_string_value(json_object_get(model, "weights")), "int4");
    assert_string_equal(json_string_value(json_object_get(model, "head_weights")), "int4");
    json_decref(version);
    json_t *told = verify_file_as(place, "int4 --head-weights int4", MANY_TOKENS, &converted, &plain);
    assert_string_equal(json_string_value(json_object_get(converted, "head_weights")), "int4");
    assert_string_equal(json_string_value(json_object_get(plain, "head_weights")), "int4");
    const double left = json_real_value(json_object_get(converted, "kl_divergence")),
                 before = json_real_value(json_object_get(plain, "kl_divergence"));
    if (strcmp(CALIBRATED, MODEL) == 0) assert_true(left < 0.6 * before);
    json_decref(told);
    told = verify_file_as(place, "int4", FEW_TOKENS, &converted, &plain);
    assert_null(json_object_get(plain, "head_weights"));
    json_decref(told);
    assert_int_equal(run(place,
                         "convert --log-level error --model '" MODEL
                         "' --weights int8 --head-weights int4 --out '%s.2'",
                         place->file),
                     2);
    failed_with(place, "--head-weights|weights in int4|int8");
}

static void test_a_file_without_calibration(void **state) {
    struct place *place = *state;
    const json_t *converted, *plain;
    convert(place, CALIBRATED, "--weights int4");
    assert_null(strstr(place->output, "calibrated"));
    json_t *version = version_of(place->file);
    assert_true(json_is_null(json_object_get(json_object_get(version, "model"), "calibration")));
    json_decref(version);
    json_t *told = verify_file_as(place, "int4", FEW_TOKENS, &converted, &plain);
    assert_null(json_object_get(converted, "calibration"));
    assert_true(json_real_value(json_object_get(converted, "kl_divergence")) ==
                json_real_value(json_object_get(plain, "kl_divergence")));
    json_decref(told);
}

static void test_calibration_is_the_same_for_any_threads(void **state) {
    if (TEST_SHARE) skip(); /* test_calibrate.c has it there */
    struct place *place = *state;
    size_t length, other_length;
    assert_int_equal(run(place, CALIBRATE "--calibrate '" HELD_OUT "' --threads 1", place->file), 0);
    char *first = test_file_read("", place->file, &length);
    assert_int_equal(run(place, CALIBRATE "--calibrate '" HELD_OUT "' --threads 3", place->file), 0);
    char *other = test_file_read("", place->file, &other_length);
    assert_int_equal(length, other_length);
    assert_memory_equal(first, other, length);
    free(first);
    free(other);
}

static void refuse_calibration(struct place *place, const char *model, const char *weights, const char *text,
                               const char *words) {
    assert_int_equal(run(place,
                         "convert --log-level error --model '%s' --weights %s --out '%s' --calibrate '%s'",
                         model, weights, place->file, text),
                     2);
    failed_with(place, words);
    assert_false(is_there(place->file));
}

static void test_texts_that_cannot_be_used(void **state) {
    struct place *place = *state;
    char text[1200], folder[1200], line[4000];
    snprintf(text, sizeof text, "%s/text.txt", place->folder);
    refuse_calibration(place, MODEL, "int4", text, "--calibrate|cannot be read|No such file");
    refuse_calibration(place, MODEL, "int4", place->folder, "--calibrate|cannot be read");
    test_file_write(place->folder, "text.txt", "", 0);
    refuse_calibration(place, MODEL, "int4", text, "--calibrate|is empty");
    test_file_write(place->folder, "text.txt", "Once upon a time", 16);
    refuse_calibration(place, MODEL, "int4", text, "--calibrate|tokens|at least 2048");
    test_file_write(place->folder, "text.txt", "Once \xff upon", 11);
    refuse_calibration(place, MODEL, "int4", text, "--calibrate|UTF-8");
    size_t size = ((size_t)16 << 20) + 1;
    char *large = calloc(1, size);
    test_file_write(place->folder, "text.txt", large, size);
    free(large);
    refuse_calibration(place, MODEL, "int4", text, "--calibrate|more than 16777216 bytes");
    refuse_calibration(place, MODEL, "bf16", HELD_OUT, "--calibrate|only int8 and int4|bf16");
    refuse_calibration(place, MODEL, "f32", HELD_OUT, "--calibrate|only int8 and int4|f32");
    snprintf(folder, sizeof folder, "%s/model", place->folder);
    snprintf(line, sizeof line, "cp -r '%s' '%s' && rm '%s/tokenizer.json' '%s/tokenizer_config.json'", MODEL,
             folder, folder, folder);
    assert_int_equal(system(line), 0);
    refuse_calibration(place, folder, "int4", HELD_OUT, "--calibrate|has no tokenizer");
}

static void test_what_verify_compares(void **state) {
    struct place *place = *state;
    assert_int_equal(run(place, "verify --log-level error --model '" MODEL "' --converted '" MODEL "'"), 2);
    failed_with(place, "--converted|no file that convert has written");
    assert_int_equal(run(place, "convert --log-level error --model '" SMALL "' --out '%s'", place->file), 0);
    assert_int_equal(run(place,
                         "verify --log-level error --model '" MODEL
                         "' --weights f32 --verify-tokens 16 --converted '%s'",
                         place->file),
                     2);
    failed_with(place, "--converted|of another model|320|4096");
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
        cmocka_unit_test_setup_teardown(test_a_calibrated_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_calibrated_file_in_int8, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_head_in_int4, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_without_calibration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calibration_is_the_same_for_any_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts_that_cannot_be_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_verify_compares, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
