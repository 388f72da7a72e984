#include "engine/sched/request.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sample/generator.h"
#include "engine/sched/sequence.h"

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

/* A request that could come to where nothing may be sampled is refused before it begins: to fail in the midst
 * of an answer would look like a fault of ours. */
static enum status check_choice(const struct engine_request *r, struct error *e) {
    const struct sampler_vocabulary *vocabulary = r->rules->vocabulary;
    const struct engine_sampling *s = &r->sampling;
    size_t banned = r->min_tokens > 0 ? r->ender_count : 0;
    if (!vocabulary || r->max_tokens == 0 || !(s->allowed || s->ban_count || banned)) return STATUS_OK;
    unsigned char *marks = malloc(vocabulary->rows);
    if (!marks) return error_set(e, STATUS_NO_MEMORY, "request", "%zu bytes", vocabulary->rows);
    bool leaves = sampler_leaves_token(vocabulary, s, r->enders, banned, marks);
    free(marks);
    if (leaves) return STATUS_OK;
    return error_set(
        e, STATUS_INVALID_ARGUMENT,
        s->allowed     ? "allowed_token_ids"
        : s->ban_count ? "bad_words"
                       : "min_tokens",
        "There may be no token left to sample: of those that are allowed each is no token of this "
        "tokenizer, an end or stop token that 'min_tokens' forbids, or the end of one of 'bad_words'.");
}

/* Room for the prompt and at least one token; a prompt that is only scored may fill the context. */
static enum status check_length(const struct request_rules *rules, const struct engine_prompt *p,
                                struct error *e) {
    if (p->count == 0) return error_set(e, STATUS_INVALID_ARGUMENT, "prompt", "at least one token is needed");
    if (p->count < rules->context || (p->count == rules->context && p->max_tokens == 0)) return STATUS_OK;
    return error_set(
        e, STATUS_INVALID_ARGUMENT, "prompt",
        "This model's maximum context length is %zu tokens, however you requested %zu tokens (%zu in your "
        "prompt; %u for the completion). Please reduce your prompt; or completion length.",
        rules->context, p->count + p->max_tokens, p->count, p->max_tokens);
}

