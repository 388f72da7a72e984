#include "engine/tools/threads_model.h"

#include <assert.h>
#include <stdbool.h>

#include "engine/base/workers.h"

struct thread {
    double at;         /* when it does the next thing */
    size_t first, end; /* of its share, unclaimed */
    size_t claimed;    /* of its share, by itself, and not reported */
    size_t unfinished; /* of its share */
    double written;    /* when somebody last told that some of its share are done */
    bool done;
};

struct simulation {
    const struct threads_costs *costs;
    const struct threads_run *run;
    struct thread threads[WORKERS_THREADS_MAX];
    size_t count;   /* threads that have a share */
    bool exhausted; /* somebody knows that nothing is left */
};

/* The caller writes a line for each thread, the last first; each reads its own, and then has to have it for itself. */
static void publish(struct simulation *s) {
    const size_t tiles = s->run->tiles;
    for (size_t i = 0; i < s->count; i++) {
        struct thread *t = &s->threads[i];
        *t = (struct thread){
            .at = s->costs->store * (double)(s->count - i) + (i > 0 ? 2 * s->costs->line : 0),
            .first = (tiles * i + s->count - 1) / s->count,
            .end = (tiles * (i + 1) + s->count - 1) / s->count,
        };
        t->unfinished = t->end - t->first;
    }
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

/* A line goes from one who changes it to the next. */
static void report(struct simulation *s, struct thread *t, struct thread *owner, size_t tiles) {
    double from = t->at > owner->written ? t->at : owner->written;
    t->at = owner->written = from + s->costs->line;
    owner->unfinished -= tiles;
}

static double tile_seconds(const struct threads_run *run, size_t tile) {
    return run->tile_seconds ? run->tile_seconds[tile] : run->seconds / (double)run->tiles;
}

/* Looks at the shares of the others, many lines in a row, and takes the one that has a tile for itself. Returns whose last
 * tile it has; NULL: there is none. */
static struct thread *steal(struct simulation *s, struct thread *t) {
    size_t own = (size_t)(t - s->threads);
    for (size_t i = 1; i < s->count; i++) {
        struct thread *other = &s->threads[(own + i) % s->count];
        t->at += s->costs->load;
        if (s->exhausted) return NULL;
        if (other->first == other->end) continue;
        t->at += s->costs->line;
        other->end--;
        return other;
    }
    return NULL;
}

static void advance(struct simulation *s, struct thread *t) {
    if (t->first < t->end) {
        t->at += tile_seconds(s->run, t->first++);
        t->claimed++;
    } else if (t->claimed > 0) {
        report(s, t, t, t->claimed);
        t->claimed = 0;
    } else {
        struct thread *owner = steal(s, t);
        if (!owner) {
            t->done = s->exhausted = true;
            return;
        }
        t->at += tile_seconds(s->run, owner->end);
        report(s, t, owner, 1);
    }
}

/* When the caller, which looks at all lines in a row, has seen each share finished. */
static double finished(const struct simulation *s) {
    double at = s->threads[0].at;
    for (size_t i = 1; i < s->count; i++) {
        const double here = s->threads[i].written + s->costs->line;
        assert(s->threads[i].unfinished == 0);
        at += s->costs->load;
        if (at < here) at = here;
    }
    return at;
}

double threads_model_run(const struct threads_costs *costs, const struct threads_run *run, size_t threads) {
    struct simulation s = {.costs = costs, .run = run};
    assert(threads >= 1 && threads <= WORKERS_THREADS_MAX);
    if (threads == 1 || run->tiles <= 1) return run->seconds;
    s.count = threads < run->tiles ? threads : run->tiles;
    publish(&s);
    for (struct thread *t; (t = next_of(&s));) advance(&s, t);
    return finished(&s);
}
