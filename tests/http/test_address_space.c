/* Under a limit on the address space (ulimit -v, LimitAS=) every command works or says that it cannot, in one
 * line and with exit code 1: it never hangs, and no signal ends it. The limits go in steps small enough that
 * each thing that is allocated fails in turn. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"

#define MODEL PRENORM_SOURCE_DIR "/deploy/models/tales"
#define MIB   ((size_t)1 << 20)

/* The sanitizers' own maps are larger than any such limit. */
#define SKIP_UNDER_SANITIZERS()                                                                              \
    do {                                                                                                     \
        if (SANITIZED) skip();                                                                               \
    } while (0)

/* Less than this does not hold the libraries that the program is linked with: the system refuses to start it. */
#define LEAST (24 * MIB)

/* One run; whether it worked. */
static bool check(const struct command *of, size_t space) {
    struct command c = *of;
    c.address_space = space;
    int code = command_run(&c);
    bool one_line = command_complaints(&c) == 1 && strncmp(c.error_text, "prenormd: ", 10) == 0;
    one_line |= command_complaints(&c) == 1 && strstr(c.error_text, "\nprenormd: ");
    if (code != 0 && (code != 1 || !one_line))
        fail_msg("%s within %zu MiB: code %d, %s", c.words[1], space / MIB, code, c.error_text);
    if (code == 0 && c.output_text[0] == '\0')
        fail_msg("%s within %zu MiB: nothing", c.words[1], space / MIB);
    command_free(&c);
    return code == 0;
}

/* Every `step` from LEAST to `end`, then doubling to 4 GiB. It fails with the least and works with the most. */
static void check_ladder(const struct command *of, size_t end, size_t step) {
    assert_false(check(of, LEAST));
    for (size_t space = LEAST + step; space < end; space += step) check(of, space);
    for (size_t space = end; space < 4096 * MIB; space *= 2) check(of, space);
    assert_true(check(of, 4096 * MIB));
}

static void test_generate(void **state) {
    (void)state;
    SKIP_UNDER_SANITIZERS();
    const struct command c = {
        .words = {PRENORMD, "generate", "--model", MODEL, "--temperature", "0", "--max-tokens", "3", "Once"}};
    check_ladder(&c, 120 * MIB, 6 * MIB);
}

static void test_generate_with_openblas(void **state) {
    (void)state;
    SKIP_UNDER_SANITIZERS();
    const struct command c = {.words = {PRENORMD, "generate", "--model", MODEL, "--matmul", "openblas",
                                        "--temperature", "0", "--max-tokens", "3", "Once"}};
    check_ladder(&c, 512 * MIB, 24 * MIB);
}

static void test_convert(void **state) {
    (void)state;
    SKIP_UNDER_SANITIZERS();
    char *folder = test_folder_create(), out[1024];
    snprintf(out, sizeof out, "%s/out", folder);
    const struct command c = {.words = {PRENORMD, "convert", "--model", MODEL, "--out", out}};
    check_ladder(&c, 96 * MIB, 4 * MIB);
    test_folder_remove(folder);
}

static void test_verify(void **state) {
    (void)state;
    SKIP_UNDER_SANITIZERS();
    const struct command c = {
        .words = {PRENORMD, "verify", "--model", MODEL, "--verify-tokens", "8", "--weights", "f32"}};
    check_ladder(&c, 512 * MIB, 24 * MIB);
}

/* It measures the memory with a buffer of 512 MiB; where that is to be had it takes its time. */
static void test_bench(void **state) {
    (void)state;
    SKIP_UNDER_SANITIZERS();
    const struct command c = {
        .words = {PRENORMD, "bench", "--model", MODEL, "--works", "decode-1", "--json"}};
    for (size_t space = LEAST; space < 512 * MIB; space += 48 * MIB) assert_false(check(&c, space));
    assert_true(check(&c, 4096 * MIB));
}

/* The port from the log; 0: it has ended before. */
static int wait_ready(struct command *c) {
    if (!command_wait_for(c, "Z info  ready: ")) return 0;
    char *log = test_file_read(c->folder, "err", NULL), *at = strstr(log, "127.0.0.1:");
    assert_non_null(at);
    int port = atoi(at + 10);
    free(log);
    return port;
}

