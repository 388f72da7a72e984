#include "engine/grammar/sources/gbnf_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/grammar/rules/rules.h"
#include "engine/text/unicode/unicode.h"

#define NUMBER_MAX 1000000000u

bool gbnf_failed(const struct gbnf_reader *g) {
    return g->status != STATUS_OK;
}

void gbnf_refuse(struct gbnf_reader *g, const char *format, ...) {
    char where[64];
    size_t line = 1, start = 0;
    va_list args;
    if (gbnf_failed(g)) return;
    for (size_t i = 0; i < g->at; i++)
        if (g->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    snprintf(where, sizeof where, "grammar, line %zu, column %zu", line,
             utf8_count(g->text + start, g->at - start) + 1);
    va_start(args, format);
    g->status = error_vset(g->error, STATUS_INVALID_ARGUMENT, where, format, args);
    va_end(args);
}

char gbnf_peek(const struct gbnf_reader *g) {
    if (g->at >= g->length || gbnf_failed(g)) return 0;
    return g->text[g->at];
}

bool gbnf_take(struct gbnf_reader *g, const char *word) {
    size_t length = strlen(word);
    if (gbnf_failed(g) || g->length - g->at < length || memcmp(g->text + g->at, word, length) != 0)
        return false;
    g->at += length;
    return true;
}

void gbnf_skip(struct gbnf_reader *g, bool lines) {
    for (; g->at < g->length; g->at++) {
        char c = g->text[g->at];
        if (c == '#')
            while (g->at + 1 < g->length && g->text[g->at + 1] != '\n' && g->text[g->at + 1] != '\r') g->at++;
        else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r')))
            return;
    }
}

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

size_t gbnf_name(const struct gbnf_reader *g) {
    size_t end = g->at;
    while (end < g->length && is_name_byte(g->text[end])) end++;
    return gbnf_failed(g) ? 0 : end - g->at;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static uint32_t hex_point(struct gbnf_reader *g, int digits) {
    uint32_t point = 0;
    for (int i = 0; i < digits; i++, g->at++) {
        int digit = hex_digit(gbnf_peek(g));
        if (digit < 0) {
            gbnf_refuse(g, "expected %d hexadecimal digits", digits);
            return 0;
        }
        point = point << 4 | (uint32_t)digit;
    }
    if (point > RULES_POINT_MAX || (point >= 0xD800 && point <= 0xDFFF))
        gbnf_refuse(g, "no character has this number");
    return point;
}

static uint32_t escaped(struct gbnf_reader *g) {
    char c = gbnf_peek(g);
    if (c == 0) {
        gbnf_refuse(g, "the text ends behind '\\'");
        return 0;
    }
    g->at++;
    switch (c) {
    case 'x':
        return hex_point(g, 2);
    case 'u':
        return hex_point(g, 4);
    case 'U':
        return hex_point(g, 8);
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
        return (unsigned char)c;
    default:
        g->at--;
        gbnf_refuse(g, "'\\' must stand before one of x u U t r n \\ \" [ ] - ^");
        return 0;
    }
}

uint32_t gbnf_point(struct gbnf_reader *g) {
    if (gbnf_failed(g) || g->at >= g->length) {
        gbnf_refuse(g, "the grammar ends in the midst of a text or a set");
        return 0;
    }
    if (gbnf_take(g, "\\")) return escaped(g);
    return (uint32_t)utf8_next(g->text, g->length, &g->at);
}

bool gbnf_number(struct gbnf_reader *g, uint32_t *out) {
    uint64_t number = 0;
    size_t start = g->at;
    for (; gbnf_peek(g) >= '0' && gbnf_peek(g) <= '9'; g->at++) {
        number = number * 10 + (uint64_t)(gbnf_peek(g) - '0');
        if (number > NUMBER_MAX) {
            gbnf_refuse(g, "a count above %u", NUMBER_MAX);
            return false;
        }
    }
    if (g->at == start) gbnf_refuse(g, "expected a count");
    *out = (uint32_t)number;
    return !gbnf_failed(g);
}
