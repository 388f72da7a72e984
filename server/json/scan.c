#include "server/json/scan.h"

#include <stdbool.h>
#include <string.h>

/* Measured with jansson 2.14 and glibc's malloc, headers of its blocks included; an element of an array is 16
 * bytes of its table more, and 8 while the table moves. Of the text of a string, and of a number or word of
 * any length (what is not a value shows at its end), there are two copies while it is read. */
enum {
    ELEMENT_BYTES = 24,
    ARRAY_BYTES = 128 + ELEMENT_BYTES,
    OBJECT_BYTES = 224 + ELEMENT_BYTES,
    STRING_BYTES = 80 + ELEMENT_BYTES,
    NUMBER_BYTES = 32 + ELEMENT_BYTES,
    LITERAL_BYTES = ELEMENT_BYTES,
    KEY_BYTES = 160,
    STRING_COPIES = 2,
    SCALAR_BYTES = 64, /* a shorter one is part of what the parser has anyway */
};

enum kind { SCALAR, BLANK, QUOTE, OPEN_ARRAY, OPEN_OBJECT, CLOSE, COLON, COMMA };

static enum kind kind_of(char byte) {
    switch (byte) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        return BLANK;
    case '"':
        return QUOTE;
    case '[':
        return OPEN_ARRAY;
    case '{':
        return OPEN_OBJECT;
    case ']':
    case '}':
        return CLOSE;
    case ':':
        return COLON;
    case ',':
        return COMMA;
    default:
        return SCALAR;
    }
}

/* Offset of the quote that ends the string whose first byte is at `at`, or the length. */
static size_t end_of_string(const char *text, size_t length, size_t at) {
    for (; at < length && text[at] != '"'; at++)
        if (text[at] == '\\') at++;
    return at < length ? at : length;
}

static size_t end_of_scalar(const char *text, size_t length, size_t at) {
    while (at < length && kind_of(text[at]) == SCALAR) at++;
    return at;
}

static void count_string(struct json_scan *s, size_t bytes) {
    s->strings++;
    s->string_bytes += bytes;
    if (bytes > s->longest_string) s->longest_string = bytes;
}

static void count_scalar(struct json_scan *s, char first, size_t bytes) {
    if (bytes > SCALAR_BYTES && bytes > s->longest_scalar) s->longest_scalar = bytes;
    if (first == '-' || (first >= '0' && first <= '9'))
        s->numbers++;
    else
        s->literals++;
}

/* A key is a string with a colon behind it. */
static void count_mark(struct json_scan *s, enum kind kind, size_t *depth) {
    if (kind == OPEN_ARRAY) s->arrays++;
    if (kind == OPEN_OBJECT) s->objects++;
    if (kind == OPEN_ARRAY || kind == OPEN_OBJECT) ++*depth;
    if (kind == CLOSE && *depth > 0) --*depth;
    if (kind == COLON && s->strings > 0) s->strings--, s->keys++;
    if (*depth > s->depth) s->depth = *depth;
}

void json_scan(const char *text, size_t length, struct json_scan *out) {
    *out = (struct json_scan){0};
    for (size_t at = 0, depth = 0, end; at < length; at++) {
        enum kind kind = kind_of(text[at]);
        if (kind == QUOTE) {
            end = end_of_string(text, length, at + 1);
            count_string(out, end - at - 1);
            at = end;
        } else if (kind == SCALAR) {
            end = end_of_scalar(text, length, at + 1);
            count_scalar(out, text[at], end - at);
            at = end - 1;
        } else {
            count_mark(out, kind, &depth);
        }
    }
}

size_t json_scan_values(const struct json_scan *s) {
    return s->arrays + s->objects + s->strings + s->numbers + s->literals;
}

/* No overflow: each counted thing has at least one byte of the text. */
size_t json_scan_tree_bytes(const struct json_scan *s) {
    return s->arrays * ARRAY_BYTES + s->objects * OBJECT_BYTES + s->strings * STRING_BYTES +
           s->numbers * NUMBER_BYTES + s->literals * LITERAL_BYTES + s->keys * KEY_BYTES +
           (s->string_bytes + s->longest_scalar) * STRING_COPIES;
}

/* Offset of the comma or bracket behind the value from `at` on, or the length. */
static size_t end_of_value(const char *text, size_t length, size_t at) {
    for (size_t depth = 0; at < length; at++) {
        enum kind kind = kind_of(text[at]);
        if (kind == QUOTE) at = end_of_string(text, length, at + 1);
        if (depth == 0 && (kind == COMMA || kind == CLOSE)) return at;
        if (kind == OPEN_ARRAY || kind == OPEN_OBJECT) depth++;
        if (kind == CLOSE) depth--;
    }
    return length;
}

bool json_scan_next(const char *text, size_t length, size_t *at, struct json_scan_member *out) {
    size_t key = *at, key_end, value, end;
    while (key < length && text[key] != '"') key++;
    if (key >= length) return false;
    key_end = end_of_string(text, length, key + 1);
    value = key_end;
    while (value < length && text[value] != ':') value++;
    if (value >= length) return false;
    end = end_of_value(text, length, value + 1);
    *out = (struct json_scan_member){.key = text + key + 1,
                                     .key_length = key_end - key - 1,
                                     .value = text + value + 1,
                                     .value_length = end - value - 1};
    *at = end;
    return true;
}
