#include "server/loader.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/thread.h"

struct loader {
    pthread_t thread;
    struct engine_options options; /* with texts of its own: it may outlive the caller's */
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
    struct loader *loader = context;
    pthread_mutex_lock(&loader->lock);
    bool abandoned = loader->abandoned;
    if (!abandoned) {
        snprintf(loader->stage, sizeof loader->stage, "%s", stage);
        loader->share = share;
        if (loader->progress) loader->progress(loader->progress_context, stage, share);
    }
    pthread_mutex_unlock(&loader->lock);
    while (abandoned) pause();
}

static void *run(void *context) {
    struct loader *loader = context;
    struct engine *engine = NULL;
    struct error error = {0};
    enum status status = engine_open(&loader->options, &engine, &error);
    pthread_mutex_lock(&loader->lock);
    loader->finished = true;
    loader->status = status;
    loader->engine = engine;
    loader->error = error;
    if (!loader->abandoned) loop_wake(loader->loop);
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static void free_texts(struct engine_options *o) {
    free((char *)o->model);
    free((char *)o->norm_form);
    free((char *)o->weights);
    free((char *)o->kv_type);
    free((char *)o->matmul);
    free((char *)o->isa);
}

static bool copy_text(const char **text) {
    if (!*text) return true;
    *text = strdup(*text);
    return *text;
}

/* All are copied even after a failure, so that free_texts frees nothing of the caller's. */
static bool copy_texts(struct engine_options *o) {
    bool ok = copy_text(&o->model);
    ok &= copy_text(&o->norm_form);
    ok &= copy_text(&o->weights);
    ok &= copy_text(&o->kv_type);
    ok &= copy_text(&o->matmul);
    ok &= copy_text(&o->isa);
    return ok;
}

static void free_loader(struct loader *loader) {
    pthread_mutex_destroy(&loader->lock);
    free_texts(&loader->options);
    free(loader);
}

enum status loader_create(const struct engine_options *options, struct loop *l, struct loader **out,
                          struct error *e) {
    struct loader *loader = calloc(1, sizeof *loader);
    if (!loader) return error_set(e, STATUS_NO_MEMORY, "loader", "there is no memory to start it");
    loader->options = *options;
    loader->progress = options->progress;
    loader->progress_context = options->progress_context;
    loader->options.progress = on_progress;
    loader->options.progress_context = loader;
    loader->loop = l;
    snprintf(loader->stage, sizeof loader->stage, "starting");
    pthread_mutex_init(&loader->lock, NULL);
    int result =
        copy_texts(&loader->options) ? thread_start(&loader->thread, "prenorm-load", run, loader) : ENOMEM;
    if (result) {
        free_loader(loader);
        return error_set(e, STATUS_IO, "loader", "its thread cannot be started: %s", strerror(result));
    }
    *out = loader;
    return STATUS_OK;
}

bool loader_take_result(struct loader *loader, enum status *status, struct engine **engine, struct error *e) {
    pthread_mutex_lock(&loader->lock);
    bool finished = loader->finished;
    if (finished) {
        *status = loader->status;
        *engine = loader->engine;
        loader->engine = NULL;
        *e = loader->error;
    }
    pthread_mutex_unlock(&loader->lock);
    return finished;
}

double loader_progress(struct loader *loader, char *stage, size_t size) {
    pthread_mutex_lock(&loader->lock);
    double share = loader->share;
    snprintf(stage, size, "%s", loader->stage);
    pthread_mutex_unlock(&loader->lock);
    return share;
}

bool loader_destroy(struct loader *loader) {
    if (!loader) return true;
    pthread_mutex_lock(&loader->lock);
    bool finished = loader->finished;
    loader->abandoned = true;
    pthread_mutex_unlock(&loader->lock);
    if (!finished) {
        thread_abandon(loader->thread);
        return false;
    }
    pthread_join(loader->thread, NULL);
    if (loader->engine) engine_close(loader->engine);
    free_loader(loader);
    return true;
}
