#include "engine/text/template/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/text/template/lexer_words.h"
#include "engine/text/unicode/unicode.h"

enum status template_error(struct error *e, enum status status, unsigned line, const char *format, ...) {
    char where[64];
    va_list args;
    snprintf(where, sizeof where, "chat template, line %u", line);
    va_start(args, format);
    error_vset(e, status, where, format, args);
    va_end(args);
    return status;
}

enum status template_no_memory(struct error *e, const struct arena *arena) {
    if (arena->no_memory) return error_set(e, STATUS_NO_MEMORY, "chat template", "no memory for it");
    return error_set(e, STATUS_LIMIT, "chat template", "its syntax tree takes more than %zu MiB",
                     arena->bytes_max >> 20);
}

enum status lexer_init(struct lexer *l, struct arena *arena, const char *source, size_t length,
                       struct error *e) {
    char *copy = arena_take_bytes(arena, length + 1);
    size_t kept = 0;
    if (!copy) return template_no_memory(e, arena);
    for (size_t i = 0; i < length; i++) {
        if (source[i] == '\r' && i + 1 < length && source[i + 1] == '\n') continue;
        copy[kept] = source[i];
        if (source[i] == '\r') copy[kept] = '\n';
        kept++;
    }
    if (kept > 0 && copy[kept - 1] == '\n') kept--;
    copy[kept] = '\0';
    *l = (struct lexer){.source = copy,
                        .length = kept,
                        .line = 1,
                        .inside = TOKEN_DATA,
                        .line_starting = true,
                        .arena = arena,
                        .e = e};
    return STATUS_OK;
}

static bool is_at(const struct lexer *l, size_t at, const char *text) {
    size_t length = strlen(text);
    return at <= l->length && l->length - at >= length && memcmp(l->source + at, text, length) == 0;
}

static size_t skip_blanks(const struct lexer *l, size_t at) {
    for (size_t next = at; at < l->length; at = next)
        if (!unicode_is_blank(utf8_next(l->source, l->length, &next))) break;
    return at;
}

static unsigned count_lines(const struct lexer *l, size_t start, size_t end) {
    unsigned lines = 0;
    for (; start < end; start++) lines += l->source[start] == '\n';
    return lines;
}

static void move_to(struct lexer *l, size_t at) {
    l->line += count_lines(l, l->at, at);
    if (at > l->at) l->line_starting = l->source[at - 1] == '\n';
    l->at = at;
}

/* End of a tag that may end here ("%}", "-%}", "+%}"), behind what it takes with it; 0: it does not. */
static size_t tag_end(const struct lexer *l, size_t at, const char *end, bool trims) {
    if (is_at(l, at, "-") && is_at(l, at + 1, end)) return skip_blanks(l, at + 3);
    if (trims && is_at(l, at, "+") && is_at(l, at + 1, end)) return at + 3;
    if (!is_at(l, at, end)) return 0;
    at += 2;
    return trims && is_at(l, at, "\n") ? at + 1 : at;
}

/* Where the data before a tag ends, by the sign of the tag. */
static size_t strip_before(const struct lexer *l, size_t start, size_t end, char sign, bool is_variable) {
    size_t at = end;
    if (sign == '-') {
        for (size_t before; at > start; at = before) {
            before = utf8_previous(l->source, at);
            size_t next = before;
            if (!unicode_is_blank(utf8_next(l->source, l->length, &next))) break;
        }
        return at;
    }
    if (sign == '+' || is_variable) return end;
    while (at > start && l->source[at - 1] != '\n') at--;
    if (at == start && !l->line_starting) return end;
    return skip_blanks(l, at) >= end ? at : end;
}

/* The next "{{", "{%" or "{#"; the length where there is none. */
static size_t find_tag(const struct lexer *l) {
    for (size_t at = l->at; at + 1 < l->length; at++)
        if (l->source[at] == '{' && strchr("{%#", l->source[at + 1])) return at;
    return l->length;
}

static char sign_at(const struct lexer *l, size_t at) {
    if (at < l->length && (l->source[at] == '-' || l->source[at] == '+')) return l->source[at];
    return '\0';
}

/* Behind "{% WORD %}" that begins at `at`; 0: it is something else. */
static size_t word_tag(const struct lexer *l, size_t at, const char *word, bool trims) {
    if (!is_at(l, at, "{%")) return 0;
    at += 2;
    if (sign_at(l, at)) at++;
    at = skip_blanks(l, at);
    if (!is_at(l, at, word)) return 0;
    return tag_end(l, skip_blanks(l, at + strlen(word)), "%}", trims);
}

static void set_data(struct token *out, const struct lexer *l, size_t start, size_t end) {
    *out =
        (struct token){.kind = TOKEN_DATA, .line = l->line, .text = l->source + start, .length = end - start};
}

/* "{% raw %}...{% endraw %}" from its content on. */
static enum status read_raw(struct lexer *l, struct token *out) {
    for (size_t at = l->at; at < l->length; at++) {
        size_t end = word_tag(l, at, "endraw", true);
        if (end == 0) continue;
        set_data(out, l, l->at, strip_before(l, l->at, at, sign_at(l, at + 2), false));
        move_to(l, end);
        return STATUS_OK;
    }
    set_data(out, l, l->at, l->at); /* nothing may follow, by Jinja's rules, but no content without an end */
    if (l->at == l->length) return STATUS_OK;
    return template_error(l->e, STATUS_MALFORMED, l->line, "Missing end of raw directive");
}

