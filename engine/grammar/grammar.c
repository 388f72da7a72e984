#include "engine/grammar/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/grammar_parts.h"
#include "engine/grammar/match/forced.h"
#include "engine/grammar/sources/sources.h"

/* Of what states there may be: those that texts share, and those that one alone may need where it has to do without
 * the others'. That is so much more that it suffices for whatever was found among the others. */
#define GROWTH_PART(bytes) ((bytes) / 8)
#define ALONE_PART(bytes)  ((bytes) / 2)

/* A state is a configuration's number. */
_Static_assert(GRAMMAR_START == 0 && (uint32_t)GRAMMAR_DEAD == (uint32_t)CONFIGURATION_DEAD,
               "states are configurations");

enum status grammar_vocabulary_create(const struct engine_string *texts, size_t count,
                                      struct grammar_vocabulary **out, struct error *e) {
    return vocabulary_create(texts, count, out, e);
}

void grammar_vocabulary_destroy(struct grammar_vocabulary *v) {
    vocabulary_destroy(v);
}

size_t grammar_vocabulary_bytes(const struct grammar_vocabulary *v) {
    return v->memory;
}

static enum status write_source(struct rules *r, enum grammar_kind kind, struct engine_string source,
                                const struct grammar_options *o, rules_expression *start, struct error *e) {
    for (size_t i = 0; i < grammar_reader_count; i++)
        if (grammar_readers[i].kind == kind) return grammar_readers[i].write(r, source, o, start, e);
    return error_set(e, STATUS_UNSUPPORTED, "grammar", "there is no reader for this kind");
}

/* Writes the source's rules and takes them over into *m. The time that it may take runs on. */
static enum status make_matcher(enum grammar_kind kind, struct engine_string source,
                                const struct grammar_options *o, struct matcher **m, struct error *e) {
    struct rules *r;
    rules_expression start = RULES_NONE;
    enum status status = rules_create(o->bytes_max, o->budget, &r, e);
    if (status != STATUS_OK) return status;
    rules_limit_time(r, o->seconds_max);
    status = write_source(r, kind, source, o, &start, e);
    if (status == STATUS_OK) status = rules_finish(r, start, e);
    if (status != STATUS_OK) {
        rules_destroy(r);
        return status;
    }
    return matcher_create(r, m, e);
}

