/* Events of the engine into the buffers of the choices. Loop thread. */
#include <string.h>

#include "server/completion.h"
#include "server/json_write.h"

/* The four elements of `logprobs` for one token. */
struct logprob_buffers {
    struct bytes *tokens, *token_logprobs, *top_logprobs, *text_offsets;
};

/* Longer texts of one token are cut; the longest of known vocabularies are below 300 bytes. */
enum { TOKEN_TEXT_SIZE = 1024 };

/* The most alternatives that the option max-logprobs allows, and the token itself. */
enum { TOP_MAX = 1001 };

/* The texts of an event's alternatives, one after the other. */
struct top_texts {
    struct bytes texts;
    size_t ends[TOP_MAX];
    size_t count;
};

/* false where an alternative before it has the same text: best first, so that one is the larger. */
static bool add_text(struct top_texts *t, const char *text, size_t length) {
    for (size_t i = 0, begin = 0; i < t->count; begin = t->ends[i++])
        if (t->ends[i] - begin == length && memcmp(t->texts.data + begin, text, length) == 0) return false;
    bytes_append(&t->texts, text, length);
    if (t->texts.failed) return true;
    t->ends[t->count++] = t->texts.length;
    return true;
}

static void write_top_entry(struct bytes *out, const char *text, size_t length, float logprob) {
    json_write_separator(out);
    json_write_string(out, text, length);
    bytes_text(out, ":");
    json_write_logprob(out, logprob);
}

/* The alternatives and the actual token, each text once. */
static void write_top(struct bytes *out, const struct engine *engine, const struct engine_event *event,
                      const char *token, size_t token_length) {
    struct top_texts seen = {.count = 0};
    char text[TOKEN_TEXT_SIZE];
    bytes_text(out, "{");
    for (size_t i = 0; i < event->top_count && i < TOP_MAX - 1; i++) {
        size_t length = engine_token_text(engine, event->top[i].id, text, sizeof text);
        if (add_text(&seen, text, length)) write_top_entry(out, text, length, event->top[i].logprob);
    }
    if (add_text(&seen, token, token_length)) write_top_entry(out, token, token_length, event->logprob);
    bytes_text(out, "}");
    if (seen.texts.failed) out->failed = true;
    bytes_deinit(&seen.texts);
}

/* Writes one token and returns the characters of its own text: 0 for bytes that are no text by themselves. */
static size_t write_logprobs(struct logprob_buffers to, const struct engine *engine,
                             const struct engine_event *event, size_t offset) {
    char token[TOKEN_TEXT_SIZE];
    size_t length = engine_token_text(engine, event->id, token, sizeof token);
    json_write_separator(to.tokens);
    json_write_separator(to.token_logprobs);
    json_write_separator(to.top_logprobs);
    json_write_separator(to.text_offsets);
    json_write_string(to.tokens, token, length);
    if (event->has_logprob) {
        json_write_logprob(to.token_logprobs, event->logprob);
        write_top(to.top_logprobs, engine, event, token, length);
    } else {
        bytes_text(to.token_logprobs, "null");
        bytes_text(to.top_logprobs, "null");
    }
    bytes_integer(to.text_offsets, (int64_t)offset);
    return length >= 6 && memcmp(token, "bytes:", 6) == 0 ? 0 : json_text_characters(token, length);
}

/* With echo a choice begins with its prompt. */
static void begin_choice(struct prompt *p, struct choice *choice) {
    choice->begun = true;
    if (!p->completion->params.echo) return;
    bytes_append(&choice->text, p->echo, p->echo_length);
    choice->characters = choice->next_offset = p->echo_characters;
}

/* Bytes that a token has in a text: those of its own text, or as many as "bytes:\xe2\x80" says. */
static size_t token_bytes(const char *token, size_t length) {
    bool escaped = length >= 6 && memcmp(token, "bytes:", 6) == 0;
    return escaped ? (length - 6) / 4 : length;
}

