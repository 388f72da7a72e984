/* The command over the fake engine, in a process of its own: what happens in the middle of a text. */
#include "server/cli/command.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "tests/support/test_support.h"

struct child {
    pid_t process;
    int output, errors; /* pipes to read from */
};

static int run_command(char **flags, size_t count) {
    static struct config config;
    static char *environment[] = {NULL};
    struct error e;
    log_set_level(LOG_LEVEL_ERROR);
    if (config_init(&config, &e) != STATUS_OK) return 97;
    if (config_load(&config, COMMAND_GENERATE, flags, count, environment, &e) != STATUS_OK) return 98;
    int code = (int)cmd_generate(&config);
    config_deinit(&config);
    return code;
}

static struct child start_flags(char **flags, size_t count) {
    int output[2], errors[2];
    assert_true(pipe(output) == 0 && pipe(errors) == 0);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        close(STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO), dup2(errors[1], STDERR_FILENO);
        close(output[0]), close(output[1]), close(errors[0]), close(errors[1]);
        _exit(run_command(flags, count));
    }
    close(output[1]), close(errors[1]);
    return (struct child){process, output[0], errors[0]};
}

/* prompt NULL: from standard input, which is closed. */
static struct child start(const char *engine, const char *tokens, const char *prompt) {
    char *flags[] = {"--model",      (char *)engine, "--seed", "1",
                     "--max-tokens", (char *)tokens, "--",     (char *)prompt};
    return start_flags(flags, prompt ? 8 : 7);
}

static void read_all(int from, char *out, size_t size) {
    size_t used = 0;
    ssize_t count;
    while ((count = read(from, out + used, size - 1 - used)) > 0) used += (size_t)count;
    out[used] = '\0';
    close(from);
}

static int wait_for(const struct child *child) {
    int status = 0;
    assert_int_equal(waitpid(child->process, &status, 0), child->process);
    return status;
}

static void assert_exit(int status, int code) {
    if (WIFSIGNALED(status)) fail_msg("ended by signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void test_a_failure_in_the_middle_keeps_the_text_so_far(void **state) {
    (void)state;
    char whole[256], text[256], errors[512];
    struct child child = start("fake", "8", "a");
    read_all(child.output, whole, sizeof whole);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 0);
    assert_int_equal(strlen(whole), 8);
    assert_string_equal(errors, "");
    child = start("fail-at=3", "8", "a");
    read_all(child.output, text, sizeof text);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 1);
    assert_int_equal(strlen(text), 3);
    assert_int_equal(strncmp(whole, text, 3), 0);
    assert_string_equal(errors, "prenormd: fake: it was told to fail here\n");
}

