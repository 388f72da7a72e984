#include "server/cli/choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "server/json/write.h"
#include "server/logprobs/text_logprobs.h"

/* Of the table, in a line: more go on in the next, so that none is cut. */
#define ALTERNATIVES_IN_LINE 8

void choice_clear(struct choice *c) {
    bytes_clear(&c->text);
    bytes_clear(&c->tokens);
    bytes_clear(&c->token_logprobs);
    bytes_clear(&c->top_logprobs);
    bytes_clear(&c->text_offsets);
    bytes_clear(&c->table);
    c->shown = c->characters = 0;
    c->place = (struct text_place){0};
    c->is_finished = false;
}

void choice_deinit(struct choice *c) {
    bytes_deinit(&c->text);
    bytes_deinit(&c->tokens);
    bytes_deinit(&c->token_logprobs);
    bytes_deinit(&c->top_logprobs);
    bytes_deinit(&c->text_offsets);
    bytes_deinit(&c->table);
}

/* ---- what comes ---- */

static void add_row(struct bytes *table, const struct engine *engine, const struct engine_event *event,
                    int64_t alternatives) {
    size_t length, shown = 0, count = token_name_alternatives(event, alternatives);
    const char *text = engine_token_text(engine, event->id, &length);
    bytes_format(table, "%9.4f %6.2f %%  ", (double)event->logprob, 100 * exp((double)event->logprob));
    json_write_string(table, text, length);
    for (size_t i = 0; i < count; i++) {
        if (event->top[i].id == event->id) continue;
        text = engine_token_text(engine, event->top[i].id, &length);
        bytes_text(table, shown % ALTERNATIVES_IN_LINE ? ", " : shown ? ",\n                      " : "   ");
        json_write_string(table, text, length);
        bytes_format(table, " %.2f %%", 100 * exp((double)event->top[i].logprob));
        shown++;
    }
    bytes_text(table, "\n");
}

static void add_logprob(struct choice *c, const struct engine *engine, const struct config *config,
                        const struct engine_event *event) {
    const struct token_names names = {.engine = engine, .skips_special = config->skip_special_tokens};
    const struct logprob_buffers to = {&c->tokens, &c->token_logprobs, &c->top_logprobs, &c->text_offsets};
    if (config->json)
        text_logprobs_add(to, &names, config->logprobs, event, c->characters, &c->place);
    else
        add_row(&c->table, engine, event, config->logprobs);
}

static size_t longest_stop(const struct config *config) {
    size_t longest = 0;
    for (size_t i = 0; i < config->stop.count; i++)
        if (strlen(config->stop.items[i]) > longest) longest = strlen(config->stop.items[i]);
    return longest;
}

static bool has_failed(const struct choice *c) {
    return c->text.failed || c->tokens.failed || c->token_logprobs.failed || c->top_logprobs.failed ||
           c->text_offsets.failed || c->table.failed;
}

enum status choice_add(struct choice *c, const struct engine *engine, const struct config *config,
                       const struct engine_event *event, struct error *e) {
    bool is_token = event->kind == ENGINE_EVENT_TOKEN;
    if (is_token && config->logprobs >= 0) add_logprob(c, engine, config, event);
    bytes_append(&c->text, event->text, event->text_length);
    c->characters += json_text_characters(event->text, event->text_length);
    if (is_token) text_logprobs_settle(&c->place, c->characters, longest_stop(config));
    if (event->kind == ENGINE_EVENT_FINISHED) {
        c->last = *event;
        c->is_finished = true;
    }
    return has_failed(c) ? error_set(e, STATUS_NO_MEMORY, "text", "no memory for it") : STATUS_OK;
}

/* ---- how it is told ---- */

static const char *finish_name(const struct choice *c) {
    switch (c->last.finish) {
    case ENGINE_FINISH_STOP:
        return "stop";
    case ENGINE_FINISH_CANCELLED:
        return "cancelled";
    default:
        return "length";
    }
}

static void write_array(struct bytes *out, const char *name, const struct bytes *elements) {
    bytes_format(out, "\"%s\":[", name);
    bytes_append_bytes(out, elements);
    bytes_text(out, "]");
}

static void write_logprobs(struct bytes *out, const struct choice *c) {
    bytes_text(out, "{");
    write_array(out, "tokens", &c->tokens);
    bytes_text(out, ",");
    write_array(out, "token_logprobs", &c->token_logprobs);
    bytes_text(out, ",");
    write_array(out, "top_logprobs", &c->top_logprobs);
    bytes_text(out, ",");
    write_array(out, "text_offset", &c->text_offsets);
    bytes_text(out, "}");
}

/* null, or the stop text or the named token that ended it. */
static void write_stop_reason(struct bytes *out, const struct choice *c, const struct config *config) {
    int index = c->last.stop_string;
    if (index >= 0 && (size_t)index < config->stop.count) {
        json_write_text(out, config->stop.items[index]);
        return;
    }
    for (size_t i = 0; i < config->stop_token_ids.count; i++)
        if (c->last.stop_token >= 0 &&
            strtol(config->stop_token_ids.items[i], NULL, 10) == c->last.stop_token) {
            bytes_integer(out, c->last.stop_token);
            return;
        }
    bytes_text(out, "null");
}

void choice_write_json(struct bytes *out, const struct choice *c, const struct config *config) {
    bytes_format(out, "{\"index\":%u,\"text\":", c->last.choice);
    json_write_string(out, c->text.data, c->text.length);
    bytes_text(out, ",\"logprobs\":");
    if (config->logprobs >= 0)
        write_logprobs(out, c);
    else
        bytes_text(out, "null");
    bytes_format(out, ",\"finish_reason\":\"%s\",\"stop_reason\":", finish_name(c));
    write_stop_reason(out, c, config);
    bytes_format(out, ",\"seed\":%lld}", (long long)c->last.seed);
}

void choice_print_table(const struct choice *c) {
    const char *line = c->table.data, *end = line + c->table.length;
    if (c->table.length) log_say("  logprob    share  token   what might have come in its place");
    while (line < end) {
        size_t length = (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) - line);
        log_say("%.*s", (int)length, line);
        line += length + 1;
    }
}
