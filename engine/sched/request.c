#include "engine/sched/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/generator.h"
#include "engine/sample/sampler.h"
#include "engine/sched/sequence.h"

/* ---- checks -------------------------------------------------------------------------------------------- */

/* Room for the prompt and at least one token; a prompt that is only scored may fill the context. */
static enum status check_length(const struct request_rules *rules, const struct engine_prompt *p,
                                struct error *e) {
    if (p->count == 0) return error_set(e, STATUS_INVALID_ARGUMENT, "prompt", "at least one token is needed");
    if (p->count < rules->context || (p->count == rules->context && p->max_tokens == 0)) return STATUS_OK;
    return error_set(
        e, STATUS_INVALID_ARGUMENT, "context",
        "This model's maximum context length is %zu tokens, however you requested %zu tokens (%zu in your "
        "prompt; %u for the completion). Please reduce your prompt; or completion length.",
        rules->context, p->count + p->max_tokens, p->count, p->max_tokens);
}

/* A prompt that becomes an embedding is nothing else, and what is scored lies within it. */
static enum status check_kind(const struct engine_prompt *p, struct error *e) {
    if (p->pooling && (p->choices != 1 || p->max_tokens || p->prompt_logprobs))
        return error_set(e, STATUS_INVALID_ARGUMENT, "pooling", "an embedding is made of a prompt alone");
    if (p->prompt_logprobs && p->prompt_logprobs_from >= p->count && p->prompt_logprobs_from > 1)
        return error_set(e, STATUS_INVALID_ARGUMENT, "prompt_logprobs",
                         "there is no token %zu in a prompt of %zu", p->prompt_logprobs_from, p->count);
    return STATUS_OK;
}

static enum status check_ids(const struct request_rules *rules, const struct engine_prompt *p,
                             struct error *e) {
    enum status status = check_length(rules, p, e);
    if (status == STATUS_OK) status = check_kind(p, e);
    for (size_t i = 0; i < p->count && status == STATUS_OK; i++)
        if (p->ids[i] < 0 || (size_t)p->ids[i] >= rules->rows)
            status = error_set(e, STATUS_INVALID_ARGUMENT, "prompt", "token id %d is not in 0 .. %zu",
                               p->ids[i], rules->rows - 1);
    return status;
}

/* ---- parts --------------------------------------------------------------------------------------------- */

static enum status make_sequences(struct engine_request *r, const struct engine_prompt *p, struct error *e) {
    r->sequences = calloc(p->choices, sizeof *r->sequences);
    if (!r->sequences) return error_set(e, STATUS_NO_MEMORY, "request", "%u choices", p->choices);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < p->choices && status == STATUS_OK; i++) {
        r->choices = i + 1;
        status = sequence_init(&r->sequences[i], r, i, p->ids, i > 0 ? &r->sequences[0] : NULL, e);
    }
    r->unfinished = r->choices;
    return status;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

/* What a choice keeps for its text: the stages of the decoder, and the pieces that they hold back. */
#define CHOICE_TEXT_BYTES 4096

/* Of an embedding there is but the end. */
static size_t pending_events(const struct request_rules *rules, const struct engine_prompt *p) {
    return p->pooling ? 1 : rules->max_pending_events;
}

/* A piece of text for which an event allocates. What stop strings hold back comes at once, with the text of several tokens that
 * are short by themselves. */
static size_t long_text_bytes(const struct request_rules *rules, const struct engine_prompt *p) {
    const bool may_be_long = rules->token_bytes_max > EVENT_RING_TEXT_BYTES || p->stop_count > 0;
    return may_be_long && rules->token_bytes_max > 0 ? rules->token_bytes_max + HEAP_BLOCK_BYTES : 0;
}

static size_t event_ring_bytes(const struct request_rules *rules, const struct engine_prompt *p) {
    size_t tops = p->logprobs > 0 ? (size_t)p->logprobs : 1, queued = pending_events(rules, p) + 1;
    return queued *
               (sizeof(struct queued_event) + tops * sizeof(struct engine_top) + long_text_bytes(rules, p)) +
           sizeof(struct event_ring_choice);
}

/* Text that may be the beginning of a stop string is held back, in a buffer that doubles; and one is
 * appended. */
static size_t held_bytes(const struct engine_prompt *p) {
    size_t longest = 0;
    for (size_t i = 0; i < p->stop_count; i++)
        if (p->stops[i].length > longest) longest = p->stops[i].length;
    return 3 * longest;
}

