/* The program as a script sees it: exit codes, what stands on stdout and what on stderr. */
#include "tests/support/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/files/json_file.h"

#define MODEL PRENORM_SOURCE_DIR "/deploy/models/tales"
/* For what does not need a model that says something. */
#define SMALL      PRENORM_SOURCE_DIR "/tests/golden/families/gpt2"
#define RMSNORM    PRENORM_SOURCE_DIR "/tests/golden/families/llama-biases"
#define WORDS(...) ((const char *const[]){PRENORMD, __VA_ARGS__, NULL})

/* One run; its streams are files of the folder. */
struct run {
    char *folder, *output, *errors;
    size_t output_length;
    int status; /* of waitpid */
};

static int setup(void **state) {
    struct run *run = calloc(1, sizeof *run);
    run->folder = test_folder_create();
    test_file_write(run->folder, "in", "", 0);
    *state = run;
    return 0;
}

static int teardown(void **state) {
    struct run *run = *state;
    free(run->output);
    free(run->errors);
    test_folder_remove(run->folder);
    free(run);
    return 0;
}

static void open_as(const struct run *run, const char *name, int flags, int as) {
    char path[1200];
    if (*name == '/')
        snprintf(path, sizeof path, "%s", name);
    else
        snprintf(path, sizeof path, "%s/%s", run->folder, name);
    int file = open(path, flags, 0600);
    if (file < 0 || dup2(file, as) < 0) _exit(99);
    close(file);
}

/* output: a file of the folder or, absolute, another; -1 or the descriptor to use instead. */
static pid_t start(const struct run *run, const char *const *words, const char *output, int descriptor) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) return child;
    open_as(run, "in", O_RDONLY, STDIN_FILENO);
    if (descriptor < 0)
        open_as(run, output, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    else
        dup2(descriptor, STDOUT_FILENO);
    open_as(run, "err", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    execv(words[0], (char **)words);
    _exit(98);
}

static void finish(struct run *run, pid_t child, bool has_output) {
    while (waitpid(child, &run->status, 0) < 0) assert_int_equal(errno, EINTR);
    free(run->output);
    free(run->errors);
    run->output = has_output ? test_file_read(run->folder, "out", &run->output_length) : NULL;
    run->errors = test_file_read(run->folder, "err", NULL);
}

static int run_words(struct run *run, const char *const *words) {
    finish(run, start(run, words, "out", -1), true);
    if (!WIFEXITED(run->status)) fail_msg("ended by signal %d: %s", WTERMSIG(run->status), run->errors);
    return WEXITSTATUS(run->status);
}

static void assert_one_line(const char *text, const char *beginning) {
    if (strncmp(text, beginning, strlen(beginning)) != 0 || strcspn(text, "\n") + 1 != strlen(text))
        fail_msg("expected one line that begins with '%s', found '%s'", beginning, text);
}

/* ---- usage ---- */

static void test_without_a_command(void **state) {
    struct run *run = *state;
    static const char *const none[] = {PRENORMD, NULL};
    assert_int_equal(run_words(run, none), 2);
    assert_string_equal(run->output, "");
    assert_int_equal(strncmp(run->errors, "Usage: prenormd COMMAND", 23), 0);
    assert_int_equal(run_words(run, WORDS("sevre")), 2);
    assert_string_equal(run->output, "");
    assert_int_equal(strncmp(run->errors, "prenormd: 'sevre' is not a command\n", 32), 0);
    assert_non_null(strstr(run->errors, "Usage: prenormd COMMAND"));
}

static void test_help_and_version(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("--help")), 0);
    assert_non_null(strstr(run->output, "\n  serve "));
    assert_string_equal(run->errors, "");
    assert_int_equal(run_words(run, WORDS("serve", "--help")), 0);
    assert_non_null(strstr(run->output, "\n  --port N "));
    assert_string_equal(run->errors, "");
    assert_int_equal(run_words(run, WORDS("help", "serve")), 0);
    assert_non_null(strstr(run->output, "\n  --port N "));
    assert_int_equal(run_words(run, WORDS("help")), 0);
    assert_non_null(strstr(run->output, "\n  serve "));
    assert_int_equal(run_words(run, WORDS("help", "sevre")), 2);
    assert_int_equal(strncmp(run->errors, "prenormd: 'sevre' is not a command\n", 32), 0);
    assert_int_equal(run_words(run, WORDS("--version")), 0);
    assert_one_line(run->output, "prenormd ");
}