/* What comes first: a grammar that is too much for the memory, or that no token can begin, is known now. */
static enum status try_start(struct grammar *g, struct error *e) {
    struct rules *r = g->matcher->rules;
    size_t words = vocabulary_words(g->vocabulary);
    uint32_t *bits = calloc(words + 1, sizeof *bits);
    if (!bits) return error_set(e, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu words", words);
    enum status status = masks_find(&g->masks, GRAMMAR_START, bits) ? STATUS_OK : rules_take_failure(r, e);
    rules_limit_time(r, 0);
    bool can_begin = g->matcher->configurations[GRAMMAR_START].may_end;
    for (size_t i = 0; i < words && !can_begin; i++) can_begin = bits[i] != 0;
    free(bits);
    if (status != STATUS_OK || can_begin) return status;
    return error_set(e, STATUS_INVALID_ARGUMENT, "grammar", "no token of this model can begin such a text");
}

static enum status compile(struct grammar *g, enum grammar_kind kind, struct engine_string source,
                           const struct grammar_options *o, struct error *e) {
    enum status status = make_matcher(kind, source, o, &g->matcher, e);
    if (status == STATUS_OK && !masks_init(&g->masks, g->matcher, g->vocabulary))
        status = rules_take_failure(g->matcher->rules, e);
    if (status == STATUS_OK) status = try_start(g, e);
    if (status == STATUS_OK && !matcher_mark(g->matcher, &g->mark))
        status = rules_take_failure(g->matcher->rules, e);
    if (status != STATUS_OK) return status;
    struct rules *r = g->matcher->rules;
    g->compiled_bytes = r->bytes - r->kept_bytes;
    g->growth_max = GROWTH_PART(o->bytes_max);
    if (r->bytes_max < g->compiled_bytes + ALONE_PART(o->bytes_max))
        r->bytes_max = g->compiled_bytes + ALONE_PART(o->bytes_max);
    return STATUS_OK;
}

enum status grammar_compile(enum grammar_kind kind, struct engine_string source,
                            const struct grammar_options *options,
                            const struct grammar_vocabulary *vocabulary, struct grammar **out,
                            struct error *e) {
    struct grammar *g = calloc(1, sizeof *g);
    *out = NULL;
    if (!g) return error_set(e, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", sizeof *g);
    atomic_init(&g->references, 1);
    pthread_mutex_init(&g->lock, NULL);
    g->vocabulary = vocabulary;
    enum status status = compile(g, kind, source, options, e);
    if (status != STATUS_OK) {
        grammar_release(g);
        return status;
    }
    *out = g;
    return STATUS_OK;
}

struct grammar *grammar_retain(struct grammar *g) {
    atomic_fetch_add_explicit(&g->references, 1, memory_order_relaxed);
    return g;
}

void grammar_release(struct grammar *g) {
    if (!g || atomic_fetch_sub_explicit(&g->references, 1, memory_order_acq_rel) > 1) return;
    grammar_task_destroy(g->job.task);
    masks_deinit(&g->masks);
    matcher_mark_deinit(&g->mark);
    matcher_destroy(g->matcher);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool grammar_is_shared(const struct grammar *g) {
    return atomic_load_explicit(&g->references, memory_order_acquire) > 1;
}

size_t grammar_bytes(const struct grammar *g) {
    struct grammar *locked = (struct grammar *)(uintptr_t)g;
    pthread_mutex_lock(&locked->lock);
    size_t bytes = g->matcher->rules->bytes + sizeof *g;
    pthread_mutex_unlock(&locked->lock);
    return bytes;
}

/* ---- single steps ------------------------------------------------------------------------------------------------- */

enum status grammar_accept(struct grammar *g, grammar_state from, int32_t token, grammar_state *to,
                           struct error *e) {
    enum status status = STATUS_OK;
    *to = GRAMMAR_DEAD;
    if (from == GRAMMAR_DEAD || token < 0 || (size_t)token >= g->vocabulary->count) return STATUS_OK;
    struct engine_string text = vocabulary_text(g->vocabulary, (size_t)token);
    if (text.length == 0) return STATUS_OK;
    pthread_mutex_lock(&g->lock);
    configuration at = grammar_step_text(g->matcher, from, text);
    if (at == CONFIGURATION_FAILED)
        status = rules_take_failure(g->matcher->rules, e);
    else
        *to = at;
    pthread_mutex_unlock(&g->lock);
    return status;
}

bool grammar_may_end(struct grammar *g, grammar_state state) {
    if (state == GRAMMAR_DEAD) return false;
    pthread_mutex_lock(&g->lock);
    bool may_end = g->matcher->configurations[state].may_end;
    pthread_mutex_unlock(&g->lock);
    return may_end;
}

size_t grammar_forced(struct grammar *g, grammar_state state, char *out, size_t most) {
    if (state == GRAMMAR_DEAD) return 0;
    pthread_mutex_lock(&g->lock);
    size_t count = matcher_forced(g->matcher, state, out, most);
    rules_take_failure(g->matcher->rules, NULL); /* as far as it is known is good enough */
    pthread_mutex_unlock(&g->lock);
    return count;
}

enum status grammar_mask(struct grammar *g, grammar_state state, uint32_t *bits, struct error *e) {
    enum status status = STATUS_OK;
    if (state == GRAMMAR_DEAD) {
        memset(bits, 0, vocabulary_words(g->vocabulary) * sizeof *bits);
        return STATUS_OK;
    }
    pthread_mutex_lock(&g->lock);
    if (!masks_find(&g->masks, state, bits)) status = rules_take_failure(g->matcher->rules, e);
    pthread_mutex_unlock(&g->lock);
    return status;
}