static enum status check_prompt(const struct request_rules *rules, const struct engine_prompt *p,
                                struct error *e) {
    enum status status = check_length(rules, p, e);
    for (size_t i = 0; i < p->count && status == STATUS_OK; i++)
        status = check_id("prompt", p->ids[i], rules->rows, e);
    if (status == STATUS_OK && (p->choices == 0 || p->choices > rules->choices_max))
        status = error_set(e, STATUS_INVALID_ARGUMENT, "n", "%u is not in 1 .. %zu", p->choices,
                           rules->choices_max);
    if (status == STATUS_OK && (p->logprobs < -1 || p->logprobs > (int)rules->logprobs_max))
        status = error_set(e, STATUS_INVALID_ARGUMENT, "logprobs", "%d is more than %zu", p->logprobs,
                           rules->logprobs_max);
    for (size_t i = 0; i < p->stop_count && status == STATUS_OK; i++)
        if (p->stops[i].length == 0)
            status = error_set(e, STATUS_INVALID_ARGUMENT, "stop", "an empty string");
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

static enum status copy_bans(struct engine_request *r, const struct engine_sampling *from, struct error *e) {
    if (from->ban_count == 0) return STATUS_OK;
    struct engine_ban *bans = calloc(from->ban_count, sizeof *bans);
    if (!bans) return error_set(e, STATUS_NO_MEMORY, "request", "%zu bad words", from->ban_count);
    r->sampling.bans = bans;
    for (size_t i = 0; i < from->ban_count; i++) {
        void *ids;
        enum status status = copy_list(from->bans[i].ids, from->bans[i].count, sizeof(int32_t), &ids, e);
        if (status != STATUS_OK) return status;
        bans[r->sampling.ban_count++] = (struct engine_ban){ids, from->bans[i].count};
    }
    return STATUS_OK;
}

static enum status copy_sampling(struct engine_request *r, const struct engine_sampling *from,
                                 struct error *e) {
    r->sampling = *from;
    r->sampling.biases = NULL, r->sampling.allowed = NULL;
    r->sampling.bans = NULL, r->sampling.ban_count = 0;
    void *biases, *allowed;
    enum status status = copy_list(from->biases, from->bias_count, sizeof *from->biases, &biases, e);
    r->sampling.biases = biases;
    if (status != STATUS_OK) return status;
    status = copy_list(from->allowed, from->allowed_count, sizeof *from->allowed, &allowed, e);
    r->sampling.allowed =
        allowed; /* an empty list allows nothing, which no model can answer: read as absent */
    return status == STATUS_OK ? copy_bans(r, from, e) : status;
}

static enum status copy_stops(struct engine_request *r, const struct engine_prompt *p, struct error *e) {
    if (p->stop_count == 0) return STATUS_OK;
    r->stops = calloc(p->stop_count, sizeof *r->stops);
    if (!r->stops) return error_set(e, STATUS_NO_MEMORY, "request", "%zu stop strings", p->stop_count);
    for (size_t i = 0; i < p->stop_count; i++) {
        void *text;
        enum status status = copy_list(p->stops[i].text, p->stops[i].length, 1, &text, e);
        if (status != STATUS_OK) return status;
        r->stops[r->stop_count++] = (struct engine_string){text, p->stops[i].length};
    }
    return STATUS_OK;
}

static enum status copy_enders(struct engine_request *r, const struct engine_prompt *p, struct error *e) {
    size_t model = p->ignore_end ? 0 : r->rules->end_count, total;
    if (__builtin_add_overflow(model, p->stop_token_count, &total) ||
        !(r->enders = calloc(total ? total : 1, sizeof *r->enders)))
        return error_set(e, STATUS_NO_MEMORY, "request", "%zu stop tokens", p->stop_token_count);
    if (model > 0) memcpy(r->enders, r->rules->end_tokens, model * sizeof *r->enders);
    if (p->stop_token_count > 0)
        memcpy(r->enders + model, p->stop_tokens, p->stop_token_count * sizeof *r->enders);
    r->model_enders = model;
    r->ender_count = total;
    return STATUS_OK;
}

static enum status make_sequences(struct engine_request *r, const struct engine_prompt *p, struct error *e) {
    r->sequences = calloc(p->choices, sizeof *r->sequences);
    if (!r->sequences) return error_set(e, STATUS_NO_MEMORY, "request", "%u choices", p->choices);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < p->choices && status == STATUS_OK; i++) {
        r->choices = i + 1;
        status = sequence_init(&r->sequences[i], r, i, p->ids, e);
    }
    r->unfinished = r->choices;
    return status;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

/* What a choice keeps for its text beside its stop strings: the stages of the decoder, and the pieces that
 * they hold back. */
#define CHOICE_TEXT_BYTES 4096
/* What the heap adds to a block, at most. */
#define HEAP_BLOCK_BYTES 32

/* A byte of a stop string: itself, its place in the table of each choice, and text held back for it. */
static size_t stop_bytes(const struct engine_prompt *p) {
    size_t bytes = 0;
    for (size_t i = 0; i < p->stop_count; i++) bytes += p->stops[i].length;
    return bytes * (1 + p->choices * (3 + sizeof(size_t))) +
           p->stop_count * (sizeof *p->stops + p->choices * 4 * sizeof(size_t));
}

static size_t mailbox_bytes(const struct request_rules *rules, const struct engine_prompt *p) {
    size_t tops = p->logprobs > 0 ? (size_t)p->logprobs : 1, letters = rules->mailbox_events + 1;
    return letters * (sizeof(struct letter) + tops * sizeof(struct engine_top)) +
           sizeof(struct mailbox_choice);
}

static size_t ban_bytes(const struct engine_sampling *s) {
    size_t bytes = s->ban_count * sizeof *s->bans;
    for (size_t i = 0; i < s->ban_count; i++) bytes += s->bans[i].count * sizeof(int32_t) + HEAP_BLOCK_BYTES;
    return bytes;
}

size_t sched_request_bytes(const struct request_rules *rules, const struct engine_prompt *p) {
    size_t room = rules->context > p->count ? rules->context - p->count : 0;
    size_t tokens = p->count + (p->max_tokens < room ? p->max_tokens : room);
    size_t pages = kv_pages_for(tokens, rules->page_tokens);
    size_t choice = sizeof(struct sequence) + tokens * sizeof(int32_t) + pages * sizeof(uint32_t) +
                    CHOICE_TEXT_BYTES + mailbox_bytes(rules, p);
    return sizeof(struct engine_request) + p->choices * choice + stop_bytes(p) +
           p->sampling.bias_count * sizeof(struct engine_bias) + p->sampling.allowed_count * sizeof(int32_t) +
           (p->stop_token_count + rules->end_count) * sizeof(int32_t) + ban_bytes(&p->sampling);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int64_t request_rank(uint64_t arrival_ns, int priority) {
    int64_t shift =
        (int64_t)priority * REQUEST_PRIORITY_SECONDS; /* |priority| < 2^31: no overflow in seconds */
    int64_t rank;
    if (__builtin_mul_overflow(shift, (int64_t)1000000000, &shift) ||
        __builtin_add_overflow((int64_t)arrival_ns, shift, &rank))
        return priority < 0 ? INT64_MIN : INT64_MAX;
    return rank;
}

static void set_scalars(struct engine_request *r, const struct engine_prompt *p, uint64_t now_ns) {
    size_t room = r->rules->context - p->count;
    r->user = p->user;
    r->max_tokens = p->max_tokens < room ? p->max_tokens : (uint32_t)room;
    r->min_tokens = p->min_tokens;
    r->prompt_count = p->count;
    r->include_stop_text = p->include_stop_text;
    r->skip_special = p->skip_special;
    r->prompt_logprobs = p->prompt_logprobs;
    r->logprobs = p->logprobs;
    r->seed = p->sampling.has_seed ? p->sampling.seed : generator_draw_seed();
    r->arrival_ns = now_ns;
    r->deadline_ns = p->timeout_ms ? now_ns + (uint64_t)p->timeout_ms * 1000000 : UINT64_MAX;
    r->rank = request_rank(now_ns, p->priority);
    r->priority = p->priority;
    r->client = p->client;
}

static void destroy(struct engine_request *r) {
    for (uint32_t i = 0; i < r->choices; i++) sequence_deinit(&r->sequences[i]);
    free(r->sequences);
    mailbox_deinit(&r->mailbox);
    for (size_t i = 0; i < r->stop_count; i++) free((char *)r->stops[i].text);
    free(r->stops);
    free(r->enders);
    free((void *)r->sampling.biases);
    free((void *)r->sampling.allowed);
    for (size_t i = 0; i < r->sampling.ban_count; i++) free((void *)r->sampling.bans[i].ids);
    free((void *)r->sampling.bans);
    free(r);
}

enum status sched_request_create(const struct request_rules *rules, const struct engine_prompt *prompt,
                                 uint64_t now_ns, struct engine_request **out, struct error *e) {
    *out = NULL;
    enum status status = check_prompt(rules, prompt, e);
    if (status != STATUS_OK) return status;
    struct engine_request *r = calloc(1, sizeof *r);
    if (!r) return error_set(e, STATUS_NO_MEMORY, "request", "%zu bytes", sizeof *r);
    r->rules = rules;
    atomic_init(&r->references, 1);
    atomic_init(&r->cancelled, false);
    set_scalars(r, prompt, now_ns);
    status = copy_sampling(r, &prompt->sampling, e);
    if (status == STATUS_OK) status = copy_stops(r, prompt, e);
    if (status == STATUS_OK) status = copy_enders(r, prompt, e);
    if (status == STATUS_OK) status = check_choice(r, e);
    if (status == STATUS_OK)
        status = mailbox_init(&r->mailbox, prompt->choices, rules->mailbox_events,
                              prompt->logprobs > 0 ? (size_t)prompt->logprobs : 0, e);
    if (status == STATUS_OK) status = make_sequences(r, prompt, e);
    if (status != STATUS_OK) {
        destroy(r);
        return status;
    }
    *out = r;
    return STATUS_OK;
}

void sched_request_retain(struct engine_request *request) {
    atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
}

void sched_request_release(struct engine_request *request) {
    /* Release: what this thread wrote is done before the count falls. Acquire: the one that frees sees all of
     * it. */
    if (atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) == 1) destroy(request);
}
