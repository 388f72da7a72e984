#include "engine/tools/threads_model.h"

#include <assert.h>
#include <stdbool.h>

#include "engine/base/workers.h"

#define GROUPS_MAX (WORKERS_THREADS_MAX / WORKERS_GROUP)

struct thread {
    double at;         /* when it does the next thing */
    size_t first, end; /* of its share, unclaimed */
    size_t unreported; /* tiles */
    bool done;
};

struct simulation {
    const struct threads_costs *costs;
    struct thread threads[WORKERS_THREADS_MAX];
    size_t count;
    double tile;                               /* seconds */
    bool exhausted;                            /* somebody knows that nothing is left */
    size_t unfinished[GROUPS_MAX + 1], groups; /* tiles of each group, and groups */
    double finished;
    double written[GROUPS_MAX + 1]; /* when these counts last were; the last is that of groups */
};

/* The caller writes every share, then the word of each group. That goes to one of its threads after another, and each
 * fetches its share. */
static void publish(struct simulation *s, size_t tiles) {
    double shares = (double)s->count * s->costs->store, line = s->costs->line;
    for (size_t i = 0; i < s->count; i++) {
        size_t group = i / WORKERS_GROUP, turn = i % WORKERS_GROUP + (group > 0);
        struct thread *t = &s->threads[i];
        *t = (struct thread){
            .at = shares + line * (double)(group + 1 + turn + 1),
            .first = (tiles * i + s->count - 1) / s->count,
            .end = (tiles * (i + 1) + s->count - 1) / s->count,
        };
        s->unfinished[group] += t->end - t->first;
    }
    const size_t groups = (s->count + WORKERS_GROUP - 1) / WORKERS_GROUP;
    for (size_t i = 0; i < groups; i++) s->groups += s->unfinished[i] > 0;
    s->threads[0].at = shares + line * (double)groups;
}

/* Who does something next; NULL: all are done. */
static struct thread *next_of(struct simulation *s) {
    struct thread *next = NULL;
    for (size_t i = 0; i < s->count; i++) {
        struct thread *t = &s->threads[i];
        if (!t->done && (!next || t->at < next->at)) next = t;
    }
    return next;
}

/* A count goes from one who changes it to the next. */
static double change(struct simulation *s, size_t count, double at) {
    double from = at > s->written[count] ? at : s->written[count];
    return s->written[count] = from + s->costs->line;
}

static void report(struct simulation *s, struct thread *t, size_t owner, size_t tiles) {
    size_t group = owner / WORKERS_GROUP;
    t->at = change(s, group, t->at);
    s->unfinished[group] -= tiles;
    if (s->unfinished[group] > 0) return;
    if (s->count > WORKERS_GROUP) t->at = change(s, GROUPS_MAX, t->at);
    if (--s->groups == 0) s->finished = t->at;
}

/* Looks at the shares of the others, a line each. Returns whose tile it has; its own number: there is none. */
static size_t steal(struct simulation *s, struct thread *t) {
    size_t own = (size_t)(t - s->threads);
    for (size_t i = 1; i < s->count; i++) {
        size_t owner = (own + i) % s->count;
        struct thread *other = &s->threads[owner];
        t->at += s->costs->line;
        if (s->exhausted) return own;
        if (other->first == other->end) continue;
        other->end--;
        return owner;
    }
    return own;
}

static void advance(struct simulation *s, struct thread *t) {
    size_t own = (size_t)(t - s->threads);
    if (t->first < t->end) {
        t->first++;
        t->unreported++;
        t->at += s->tile;
    } else if (t->unreported > 0) {
        report(s, t, own, t->unreported);
        t->unreported = 0;
    } else {
        size_t owner = steal(s, t);
        if (owner == own) {
            t->done = s->exhausted = true;
            return;
        }
        t->at += s->tile;
        report(s, t, owner, 1);
    }
}

double threads_model_run(const struct threads_costs *costs, const struct threads_run *run, size_t threads) {
    struct simulation s = {.costs = costs, .count = threads};
    assert(threads >= 1 && threads <= WORKERS_THREADS_MAX);
    if (threads == 1 || run->tiles <= 1) return run->seconds;
    s.tile = run->seconds / (double)run->tiles;
    publish(&s, run->tiles);
    for (struct thread *t; (t = next_of(&s));) advance(&s, t);
    return s.finished + costs->line;
}
