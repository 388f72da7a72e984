#include "engine/grammar/grammar_task.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/thread.h"

struct grammar_task {
    pthread_t thread;
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t changed;
    grammar_task_fn *fn; /* NULL: idle */
    void *context;
    bool runs; /* its thread may work; else the caller */
    bool has_begun, given_up, closing;
};

static void *work(void *context) {
    struct grammar_task *t = context;
    pthread_mutex_lock(&t->lock);
    while (!t->closing) {
        if (!t->runs) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        grammar_task_fn *fn = t->fn;
        t->has_begun = true;
        pthread_mutex_unlock(&t->lock);
        fn(t->context);
        pthread_mutex_lock(&t->lock);
        t->fn = NULL;
        t->runs = false;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum status grammar_task_create(struct grammar_task **out, struct error *e) {
    struct grammar_task *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) return error_set(e, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    int problem = thread_start_small(&t->thread, "prenorm-grammar", GRAMMAR_TASK_STACK_BYTES, work, t);
    if (problem) {
        pthread_cond_destroy(&t->changed);
        pthread_mutex_destroy(&t->lock);
        free(t);
        return error_set(e, STATUS_NO_MEMORY, "grammar", "its thread cannot be started: %s",
                         strerror(problem));
    }
    *out = t;
    return STATUS_OK;
}

void grammar_task_destroy(struct grammar_task *t) {
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->closing = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void grammar_task_begin(struct grammar_task *t, grammar_task_fn *fn, void *context) {
    pthread_mutex_lock(&t->lock);
    t->fn = fn;
    t->context = context;
    t->has_begun = t->given_up = false;
    pthread_mutex_unlock(&t->lock);
}

bool grammar_task_run(struct grammar_task *t) {
    pthread_mutex_lock(&t->lock);
    t->runs = t->fn != NULL;
    pthread_cond_broadcast(&t->changed);
    while (t->runs) pthread_cond_wait(&t->changed, &t->lock);
    bool is_done = !t->fn;
    pthread_mutex_unlock(&t->lock);
    return is_done;
}

void grammar_task_give_up(struct grammar_task *t) {
    pthread_mutex_lock(&t->lock);
    t->given_up = true;
    if (!t->has_begun) t->fn = NULL; /* it has no pause in which it could see it */
    pthread_mutex_unlock(&t->lock);
    grammar_task_run(t);
}

bool grammar_task_pause(struct grammar_task *t) {
    pthread_mutex_lock(&t->lock);
    if (!t->given_up) {
        t->runs = false;
        pthread_cond_broadcast(&t->changed);
        while (!t->runs) pthread_cond_wait(&t->changed, &t->lock);
    }
    bool goes_on = !t->given_up;
    pthread_mutex_unlock(&t->lock);
    return goes_on;
}
