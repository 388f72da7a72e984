/* Events of the engine into the buffers of the choices. Loop thread. */
#include <stdio.h>
#include <string.h>

#include "engine/types/limits.h"
#include "server/api/api_memory.h"
#include "server/completion/completion.h"
#include "server/completion/answer_shape.h"
#include "server/json/write.h"
#include "server/logprobs/text_logprobs.h"

/* ---- prompt_logprobs ----------------------------------------------------------------------------------- */

/* As vLLM has it: "7":{"logprob":-1.5,"rank":2,"decoded_token":" a"}. */
static void write_ranked(struct bytes *out, const struct completion *c, int32_t id, float logprob,
                         uint32_t rank) {
    size_t length;
    const char *text = engine_token_text(c->engine, id, &length);
    json_write_separator(out);
    bytes_format(out, "\"%d\":{\"logprob\":", (int)id);
    json_write_logprob(out, logprob);
    bytes_format(out, ",\"rank\":%u,\"decoded_token\":", rank);
    json_write_string(out, text, length);
    bytes_text(out, "}");
}

/* The token itself, then the best that are others; null for the first. */
static void write_prompt_logprob(struct prompt *p, const struct engine_event *event) {
    const struct completion *c = p->completion;
    struct bytes *out = &p->prompt_logprobs;
    json_write_separator(out);
    if (!event->has_logprob) {
        bytes_text(out, "null");
        return;
    }
    bytes_text(out, "{");
    write_ranked(out, c, event->id, event->logprob, event->rank);
    size_t count = token_name_alternatives(event, c->params.prompt_logprobs);
    for (size_t i = 0; i < count; i++)
        if (event->top[i].id != event->id)
            write_ranked(out, c, event->top[i].id, event->top[i].logprob, (uint32_t)i + 1);
    bytes_text(out, "}");
}

/* ---- the prompt's tokens ------------------------------------------------------------------------------- */

/* With echo a choice begins with its prompt. */
static void begin_choice(struct prompt *p, struct choice *choice) {
    const struct token_names names = answer_shape_token_names(p->completion);
    choice->begun = true;
    if (p->completion->params.echo) {
        bytes_append(&choice->text, p->echo, p->echo_length);
        choice->characters = p->echo_characters;
    }
    text_logprobs_begin(&choice->place, &names, p->ids, p->count, choice->characters);
}

/* What a token may be preceded by in the echo without having it itself: a blank of the decoder, if it is text, or what
 * stands for bytes that are not a character. Its length; 0 where neither is. */
static size_t filler(const struct prompt *p, size_t at, bool is_text) {
    if (is_text && at < p->echo_length && p->echo[at] == ' ') return 1;
    return at + 3 <= p->echo_length && memcmp(p->echo + at, "\uFFFD", 3) == 0 ? 3 : 0;
}

struct span {
    size_t begin, end;
};

/* Where the token that comes at `from` of the echo stands in it. Tokens without text in it (a BOS that the
 * tokenizer added, bytes that are not a character) take no room. */
static struct span find_in_echo(const struct prompt *p, size_t from, const char *token, size_t length) {
    char bytes[TOKEN_TEXT_BYTES_MAX];
    bool is_text;
    size_t count = token_name_bytes(token, length, bytes, &is_text);
    for (size_t at = from, step = 1; step && at + count <= p->echo_length; at += step) {
        if (memcmp(p->echo + at, bytes, count) == 0) return (struct span){at, at + count};
        step = filler(p, at, is_text);
    }
    /* The first word's token may have a space that the tokenizer put before the text. */
    if (is_text && from == 0 && length && token[0] == ' ')
        return find_in_echo(p, from, token + 1, length - 1);
    return (struct span){from, from};
}

static bool is_inside_character(const struct prompt *p, size_t at) {
    return at < p->echo_length && ((unsigned char)p->echo[at] & 0xc0) == 0x80;
}

/* A character counts once its last byte has passed. */
static void pass_echo(struct prompt *p, size_t end) {
    for (; p->scored_bytes < end; p->scored_bytes++)
        p->scored_characters += !is_inside_character(p, p->scored_bytes + 1);
}

static void score_prompt_token(struct prompt *p, const struct engine_event *event) {
    const struct completion *c = p->completion;
    const struct token_names names = answer_shape_token_names(c);
    struct logprob_buffers to = {&p->tokens, &p->token_logprobs, &p->top_logprobs, &p->text_offsets};
    p->scored++;
    if (c->params.prompt_logprobs >= 0) write_prompt_logprob(p, event);
    if (!c->params.echo || c->params.logprobs < 0) return;
    size_t length;
    const char *token = engine_token_text(c->engine, event->id, &length);
    struct span span = find_in_echo(p, p->scored_bytes, token, length);
    pass_echo(p, span.begin);
    text_logprobs_write(to, &names, c->params.logprobs, event, p->scored_characters);
    pass_echo(p, span.end);
}

/* ---- what is generated --------------------------------------------------------------------------------- */

static size_t longest_stop(const struct api_params *params) {
    size_t longest = 0;
    for (size_t i = 0; i < params->stop_count; i++)
        if (params->stops[i].length > longest) longest = params->stops[i].length;
    return longest;
}

static void add_token(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    const struct completion *c = p->completion;
    const struct api_params *params = &c->params;
    if (params->logprobs >= 0) c->shape->add_logprob(p, choice, event);
    choice->logprob_sum += event->has_logprob ? (double)event->logprob : 0;
    choice->generated++;
    bytes_append(&choice->text, event->text, event->text_length);
    choice->characters += json_text_characters(event->text, event->text_length);
    text_logprobs_settle(&choice->place, choice->characters, longest_stop(params));
    if (params->return_token_ids) {
        json_write_separator(&choice->token_ids);
        bytes_integer(&choice->token_ids, event->id);
    }
}

