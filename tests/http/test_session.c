/* `prenormd generate` on a terminal: a session, as somebody types it. */
#include "tests/support/test_support.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define MODEL PRENORM_SOURCE_DIR "/deploy/models/tales"

enum { SAID_BYTES_MAX = 1 << 20 };

struct terminal {
    pid_t pid;
    int fd;
    char *said; /* by the program, since the last expect() */
    size_t length;
};

static void start(struct terminal *t, const char *const *words) {
    *t = (struct terminal){.said = calloc(1, SAID_BYTES_MAX)};
    t->pid = forkpty(&t->fd, NULL, NULL, NULL);
    assert_true(t->pid >= 0);
    if (t->pid > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("TERM", "dumb", 1);
    setenv("HOME", "/nonexistent", 1);
    execv(words[0], (char **)words);
    _exit(99);
}

static void type(struct terminal *t, const char *keys) {
    assert_int_equal(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* Waits until the program has said the text, and forgets what was said until then. */
static void expect(struct terminal *t, const char *text) {
    double end = clock_seconds() + PATIENCE_SECONDS;
    char *found;
    while (!(found = strstr(t->said, text))) {
        struct pollfd poll_fd = {.fd = t->fd, .events = POLLIN};
        if (clock_seconds() > end || t->length + 4096 > SAID_BYTES_MAX)
            fail_msg("never said '%s', but '%s'", text, t->said);
        if (poll(&poll_fd, 1, 1000) <= 0) continue;
        ssize_t count = read(t->fd, t->said + t->length, 4096);
        if (count <= 0) fail_msg("ended without '%s': '%s'", text, t->said);
        t->length += (size_t)count;
        t->said[t->length] = '\0';
    }
    size_t rest = t->length - (size_t)(found - t->said) - strlen(text);
    memmove(t->said, found + strlen(text), rest + 1);
    t->length = rest;
}

static int end(struct terminal *t) {
    int status;
    while (waitpid(t->pid, &status, 0) < 0) assert_int_equal(errno, EINTR);
    close(t->fd);
    free(t->said);
    return status;
}

static const char *const session[] = {PRENORMD, "generate",     "--model", MODEL,         "--temperature",
                                      "0",      "--max-tokens", "8",       "--log-level", "warn",
                                      NULL};

static void texts_and_settings(void **state) {
    (void)state;
    struct terminal t;
    start(&t, session);
    expect(&t, "> ");
    type(&t, "Once upon a time\n");
    expect(&t, "there lived a king who had a son");
    expect(&t, "> ");
    type(&t, "/set max-tokens 3\n");
    expect(&t, "> ");
    type(&t, "Once upon a time\n");
    expect(&t, "there lived a\r\n");
    type(&t, "/set temperature 9\n");
    expect(&t, "temperature");
    expect(&t, "from 0 to 2");
    type(&t, "/set model x\n");
    expect(&t, "not a setting");
    type(&t, "/settings\n");
    expect(&t, "max-tokens");
    expect(&t, "3");
    type(&t, "/chat\n");
    expect(&t, "There is no conversation with this model");
    type(&t, "/nonsense\n");
    expect(&t, "/set NAME VALUE");
    expect(&t, "> ");
    type(&t, "\x04");
    assert_int_equal(end(&t), 0);
}

static void an_interrupt_stops_the_text_and_not_the_session(void **state) {
    (void)state;
    struct terminal t;
    start(&t, session);
    expect(&t, "> ");
    type(&t, "/set max-tokens 100000\n");
    expect(&t, "> ");
    type(&t, "/set ignore-eos true\n");
    expect(&t, "> ");
    type(&t, "/set temperature 1\n");
    expect(&t, "> ");
    type(&t, "Once upon\n");
    expect(&t, " ");
    kill(t.pid, SIGINT);
    expect(&t, "> ");
    type(&t, "/set max-tokens 8\n");
    expect(&t, "> ");
    type(&t, "/set temperature 0\n");
    expect(&t, "> ");
    type(&t, "Once upon a time\n");
    expect(&t, "there lived a king who had a son");
    expect(&t, "> ");
    type(&t, "/quit\n");
    assert_int_equal(end(&t), 0);
}

static void a_conversation(void **state) {
    (void)state;
    struct terminal t;
    char *folder = test_folder_create(), path[1200];
    static const char template[] = "{% for m in messages %}{{ m.content }}{% endfor %}";
    test_file_write(folder, "chat.jinja", template, sizeof template - 1);
    snprintf(path, sizeof path, "%s/chat.jinja", folder);
    const char *const words[] = {
        PRENORMD, "generate",        "--model", MODEL,         "--temperature", "0", "--max-tokens",
        "8",      "--chat-template", path,      "--log-level", "warn",          NULL};
    start(&t, words);
    expect(&t, "chat> ");
    type(&t, "Once upon a time\n");
    expect(&t, "there was a great many people who had");
    expect(&t, "chat> ");
    type(&t, "/clear\n");
    expect(&t, "chat> ");
    type(&t, "Once upon a time\n");
    expect(&t, "there was a great many people who had");
    expect(&t, "chat> ");
    type(&t, "/text\n");
    expect(&t, "\n> ");
    type(&t, "\x04");
    assert_int_equal(end(&t), 0);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_settings),
        cmocka_unit_test(an_interrupt_stops_the_text_and_not_the_session),
        cmocka_unit_test(a_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
