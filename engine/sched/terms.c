#include "engine/sched/terms.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/grammar/grammar.h"

/* ---- checks -------------------------------------------------------------------------------------------- */

static enum status check_number(const char *field, double value, double least, double most, struct error *e) {
    if (value >= least && value <= most) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, field, "%g is not in %g .. %g", value, least, most);
}

static enum status check_id(const char *field, int32_t id, size_t rows, struct error *e) {
    if (id >= 0 && (size_t)id < rows) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, field, "token id %d is not in 0 .. %zu", id, rows - 1);
}

static enum status check_sampling(const struct request_rules *rules, const struct engine_sampling *s,
                                  struct error *e) {
    const struct {
        const char *field;
        double value, least, most;
    } numbers[] = {
        {"temperature", s->temperature, 0, 1e6},
        {"top_p", s->top_p, 0, 1},
        {"min_p", s->min_p, 0, 1},
        {"typical_p", s->typical_p, 0, 1},
        {"presence_penalty", s->presence_penalty, -1e6, 1e6},
        {"frequency_penalty", s->frequency_penalty, -1e6, 1e6},
        {"repetition_penalty", s->repetition_penalty, 1e-6, 1e6},
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && status == STATUS_OK; i++)
        status = check_number(numbers[i].field, numbers[i].value, numbers[i].least, numbers[i].most, e);
    for (size_t i = 0; i < s->bias_count && status == STATUS_OK; i++) {
        status = check_id("logit_bias", s->biases[i].token, rules->rows, e);
        if (status == STATUS_OK) status = check_number("logit_bias", (double)s->biases[i].bias, -1e6, 1e6, e);
    }
    for (size_t i = 0; i < s->allowed_count && status == STATUS_OK; i++)
        status = check_id("allowed_token_ids", s->allowed[i], rules->rows, e);
    for (size_t i = 0; i < s->ban_count && status == STATUS_OK; i++)
        if (s->bans[i].count == 0)
            status = error_set(e, STATUS_INVALID_ARGUMENT, "bad_words", "an empty one");
    return status;
}

static enum status check_stops(const struct engine_prompt *p, struct error *e) {
    for (size_t i = 0; i < p->stop_count; i++)
        if (p->stops[i].length == 0) return error_set(e, STATUS_INVALID_ARGUMENT, "stop", "an empty string");
    return STATUS_OK;
}

static enum status check_prompt(const struct request_rules *rules, const struct engine_prompt *p,
                                struct error *e) {
    if (p->choices == 0 || p->choices > rules->choices_max)
        return error_set(e, STATUS_INVALID_ARGUMENT, "n", "%u is not in 1 .. %zu", p->choices,
                         rules->choices_max);
    if (p->logprobs < -1 || p->logprobs > (int)rules->logprobs_max)
        return error_set(e, STATUS_INVALID_ARGUMENT, "logprobs", "%d is more than %zu", p->logprobs,
                         rules->logprobs_max);
    enum status status = check_stops(p, e);
    for (size_t i = 0; i < p->prediction_count && status == STATUS_OK; i++)
        status = check_id("prediction", p->prediction[i], rules->rows, e);
    return status == STATUS_OK ? check_sampling(rules, &p->sampling, e) : status;
}

/* ---- copies -------------------------------------------------------------------------------------------- */

/* NULL for an empty list, and then no failure. */
static enum status copy_list(const void *from, size_t count, size_t size, void **out, struct error *e) {
    *out = NULL;
    size_t bytes;
    if (count == 0) return STATUS_OK;
    if (!memory_multiply(count, size, &bytes) || !(*out = malloc(bytes)))
        return error_set(e, STATUS_NO_MEMORY, "request", "list of %zu elements", count);
    memcpy(*out, from, bytes);
    return STATUS_OK;
}

static enum status copy_bans(struct terms *t, const struct engine_sampling *from, struct error *e) {
    if (from->ban_count == 0) return STATUS_OK;
    struct engine_ban *bans = calloc(from->ban_count, sizeof *bans);
    if (!bans) return error_set(e, STATUS_NO_MEMORY, "request", "%zu bad words", from->ban_count);
    t->sampling.bans = bans;
    for (size_t i = 0; i < from->ban_count; i++) {
        void *ids;
        enum status status = copy_list(from->bans[i].ids, from->bans[i].count, sizeof(int32_t), &ids, e);
        if (status != STATUS_OK) return status;
        bans[t->sampling.ban_count++] = (struct engine_ban){ids, from->bans[i].count};
    }
    return STATUS_OK;
}