static size_t request_bytes(const struct request_rules *rules, const struct engine_prompt *p) {
    size_t room = rules->context > p->count ? rules->context - p->count : 0;
    size_t tokens = p->count + (p->max_tokens < room ? p->max_tokens : room);
    size_t pages = kv_pages_for(tokens, rules->page_tokens);
    size_t choice = sizeof(struct sequence) + tokens * sizeof(int32_t) + pages * sizeof(uint32_t) +
                    CHOICE_TEXT_BYTES + held_bytes(p) + event_ring_bytes(rules, p);
    if (p->grammar) choice += sampler_mask_words(rules->rows) * sizeof(uint32_t);
    if (p->pooling) choice += pooling_bytes(rules->backend.hidden_width);
    return sizeof(struct engine_request) + sizeof(struct engine_request *) + p->choices * choice;
}

size_t sched_requests_bytes(const struct request_rules *rules, const struct engine_prompt *prompts,
                            size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += request_bytes(rules, &prompts[i]);
        if (i == 0 || !terms_are_shared(&prompts[i - 1], &prompts[i]))
            bytes += terms_bytes(rules, &prompts[i]);
    }
    return bytes;
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

static void set_scalars(struct engine_request *r, const struct engine_prompt *p) {
    size_t room = r->rules->context - p->count;
    r->user = p->user;
    r->max_tokens = p->max_tokens < room ? p->max_tokens : (uint32_t)room;
    r->min_tokens = p->min_tokens;
    r->prompt_count = p->count;
    r->include_stop_text = p->include_stop_text;
    r->skip_special = p->skip_special;
    r->prompt_logprobs = p->prompt_logprobs;
    r->scored_from = p->prompt_logprobs_from > 1 ? p->prompt_logprobs_from : 1;
    r->pooling = p->pooling;
    r->logprobs = p->logprobs;
    r->seed = p->sampling.has_seed ? p->sampling.seed : generator_draw_seed();
    r->priority = p->priority;
    r->client = p->client;
    r->timeout_ms = p->timeout_ms;
}

static void destroy(struct engine_request *r) {
    for (uint32_t i = 0; i < r->choices; i++) sequence_deinit(&r->sequences[i]);
    free(r->sequences);
    event_ring_deinit(&r->ring);
    terms_release(r->terms);
    free(r);
}

/* terms: taken over a reference of. */
static enum status create(const struct request_rules *rules, const struct engine_prompt *prompt,
                          struct terms *terms, struct engine_request **out, struct error *e) {
    struct engine_request *r = calloc(1, sizeof *r);
    if (!r) {
        terms_release(terms);
        return error_set(e, STATUS_NO_MEMORY, "request", "%zu bytes", sizeof *r);
    }
    r->rules = rules;
    r->terms = terms;
    atomic_init(&r->references, 1);
    atomic_init(&r->cancelled, false);
    set_scalars(r, prompt);
    enum status status = event_ring_init(&r->ring, prompt->choices, pending_events(rules, prompt),
                                         prompt->logprobs > 0 ? (size_t)prompt->logprobs : 0, e);
    if (status == STATUS_OK) status = make_sequences(r, prompt, e);
    if (status != STATUS_OK) {
        destroy(r);
        return status;
    }
    *out = r;
    return STATUS_OK;
}

/* before: the prompt before this one and what was made of it; or NULL. */
static enum status create_after(const struct request_rules *rules, const struct engine_prompt *prompt,
                                const struct engine_prompt *before, struct terms *terms_before,
                                struct engine_request **out, struct error *e) {
    struct terms *terms;
    enum status status = check_ids(rules, prompt, e);
    if (status != STATUS_OK) return status;
    if (before && terms_are_shared(before, prompt))
        terms = terms_retain(terms_before);
    else
        status = terms_create(rules, prompt, &terms, e);
    return status == STATUS_OK ? create(rules, prompt, terms, out, e) : status;
}

enum status sched_requests_create(const struct request_rules *rules, const struct engine_prompt *prompts,
                                  size_t count, struct engine_request **requests, struct error *e) {
    memset(requests, 0, count * sizeof(struct engine_request *));
    for (size_t i = 0; i < count; i++) {
        enum status status = create_after(rules, &prompts[i], i > 0 ? &prompts[i - 1] : NULL,
                                          i > 0 ? requests[i - 1]->terms : NULL, &requests[i], e);
        if (status == STATUS_OK) continue;
        while (i-- > 0) {
            sched_request_release(requests[i]);
            requests[i] = NULL;
        }
        return status;
    }
    return STATUS_OK;
}

void sched_request_arrive(struct engine_request *r, uint64_t now_ns) {
    r->arrival_ns = now_ns;
    r->deadline_ns = r->timeout_ms ? now_ns + (uint64_t)r->timeout_ms * 1000000 : UINT64_MAX;
    r->rank = request_rank(now_ns, r->priority);
}

void sched_request_retain(struct engine_request *request) {
    atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
}

void sched_request_release(struct engine_request *request) {
    /* Release: what this thread wrote is done before the count falls. Acquire: the one that frees sees all of
     * it. */
    if (atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) == 1) destroy(request);
}
