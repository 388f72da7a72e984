#include "engine/sched/sequence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/sampler.h"

/* ---- life ---------------------------------------------------------------------------------------------- */

/* The prompt is decoded for the first choice; what it leaves behind is copied for the others. */
static enum status make_detokenizer(struct sequence *s, const int32_t *prompt, const struct sequence *first,
                                    struct error *e) {
    const struct engine_request *r = s->request;
    if (first) return detokenizer_copy(first->detokenizer, &s->detokenizer, e);
    return detokenizer_create(r->rules->tokenizer, prompt, r->prompt_count, r->skip_special, &s->detokenizer,
                              e);
}

static enum status make_mask(struct sequence *s, struct error *e) {
    size_t words = sampler_mask_words(s->request->rules->rows);
    if (!s->request->terms->grammar) return STATUS_OK;
    s->mask = calloc(words, sizeof *s->mask);
    if (!s->mask) return error_set(e, STATUS_NO_MEMORY, "request", "%zu words of a mask", words);
    grammar_place_init(&s->place, s->request->terms->grammar);
    return STATUS_OK;
}

enum status sequence_init(struct sequence *s, struct engine_request *request, uint32_t choice,
                          const int32_t *prompt, const struct sequence *first, struct error *e) {
    const struct request_rules *rules = request->rules;
    size_t length = request->prompt_count + request->max_tokens;
    *s = (struct sequence){.request = request, .choice = choice, .count = request->prompt_count};
    enum status status = make_mask(s, e);
    follower_init(&s->own, false);
    follower_init(&s->prediction, request->terms->prediction_count > 0);
    if (request->terms->stops) stop_matcher_init(&s->matcher, request->terms->stops);
    if (status != STATUS_OK) return status;
    s->tokens = calloc(length, sizeof *s->tokens);
    if (!s->tokens) return error_set(e, STATUS_NO_MEMORY, "request", "%zu tokens", length);
    memcpy(s->tokens, prompt, request->prompt_count * sizeof *prompt);
    s->rotary_length = rules->backend.rotary_length(rules->backend.context, length);
    status = kv_table_init(&s->table, kv_pages_for(length, rules->page_tokens), e);
    if (request->pooling)
        return status == STATUS_OK ? pooling_init(&s->pooling, rules->backend.hidden_width, e) : status;
    if (status == STATUS_OK && rules->tokenizer) status = make_detokenizer(s, prompt, first, e);
    return status;
}

void sequence_deinit(struct sequence *s) {
    if (s->detokenizer) detokenizer_destroy(s->detokenizer);
    stop_matcher_deinit(&s->matcher);
    kv_table_deinit(&s->table);
    pooling_deinit(&s->pooling);
    free(s->ending.bytes);
    grammar_place_deinit(&s->place); /* which reads tokens and writes the mask */
    free(s->tokens);
    free(s->mask);
    *s = (struct sequence){0};
}

void sequence_move(struct sequence *s, enum sequence_state state) {
#define TO(state) (1u << SEQUENCE_##state)
    static const unsigned allowed[] = {
        [SEQUENCE_WAITING] = TO(JOINING) | TO(PREFILL) | TO(DONE),
        [SEQUENCE_JOINING] = TO(PREFILL) | TO(PREEMPTED) | TO(DONE),
        [SEQUENCE_PREFILL] = TO(DECODE) | TO(PREEMPTED) | TO(BACKPRESSURED) | TO(DONE),
        [SEQUENCE_DECODE] = TO(PREEMPTED) | TO(BACKPRESSURED) | TO(DONE),
        [SEQUENCE_PREEMPTED] = TO(JOINING) | TO(PREFILL) | TO(DONE),
        [SEQUENCE_BACKPRESSURED] = TO(RESUMED) | TO(PREEMPTED) | TO(DONE),
        [SEQUENCE_RESUMED] = TO(PREFILL) | TO(DECODE) | TO(PREEMPTED) | TO(DONE),
        [SEQUENCE_DONE] = 0,
    };
#undef TO
    assert(allowed[s->state] & 1u << state);
    s->state = state;
}

/* ---- what is to be computed ---------------------------------------------------------------------------- */

size_t sequence_target(const struct sequence *s) {
    if (s->request->max_tokens > 0 || s->request->pooling) return s->count;
    return sequence_scores_prompt(s) ? s->count - 1 : 0;
}

/* The last row is always computed: it is what its logits or its hidden state are of. */
size_t sequence_spare_rows(const struct sequence *s) {
    if (sequence_scores_prompt(s)) return s->prompt_scored - 1;
    if (s->request->pooling == ENGINE_POOLING_MEAN) return s->pooling.positions;
    return sequence_target(s) - 1;
}

size_t sequence_plain_rows(const struct sequence *s) {
    if (sequence_scores_prompt(s)) {
        /* The row of position p scores token p + 1; rows before the next token to be scored are only computed
         * again. */
        size_t first = s->prompt_scored - 1;
        return first > s->computed ? first - s->computed : 0;
    }
    size_t pending = sequence_target(s) > s->computed ? sequence_target(s) - s->computed : 0;
    return pending > 0 && !s->request->pooling ? pending - 1 : pending;
}

