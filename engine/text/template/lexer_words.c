#include "engine/text/template/lexer_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/unicode/unicode.h"

bool unicode_is_blank(int32_t point) {
    return (point >= 0x1C && point <= 0x1F) || unicode_is_whitespace(point);
}

size_t lexer_operator(const char *text) {
    static const char *const pairs[] = {"//", "**", "==", "!=", ">=", "<="};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strncmp(text, pairs[i], 2) == 0) return 2;
    return *text && strchr("+-/*%~[](){}><=.:|,;", *text) ? 1 : 0;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static bool is_digit(char c, int base) {
    if (c >= '0' && c <= '9') return c - '0' < base;
    c |= 0x20;
    return base == 16 && c >= 'a' && c <= 'f';
}

/* Behind digits with single underscores between them; `at` where there are none. */
static size_t skip_digits(const struct lexer *l, size_t at, int base) {
    if (!is_digit(l->source[at], base)) return at;
    while (is_digit(l->source[at], base) || (l->source[at] == '_' && is_digit(l->source[at + 1], base))) at++;
    return at;
}

/* The source ends in NUL, so reading one character ahead is safe. */
static size_t float_end(const struct lexer *l) {
    size_t whole = skip_digits(l, l->at, 10), at = whole;
    if (whole == l->at || (l->at > 0 && l->source[l->at - 1] == '.')) return l->at;
    if (l->source[at] == '.' && is_digit(l->source[at + 1], 10)) at = skip_digits(l, at + 1, 10);
    size_t fraction = at;
    if ((l->source[at] | 0x20) == 'e') {
        size_t digits = at + 1;
        if (l->source[digits] == '+' || l->source[digits] == '-') digits++;
        at = skip_digits(l, digits, 10);
        if (at == digits) at = fraction;
    }
    return at == whole ? l->at : at;
}

static size_t integer_end(const struct lexer *l, int *base) {
    const char *text = l->source + l->at;
    static const struct {
        char letter;
        int base;
    } prefixes[] = {{'b', 2}, {'o', 8}, {'x', 16}};
    for (size_t i = 0; *text == '0' && i < 3; i++) {
        size_t digits = l->at + 2;
        if ((text[1] | 0x20) != prefixes[i].letter) continue;
        if (l->source[digits] == '_') digits++;
        *base = prefixes[i].base;
        if (is_digit(l->source[digits], *base)) return skip_digits(l, digits, *base);
    }
    *base = 10;
    if (*text != '0') return skip_digits(l, l->at, 10);
    size_t at = l->at + 1;
    while (l->source[at] == '0' || (l->source[at] == '_' && l->source[at + 1] == '0')) at++;
    return at;
}

/* The digits without underscores and prefix. */
static enum status number_text(struct lexer *l, size_t start, size_t end, char *out, size_t size) {
    size_t length = 0;
    for (size_t at = start; at < end; at++) {
        if (l->source[at] == '_') continue;
        if (length + 1 == size)
            return template_error(l->e, STATUS_UNSUPPORTED, l->line, "a number of more than %zu digits",
                                  size);
        out[length++] = l->source[at];
    }
    out[length] = '\0';
    return STATUS_OK;
}

static enum status read_number(struct lexer *l, struct token *out, size_t *end) {
    char text[128];
    int base = 10;
    *end = float_end(l);
    out->kind = TOKEN_FLOAT;
    if (*end == l->at) {
        *end = integer_end(l, &base);
        out->kind = TOKEN_INTEGER;
    }
    enum status status = number_text(l, base == 10 ? l->at : l->at + 2, *end, text, sizeof text);
    if (status != STATUS_OK) return status;
    errno = 0;
    if (out->kind == TOKEN_FLOAT)
        out->real = strtod(text, NULL);
    else
        out->integer = strtoll(text, NULL, base);
    if (out->kind == TOKEN_INTEGER && errno == ERANGE)
        return template_error(l->e, STATUS_UNSUPPORTED, l->line, "a whole number beyond 64 bits");
    return STATUS_OK;
}

/* ---- strings ------------------------------------------------------------------------------------------- */