static void test_a_full_disk_is_a_failure(void **state) {
    struct run *run = *state;
    static const char *const lines[][8] = {
        {PRENORMD, "--version"},
        {PRENORMD, "--help"},
        {PRENORMD, "serve", "--help"},
        {PRENORMD, "serve", "--print-config"},
        {PRENORMD, "check", "--model", MODEL, "--port", "0", "--json"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        finish(run, start(run, lines[i], "/dev/full", -1), false);
        assert_true(WIFEXITED(run->status));
        assert_int_equal(WEXITSTATUS(run->status), 1);
        assert_one_line(run->errors, "prenormd: standard output: ");
    }
}

/* The configuration is enough to say no: the folder has nothing else. */
static void refuse(const char *path, const char *name, void *context) {
    struct run *run = context;
    struct error e = {0};
    json_t *expect;
    assert_ok(json_file_load(path, "expect.json", 4096, &expect, &e));
    assert_int_equal(run_words(run, WORDS("generate", "--model", path, "x")), 2);
    if (!strcasestr(run->errors, json_string_value(json_object_get(expect, "reason_contains"))))
        fail_msg("%s: %s", name, run->errors);
    json_decref(expect);
}

static void test_refused_models(void **state) {
    assert_true(test_each_folder(test_source_path("tests/cases/refused"), refuse, *state) > 0);
}

static void test_mistakes_in_options(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("serve", "--prot", "1")), 2);
    assert_one_line(run->errors, "prenormd: --prot: no such option; did you mean --port?");
    assert_int_equal(run_words(run, WORDS("generate", "--temperature=9")), 2);
    assert_one_line(run->errors, "prenormd: --temperature: found '9', expected a number from 0 to 2");
    test_file_write(run->folder, "bad.json", "{\"port\": \"x\"}", 13);
    char path[1200];
    snprintf(path, sizeof path, "%s/bad.json", run->folder);
    assert_int_equal(run_words(run, WORDS("serve", "--config", path)), 2);
    assert_one_line(run->errors, "prenormd: port in ");
    assert_int_equal(run_words(run, WORDS("serve", "--config", "/nowhere")), 2);
    assert_one_line(run->errors, "prenormd: /nowhere: ");
}

/* As other servers are started. */
static void test_options_without_a_command(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("--model", MODEL)), 2);
    assert_non_null(strstr(run->errors, "'--model' is not a command, which stands before all options"));
    assert_int_equal(run_words(run, WORDS("serve", "--max-model-len", "4096")), 2);
    assert_one_line(run->errors, "prenormd: --max-model-len: no such option; --context is this option here");
    test_file_write(run->folder, "vllm.json", "{\"max-model-len\": 1}", 20);
    char path[1200];
    snprintf(path, sizeof path, "%s/vllm.json", run->folder);
    assert_int_equal(run_words(run, WORDS("serve", "--config", path)), 2);
    assert_non_null(strstr(run->errors, "vllm.json: no such option; --context is this option here"));
}

static void test_the_printed_configuration_is_accepted_again(void **state) {
    struct run *run = *state;
    char path[1200];
    snprintf(path, sizeof path, "%s/out", run->folder);
    setenv("PRENORM_MAX_QUEUE", "7", 1);
    assert_int_equal(run_words(run, WORDS("serve", "--port", "1234", "--print-config")), 0);
    unsetenv("PRENORM_MAX_QUEUE");
    assert_non_null(strstr(run->output, "\"max-queue\": 7,"));
    char *first = strdup(run->output);
    char copy[1200];
    snprintf(copy, sizeof copy, "%s/copy.json", run->folder);
    assert_int_equal(rename(path, copy), 0);
    assert_int_equal(run_words(run, WORDS("serve", "--config", copy, "--print-config")), 0);
    assert_string_equal(run->output, first);
    free(first);
}

/* ---- generate ---- */