/* However little is left once it serves, a request gets an answer, or its connection is closed, and the
 * daemon stays. */
static bool check_serve(size_t space) {
    struct command c = {.words = {PRENORMD, "serve", "--model", MODEL, "--port", "0", "--kv-cache-mib", "2",
                                  "--context", "64", "--max-sequences", "2", "--step-tokens", "16"},
                        .address_space = space};
    command_start(&c);
    int port = wait_ready(&c);
    bool served = port != 0;
    if (served) {
        struct daemon d = {.port = port};
        for (int i = 0; i < 3; i++) {
            struct answer a =
                http_post(&d, "/v1/completions", "{\"prompt\":\"Once upon a time\",\"max_tokens\":4}");
            assert_true(a.error != 0 || a.status == 200 || a.status == 500 || a.status == 503);
            if (space >= 4096 * MIB) assert_int_equal(a.status, 200);
            answer_free(&a);
        }
        kill(c.pid, SIGTERM);
    }
    command_wait(&c);
    /* A cache of a size that somebody set and that does not fit is a mistake of the options. */
    bool is_mistake = strstr(c.error_text, "prenormd: --kv-cache-mib 2: ") != NULL;
    if (!WIFEXITED(c.status) || WEXITSTATUS(c.status) != (served ? 0 : is_mistake ? 2 : 1))
        fail_msg("serve within %zu MiB: status %d: %s", space / MIB, c.status, c.error_text);
    if (!served) assert_non_null(strstr(c.error_text, "\nprenormd: ") ?: strstr(c.error_text, "prenormd: "));
    command_free(&c);
    return served;
}

static void test_serve(void **state) {
    (void)state;
    SKIP_UNDER_SANITIZERS();
    assert_false(check_serve(LEAST));
    for (size_t space = LEAST + 12 * MIB; space < 256 * MIB; space += 12 * MIB) check_serve(space);
    for (size_t space = 256 * MIB; space < 4096 * MIB; space *= 2) check_serve(space);
    assert_true(check_serve(4096 * MIB));
}

/* A start that fails while threads of it are alive: nothing hangs on the way out, nothing crashes. */
static void test_stop_while_threads_work(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct command c = {.words = {PRENORMD, "serve", "--model", MODEL, "--port", "0", "--verify"}};
        command_start(&c);
        command_wait_for(&c, i % 2 ? "listening on" : "model: converting");
        sleep_ms((unsigned)(i * 37 % 200)); /* somewhere in it */
        if (c.pid) kill(c.pid, SIGTERM);
        command_wait(&c);
        if (!WIFEXITED(c.status) || WEXITSTATUS(c.status) != 0)
            fail_msg("run %d: status %d: %s", i, c.status, c.error_text);
        command_free(&c);
    }
}

/* A library that is found first and is none. */
static void test_openblas_that_cannot_be_loaded(void **state) {
    (void)state;
    char *folder = test_folder_create(), setting[1024];
    test_file_write(folder, "libopenblas.so.0", "no library", 10);
    snprintf(setting, sizeof setting, "LD_LIBRARY_PATH=%s", folder);
    struct command own = {.words = {PRENORMD, "generate", "--model", MODEL, "--max-tokens", "3", "Once"},
                          .setting = setting};
    assert_int_equal(command_run(&own), 0); /* nobody asked for it */
    struct command with = {.words = {PRENORMD, "generate", "--model", MODEL, "--matmul", "openblas", "Once"},
                           .setting = setting};
    assert_int_equal(command_run(&with), 2);
    assert_int_equal(command_complaints(&with), 1);
    assert_non_null(strstr(with.error_text, "prenormd: --matmul openblas: cannot be loaded: "));
    assert_non_null(strstr(with.error_text, "libopenblas.so.0"));
    command_free(&own);
    command_free(&with);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_generate_with_openblas),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_stop_while_threads_work),
        cmocka_unit_test(test_openblas_that_cannot_be_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