/* Where a token that starts at `from` of the echo ends. Tokens without text in it (a BOS that the tokenizer
 * added) take no room; decoders put spaces between tokens that do not have them themselves. */
static size_t find_in_echo(const struct prompt *p, size_t from, const char *token, size_t length) {
    size_t bytes = token_bytes(token, length);
    if (bytes != length) return from + bytes < p->echo_length ? from + bytes : p->echo_length;
    /* The first word's token may have a space that the tokenizer put before the text. */
    if (from == 0 && length && token[0] == ' ' && p->echo_length && p->echo[0] != ' ')
        return find_in_echo(p, from, token + 1, length - 1);
    for (size_t at = from; at + bytes <= p->echo_length; at++) {
        if (memcmp(p->echo + at, token, bytes) == 0) return at + bytes;
        if (p->echo[at] != ' ') break;
    }
    return from;
}

static bool is_inside_character(const struct prompt *p, size_t at) {
    return at < p->echo_length && ((unsigned char)p->echo[at] & 0xc0) == 0x80;
}

static void score_prompt_token(struct prompt *p, const struct engine_event *event) {
    struct logprob_buffers to = {&p->tokens, &p->token_logprobs, &p->top_logprobs, &p->text_offsets};
    char token[TOKEN_TEXT_SIZE];
    size_t length = engine_token_text(p->completion->engine, event->id, token, sizeof token);
    write_logprobs(to, p->completion->engine, event, p->scored_characters);
    size_t end = find_in_echo(p, p->scored_bytes, token, length);
    for (; p->scored_bytes < end; p->scored_bytes++) /* a character counts once its last byte has passed */
        p->scored_characters += !is_inside_character(p, p->scored_bytes + 1);
    p->scored++;
}

static size_t longest_stop(const struct api_params *params) {
    size_t longest = 0;
    for (size_t i = 0; i < params->stop_count; i++)
        if (params->stops[i].length > longest) longest = params->stops[i].length;
    return longest;
}

/* Where the next token's text starts. Without stop strings nothing but incomplete characters is held back, so
 * it is where the text ends; with them it may lie up to a stop string's length further. */
static size_t offset_after(const struct api_params *params, const struct choice *choice, size_t own) {
    size_t offset = choice->next_offset + own, most = choice->characters + longest_stop(params);
    if (offset < choice->characters) return choice->characters;
    return offset < most ? offset : most;
}

static void add_token(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    const struct api_params *params = &p->completion->params;
    struct logprob_buffers to = {&choice->tokens, &choice->token_logprobs, &choice->top_logprobs,
                                 &choice->text_offsets};
    size_t own = 0;
    if (params->logprobs >= 0) own = write_logprobs(to, p->completion->engine, event, choice->next_offset);
    choice->logprob_sum += event->has_logprob ? (double)event->logprob : 0;
    choice->generated++;
    bytes_append(&choice->text, event->text, event->text_length);
    choice->characters += json_text_characters(event->text, event->text_length);
    choice->next_offset = offset_after(params, choice, own);
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
    bytes_append(&choice->text, event->text, event->text_length);
    if (event->choice == 0) p->cached_tokens = event->cached_tokens;
    p->completion_tokens += event->completion_tokens;
    struct completion *c = p->completion;
    fail(c, event);
    c->timed_out |= event->finish == ENGINE_FINISH_TIMEOUT;
    if (++p->finished == (size_t)c->params.best_of) c->finished++;
    if (c->finished == c->prompt_count) fail_if_empty(c);
}

void completion_event(struct prompt *p, const struct engine_event *event) {
    if (event->kind == ENGINE_EVENT_PROMPT) {
        score_prompt_token(p, event);
        return;
    }
    struct choice *choice = &p->choices[event->choice];
    if (!choice->begun) begin_choice(p, choice);
    if (event->kind == ENGINE_EVENT_TOKEN)
        add_token(p, choice, event);
    else
        finish_choice(p, choice, event);
}