static void test_a_model_that_is_not_there(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("generate", "--log-level", "error", "--model", "/nowhere", "x")),
                     2);
    assert_one_line(run->errors, "prenormd: --model /nowhere: cannot be read: No such file or directory");
    assert_string_equal(run->output, "");
    assert_int_equal(run_words(run, WORDS("generate", "x")), 2);
    assert_one_line(run->errors, "prenormd: model: ");
}

#define GREEDY                                                                                               \
    "generate", "--model", MODEL, "--temperature", "0", "--max-tokens", "32", "--log-level", "error"

static void test_text_of_the_reference(void **state) {
    struct run *run = *state;
    json_t *reference = json_load_file(MODEL "/reference.json", 0, NULL), *item;
    size_t i;
    assert_true(json_array_size(json_object_get(reference, "cases")) > 0);
    json_array_foreach(json_object_get(reference, "cases"), i, item) {
        const char *prompt = json_string_value(json_object_get(item, "prompt"));
        const char *text = json_string_value(json_object_get(item, "text"));
        assert_int_equal(run_words(run, WORDS(GREEDY, "--", prompt)), 0);
        assert_string_equal(run->output, text);
        assert_string_equal(run->errors, "");
        char line[4096];
        int length = snprintf(line, sizeof line, "%s\n", prompt);
        test_file_write(run->folder, "in", line, (size_t)length);
        assert_int_equal(run_words(run, WORDS(GREEDY)), 0);
        assert_string_equal(run->output, text);
        if (TEST_SHARE) break; /* test_same_bits.c has them all there */
    }
    json_decref(reference);
}

static void test_an_empty_prompt_starts_from_nothing(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS(GREEDY, "")), 0);
    assert_true(run->output_length > 0);
}

static void test_the_same_seed_gives_the_same_text(void **state) {
    struct run *run = *state;
#define SAMPLED "generate", "--model", MODEL, "--max-tokens", "24", "--log-level", "error", "--seed"
    assert_int_equal(run_words(run, WORDS(SAMPLED, "1", "Once")), 0);
    char *first = strdup(run->output);
    assert_int_equal(run_words(run, WORDS(SAMPLED, "1", "Once")), 0);
    assert_string_equal(run->output, first);
    assert_int_equal(run_words(run, WORDS(SAMPLED, "2", "Once")), 0);
    assert_string_not_equal(run->output, first);
    free(first);
}

static void test_a_stop_text_is_not_printed(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS(GREEDY, "Once upon a time there was a little princess")), 0);
    char *whole = strdup(run->output);
    char *comma = strchr(whole, ',');
    assert_non_null(comma);
    *comma = '\0';
    assert_int_equal(run_words(run, WORDS(GREEDY, "--stop", "never there", "--stop", ", and",
                                          "Once upon a time there was a little princess")),
                     0);
    assert_string_equal(run->output, whole);
    free(whole);
}

static void test_rates_stand_on_stderr(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("generate", "--model", MODEL, "--max-tokens", "4", "--temperature",
                                          "0", "Once")),
                     0);
    assert_non_null(strstr(run->errors, "generation: 4 tokens, "));
    assert_non_null(strstr(run->errors, "tokens/s"));
    assert_null(strchr(run->errors, '\r')); /* no bar where there is no terminal */
}

/* Of so many in so many seconds, as far as the digits that are printed of both tell. */
static void assert_is_rate(double rate, unsigned count, double seconds) {
    assert_true(rate >= count / (seconds + 0.0006) - 0.06);
    if (seconds > 0.001) assert_true(rate <= count / (seconds - 0.0006) + 0.06);
}

/* What was computed, not how fast its text was read: the figures are the engine's. */
static void test_rates_are_those_of_the_parts(void **state) {
    struct run *run = *state;
    unsigned prompt, tokens, after;
    double prefill, prompt_rate, decode, rate;
    assert_int_equal(run_words(run, WORDS("generate", "--model", MODEL, "--max-tokens", "8", "--temperature",
                                          "0", "Once upon a time")),
                     0);
    const char *line = strstr(run->errors, "prompt: ");
    assert_non_null(line);
    assert_int_equal(
        sscanf(line,
               "prompt: %u tokens in %lf s, %lf tokens/s; generation: %u tokens, %u after the first in "
               "%lf s, %lf tokens/s",
               &prompt, &prefill, &prompt_rate, &tokens, &after, &decode, &rate),
        7);
    assert_int_equal(tokens, 8);
    assert_int_equal(after, 7);
    assert_is_rate(prompt_rate, prompt, prefill);
    assert_is_rate(rate, after, decode);
}