static enum status copy_sampling(struct terms *t, const struct engine_sampling *from, struct error *e) {
    t->sampling = *from;
    t->sampling.biases = NULL, t->sampling.allowed = NULL;
    t->sampling.bans = NULL, t->sampling.ban_count = 0;
    void *biases, *allowed;
    enum status status = copy_list(from->biases, from->bias_count, sizeof *from->biases, &biases, e);
    t->sampling.biases = biases;
    if (status != STATUS_OK) return status;
    status = copy_list(from->allowed, from->allowed_count, sizeof *from->allowed, &allowed, e);
    t->sampling.allowed =
        allowed; /* an empty list allows nothing, which no model can answer: read as absent */
    return status == STATUS_OK ? copy_bans(t, from, e) : status;
}

static enum status copy_stops(struct terms *t, const struct engine_prompt *p, struct error *e) {
    if (p->stop_count == 0) return STATUS_OK;
    const char **strings = calloc(p->stop_count, sizeof *strings);
    size_t *lengths = calloc(p->stop_count, sizeof *lengths);
    enum status status;
    if (strings && lengths) {
        for (size_t i = 0; i < p->stop_count; i++)
            strings[i] = p->stops[i].text, lengths[i] = p->stops[i].length;
        status = stop_set_create(strings, lengths, p->stop_count, &t->stops, e);
    } else {
        status = error_set(e, STATUS_NO_MEMORY, "request", "%zu stop strings", p->stop_count);
    }
    free(strings);
    free(lengths);
    return status;
}

static enum status copy_enders(struct terms *t, const struct request_rules *rules,
                               const struct engine_prompt *p, struct error *e) {
    size_t model = p->ignore_end ? 0 : rules->end_count, total;
    if (__builtin_add_overflow(model, p->stop_token_count, &total) ||
        !(t->enders = calloc(total ? total : 1, sizeof *t->enders)))
        return error_set(e, STATUS_NO_MEMORY, "request", "%zu stop tokens", p->stop_token_count);
    if (model > 0) memcpy(t->enders, rules->end_tokens, model * sizeof *t->enders);
    if (p->stop_token_count > 0)
        memcpy(t->enders + model, p->stop_tokens, p->stop_token_count * sizeof *t->enders);
    t->model_enders = model;
    t->ender_count = total;
    return STATUS_OK;
}

static enum status copy_prediction(struct terms *t, const struct engine_prompt *p, struct error *e) {
    void *prediction;
    enum status status = copy_list(p->prediction, p->prediction_count, sizeof *p->prediction, &prediction, e);
    if (status != STATUS_OK) return status;
    t->prediction = prediction;
    t->prediction_count = p->prediction_count;
    return STATUS_OK;
}

/* ---- what may be sampled ------------------------------------------------------------------------------- */

/* A request that could come to where nothing may be sampled is refused before it begins: to fail in the midst
 * of an answer would look like a fault of ours. */