/* ---- failures ------------------------------------------------------------------------------------------ */

/* The fields by which a request leaves tokens out, at most all of them; how many it has. */
static size_t excluding_fields(const struct completion *c, const char *fields[4]) {
    size_t count = 0;
    if (c->params.allowed) fields[count++] = "allowed_token_ids";
    if (c->ban_count) fields[count++] = "bad_words";
    if (c->params.bias_count) fields[count++] = "logit_bias";
    if (c->grammar) fields[count++] = c->grammar_field;
    return count;
}

/* Each of a request's fields has left tokens, all together none. */
static void fail_without_tokens(struct completion *c) {
    const char *fields[4] = {NULL};
    char names[256] = "";
    size_t count = excluding_fields(c, fields);
    for (size_t i = 0, length = 0; i < count; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s'%s'", i ? ", " : "", fields[i]);
    api_error_set(&c->failure, API_INVALID, fields[0],
                  "At a place of the text no token is left that may come: all are excluded by %s.",
                  count ? names : "the request");
}

/* What went wrong by itself is the server's; what the request asks for in vain is the request's. */
static void fail_generating(struct completion *c, const struct error *cause) {
    if (cause->code == STATUS_INVALID_ARGUMENT)
        fail_without_tokens(c);
    else if (cause->code == STATUS_LIMIT && c->grammar)
        api_error_set(&c->failure, API_INVALID, c->grammar_field, "'%s': with this text %s.",
                      c->grammar_field, cause->text);
    else if (cause->code == STATUS_BUSY)
        api_error_set(&c->failure, API_QUEUE_FULL, NULL, "The server is busy: %s. Try again later.",
                      cause->text);
    else
        api_error_set(&c->failure, API_INTERNAL, NULL,
                      "The server failed to generate; its log has the reason under the id of this request.");
}

static void fail(struct completion *c, const struct engine_event *event) {
    if (c->failure.kind != API_OK) return;
    if (event->finish == ENGINE_FINISH_CANCELLED)
        api_error_set(&c->failure, API_DRAINING, NULL, "The server is shutting down.");
    if (event->finish == ENGINE_FINISH_FAILED) fail_generating(c, event->error);
}

/* What was generated in time is an answer; where no choice has anything the time limit is a failure. */
static void fail_if_empty(struct completion *c) {
    if (c->failure.kind != API_OK || !c->timed_out) return;
    for (size_t i = 0; i < c->prompt_count; i++)
        for (int64_t j = 0; j < c->params.best_of; j++)
            if (c->prompts[i].choices[j].generated) return;
    api_error_set(&c->failure, API_TIMEOUT, NULL, "The request was not finished within its time limit.");
}

static void finish_choice(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    choice->finished = true;
    choice->finish = event->finish;
    choice->stop_string = event->stop_string;
    choice->stop_token = event->stop_token;
    choice->seed = event->seed;
    /* Without a token there is nothing to say but what an echoed prompt leaves to be said. */
    if (choice->generated || p->completion->params.echo)
        bytes_append(&choice->text, event->text, event->text_length);
    if (event->choice == 0) p->cached_tokens = event->cached_tokens;
    if (event->embedding)
        bytes_append(&choice->embedding, event->embedding,
                     p->completion->embedding_width * sizeof *event->embedding);
    completion_count_times(p->completion, event);
    p->completion_tokens += event->completion_tokens;
    p->predicted_tokens += event->predicted_tokens;
    struct completion *c = p->completion;
    fail(c, event);
    c->timed_out |= event->finish == ENGINE_FINISH_TIMEOUT;
    if (++p->finished == (size_t)c->params.best_of) c->finished++;
    if (c->finished == c->prompt_count) fail_if_empty(c);
}

/* Takes for what the buffers have grown by. */
static void charge(struct completion *c, size_t *charged, size_t held) {
    if (held <= *charged) return;
    size_t more = held - *charged;
    if (!c->budget) return;
    if (budget_take(c->budget, more)) {
        c->taken += more;
        *charged = held;
    } else if (c->failure.kind == API_OK) {
        api_memory_refuse(c->budget, c->taken + more, COMPLETION_MEMORY_ADVICE, &c->failure);
    }
}

static void charge_choice(struct completion *c, struct choice *choice) {
    charge(c, &choice->charged,
           choice->text.capacity + choice->tokens.capacity + choice->token_logprobs.capacity +
               choice->top_logprobs.capacity + choice->text_offsets.capacity + choice->token_ids.capacity);
}

static void charge_prompt(struct prompt *p) {
    charge(p->completion, &p->charged,
           p->tokens.capacity + p->token_logprobs.capacity + p->top_logprobs.capacity +
               p->text_offsets.capacity + p->prompt_logprobs.capacity);
}

void completion_event(struct prompt *p, const struct engine_event *event) {
    const struct answer_shape *shape = p->completion->shape;
    if (event->kind == ENGINE_EVENT_PROMPT) {
        (shape->add_score ? shape->add_score : score_prompt_token)(p, event);
        charge_prompt(p);
        return;
    }
    struct choice *choice = &p->choices[event->choice];
    if (!choice->begun) begin_choice(p, choice);
    if (event->kind == ENGINE_EVENT_TOKEN)
        add_token(p, choice, event);
    else
        finish_choice(p, choice, event);
    charge_choice(p->completion, choice);
}
