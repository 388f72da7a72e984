/* The answer of a completion as JSON: the whole, or chunk by chunk. A choice is written by the same function
 * in both, with what its endpoint has of its own (answer_shape.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/types/limits.h"
#include "server/completion/completion.h"
#include "server/completion/answer_shape.h"
#include "server/completion/embedding.h"
#include "server/json/write.h"

const struct answer_shape *answer_shape_of(enum api_endpoint endpoint) {
    if (endpoint == API_CHAT) return &answer_shape_chat;
    if (endpoint == API_EMBEDDINGS) return &answer_shape_embedding;
    if (endpoint == API_SCORE) return &answer_shape_score;
    return endpoint == API_INFILL ? &answer_shape_infill : &answer_shape_text;
}

static void make_head(struct bytes *out, const struct completion *c) {
    bytes_text(out, "{\"id\":");
    json_write_text(out, c->id);
    bytes_text(out, ",\"object\":\"");
    bytes_text(out, c->params.stream ? c->shape->chunk_object : c->shape->object);
    bytes_text(out, "\",\"created\":");
    bytes_integer(out, c->created);
    bytes_text(out, ",\"model\":");
    json_write_text(out, c->model);
    bytes_text(out, ",\"system_fingerprint\":");
    json_write_text(out, c->fingerprint);
    bytes_text(out, ",");
}

/* The same for every chunk of a stream. Then what the shape says of this choice; NULL: of none. */
static void write_head(struct bytes *out, struct completion *c, const struct prompt *p,
                       const struct choice *choice) {
    if (!c->head.length) make_head(&c->head, c);
    bytes_append_bytes(out, &c->head);
    if (choice && c->shape->write_members) c->shape->write_members(out, p, choice);
    bytes_format(out, "\"%s\":[", c->shape->list);
}

/* What the answer had of the prediction, and what of the prediction it did not have, whether drafts were made of it or
 * not: so the same request gets the same answer at any load. */
static void write_prediction(struct bytes *out, const struct completion *c) {
    uint64_t accepted = 0, all = c->prompt_count * (uint64_t)c->params.best_of * c->prediction_count;
    for (size_t i = 0; i < c->prompt_count; i++) accepted += c->prompts[i].predicted_tokens;
    bytes_format(out,
                 ",\"completion_tokens_details\":{\"accepted_prediction_tokens\":%llu,"
                 "\"rejected_prediction_tokens\":%llu}",
                 (unsigned long long)accepted, (unsigned long long)(all - accepted));
}

static void write_usage(struct bytes *out, const struct completion *c) {
    uint64_t prompt_tokens = 0, cached = 0, generated = 0;
    for (size_t i = 0; i < c->prompt_count; i++) {
        prompt_tokens += c->prompts[i].count;
        cached += c->prompts[i].cached_tokens;
        generated += c->prompts[i].completion_tokens;
    }
    bytes_format(out,
                 "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":%llu}",
                 (unsigned long long)prompt_tokens, (unsigned long long)generated,
                 (unsigned long long)(prompt_tokens + generated), (unsigned long long)cached);
    if (c->prediction_count) write_prediction(out, c);
    bytes_text(out, "}");
}

void answer_shape_write_array(struct bytes *out, const char *name, const struct bytes *of_prompt,
                              struct bytes *elements) {
    bytes_text(out, "\"");
    bytes_text(out, name);
    bytes_text(out, "\":[");
    if (of_prompt) bytes_append_bytes(out, of_prompt);
    if (elements->length) json_write_separator(out);
    bytes_append_bytes(out, elements);
    bytes_text(out, "]");
    bytes_clear(elements);
}

void answer_shape_write_prompt_ids(struct bytes *out, const struct prompt *p) {
    bytes_text(out, "\"prompt_token_ids\":[");
    for (size_t i = 0; i < p->count; i++) bytes_format(out, i ? ",%d" : "%d", (int)p->ids[i]);
    bytes_text(out, "]");
}

void answer_shape_write_prompt_logprobs(struct bytes *out, const struct prompt *p) {
    bytes_text(out, "\"prompt_logprobs\":[");
    bytes_append_bytes(out, &p->prompt_logprobs);
    bytes_text(out, "]");
}

/* The stop string, or the stop token where the request itself named it; "timeout" where its time was over;
 * null for the model's own end tokens. */
static void write_stop_reason(struct bytes *out, const struct api_params *params,
                              const struct choice *choice) {
    bytes_text(out, ",\"stop_reason\":");
    if (choice->finish == ENGINE_FINISH_TIMEOUT) {
        bytes_text(out, "\"timeout\"");
        return;
    }
    if (choice->stop_string >= 0 && (size_t)choice->stop_string < params->stop_count) {
        const struct engine_string *stop = &params->stops[choice->stop_string];
        json_write_string(out, stop->text, stop->length);
        return;
    }
    for (size_t i = 0; i < params->stop_token_said; i++)
        if (choice->stop_token >= 0 && params->stop_tokens[i] == choice->stop_token) {
            bytes_integer(out, choice->stop_token);
            return;
        }
    bytes_text(out, "null");
}

static void write_finish(struct bytes *out, const struct api_params *params, const struct choice *choice) {
    if (!choice->finished) {
        bytes_text(out, ",\"finish_reason\":null");
        return;
    }
    bytes_format(out, ",\"finish_reason\":\"%s\"", choice->finish == ENGINE_FINISH_STOP ? "stop" : "length");
    write_stop_reason(out, params, choice);
    bytes_format(out, ",\"seed\":%lld", (long long)choice->seed);
}

