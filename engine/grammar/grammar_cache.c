#include "engine/grammar/grammar_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "engine/grammar/grammar_task.h"

enum { PLACES_MIN = 2, PLACES_MAX = 64 };

/* Most grammars take less than this with their states and masks; few come near what one may take, a part of all. */
#define PLACE_BYTES ((size_t)1 << 20)
#define ONE_PART    8

/* Of the memory of all: what idle ones may keep, so that others have room to grow, and beyond which no other begins. */
#define IDLE_PART(bytes)  ((bytes) / 2)
#define BEGIN_PART(bytes) ((bytes) / 4 * 3)

/* A usual schema takes some milliseconds; whoever waits for one to be compiled waits no longer than this. That has to
 * suffice for all that a request has of it: for its body to be read, which is over, for giving that back, which takes as long at
 * most, and for what is beside these. */
#define COMPILE_SECONDS_MAX 0.1
#define SECONDS_BESIDE      0.01

enum place_state { PLACE_FREE, PLACE_COMPILING, PLACE_READY };

struct place {
    enum place_state state;
    enum grammar_kind kind;
    char *text, *whitespace; /* owned, NUL-terminated; not of a free one */
    size_t length, whitespace_length;
    bool is_compact, closes_objects;
    struct grammar *grammar; /* READY: a reference */
    unsigned long used;      /* when, by the cache's count */
};

struct grammar_cache {
    const struct grammar_vocabulary *vocabulary;
    size_t bytes_max; /* of one */
    struct grammar_budget budget;
    pthread_mutex_t lock;
    pthread_cond_t compiled;    /* a place is no longer COMPILING */
    unsigned long count;        /* of uses */
    struct grammar_stats stats; /* but for what is so now */
    size_t place_count;
    struct place places[PLACES_MAX];
};

/* Seconds; the last is what a compilation may take. */
static const double compile_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                        0.005,  0.01,    0.025,  0.05,  COMPILE_SECONDS_MAX};
#define BOUND_COUNT (sizeof compile_bounds / sizeof *compile_bounds)
_Static_assert(BOUND_COUNT <= ENGINE_HISTOGRAM_BUCKETS, "too many bounds");

enum status grammar_cache_create(const struct grammar_vocabulary *vocabulary, size_t bytes_max,
                                 struct grammar_cache **out, struct error *e) {
    struct grammar_cache *cache = calloc(1, sizeof *cache);
    *out = cache;
    if (!cache) return error_set(e, STATUS_NO_MEMORY, "grammars", "%zu bytes", sizeof *cache);
    cache->vocabulary = vocabulary;
    cache->place_count = bytes_max / PLACE_BYTES;
    if (cache->place_count < PLACES_MIN) cache->place_count = PLACES_MIN;
    if (cache->place_count > PLACES_MAX) cache->place_count = PLACES_MAX;
    cache->bytes_max = bytes_max / (cache->place_count < ONE_PART ? cache->place_count : ONE_PART);
    atomic_init(&cache->budget.used, 0);
    cache->budget.bytes_max = bytes_max;
    cache->budget.reserve = cache->bytes_max;
    atomic_init(&cache->budget.is_taken, false);
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->compiled, NULL);
    return STATUS_OK;
}

size_t grammar_cache_threads_bytes(const struct grammar_cache *cache) {
    size_t one = memory_thread_bytes(THREAD_STACK_USED);
    return cache->place_count * (one < GRAMMAR_TASK_STACK_BYTES ? one : GRAMMAR_TASK_STACK_BYTES);
}

/* ---- places -------------------------------------------------------------------------------------------- */

static void clear(struct place *p) {
    if (p->grammar) grammar_release(p->grammar);
    free(p->text);
    free(p->whitespace);
    *p = (struct place){.state = PLACE_FREE};
}

