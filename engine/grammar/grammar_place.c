/* Texts read in a grammar that others read in, too. What comes of it must not depend on those:
 *
 *   Steps. Nothing fails for want of them. What takes more than there are now goes on in a task, piece by piece, with the
 *   grammar to itself; whoever asks meanwhile is told to come again.
 *   Memory. States are a cache. They are forgotten where they have grown by growth_max, but for those where texts
 *   stand. One token, or one mask, that needs more than that is worked out alone, from what was compiled and its own
 *   state: the same work in the same memory, whatever was there before. If that is too much, it is for everybody. Where it was
 *   enough with the others' states there, it needs less than growth_max alone.
 *   The budget of all grammars. Where it has nothing left one grammar after the other goes into its reserve, which
 *   is as much as one may need. */
#include "engine/grammar/grammar_parts.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/forced.h"

/* Behind all tokens: what may come there. */
#define THE_MASK (-1)

/* Answers one token (*to is behind it) or the mask. */
typedef enum status answer_fn(struct grammar *g, struct grammar_place *p, int32_t token, uint32_t *bits,
                              configuration *to, struct error *e);

/* ---- places -------------------------------------------------------------------------------------------------------- */

void grammar_place_init(struct grammar_place *p, struct grammar *g) {
    *p = (struct grammar_place){.grammar = g, .state = GRAMMAR_START};
    pthread_mutex_lock(&g->lock);
    p->next = g->places;
    if (p->next) p->next->previous = p;
    g->places = p;
    pthread_mutex_unlock(&g->lock);
}

void grammar_place_deinit(struct grammar_place *p) {
    struct grammar *g = p->grammar;
    if (!g) return;
    grammar_place_leave(p);
    pthread_mutex_lock(&g->lock);
    if (p->next) p->next->previous = p->previous;
    *(p->previous ? &p->previous->next : &g->places) = p->next;
    pthread_mutex_unlock(&g->lock);
    *p = (struct grammar_place){0};
}

/* Its question is answered, or nobody asks it any more. */
static void leave_line(struct grammar_place *p) {
    p->in_line = 0;
    p->wants_reserve = false;
}

static void read_again(struct grammar_place *p) {
    p->state = GRAMMAR_START;
    p->count = 0;
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct grammar *g) {
    size_t states = g->matcher->rules->bytes - g->matcher->rules->kept_bytes;
    return states < g->compiled_bytes || states - g->compiled_bytes <= g->growth_max;
}

/* What forgetting takes. There may be a pause in that, in which other places come and go: so before they are looked at. */
static bool spend_forgetting(struct grammar *g) {
    return rules_spend(g->matcher->rules, matcher_reset_steps(g->matcher));
}

/* Forgets states, but for those of all places; or of `only` alone: the others are read again. */
static void forget(struct grammar *g, struct grammar_place *only) {
    configuration *alone[1] = {only ? &only->state : NULL}, **kept = only ? alone : NULL;
    size_t count = 0;
    for (const struct grammar_place *p = g->places; p && !only; p = p->next) count++;
    if (!only) kept = calloc(count + 1, sizeof(configuration *));
    count = only != NULL;
    for (struct grammar_place *p = g->places; p; p = p->next) {
        if (only ? p != only : !kept)
            read_again(p);
        else if (!only)
            kept[count++] = &p->state;
    }
    masks_forget(&g->masks);
    matcher_reset(g->matcher, &g->mark, kept, count);
    for (struct grammar_place *p = g->places; p; p = p->next)
        if (p->state == CONFIGURATION_UNKNOWN) read_again(p);
    if (!only) free(kept);
}

static bool take_reserve(struct rules *r) {
    bool is_taken = false;
    r->has_reserve = atomic_compare_exchange_strong_explicit(&r->budget->is_taken, &is_taken, true,
                                                             memory_order_relaxed, memory_order_relaxed);
    return r->has_reserve;
}

