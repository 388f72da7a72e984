/* Events of the engine into the buffers of the choices. Loop thread. */
#include <stdio.h>
#include <string.h>

#include "engine/types/limits.h"
#include "server/completion/completion.h"
#include "server/json/write.h"

/* The four elements of `logprobs` for one token. */
struct logprob_buffers {
    struct bytes *tokens, *token_logprobs, *top_logprobs, *text_offsets;
};

/* Of "token_id:" and a number. */
enum { TOKEN_ID_NAME_SIZE = 24 };

static void write_top_entry(struct bytes *out, const char *text, size_t length, float logprob) {
    json_write_separator(out);
    json_write_string(out, text, length);
    bytes_text(out, ":");
    json_write_logprob(out, logprob);
}

/* How `logprobs` shows a token: its text, or "token_id:7" in the caller's buffer. */
static const char *token_name(const struct completion *c, int32_t id, char buffer[TOKEN_ID_NAME_SIZE],
                              size_t *length) {
    if (!c->params.return_tokens_as_token_ids) return engine_token_text(c->engine, id, length);
    *length = (size_t)snprintf(buffer, TOKEN_ID_NAME_SIZE, "token_id:%d", (int)id);
    return buffer;
}

static bool have_same_name(const struct completion *c, int32_t a, int32_t b) {
    size_t a_length, b_length;
    if (a == b || c->params.return_tokens_as_token_ids) return a == b;
    const char *a_text = engine_token_text(c->engine, a, &a_length);
    const char *b_text = engine_token_text(c->engine, b, &b_length);
    return a_length == b_length && memcmp(a_text, b_text, a_length) == 0;
}

/* Whether one of the first alternatives has the token's name: best first, so that one is the larger. */
static bool is_named(const struct completion *c, const struct engine_event *event, size_t count, int32_t id) {
    size_t i = 0;
    while (i < count && !have_same_name(c, event->top[i].id, id)) i++;
    return i < count;
}

/* Of the alternatives of an event those that were asked for. */
static size_t wanted_tops(const struct engine_event *event, int64_t wanted) {
    size_t most = wanted > 0 ? (size_t)wanted : 0;
    return event->top_count < most ? event->top_count : most;
}

/* The alternatives and the actual token, each text once. */
static void write_top(struct bytes *out, const struct completion *c, const struct engine_event *event,
                      const char *token, size_t token_length) {
    char buffer[TOKEN_ID_NAME_SIZE];
    size_t length, count = wanted_tops(event, c->params.logprobs);
    bytes_text(out, "{");
    for (size_t i = 0; i < count; i++) {
        if (is_named(c, event, i, event->top[i].id)) continue;
        const char *text = token_name(c, event->top[i].id, buffer, &length);
        write_top_entry(out, text, length, event->top[i].logprob);
    }
    if (!is_named(c, event, count, event->id)) write_top_entry(out, token, token_length, event->logprob);
    bytes_text(out, "}");
}

/* Writes one token, whose text starts at this offset. */
static void write_logprobs(struct logprob_buffers to, const struct completion *c,
                           const struct engine_event *event, size_t offset) {
    char buffer[TOKEN_ID_NAME_SIZE];
    size_t length;
    const char *name = token_name(c, event->id, buffer, &length);
    json_write_separator(to.tokens);
    json_write_separator(to.token_logprobs);
    json_write_separator(to.top_logprobs);
    json_write_separator(to.text_offsets);
    json_write_string(to.tokens, name, length);
    if (event->has_logprob) {
        json_write_logprob(to.token_logprobs, event->logprob);
        write_top(to.top_logprobs, c, event, name, length);
    } else {
        bytes_text(to.token_logprobs, "null");
        bytes_text(to.top_logprobs, "null");
    }
    bytes_integer(to.text_offsets, (int64_t)offset);
}

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
    size_t count = wanted_tops(event, c->params.prompt_logprobs);
    for (size_t i = 0; i < count; i++)
        if (event->top[i].id != event->id)
            write_ranked(out, c, event->top[i].id, event->top[i].logprob, (uint32_t)i + 1);
    bytes_text(out, "}");
}

/* ---- the prompt's tokens ------------------------------------------------------------------------------- */

/* With echo a choice begins with its prompt. */
static void begin_choice(struct prompt *p, struct choice *choice) {
    choice->begun = true;
    if (!p->completion->params.echo) return;
    bytes_append(&choice->text, p->echo, p->echo_length);
    choice->characters = choice->next_offset = p->echo_characters;
}

