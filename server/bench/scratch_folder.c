#include "server/bench/scratch_folder.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What bench_write_random writes. */
static const char *const files[] = {"config.json", "model.safetensors"};
enum { FILES = sizeof files / sizeof *files };

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
enum { SIGNALS = sizeof ending_signals / sizeof *ending_signals };

/* As the handler needs them: it may not put names together. */
static char folder_path[sizeof((struct scratch_folder *)NULL)->path];
static char file_paths[FILES][sizeof folder_path + 32];
static struct sigaction before[SIGNALS];

static void remove_all(void) {
    for (size_t i = 0; i < FILES; i++) unlink(file_paths[i]);
    rmdir(folder_path);
}

/* SA_RESETHAND: raised again, the signal does what it does by itself. A file that is not there yet sets errno, which is not
 * the handler's. */
static void on_signal(int number) {
    const int before_signal = errno;
    remove_all();
    raise(number);
    errno = before_signal;
}

static void catch_signals(void) {
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(ending_signals[i], NULL, &before[i]);
        /* What whoever started us ignores does not end us, as under nohup. */
        if (before[i].sa_handler != SIG_IGN) sigaction(ending_signals[i], &action, NULL);
    }
}

static void release_signals(void) {
    for (size_t i = 0; i < SIGNALS; i++) sigaction(ending_signals[i], &before[i], NULL);
}

static void hold_signals(sigset_t *mask) {
    sigset_t ending;
    sigemptyset(&ending);
    for (size_t i = 0; i < SIGNALS; i++) sigaddset(&ending, ending_signals[i]);
    pthread_sigmask(SIG_BLOCK, &ending, mask);
}

enum status scratch_folder_make(struct scratch_folder *s, struct error *e) {
    const char *base = getenv("TMPDIR");
    sigset_t mask;
    snprintf(s->path, sizeof s->path, "%.200s/prenorm-bench-XXXXXX", base ? base : "/tmp");
    hold_signals(&mask);
    s->made = mkdtemp(s->path) != NULL;
    int problem = errno;
    if (s->made) {
        memcpy(folder_path, s->path, sizeof folder_path);
        for (size_t i = 0; i < FILES; i++)
            snprintf(file_paths[i], sizeof file_paths[i], "%s/%s", s->path, files[i]);
        catch_signals();
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return s->made ? STATUS_OK : error_set(e, STATUS_IO, s->path, "%s", strerror(problem));
}

void scratch_folder_remove(struct scratch_folder *s) {
    if (!s->made) return;
    remove_all();
    release_signals();
    s->made = false;
}