/* Writes what the choice's buffers hold and empties them. */
static void write_choice(struct bytes *out, struct prompt *p, struct choice *choice, size_t index) {
    const struct api_params *params = &p->completion->params;
    const struct answer_shape *shape = p->completion->shape;
    bytes_text(out, "{\"index\":");
    bytes_integer(out, (int64_t)index);
    shape->write_choice(out, p, choice);
    if (shape->generates) write_finish(out, params, choice);
    if (shape->generates && params->return_token_ids) {
        bytes_text(out, ",");
        answer_shape_write_array(out, "token_ids", NULL, &choice->token_ids);
    }
    bytes_text(out, "}");
    choice->written = true;
    choice->ended = choice->finished;
}

static bool choice_failed(const struct choice *choice) {
    return choice->text.failed || choice->tokens.failed || choice->token_logprobs.failed ||
           choice->top_logprobs.failed || choice->text_offsets.failed || choice->token_ids.failed ||
           choice->embedding.failed;
}

/* ---- the whole answer ---------------------------------------------------------------------------------- */

static double mean_logprob(const struct choice *choice) {
    return choice->generated ? choice->logprob_sum / choice->generated : -INFINITY;
}

/* best_of: index of the best choice not yet taken; of equals the first. */
static size_t take_best(const struct prompt *p, bool *taken, size_t count) {
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        if (taken[i]) continue;
        if (best == count || mean_logprob(&p->choices[i]) > mean_logprob(&p->choices[best])) best = i;
    }
    taken[best] = true;
    return best;
}

static void write_prompt(struct bytes *out, struct prompt *p) {
    const struct api_params *params = &p->completion->params;
    size_t n = (size_t)params->n;
    bool taken[CHOICES_OF_PROMPT_MAX] = {false};
    for (size_t i = 0; i < n; i++) {
        size_t from = params->best_of > params->n ? take_best(p, taken, (size_t)params->best_of) : i;
        struct choice *choice = &p->choices[from];
        if (choice_failed(choice)) out->failed = true;
        json_write_separator(out);
        write_choice(out, p, choice, p->index * n + i);
    }
}

void completion_write(struct bytes *out, struct completion *c) {
    write_head(out, c, &c->prompts[0], &c->prompts[0].choices[0]);
    for (size_t i = 0; i < c->prompt_count; i++) {
        write_prompt(out, &c->prompts[i]);
        completion_drop_texts(&c->prompts[i]);
    }
    bytes_text(out, "],");
    write_usage(out, c);
    if (c->params.timings) completion_write_timings(out, c);
    bytes_text(out, "}");
}

/* Of text as much again for escapes; of a choice's fixed parts and of an id more than enough. */
enum { CHOICE_BYTES = 256, TIMINGS_BYTES = 512, ID_BYTES = 12 };

static size_t choice_bytes(const struct completion *c, const struct prompt *p, const struct choice *choice) {
    size_t scores = p->tokens.length + p->token_logprobs.length + p->top_logprobs.length +
                    p->text_offsets.length + p->prompt_logprobs.length;
    size_t ids = c->params.return_token_ids ? p->count * ID_BYTES : 0;
    return CHOICE_BYTES + 2 * choice->text.length + choice->tokens.length + choice->token_logprobs.length +
           choice->top_logprobs.length + choice->text_offsets.length + choice->token_ids.length +
           embedding_answer_bytes(choice->embedding.length) + scores + ids;
}

size_t completion_answer_bytes(const struct completion *c) {
    size_t bytes = sizeof c->id + strlen(c->model) + strlen(c->fingerprint) + CHOICE_BYTES + TIMINGS_BYTES;
    for (size_t i = 0; i < c->prompt_count; i++)
        for (int64_t j = 0; j < c->params.n; j++)
            bytes += choice_bytes(c, &c->prompts[i], &c->prompts[i].choices[j]);
    return bytes;
}

/* ---- chunks -------------------------------------------------------------------------------------------- */

bool completion_has_chunk(const struct prompt *p, const struct choice *choice) {
    const struct api_params *params = &p->completion->params;
    if (choice->ended) return false;
    /* The first chunk begins with the scores of the prompt: choices may be ahead of them. The first choice
     * brings them, and after its end (its time was over) no more come. */
    if (params->echo && params->logprobs >= 0 && p->scored < p->count && !p->choices[0].finished)
        return false;
    return choice->text.length || choice->tokens.length || choice->token_ids.length || choice->finished;
}

/* Nothing follows but what include_usage asks for. */
static bool is_last_chunk(const struct completion *c) {
    for (size_t i = 0; i < c->prompt_count; i++)
        for (int64_t j = 0; j < c->params.best_of; j++)
            if (!c->prompts[i].choices[j].ended) return false;
    return true;
}

void completion_write_chunk(struct bytes *out, struct prompt *p, struct choice *choice) {
    struct completion *c = p->completion;
    if (choice_failed(choice)) out->failed = true;
    write_head(out, c, p, choice);
    size_t index = p->index * (size_t)c->params.n + (size_t)(choice - p->choices);
    write_choice(out, p, choice, index);
    bytes_text(out, "]");
    if (c->params.continuous_usage) /* of this choice alone, as vLLM has it */
        bytes_format(out, ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%u,\"total_tokens\":%zu}",
                     p->count, choice->generated, p->count + choice->generated);
    else if (c->params.include_usage)
        bytes_text(out, ",\"usage\":null");
    if (c->params.timings && !c->params.include_usage && is_last_chunk(c)) completion_write_timings(out, c);
    bytes_text(out, "}");
}

void completion_write_usage_chunk(struct bytes *out, struct completion *c) {
    write_head(out, c, NULL, NULL);
    bytes_text(out, "],");
    write_usage(out, c);
    if (c->params.timings) completion_write_timings(out, c);
    bytes_text(out, "}");
}