/* Bytes that a token has in a text: its text, or what "bytes:\xe2\x80" says; *is_text tells which. */
static size_t token_bytes(const char *token, size_t length, char *out, bool *is_text) {
    *is_text = length < 6 || memcmp(token, "bytes:", 6) != 0;
    if (*is_text) {
        memcpy(out, token, length);
        return length;
    }
    size_t count = 0;
    unsigned byte;
    for (size_t at = 6; at + 4 <= length && sscanf(token + at, "\\x%2x", &byte) == 1; at += 4)
        out[count++] = (char)byte;
    return count;
}

/* What a token may be preceded by in the echo without having it itself: a blank of the decoder, or what
 * stands for bytes that are not a character. Its length; 0 where neither is. */
static size_t filler(const struct prompt *p, size_t at) {
    if (at < p->echo_length && p->echo[at] == ' ') return 1;
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
    size_t count = token_bytes(token, length, bytes, &is_text);
    for (size_t at = from, step = 1; step && at + count <= p->echo_length; at += step) {
        if (memcmp(p->echo + at, bytes, count) == 0) return (struct span){at, at + count};
        step = is_text ? filler(p, at) : 0;
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
    struct logprob_buffers to = {&p->tokens, &p->token_logprobs, &p->top_logprobs, &p->text_offsets};
    p->scored++;
    if (c->params.prompt_logprobs >= 0) write_prompt_logprob(p, event);
    if (!c->params.echo || c->params.logprobs < 0) return;
    size_t length;
    const char *token = engine_token_text(c->engine, event->id, &length);
    struct span span = find_in_echo(p, p->scored_bytes, token, length);
    pass_echo(p, span.begin);
    write_logprobs(to, c, event, p->scored_characters);
    pass_echo(p, span.end);
}

/* ---- what is generated --------------------------------------------------------------------------------- */

static size_t longest_stop(const struct api_params *params) {
    size_t longest = 0;
    for (size_t i = 0; i < params->stop_count; i++)
        if (params->stops[i].length > longest) longest = params->stops[i].length;
    return longest;
}

/* Where the next token's text starts. Without stop strings nothing but incomplete characters is held back, so
 * it is where the text ends; with them it may lie up to a stop string's length further. */
static size_t offset_after(const struct api_params *params, const struct choice *choice) {
    size_t offset = choice->next_offset, most = choice->characters + longest_stop(params);
    if (offset < choice->characters) return choice->characters;
    return offset < most ? offset : most;
}

/* Where the text of a token starts. Where the text that comes with it ends with its own, U+FFFD may stand
 * before it, for bytes that were held back until it was certain that they are not a character. */
static size_t offset_of(const struct choice *choice, const struct engine_event *event, const char *token,
                        size_t length) {
    if (!length || event->text_length < length ||
        memcmp(event->text + event->text_length - length, token, length) != 0)
        return choice->next_offset;
    size_t before = json_text_characters(event->text, event->text_length - length);
    size_t offset = choice->characters + before;
    return offset > choice->next_offset ? offset : choice->next_offset;
}

static void add_token(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    const struct completion *c = p->completion;
    const struct api_params *params = &c->params;
    struct logprob_buffers to = {&choice->tokens, &choice->token_logprobs, &choice->top_logprobs,
                                 &choice->text_offsets};
    if (params->logprobs >= 0) {
        size_t length;
        const char *token = engine_token_text(c->engine, event->id, &length);
        bool is_text = length < 6 || memcmp(token, "bytes:", 6) != 0;
        size_t offset = is_text ? offset_of(choice, event, token, length) : choice->next_offset;
        write_logprobs(to, c, event, offset);
        choice->next_offset = offset + (is_text ? json_text_characters(token, length) : 0);
    }
    choice->logprob_sum += event->has_logprob ? (double)event->logprob : 0;
    choice->generated++;
    bytes_append(&choice->text, event->text, event->text_length);
    choice->characters += json_text_characters(event->text, event->text_length);
    choice->next_offset = offset_after(params, choice);
    if (params->return_token_ids) {
        json_write_separator(&choice->token_ids);
        bytes_integer(&choice->token_ids, event->id);
    }
}

static void fail(struct completion *c, const struct engine_event *event) {
    if (c->failure.kind != API_OK) return;
    if (event->finish == ENGINE_FINISH_CANCELLED)
        api_error_set(&c->failure, API_DRAINING, NULL, "The server is shutting down.");
    if (event->finish == ENGINE_FINISH_FAILED)
        api_error_set(&c->failure, API_INTERNAL, NULL,
                      "The server failed to generate; its log has the reason under the id of this request.");
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
    p->completion_tokens += event->completion_tokens;
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
        api_error_set(&c->failure, API_QUEUE_FULL, NULL,
                      "The server is busy: its memory for answers is taken. Try again later.");
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
    if (event->kind == ENGINE_EVENT_PROMPT) {
        score_prompt_token(p, event);
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