/* However long the name of a form is, its figures stand below their head. */
static void assert_is_aligned(const char *table) {
    const char *end = strstr(table, " tokens; "), *next;
    size_t width = strcspn(table, "\n");
    assert_non_null(end);
    for (const char *row = table + width + 1; (next = strchr(row, '\n')) < end; row = next + 1)
        if (row[width - 1] == ' ' || row[width] != ' ') fail_msg("%.*s", (int)(next - row), row);
}

static void test_verify_says_what_passed(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("verify", "--model", SMALL, "--verify-tokens", "40", "--weights",
                                          "f32", "--verify-rise-int4", "0")),
                     0);
    assert_non_null(strstr(run->output, "verdict: within the bounds: f32, double\n"));
    assert_non_null(strstr(run->output, "f32     4 of 4 forms pass; "));
    assert_null(strstr(run->output, "int4"));
    assert_non_null(strstr(run->output, "ok (bound: largest 2.0e-04)\n"));
    assert_is_aligned(run->output);
    assert_int_equal(
        run_words(run, WORDS("verify", "--model", SMALL, "--verify-tokens", "40", "--weights", "int8")), 0);
    assert_non_null(strstr(run->output, "ok (bound: rise 0.2000% + ")); /* in the unit of its column */
}

/* A model of RMSNorm is served in one form: how its layers as published would be in int8 fails nobody. */
static void test_verify_leaves_out_what_is_not_served(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("verify", "--model", RMSNORM, "--verify-tokens", "40", "--json")),
                     0);
    json_t *json = json_loads(run->output, 0, NULL), *row;
    assert_non_null(json);
    size_t index, served = 0;
    json_array_foreach(json_object_get(json, "forms"), index, row) {
        if (json_is_true(json_object_get(row, "reference"))) continue;
        assert_string_equal(json_string_value(json_object_get(row, "norm_form")), "rmsnorm");
        served++;
    }
    assert_int_equal(served, 5); /* in double precision and each type */
    json_decref(json);
}

/* One type out of its bound fails the run that asks about all, and says which; the others are judged by their
 * own. */
static void test_verify_says_what_did_not(void **state) {
    struct run *run = *state;
    const char *const all[] = {
        PRENORMD, "verify", "--model", SMALL, "--verify-tokens", "40", "--json", "--verify-rise-int8",
        "1e-9",   NULL};
    assert_int_equal(run_words(run, all), 1);
    assert_one_line(run->errors, "prenormd: verify: more than its bound from the untouched model: ");
    assert_non_null(strstr(run->errors, "int8"));
    assert_null(strstr(run->errors, "f32"));
    json_t *json = json_loads(run->output, 0, NULL), *row;
    assert_non_null(json);
    size_t index, failed = 0;
    json_array_foreach(json_object_get(json, "forms"), index, row) {
        if (json_is_true(json_object_get(row, "reference"))) continue;
        bool passed = json_is_true(json_object_get(row, "passed"));
        bool is_int8 = strcmp(json_string_value(json_object_get(row, "weights")), "int8") == 0;
        failed += !passed;
        if (!passed) assert_true(is_int8);
        bool of_rise = strcmp(json_string_value(json_object_get(row, "bound_of")), "perplexity_rise") == 0;
        assert_int_equal(json_number_value(json_object_get(row, "perplexity_rise_allowance")) > 0, of_rise);
    }
    assert_true(failed > 0);
    json_decref(json);
    assert_int_equal(run_words(run, WORDS("verify", "--model", SMALL, "--verify-tokens", "40", "--weights",
                                          "int8", "--verify-rise-int8", "1e-9")),
                     1);
    assert_non_null(strstr(run->output, "verdict: not within: int8\n"));
    assert_non_null(strstr(run->output, "(three standard errors)"));
}

/* The table's head comes with its first row. */
static void test_verify_prints_no_table_of_what_is_not_loaded(void **state) {
    struct run *run = *state;
    assert_int_equal(run_words(run, WORDS("verify", "--model", run->folder)), 2);
    assert_string_equal(run->output, "");
    assert_one_line(run->errors, "prenormd: ");
}