static int run_flags(char **flags, size_t count, char text[4096], char errors[4096]) {
    struct child child = start_flags(flags, count);
    read_all(child.output, text, 4096);
    read_all(child.errors, errors, 4096);
    int status = wait_for(&child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Each under its number, the first as it is alone, however they come. */
static void test_several_texts(void **state) {
    (void)state;
    char alone[4096], text[4096], errors[4096], expected[8192];
    char *flags[] = {"--model", "fake", "--seed", "1", "--max-tokens", "8", "a", "--n", "3"};
    assert_int_equal(run_flags(flags, 7, alone, errors), 0);
    assert_int_equal(run_flags(flags, 9, text, errors), 0);
    assert_string_equal(errors, "");
    snprintf(expected, sizeof expected, "== 1 of 3 ==\n%s\n== 2 of 3 ==\n", alone);
    assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
    const char *third = strstr(text, "\n== 3 of 3 ==\n");
    assert_non_null(third);
    assert_true(strlen(third) > 16);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_null(strstr(text, "4 of 3"));
}

/* For people: the text alone on standard output, a line for each token beside it. */
static void test_log_probabilities(void **state) {
    (void)state;
    char text[4096], errors[4096];
    char *flags[] = {"--model", "fake", "--seed", "1", "--max-tokens", "4", "a", "--logprobs", "2"};
    assert_int_equal(run_flags(flags, 9, text, errors), 0);
    assert_int_equal(strlen(text), 4);
    size_t lines = 0;
    for (const char *at = errors; (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, 5);
    assert_int_equal(strncmp(errors, "  logprob    share  token", 25), 0);
    for (size_t i = 0; i < 4; i++) {
        char token[8];
        snprintf(token, sizeof token, "\"%c\"", text[i]);
        assert_non_null(strstr(errors, token));
    }
    assert_non_null(strstr(errors, " %"));
    flags[8] = "-1";
    assert_int_equal(run_flags(flags, 9, text, errors), 0);
    assert_string_equal(errors, "");
}

static void test_a_bad_word_that_is_none(void **state) {
    (void)state;
    char text[4096], errors[4096];
    char *flags[] = {"--model", "fake", "a", "--bad-words", "no", "--bad-words", "  "};
    assert_int_equal(run_flags(flags, 5, text, errors), 0);
    assert_int_equal(run_flags(flags, 7, text, errors), 2);
    assert_string_equal(text, "");
    assert_string_equal(errors, "prenormd: --bad-words no,  : has a string of blanks alone\n");
}

static void test_loading_that_fails(void **state) {
    (void)state;
    char text[256], errors[512];
    struct child child = start("fail-load", "8", "a");
    read_all(child.output, text, sizeof text);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 1);
    assert_string_equal(text, "");
    assert_int_equal(strncmp(errors, "prenormd: ", 10), 0);
}

static void test_an_empty_prompt_needs_a_token_to_start_from(void **state) {
    (void)state;
    char text[256], errors[512];
    struct child child = start("fake", "4", "");
    read_all(child.output, text, sizeof text);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 0);
    assert_true(strlen(text) > 0);
    child = start("no-start", "4", "");
    read_all(child.output, text, sizeof text);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 1);
    assert_string_equal(text, "");
    assert_string_equal(errors, "prenormd: PROMPT: is empty, and the model has no token to start from\n");
}

/* So slow that it would take minutes: whatever ends soon was ended by what the test does. */
#define SLOW "token-ms=100", "2000", "a"

static void test_text_is_written_as_it_comes_and_a_signal_ends_it(void **state) {
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        char first, rest[4096], errors[512];
        struct child child = start(SLOW);
        assert_int_equal(read(child.output, &first, 1), 1);
        kill(child.process, signals[i]);
        read_all(child.output, rest, sizeof rest);
        read_all(child.errors, errors, sizeof errors);
        int status = wait_for(&child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
        assert_true(strlen(rest) < 1999);
        assert_string_equal(errors, "");
    }
}

static void test_a_reader_that_leaves_ends_it_quietly(void **state) {
    (void)state;
    char first, errors[512];
    struct child child = start(SLOW);
    assert_int_equal(read(child.output, &first, 1), 1);
    close(child.output);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 0);
    assert_string_equal(errors, "");
}

static void test_standard_input_that_cannot_be_read(void **state) {
    (void)state;
    char text[256], errors[512];
    struct child child = start("fake", "4", NULL);
    read_all(child.output, text, sizeof text);
    read_all(child.errors, errors, sizeof errors);
    assert_exit(wait_for(&child), 1);
    assert_string_equal(errors, "prenormd: standard input: Bad file descriptor\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failure_in_the_middle_keeps_the_text_so_far),
        cmocka_unit_test(test_several_texts),
        cmocka_unit_test(test_log_probabilities),
        cmocka_unit_test(test_a_bad_word_that_is_none),
        cmocka_unit_test(test_loading_that_fails),
        cmocka_unit_test(test_an_empty_prompt_needs_a_token_to_start_from),
        cmocka_unit_test(test_text_is_written_as_it_comes_and_a_signal_ends_it),
        cmocka_unit_test(test_a_reader_that_leaves_ends_it_quietly),
        cmocka_unit_test(test_standard_input_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