static void give_back_reserve(struct grammar *g, struct grammar_place *p) {
    struct rules *r = g->matcher->rules;
    if (!r->has_reserve) return;
    forget(g, p);
    rules_take_failure(r, NULL);
    r->has_reserve = false;
    atomic_store_explicit(&r->budget->is_taken, false, memory_order_relaxed);
    spend_forgetting(g);
    rules_take_failure(r, NULL);
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static enum status answer(struct grammar *g, configuration from, int32_t token, uint32_t *bits,
                          configuration *to, struct error *e) {
    struct rules *r = g->matcher->rules;
    *to = CONFIGURATION_DEAD;
    if (token == THE_MASK) return masks_find(&g->masks, from, bits) ? STATUS_OK : rules_take_failure(r, e);
    if (token < 0 || (size_t)token >= g->vocabulary->count) return STATUS_OK;
    struct engine_string text = vocabulary_text(g->vocabulary, (size_t)token);
    if (text.length == 0) return STATUS_OK;
    *to = grammar_step_text(g->matcher, from, text);
    return *to == CONFIGURATION_FAILED ? rules_take_failure(r, e) : STATUS_OK;
}

/* As long as it takes little. BUSY: it does not. */
static enum status answer_at_once(struct grammar *g, struct grammar_place *p, int32_t token, uint32_t *bits,
                                  configuration *to, struct error *e) {
    enum status status = STATUS_BUSY;
    if (has_room(g)) status = answer(g, p->state, token, bits, to, e);
    if (status == STATUS_NO_MEMORY || (status == STATUS_OK && has_room(g))) return status;
    return error_set(e, STATUS_BUSY, "grammar", "it takes more than can be done at once");
}

/* With no states but what was compiled and where its text stands. If even that cannot be kept the text has to be read
 * again, which BUSY says. */
static enum status try_alone(struct grammar *g, struct grammar_place *p, int32_t token, uint32_t *bits,
                             configuration *to, struct error *e) {
    size_t read = p->count;
    if (!spend_forgetting(g)) return rules_take_failure(g->matcher->rules, e);
    forget(g, p);
    enum status status = rules_take_failure(g->matcher->rules, e);
    if (status == STATUS_OK && p->count == read) return answer(g, p->state, token, bits, to, e);
    return status == STATUS_OK ? STATUS_BUSY : status;
}

static enum status answer_alone(struct grammar *g, struct grammar_place *p, int32_t token, uint32_t *bits,
                                configuration *to, struct error *e) {
    size_t read = p->count;
    enum status status = try_alone(g, p, token, bits, to, e);
    if (status != STATUS_BUSY || !g->matcher->rules->budget || g->matcher->rules->has_reserve) return status;
    p->wants_reserve = !take_reserve(g->matcher->rules);
    if (p->wants_reserve || p->count != read) return status;
    return try_alone(g, p, token, bits, to, e);
}

static bool is_settled(const struct grammar *g, enum status status) {
    return (status == STATUS_OK && has_room(g)) || status == STATUS_NO_MEMORY || status == STATUS_CANCELLED;
}

/* With all that it takes. */
static enum status answer_in_any_case(struct grammar *g, struct grammar_place *p, int32_t token,
                                      uint32_t *bits, configuration *to, struct error *e) {
    enum status status = STATUS_BUSY;
    size_t read = p->count;
    if (has_room(g)) status = answer(g, p->state, token, bits, to, e);
    if (is_settled(g, status)) return status;
    if (!spend_forgetting(g)) return rules_take_failure(g->matcher->rules, e);
    forget(g, NULL);
    status = rules_take_failure(g->matcher->rules, e);
    if (p->count != read) return status == STATUS_OK ? STATUS_BUSY : status;
    if (status == STATUS_OK) status = answer(g, p->state, token, bits, to, e);
    return is_settled(g, status) ? status : answer_alone(g, p, token, bits, to, e);
}

/* The next token, or the mask. *goes_on: there is more to read. */
static enum status read_next(struct grammar_place *p, int32_t token, uint32_t *bits, answer_fn *one,
                             struct grammar_outlook *out, bool *goes_on, struct error *e) {
    struct grammar *g = p->grammar;
    configuration to = CONFIGURATION_DEAD;
    size_t read = p->count;
    enum status status = one(g, p, token, bits, &to, e);
    *goes_on = status == STATUS_BUSY && p->count != read && g->matcher->rules->has_reserve;
    if (*goes_on) return STATUS_OK; /* again, from its beginning */
    if (status != STATUS_OK || token == THE_MASK) return status;
    out->is_dead = to == CONFIGURATION_DEAD;
    *goes_on = !out->is_dead;
    if (out->is_dead) return STATUS_OK;
    p->state = to;
    p->count++;
    return STATUS_OK;
}

static enum status read_text(struct grammar_place *p, const int32_t *tokens, size_t count, uint32_t *bits,
                             answer_fn *one, struct grammar_outlook *out, struct error *e) {
    enum status status = STATUS_OK;
    bool goes_on = true;
    *out = (struct grammar_outlook){0};
    while (goes_on && status == STATUS_OK && (p->count < count || bits))
        status = read_next(p, p->count < count ? tokens[p->count] : THE_MASK, bits, one, out, &goes_on, e);
    if (status != STATUS_OK) return status;
    if (bits && out->is_dead) memset(bits, 0, vocabulary_words(p->grammar->vocabulary) * sizeof *bits);
    out->may_end = !out->is_dead && p->grammar->matcher->configurations[p->state].may_end;
    return STATUS_OK;
}

/* ---- what takes more than one piece -------------------------------------------------------------------------------- */

static bool pause_job(void *context) {
    return grammar_task_pause(context);
}

static void run_job(void *context) {
    struct grammar *g = context;
    struct grammar_job *job = &g->job;
    struct rules *r = g->matcher->rules;
    r->pause = pause_job;
    r->pause_context = job->task;
    job->status = read_text(job->owner, job->tokens, job->count, job->bits, answer_in_any_case, &job->outlook,
                            &job->error);
    give_back_reserve(g, job->owner);
    r->pause = NULL;
}

/* From where the place is. */
static enum status begin_job(struct grammar_place *p, const int32_t *tokens, size_t count, uint32_t *bits,
                             struct error *e) {
    struct grammar_job *job = &p->grammar->job;
    enum status status = job->task ? STATUS_OK : grammar_task_create(&job->task, e);
    if (status != STATUS_OK) return status;
    job->owner = p;
    job->tokens = tokens;
    job->count = count;
    job->bits = bits;
    p->wants_reserve = false;
    grammar_task_begin(job->task, run_job, p->grammar);
    return error_set(e, STATUS_BUSY, "grammar", "it takes more than can be done at once");
}

static void give_up_job(struct grammar *g) {
    grammar_task_give_up(g->job.task);
    g->job.owner = NULL;
}

void grammar_place_leave(struct grammar_place *p) {
    struct grammar *g = p->grammar;
    if (!g) return;
    pthread_mutex_lock(&g->lock);
    if (g->job.owner == p) give_up_job(g);
    leave_line(p);
    pthread_mutex_unlock(&g->lock);
}

/* Goes on with the job at hand. */
static enum status go_on(struct grammar *g, struct grammar_outlook *out, struct error *e) {
    struct grammar_job *job = &g->job;
    if (!grammar_task_run(job->task))
        return error_set(e, STATUS_BUSY, "grammar", "it takes more than can be done at once");
    job->owner = NULL;
    *out = job->outlook;
    if (job->status != STATUS_OK && e) *e = job->error;
    return job->status;
}

static bool is_at_hand(const struct grammar_job *job, const int32_t *tokens, size_t count,
                       const uint32_t *bits) {
    return job->tokens == tokens && job->count == count && job->bits == bits;
}

/* ---- the line -------------------------------------------------------------------------------------------------------- */

static void stand_in_line(struct grammar_place *p) {
    if (p->in_line == 0) p->in_line = ++p->grammar->line;
}

/* Whether another's question is at hand, or one stands before it. */
static bool is_another_first(const struct grammar *g, const struct grammar_place *p) {
    if (g->job.owner) return g->job.owner != p;
    for (const struct grammar_place *other = g->places; other; other = other->next)
        if (other->in_line > 0 && other->in_line < p->in_line) return true;
    return false;
}

/* Whether another grammar has the reserve without which it did not get on. */
static bool waits_for_reserve(const struct grammar *g, const struct grammar_place *p) {
    const struct rules *r = g->matcher->rules;
    return p->wants_reserve && !r->has_reserve &&
           atomic_load_explicit(&r->budget->is_taken, memory_order_relaxed);
}

bool grammar_place_is_behind(const struct grammar_place *p) {
    struct grammar *g = p->grammar;
    pthread_mutex_lock(&g->lock);
    bool is_behind = p->in_line > 0 && (is_another_first(g, p) || waits_for_reserve(g, p));
    pthread_mutex_unlock(&g->lock);
    return is_behind;
}

/* ---- questions --------------------------------------------------------------------------------------------------------- */

/* What takes little is read at once, whoever stands in line. */
static enum status ask(struct grammar_place *p, const int32_t *tokens, size_t count, uint32_t *bits,
                       struct grammar_outlook *out, struct error *e) {
    struct grammar *g = p->grammar;
    enum status status = STATUS_BUSY;
    if (g->job.owner == p && is_at_hand(&g->job, tokens, count, bits)) return go_on(g, out, e);
    if (g->job.owner == p) give_up_job(g);
    if (!g->job.owner) status = read_text(p, tokens, count, bits, answer_at_once, out, e);
    if (status != STATUS_BUSY) return status;
    stand_in_line(p);
    if (is_another_first(g, p)) return error_set(e, STATUS_BUSY, "grammar", "another text goes first");
    return begin_job(p, tokens, count, bits, e);
}

static enum status ask_to_the_end(struct grammar_place *p, const int32_t *tokens, size_t count,
                                  uint32_t *bits, struct grammar_outlook *out, struct error *e) {
    struct grammar *g = p->grammar;
    if (g->job.owner) give_up_job(g);
    rules_unlimit_steps(g->matcher->rules);
    enum status status = read_text(p, tokens, count, bits, answer_in_any_case, out, e);
    give_back_reserve(g, p);
    return status;
}

static size_t begin_steps(struct grammar *g, const struct grammar_steps *steps) {
    struct rules *r = g->matcher->rules;
    rules_limit_steps(r, steps->left);
    return r->steps;
}

static void count_steps(struct grammar *g, size_t before, struct grammar_steps *steps) {
    struct rules *r = g->matcher->rules;
    size_t used = r->steps - before;
    steps->left -= used < steps->left ? used : steps->left;
    steps->used += used;
    rules_unlimit_steps(r);
}

enum status grammar_place_read(struct grammar_place *p, const int32_t *tokens, size_t count,
                               struct grammar_steps *steps, uint32_t *bits, struct grammar_outlook *out,
                               struct error *e) {
    struct grammar *g = p->grammar;
    enum status status;
    pthread_mutex_lock(&g->lock);
    if (steps) {
        size_t before = begin_steps(g, steps);
        status = ask(p, tokens, count, bits, out, e);
        count_steps(g, before, steps);
    } else {
        status = ask_to_the_end(p, tokens, count, bits, out, e);
    }
    if (status != STATUS_BUSY) leave_line(p);
    pthread_mutex_unlock(&g->lock);
    return status;
}

enum status grammar_place_read_on(struct grammar_place *p, const int32_t *tokens, size_t count,
                                  struct grammar_steps *steps, uint32_t *bits, struct grammar_outlook *out,
                                  struct error *e) {
    struct grammar *g = p->grammar;
    enum status status = STATUS_BUSY;
    pthread_mutex_lock(&g->lock);
    size_t before = begin_steps(g, steps);
    if (!g->job.owner) status = read_text(p, tokens, count, bits, answer_at_once, out, e);
    count_steps(g, before, steps);
    pthread_mutex_unlock(&g->lock);
    return status;
}

enum status grammar_place_try(struct grammar_place *p, const int32_t *tokens, size_t count, int32_t more,
                              struct grammar_steps *steps, uint32_t *bits, struct grammar_outlook *out,
                              struct error *e) {
    struct grammar *g = p->grammar;
    enum status status = STATUS_BUSY;
    pthread_mutex_lock(&g->lock);
    struct grammar_place ahead = *p;
    size_t before = begin_steps(g, steps);
    if (!g->job.owner) {
        bool goes_on = more >= 0;
        status = read_text(&ahead, tokens, count, goes_on ? NULL : bits, answer_at_once, out, e);
        if (goes_on && status == STATUS_OK && !out->is_dead) {
            ahead.count = 0;
            status = read_text(&ahead, &more, 1, bits, answer_at_once, out, e);
        }
    }
    count_steps(g, before, steps);
    pthread_mutex_unlock(&g->lock);
    return status;
}

size_t grammar_place_fitting(struct grammar_place *p, const int32_t *tokens, size_t count,
                             struct grammar_steps *steps) {
    struct grammar *g = p->grammar;
    struct grammar_outlook outlook = {0};
    size_t fitting = 0;
    pthread_mutex_lock(&g->lock);
    struct grammar_place ahead = *p;
    ahead.count = 0;
    size_t before = begin_steps(g, steps);
    if (!g->job.owner) {
        read_text(&ahead, tokens, count, NULL, answer_at_once, &outlook, NULL);
        fitting = ahead.count;
    }
    count_steps(g, before, steps);
    pthread_mutex_unlock(&g->lock);
    return fitting;
}

size_t grammar_place_forced(struct grammar_place *p, struct grammar_steps *steps, char *out, size_t most) {
    struct grammar *g = p->grammar;
    size_t count = 0;
    pthread_mutex_lock(&g->lock);
    size_t before = begin_steps(g, steps);
    if (!g->job.owner && has_room(g)) count = matcher_forced(g->matcher, p->state, out, most);
    rules_take_failure(g->matcher->rules, NULL); /* as far as it is known is good enough */
    count_steps(g, before, steps);
    pthread_mutex_unlock(&g->lock);
    return count;
}
