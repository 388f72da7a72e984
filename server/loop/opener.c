#include "server/loop/opener.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/thread.h"

struct opener {
    pthread_t thread;
    char *model; /* owned: it may outlive the caller's */
    struct engine_options options;
    void (*progress)(void *context, const char *stage, double share);
    void *progress_context;
    struct loop *loop;

    pthread_mutex_t lock; /* over all that follows, and over every call of progress */
    bool finished, abandoned;
    char stage[64];
    double share;
    enum status status;
    struct engine *engine;
    struct error error;
};

static void on_progress(void *context, const char *stage, double share) {
    struct opener *opener = context;
    pthread_mutex_lock(&opener->lock);
    bool abandoned = opener->abandoned;
    if (!abandoned) {
        snprintf(opener->stage, sizeof opener->stage, "%s", stage);
        opener->share = share;
        if (opener->progress) opener->progress(opener->progress_context, stage, share);
    }
    pthread_mutex_unlock(&opener->lock);
    while (abandoned) pause(); // NOLINT(bugprone-infinite-loop): until the process ends
}

static void *run(void *context) {
    struct opener *opener = context;
    struct engine *engine = NULL;
    struct error error = {0};
    enum status status = engine_open(&opener->options, &engine, &error);
    pthread_mutex_lock(&opener->lock);
    opener->finished = true;
    opener->status = status;
    opener->engine = engine;
    opener->error = error;
    if (!opener->abandoned) {
        /* No stage goes on, whatever its last report was: a terminal's bar ends here. */
        if (opener->progress && status == STATUS_OK)
            opener->progress(opener->progress_context, opener->stage, 1);
        loop_wake(opener->loop);
    }
    pthread_mutex_unlock(&opener->lock);
    return NULL;
}

static void free_opener(struct opener *opener) {
    pthread_mutex_destroy(&opener->lock);
    free(opener->model);
    free(opener);
}

enum status opener_create(const struct engine_options *options, struct loop *l, struct opener **out,
                          struct error *e) {
    struct opener *opener = calloc(1, sizeof *opener);
    if (!opener) return error_set(e, STATUS_NO_MEMORY, "loader", "there is no memory to start it");
    opener->options = *options;
    opener->model = strdup(options->model);
    opener->options.model = opener->model;
    opener->progress = options->progress;
    opener->progress_context = options->progress_context;
    opener->options.progress = on_progress;
    opener->options.progress_context = opener;
    opener->loop = l;
    snprintf(opener->stage, sizeof opener->stage, "starting");
    pthread_mutex_init(&opener->lock, NULL);
    int result = opener->model ? thread_start(&opener->thread, "prenorm-load", run, opener) : ENOMEM;
    if (result) {
        free_opener(opener);
        return error_set(e, STATUS_IO, "loader", "its thread cannot be started: %s", strerror(result));
    }
    *out = opener;
    return STATUS_OK;
}

bool opener_take_result(struct opener *opener, enum status *status, struct engine **engine, struct error *e) {
    pthread_mutex_lock(&opener->lock);
    bool finished = opener->finished;
    if (finished) {
        *status = opener->status;
        *engine = opener->engine;
        opener->engine = NULL;
        *e = opener->error;
    }
    pthread_mutex_unlock(&opener->lock);
    return finished;
}

double opener_progress(struct opener *opener, char *stage, size_t size) {
    pthread_mutex_lock(&opener->lock);
    double share = opener->share;
    snprintf(stage, size, "%s", opener->stage);
    pthread_mutex_unlock(&opener->lock);
    return share;
}

bool opener_destroy(struct opener *opener) {
    if (!opener) return true;
    pthread_mutex_lock(&opener->lock);
    bool finished = opener->finished;
    opener->abandoned = true;
    pthread_mutex_unlock(&opener->lock);
    if (!finished) {
        thread_abandon(opener->thread);
        return false;
    }
    pthread_join(opener->thread, NULL);
    if (opener->engine) engine_close(opener->engine);
    free_opener(opener);
    return true;
}