static enum status skip_comment(struct lexer *l, size_t begin) {
    for (size_t at = begin + 2; at < l->length; at++) {
        size_t end = tag_end(l, at, "#}", true);
        if (end == 0) continue;
        move_to(l, end);
        return STATUS_OK;
    }
    if (begin + 2 == l->length) {
        move_to(l, l->length);
        return STATUS_OK;
    }
    return template_error(l->e, STATUS_MALFORMED, l->line, "Missing end of comment tag");
}

/* Data up to the next tag, and into that. */
static enum status read_data(struct lexer *l, struct token *out) {
    size_t at = find_tag(l);
    size_t raw = word_tag(l, at, "raw", false);
    char sign = sign_at(l, at + 2), type = '\0';
    if (at < l->length) type = l->source[at + 1];
    set_data(out, l, l->at, type ? strip_before(l, l->at, at, sign, type == '{') : at);
    if (!type) {
        move_to(l, l->length);
        return STATUS_OK;
    }
    move_to(l, at);
    if (type == '#') return skip_comment(l, at + (sign ? 1 : 0));
    l->inside = type == '{' ? TOKEN_VARIABLE_BEGIN : TOKEN_BLOCK_BEGIN;
    l->entering = !raw;
    if (raw) {
        move_to(l, raw);
        l->inside = TOKEN_END; /* its content comes next */
    }
    return STATUS_OK;
}

static bool close_tag(struct lexer *l, struct token *out) {
    bool block = l->inside == TOKEN_BLOCK_BEGIN;
    size_t end = tag_end(l, l->at, block ? "%}" : "}}", block);
    if (l->open > 0 || end == 0) return false;
    *out = (struct token){.kind = block ? TOKEN_BLOCK_END : TOKEN_VARIABLE_END, .line = l->line};
    move_to(l, end);
    l->inside = TOKEN_DATA;
    return true;
}

static enum status balance(struct lexer *l, char sign) {
    const char *opening = "([{", *closing = ")]}";
    const char *opens = strchr(opening, sign);
    if (opens && l->open == sizeof l->brackets)
        return template_error(l->e, STATUS_LIMIT, l->line, "more than %zu brackets within each other",
                              sizeof l->brackets);
    if (opens) l->brackets[l->open++] = closing[opens - opening];
    if (!strchr(closing, sign)) return STATUS_OK;
    if (l->open == 0) return template_error(l->e, STATUS_MALFORMED, l->line, "unexpected '%c'", sign);
    if (l->brackets[--l->open] == sign) return STATUS_OK;
    return template_error(l->e, STATUS_MALFORMED, l->line, "unexpected '%c', expected '%c'", sign,
                          l->brackets[l->open]);
}

static enum status read_operator(struct lexer *l, struct token *out) {
    size_t length = lexer_operator(l->source + l->at);
    if (length == 0)
        return template_error(l->e, STATUS_MALFORMED, l->line, "unexpected char '%c'", l->source[l->at]);
    *out =
        (struct token){.kind = TOKEN_OPERATOR, .line = l->line, .text = l->source + l->at, .length = length};
    enum status status = length == 1 ? balance(l, l->source[l->at]) : STATUS_OK;
    l->at += length;
    return status;
}

static enum status read_word(struct lexer *l, struct token *out) {
    size_t at = skip_blanks(l, l->at), end;
    move_to(l, at);
    if (at == l->length) {
        *out = (struct token){.kind = TOKEN_END, .line = l->line};
        return STATUS_OK;
    }
    if (close_tag(l, out)) return STATUS_OK;
    *out = (struct token){.line = l->line};
    enum status status = lexer_word(l, out, &end);
    if (status != STATUS_OK) return status;
    if (end == l->at) return read_operator(l, out);
    move_to(l, end);
    return STATUS_OK;
}

/* The "{{" or "{%" where data has ended. */
static enum status enter_tag(struct lexer *l, struct token *out) {
    *out = (struct token){.kind = l->inside, .line = l->line};
    move_to(l, l->at + (sign_at(l, l->at + 2) ? 3 : 2));
    l->entering = false;
    return STATUS_OK;
}

enum status lexer_next(struct lexer *l, struct token *out) {
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        if (l->entering) return enter_tag(l, out);
        if (l->inside == TOKEN_VARIABLE_BEGIN || l->inside == TOKEN_BLOCK_BEGIN) return read_word(l, out);
        *out = (struct token){.kind = TOKEN_END, .line = l->line};
        if (l->inside == TOKEN_DATA && l->at == l->length) return STATUS_OK;
        bool raw = l->inside == TOKEN_END;
        if (raw) l->inside = TOKEN_DATA;
        status = raw ? read_raw(l, out) : read_data(l, out);
        if (status == STATUS_OK && out->length > 0) return STATUS_OK;
    }
    return status;
}
