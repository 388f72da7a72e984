#include "tests/http/support_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLLS_PER_SECOND = 50 };

static void pause_shortly(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000000 / POLLS_PER_SECOND}, NULL);
}

static void open_as(const struct command *c, const char *name, int as) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, as) < 0) _exit(99);
    close(file);
}

static void run_child(const struct command *c) {
    struct rlimit space = {c->address_space, c->address_space};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing behind */
    /* What a shell in the background has its commands ignore. */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    int input = open("/dev/null", O_RDONLY);
    dup2(input, STDIN_FILENO);
    open_as(c, "out", STDOUT_FILENO);
    if (c->errors)
        dup2(c->errors, STDERR_FILENO);
    else
        open_as(c, "err", STDERR_FILENO);
    for (int fd = 0; fd < 3; fd++)
        if (c->closed >> fd & 1) close(fd);
    for (int fd = 3; fd < 64; fd++) close(fd);
    if (c->setting) putenv((char *)c->setting);
    if (c->address_space && setrlimit(RLIMIT_AS, &space) != 0) _exit(97);
    execv(c->words[0], (char **)c->words);
    _exit(98);
}

void command_start(struct command *c) {
    c->folder = test_folder_create();
    test_file_write(c->folder, "out", "", 0);
    test_file_write(c->folder, "err", "", 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) run_child(c);
}

static bool has_ended(struct command *c) {
    if (c->pid == 0) return true;
    pid_t ended = waitpid(c->pid, &c->status, WNOHANG);
    if (ended == c->pid) c->pid = 0;
    return c->pid == 0;
}

void command_wait(struct command *c) {
    for (int i = 0; !has_ended(c); i++) {
        if (i == PATIENCE_SECONDS * POLLS_PER_SECOND) {
            kill(c->pid, SIGKILL);
            fail_msg("%s with %zu MiB of address space does not end: %s", c->words[1], c->address_space >> 20,
                     test_file_read(c->folder, "err", NULL));
        }
        pause_shortly();
    }
    c->output_text = test_file_read(c->folder, "out", NULL);
    c->error_text = test_file_read(c->folder, "err", NULL);
}

int command_run(struct command *c) {
    command_start(c);
    command_wait(c);
    if (!WIFEXITED(c->status))
        fail_msg("%s with %zu MiB of address space ended by signal %d: %s", c->words[1],
                 c->address_space >> 20, WTERMSIG(c->status), c->error_text);
    return WEXITSTATUS(c->status);
}

bool command_wait_for(struct command *c, const char *text) {
    for (int i = 0; i < PATIENCE_SECONDS * POLLS_PER_SECOND; i++) {
        bool ended = has_ended(c); /* asked first: what it wrote last is seen */
        char *errors = test_file_read(c->folder, "err", NULL);
        bool found = strstr(errors, text) != NULL;
        free(errors);
        if (found || ended) return found;
        pause_shortly();
    }
    fail_msg("'%s' does not come", text);
    return false;
}

void command_free(struct command *c) {
    free(c->output_text);
    free(c->error_text);
    test_folder_remove(c->folder);
    c->output_text = c->error_text = c->folder = NULL;
}

size_t command_complaints(const struct command *c) {
    size_t count = 0;
    for (const char *line = c->error_text; *line; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        bool told = memmem(line, length, "Z info  ", 8) || memmem(line, length, "Z debug ", 8);
        count += !told;
        if (!line[length]) break;
    }
    return count;
}