static enum status check_choice(const struct request_rules *rules, const struct engine_prompt *p,
                                const struct terms *t, struct error *e) {
    const struct sampler_vocabulary *vocabulary = rules->vocabulary;
    const struct engine_sampling *s = &t->sampling;
    size_t banned = p->min_tokens > 0 ? t->ender_count : 0;
    if (!vocabulary || p->max_tokens == 0 || !(s->allowed || s->ban_count || banned)) return STATUS_OK;
    unsigned char *marks = malloc(vocabulary->rows);
    if (!marks) return error_set(e, STATUS_NO_MEMORY, "request", "%zu bytes", vocabulary->rows);
    bool leaves = sampler_leaves_token(vocabulary, s, t->enders, banned, marks);
    free(marks);
    if (leaves) return STATUS_OK;
    return error_set(
        e, STATUS_INVALID_ARGUMENT,
        s->allowed     ? "allowed_token_ids"
        : s->ban_count ? "bad_words"
                       : "min_tokens",
        "there may be no token left to sample: of those that are allowed each is not a token of this "
        "tokenizer, an end or stop token that 'min_tokens' forbids, or the end of one of 'bad_words'");
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static size_t ban_bytes(const struct engine_sampling *s) {
    size_t bytes = s->ban_count * sizeof *s->bans;
    for (size_t i = 0; i < s->ban_count; i++) bytes += s->bans[i].count * sizeof(int32_t) + HEAP_BLOCK_BYTES;
    return bytes;
}

static size_t stop_bytes(const struct engine_prompt *p) {
    size_t bytes = 0;
    for (size_t i = 0; i < p->stop_count; i++) bytes += p->stops[i].length;
    return p->stop_count > 0 ? stop_set_bytes(p->stop_count, bytes) : 0;
}

size_t terms_bytes(const struct request_rules *rules, const struct engine_prompt *p) {
    return sizeof(struct terms) + stop_bytes(p) + p->sampling.bias_count * sizeof(struct engine_bias) +
           p->sampling.allowed_count * sizeof(int32_t) +
           (p->stop_token_count + rules->end_count + p->prediction_count) * sizeof(int32_t) +
           ban_bytes(&p->sampling);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

enum status terms_create(const struct request_rules *rules, const struct engine_prompt *prompt,
                         struct terms **out, struct error *e) {
    *out = NULL;
    enum status status = check_prompt(rules, prompt, e);
    if (status != STATUS_OK) return status;
    struct terms *t = calloc(1, sizeof *t);
    if (!t) return error_set(e, STATUS_NO_MEMORY, "request", "%zu bytes", sizeof *t);
    atomic_init(&t->references, 1);
    if (prompt->grammar) t->grammar = grammar_retain(prompt->grammar);
    status = copy_sampling(t, &prompt->sampling, e);
    if (status == STATUS_OK) status = copy_enders(t, rules, prompt, e);
    if (status == STATUS_OK) status = copy_prediction(t, prompt, e);
    if (status == STATUS_OK) status = check_choice(rules, prompt, t, e);
    if (status == STATUS_OK) status = copy_stops(t, prompt, e);
    if (status != STATUS_OK) {
        terms_release(t);
        return status;
    }
    *out = t;
    return STATUS_OK;
}

struct terms *terms_retain(struct terms *terms) {
    atomic_fetch_add_explicit(&terms->references, 1, memory_order_relaxed);
    return terms;
}

void terms_release(struct terms *terms) {
    if (!terms || atomic_fetch_sub_explicit(&terms->references, 1, memory_order_acq_rel) != 1) return;
    stop_set_destroy(terms->stops);
    if (terms->grammar) grammar_release(terms->grammar);
    free(terms->enders);
    free(terms->prediction);
    free((void *)terms->sampling.biases);
    free((void *)terms->sampling.allowed);
    for (size_t i = 0; i < terms->sampling.ban_count; i++) free((void *)terms->sampling.bans[i].ids);
    free((void *)terms->sampling.bans);
    free(terms);
}

static bool same_sampling(const struct engine_sampling *a, const struct engine_sampling *b) {
    return a->temperature == b->temperature && a->top_p == b->top_p && a->min_p == b->min_p &&
           a->typical_p == b->typical_p && a->top_k == b->top_k &&
           a->presence_penalty == b->presence_penalty && a->frequency_penalty == b->frequency_penalty &&
           a->repetition_penalty == b->repetition_penalty && a->biases == b->biases &&
           a->bias_count == b->bias_count && a->allowed == b->allowed &&
           a->allowed_count == b->allowed_count && a->bans == b->bans && a->ban_count == b->ban_count &&
           a->has_seed == b->has_seed && a->seed == b->seed;
}

bool terms_are_shared(const struct engine_prompt *a, const struct engine_prompt *b) {
    return same_sampling(&a->sampling, &b->sampling) && a->stops == b->stops &&
           a->stop_count == b->stop_count && a->stop_tokens == b->stop_tokens &&
           a->stop_token_count == b->stop_token_count && a->prediction == b->prediction &&
           a->prediction_count == b->prediction_count && a->grammar == b->grammar &&
           a->ignore_end == b->ignore_end && a->choices == b->choices && a->logprobs == b->logprobs &&
           a->min_tokens == b->min_tokens && (a->max_tokens == 0) == (b->max_tokens == 0);
}