static void test_a_prompt_longer_than_the_context(void **state) {
    struct run *run = *state;
    char *text = malloc(100001);
    for (size_t i = 0; i < 100000; i++) text[i] = i % 2 ? ' ' : 'x';
    test_file_write(run->folder, "in", text, 100000);
    free(text);
    assert_int_equal(run_words(run, WORDS(GREEDY)), 1);
    assert_string_equal(run->output, "");
    assert_one_line(run->errors, "prenormd: ");
}

static void test_a_reader_that_went_away_is_no_failure(void **state) {
    struct run *run = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    pid_t child = start(run, WORDS(GREEDY, "Once"), NULL, ends[1]);
    close(ends[1]);
    finish(run, child, false);
    assert_true(WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0);
    assert_string_equal(run->errors, "");
}

static void test_a_disk_that_is_full_is_one(void **state) {
    struct run *run = *state;
    finish(run, start(run, WORDS(GREEDY, "Once"), "/dev/full", -1), false);
    assert_true(WIFEXITED(run->status) && WEXITSTATUS(run->status) == 1);
    assert_one_line(run->errors, "prenormd: standard output: ");
}

static off_t output_size(const struct run *run) {
    char path[1200];
    struct stat info;
    snprintf(path, sizeof path, "%s/out", run->folder);
    return stat(path, &info) == 0 ? info.st_size : 0;
}

/* The program must be in the middle of its text for this: a long one, and the signal as soon as some of it is
 * there. */
static void test_an_interrupt_ends_it_as_a_signal_does(void **state) {
    struct run *run = *state;
    double deadline = clock_seconds() + 60;
    pid_t child = start(
        run, WORDS("generate", "--model", MODEL, "--seed", "1", "--max-tokens", "500", "Once"), "out", -1);
    while (output_size(run) == 0 && clock_seconds() < deadline) usleep(200);
    kill(child, SIGINT);
    finish(run, child, true);
    assert_true(run->output_length > 0);
    /* Where the machine is so fast that the text was whole before the signal came, it has ended by itself. */
    if (WIFEXITED(run->status))
        assert_int_equal(WEXITSTATUS(run->status), 0);
    else
        assert_int_equal(WTERMSIG(run->status), SIGINT);
}

/* The options of whoever runs the tests must not count. */
static int forget_options(void **state) {
    (void)state;
    for (char **variable = environ; *variable;) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
        bool is_option = strncmp(name, "PRENORM_", 8) == 0;
        if (is_option)
            unsetenv(name), variable = environ;
        else
            variable++;
    }
    return 0;
}

#define RUN_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RUN_TEST(test_without_a_command),
        RUN_TEST(test_help_and_version),
        RUN_TEST(test_a_full_disk_is_a_failure),
        RUN_TEST(test_mistakes_in_options),
        RUN_TEST(test_options_without_a_command),
        RUN_TEST(test_refused_models),
        RUN_TEST(test_the_printed_configuration_is_accepted_again),
        RUN_TEST(test_a_model_that_is_not_there),
        RUN_TEST(test_text_of_the_reference),
        RUN_TEST(test_an_empty_prompt_starts_from_nothing),
        RUN_TEST(test_the_same_seed_gives_the_same_text),
        RUN_TEST(test_a_stop_text_is_not_printed),
        RUN_TEST(test_rates_stand_on_stderr),
        RUN_TEST(test_rates_are_those_of_the_parts),
        RUN_TEST(test_verify_says_what_passed),
        RUN_TEST(test_verify_leaves_out_what_is_not_served),
        RUN_TEST(test_verify_says_what_did_not),
        RUN_TEST(test_verify_prints_no_table_of_what_is_not_loaded),
        RUN_TEST(test_a_prompt_longer_than_the_context),
        RUN_TEST(test_a_reader_that_went_away_is_no_failure),
        RUN_TEST(test_a_disk_that_is_full_is_one),
        RUN_TEST(test_an_interrupt_ends_it_as_a_signal_does),
    };
    return cmocka_run_group_tests(tests, forget_options, NULL);
}
