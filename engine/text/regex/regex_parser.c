#include "engine/text/regex/regex_parser.h"

#include <stdio.h>
#include <string.h>

int regex_peek(const struct regex_parser *p, size_t ahead) {
    return p->at + ahead < p->length ? (unsigned char)p->pattern[p->at + ahead] : -1;
}

bool regex_starts_with(const struct regex_parser *p, const char *text) {
    size_t length = strlen(text);
    return p->length - p->at >= length && memcmp(p->pattern + p->at, text, length) == 0;
}

void regex_refuse(struct regex_parser *p, const char *what) {
    if (p->status != STATUS_OK) return;
    p->status =
        error_set(p->error, STATUS_UNSUPPORTED, "", "the regular expression, offset %zu: %s", p->at, what);
}

void regex_expect(struct regex_parser *p, char byte) {
    char what[32];
    snprintf(what, sizeof what, "expected '%c'", byte);
    if (regex_peek(p, 0) == byte)
        p->at++;
    else
        regex_refuse(p, what);
}

void regex_emit(struct regex_parser *p, const char *format, ...) {
    char text[2048];
    va_list args;
    if (p->status != STATUS_OK) return;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text)
        regex_refuse(p, "too long");
    else
        text_buffer_append(p->out, text, (size_t)length);
}

void regex_emit_point(struct regex_parser *p, int32_t point) {
    bool plain =
        (point >= '0' && point <= '9') || (point >= 'A' && point <= 'Z') || (point >= 'a' && point <= 'z');
    if (plain)
        regex_emit(p, "%c", (char)point);
    else
        regex_emit(p, "\\x{%x}", (unsigned)point);
}

void regex_insert(struct regex_parser *p, size_t at, const char *text) {
    size_t length = strlen(text), tail = p->out->length - at;
    text_buffer_append(p->out, text, length);
    if (p->out->failed) return;
    memmove(p->out->bytes + at + length, p->out->bytes + at, tail);
    memcpy(p->out->bytes + at, text, length);
}