size_t sequence_banned(const struct sequence *s, size_t count, const int32_t **ids) {
    const struct terms *terms = s->request->terms;
    *ids = terms->enders;
    return count - s->request->prompt_count < s->request->min_tokens ? terms->ender_count : 0;
}

/* ---- text ---------------------------------------------------------------------------------------------- */

static enum status ending_append(struct sequence *s, const char *text, size_t length, struct error *e) {
    struct ending_text *ending = &s->ending;
    if (length > ending->capacity - ending->length) {
        size_t capacity = ending->length + length;
        char *bytes = realloc(ending->bytes, capacity);
        if (!bytes) return error_set(e, STATUS_NO_MEMORY, "text", "%zu bytes at its end", capacity);
        ending->bytes = bytes;
        ending->capacity = capacity;
    }
    if (length > 0) memcpy(ending->bytes + ending->length, text, length);
    ending->length += length;
    return STATUS_OK;
}

/* Stop strings count that end after the tokens of min_tokens, wherever they begin. */
static enum status match(struct sequence *s, struct sequence_progress *progress, struct error *e) {
    if (!s->matcher.set) return STATUS_OK;
    size_t length = progress->text_length;
    bool counts = sequence_generated(s) > s->request->min_tokens;
    int found = (counts ? stop_matcher_push : stop_matcher_pass)(&s->matcher, progress->text, length,
                                                                 &progress->text, &progress->text_length);
    if (found == STOP_MATCHER_NO_MEMORY)
        return error_set(e, STATUS_NO_MEMORY, "text", "%zu bytes to look for stop strings in", length);
    if (found < 0) return STATUS_OK;
    progress->finished = true;
    progress->finish = ENGINE_FINISH_STOP;
    progress->stop_string = found;
    return STATUS_OK;
}

/* Whether id is one of those that end the sequence, and whether it is the model's. */
static bool is_ender(const struct sequence *s, int32_t id, bool *of_model) {
    const struct terms *terms = s->request->terms;
    for (size_t i = 0; i < terms->ender_count; i++)
        if (terms->enders[i] == id) {
            *of_model = i < terms->model_enders;
            return true;
        }
    return false;
}

enum status sequence_accept(struct sequence *s, int32_t id, struct sequence_progress *progress,
                            struct error *e) {
    const struct engine_request *r = s->request;
    assert(sequence_generated(s) < r->max_tokens);
    *progress = (struct sequence_progress){.text = "", .stop_string = -1, .stop_token = -1};
    s->tokens[s->count++] = id;
    bool of_model = false;
    if (is_ender(s, id, &of_model)) {
        progress->finished = true;
        progress->finish = ENGINE_FINISH_STOP;
        progress->stop_token = id;
        if (of_model || !r->include_stop_text) return STATUS_OK;
    }
    enum status status = STATUS_OK;
    if (s->detokenizer)
        status = detokenizer_push(s->detokenizer, id, &progress->text, &progress->text_length, e);
    /* also the text of a stop token: what was held back comes before it */
    if (status == STATUS_OK) status = match(s, progress, e);
    if (status != STATUS_OK) return status;
    if (!progress->finished && sequence_generated(s) == r->max_tokens) {
        progress->finished = true;
        progress->finish = ENGINE_FINISH_LENGTH;
    }
    return STATUS_OK;
}

/* What the detokenizer and then the matcher held back. The detokenizer's may still complete a stop string. */
static enum status flush_text(struct sequence *s, struct sequence_progress *progress, struct error *e) {
    struct sequence_progress last = {.text = "", .stop_string = -1};
    enum status status = detokenizer_finish(s->detokenizer, &last.text, &last.text_length, e);
    if (status != STATUS_OK) return status;
    if ((status = match(s, &last, e)) != STATUS_OK) return status;
    status = ending_append(s, last.text, last.text_length, e);
    if (last.finished) {
        progress->stop_string = last.stop_string;
        if (progress->finish == ENGINE_FINISH_LENGTH) progress->finish = ENGINE_FINISH_STOP;
    }
    if (status != STATUS_OK || last.finished || !s->matcher.set) return status;
    stop_matcher_finish(&s->matcher, &last.text, &last.text_length);
    return ending_append(s, last.text, last.text_length, e);
}

enum status sequence_end(struct sequence *s, struct sequence_progress *progress, struct error *e) {
    enum status status = STATUS_OK;
    if (progress->stop_string < 0 && s->detokenizer) status = flush_text(s, progress, e);
    if (status != STATUS_OK || progress->stop_string < 0 || !s->request->include_stop_text) return status;
    size_t length;
    const char *stop = stop_set_string(s->matcher.set, (size_t)progress->stop_string, &length);
    return ending_append(s, stop, length, e);
}