void grammar_cache_destroy(struct grammar_cache *cache) {
    if (!cache) return;
    for (size_t i = 0; i < cache->place_count; i++) clear(&cache->places[i]);
    pthread_cond_destroy(&cache->compiled);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static bool is_same(const char *a, size_t length, struct engine_string b) {
    return length == b.length && (length == 0 || memcmp(a, b.text, length) == 0);
}

static struct place *find(struct grammar_cache *cache, const struct grammar_source *source) {
    for (size_t i = 0; i < cache->place_count; i++) {
        struct place *p = &cache->places[i];
        if (p->state != PLACE_FREE && p->kind == source->kind && is_same(p->text, p->length, source->text) &&
            is_same(p->whitespace, p->whitespace_length, source->whitespace) &&
            p->is_compact == source->is_compact && p->closes_objects == source->closes_objects)
            return p;
    }
    return NULL;
}

/* The one that nobody holds and that was not used for longest; NULL: there is none. */
static struct place *find_idle(struct grammar_cache *cache) {
    struct place *oldest = NULL;
    for (size_t i = 0; i < cache->place_count; i++) {
        struct place *p = &cache->places[i];
        if (p->state != PLACE_READY || grammar_is_shared(p->grammar)) continue;
        if (!oldest || p->used < oldest->used) oldest = p;
    }
    return oldest;
}

static struct place *find_free(struct grammar_cache *cache) {
    for (size_t i = 0; i < cache->place_count; i++)
        if (cache->places[i].state == PLACE_FREE) return &cache->places[i];
    return NULL;
}

static size_t used_bytes(struct grammar_cache *cache) {
    return atomic_load_explicit(&cache->budget.used, memory_order_relaxed);
}

/* A place that is free now; NULL: each is held, or those that are held have taken too much. */
static struct place *make_room(struct grammar_cache *cache) {
    struct place *idle;
    while ((!find_free(cache) || used_bytes(cache) > IDLE_PART(cache->budget.bytes_max)) &&
           (idle = find_idle(cache)))
        clear(idle);
    return used_bytes(cache) > BEGIN_PART(cache->budget.bytes_max) ? NULL : find_free(cache);
}

static size_t count_held(const struct grammar_cache *cache) {
    size_t count = 0;
    for (size_t i = 0; i < cache->place_count; i++) count += cache->places[i].state != PLACE_FREE;
    return count;
}

static char *copy(struct engine_string s) {
    char *bytes = malloc(s.length + 1);
    if (!bytes) return NULL;
    if (s.length > 0) memcpy(bytes, s.text, s.length);
    bytes[s.length] = '\0';
    return bytes;
}

static enum status claim(struct place *p, const struct grammar_source *source, struct error *e) {
    *p = (struct place){.state = PLACE_COMPILING,
                        .kind = source->kind,
                        .text = copy(source->text),
                        .length = source->text.length,
                        .whitespace = copy(source->whitespace),
                        .whitespace_length = source->whitespace.length,
                        .is_compact = source->is_compact,
                        .closes_objects = source->closes_objects};
    if (p->text && p->whitespace) return STATUS_OK;
    clear(p);
    return error_set(e, STATUS_NO_MEMORY, "grammars", "%zu bytes", source->text.length);
}

/* ---- figures ------------------------------------------------------------------------------------------- */

static void count_compiled(struct grammar_stats *stats, enum status status, double seconds) {
    size_t bucket = 0;
    while (bucket < BOUND_COUNT && seconds > compile_bounds[bucket]) bucket++;
    stats->compile_time.counts[bucket]++;
    stats->compile_time.sum += seconds;
    stats->compiled += status == STATUS_OK;
    stats->refused += status != STATUS_OK;
}

static void count_places(const struct grammar_cache *cache, struct grammar_stats *out) {
    for (size_t i = 0; i < cache->place_count; i++) {
        const struct place *p = &cache->places[i];
        if (p->state != PLACE_READY) continue;
        out->kept++;
        out->in_use += grammar_is_shared(p->grammar);
    }
}

void grammar_cache_stats(struct grammar_cache *cache, struct grammar_stats *out) {
    *out = (struct grammar_stats){0};
    if (cache) {
        pthread_mutex_lock(&cache->lock);
        *out = cache->stats;
        count_places(cache, out);
        pthread_mutex_unlock(&cache->lock);
    }
    out->compile_time.bounds = compile_bounds;
    out->compile_time.bound_count = BOUND_COUNT;
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

/* At least as many as nearly every schema takes. */
static double seconds_for(double spent) {
    double seconds = COMPILE_SECONDS_MAX - SECONDS_BESIDE - 2 * spent;
    return seconds > SECONDS_BESIDE ? seconds : SECONDS_BESIDE;
}

/* Without the lock: nobody else changes a place that is COMPILING. */
static enum status compile(struct grammar_cache *cache, struct place *p, const struct grammar_source *source,
                           struct error *e) {
    bool has_whitespace = p->is_compact || p->whitespace_length > 0;
    const struct grammar_options options = {.whitespace_pattern = has_whitespace ? p->whitespace : NULL,
                                            .closes_objects = p->closes_objects,
                                            .bytes_max = cache->bytes_max,
                                            .budget = &cache->budget,
                                            .document = source->document,
                                            .seconds_max = seconds_for(source->seconds_spent)};
    return grammar_compile(p->kind, (struct engine_string){p->text, p->length}, &options, cache->vocabulary,
                           &p->grammar, e);
}

static enum status compile_new(struct grammar_cache *cache, const struct grammar_source *source,
                               struct place *p, struct grammar **out, struct error *e) {
    if (!p) {
        cache->stats.busy++;
        return error_set(e, STATUS_BUSY, "grammars", "%zu different ones are in use", count_held(cache));
    }
    enum status status = claim(p, source, e);
    if (status != STATUS_OK) return status;
    pthread_mutex_unlock(&cache->lock);
    double start = clock_seconds();
    status = compile(cache, p, source, e);
    double seconds = clock_seconds() - start;
    pthread_mutex_lock(&cache->lock);
    count_compiled(&cache->stats, status, seconds);
    if (status == STATUS_OK) {
        p->state = PLACE_READY;
        p->used = ++cache->count;
        *out = grammar_retain(p->grammar);
    } else {
        clear(p);
    }
    pthread_cond_broadcast(&cache->compiled);
    return status;
}

enum status grammar_cache_get(struct grammar_cache *cache, const struct grammar_source *source,
                              struct grammar **out, struct error *e) {
    enum status status = STATUS_OK;
    struct place *p;
    *out = NULL;
    pthread_mutex_lock(&cache->lock);
    while ((p = find(cache, source)) && p->state == PLACE_COMPILING)
        pthread_cond_wait(&cache->compiled, &cache->lock);
    if (p) {
        cache->stats.found++;
        p->used = ++cache->count;
        *out = grammar_retain(p->grammar);
    } else {
        status = compile_new(cache, source, make_room(cache), out, e);
    }
    pthread_mutex_unlock(&cache->lock);
    return status;
}