/* The character of an escape with a fixed number of hexadecimal digits; -1: not so many. */
static int32_t hex_point(const char *text, const char *end, size_t digits) {
    int32_t point = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text + i >= end || !is_digit(text[i], 16) || point > 0x10FFFF) return -1;
        int32_t digit = text[i] <= '9' ? text[i] - '0' : (text[i] | 0x20) - 'a' + 10;
        point = point * 16 + digit;
    }
    return point > 0x10FFFF ? -1 : point;
}

static const char *plain_escape(char c) {
    static const char letters[] = "\\'\"abfnrtv", *values = "\\'\"\a\b\f\n\r\t\v";
    const char *found = c ? strchr(letters, c) : NULL;
    return found ? values + (found - letters) : NULL;
}

static const char *octal_escape(const char *at, const char *end, int32_t *point) {
    *point = 0;
    for (size_t i = 0; i < 3 && at < end && *at >= '0' && *at <= '7'; i++)
        *point = *point * 8 + (*at++ - '0');
    return at;
}

/* at: behind the backslash. Appends to *out, which is no longer than the source, and returns what comes next; NULL: an
 * error. */
static const char *undo_escape(struct lexer *l, const char *at, const char *end, char **out) {
    int32_t point = -1;
    const char *plain = plain_escape(*at), *next = at + 1;
    size_t digits = *at == 'x' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 0;
    if (*at == '\n') return next;
    if (plain) {
        *(*out)++ = *plain;
        return next;
    }
    if (*at >= '0' && *at <= '7')
        next = octal_escape(at, end, &point);
    else if (digits > 0)
        point = hex_point(at + 1, end, digits);
    if (digits > 0) next = at + 1 + digits;
    if (digits > 0 && point < 0) {
        template_error(l->e, STATUS_MALFORMED, l->line, "truncated \\%cXX escape", *at);
        return NULL;
    }
    if (*at == 'N' || (*at & 0x80) || (point >= 0xD800 && point <= 0xDFFF)) {
        template_error(l->e, STATUS_UNSUPPORTED, l->line, "the escape \\%c in a string",
                       *at & 0x80 ? '?' : *at);
        return NULL;
    }
    if (point >= 0) {
        *out += utf8_encode(point, *out);
        return next;
    }
    *(*out)++ = '\\';
    return at;
}

static enum status undo_escapes(struct lexer *l, struct token *out, const char *at, const char *end) {
    char *text = arena_take_bytes(l->arena, (size_t)(end - at) + UTF8_BYTES_MAX), *to = text;
    if (!text) return template_no_memory(l->e, l->arena);
    while (at && at < end) {
        if (*at == '\\' && at + 1 < end)
            at = undo_escape(l, at + 1, end, &to);
        else
            *to++ = *at++;
    }
    if (!at) return l->e->code;
    out->text = text;
    out->length = (size_t)(to - text);
    return STATUS_OK;
}

static enum status read_string(struct lexer *l, struct token *out, size_t *end) {
    char quote = l->source[l->at];
    size_t at = l->at + 1;
    while (at < l->length && l->source[at] != quote) at += l->source[at] == '\\' ? 2 : 1;
    if (at >= l->length)
        return template_error(l->e, STATUS_MALFORMED, l->line, "unexpected char %c: a string without end",
                              quote);
    *end = at + 1;
    out->kind = TOKEN_STRING;
    return undo_escapes(l, out, l->source + l->at + 1, l->source + at);
}

enum status lexer_word(struct lexer *l, struct token *out, size_t *end) {
    char first = l->source[l->at];
    *end = l->at;
    if (first == '\'' || first == '"') return read_string(l, out, end);
    if (first >= '0' && first <= '9') return read_number(l, out, end);
    for (size_t next = *end; *end < l->length; *end = next)
        if (!unicode_is_word(utf8_next(l->source, l->length, &next))) break;
    if (*end == l->at) return STATUS_OK;
    out->kind = TOKEN_NAME;
    out->text = l->source + l->at;
    out->length = *end - l->at;
    return STATUS_OK;
}
