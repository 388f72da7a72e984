#include "engine/grammar/sources/regex_reader.h"

#include <string.h>

#include "engine/text/unicode/unicode.h"

bool regex_reader_ended(const struct regex_reader *p) {
    return p->at >= p->length || rules_failed(p->rules);
}

int regex_reader_peek(const struct regex_reader *p, size_t ahead) {
    return p->at + ahead < p->length ? (unsigned char)p->text[p->at + ahead] : -1;
}

bool regex_reader_take(struct regex_reader *p, const char *text) {
    size_t length = strlen(text);
    if (p->at > p->length || length > p->length - p->at || memcmp(p->text + p->at, text, length) != 0)
        return false;
    p->at += length;
    return true;
}

uint32_t regex_reader_point(struct regex_reader *p) {
    return (uint32_t)utf8_next(p->text, p->length, &p->at);
}

bool regex_reader_number(struct regex_reader *p, uint32_t *out) {
    size_t start = p->at;
    uint32_t value = 0;
    for (int digit; (digit = regex_reader_peek(p, 0)) >= '0' && digit <= '9'; p->at++)
        value = value > UINT32_MAX / 16 ? UINT32_MAX : value * 10 + (uint32_t)(digit - '0');
    *out = value;
    return p->at > start;
}

void regex_reader_refuse(struct regex_reader *p, size_t offset, const char *what) {
    rules_fail(p->rules, STATUS_INVALID_ARGUMENT, p->style->where, "regular expression, offset %zu: %s",
               offset, what);
    p->at = p->length;
}

void regex_reader_no_memory(struct regex_reader *p) {
    rules_fail(p->rules, STATUS_NO_MEMORY, p->style->where, "cannot allocate for a regular expression");
    p->at = p->length;
}
