#include "server/json/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

size_t utf8_sequence_length(const char *text, size_t length) {
    size_t used;
    if (length == 0 || utf8_classify((const unsigned char *)text, length, &used) != UTF8_WHOLE) return 0;
    return used;
}

size_t json_text_characters(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; count++) {
        size_t step = utf8_sequence_length(text + i, length - i);
        i += step ? step : 1;
    }
    return count;
}

static void write_escape(struct bytes *out, unsigned char byte) {
    static const char digits[] = "0123456789abcdef";
    const char escape[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    switch (byte) {
    case '"':
        bytes_text(out, "\\\"");
        return;
    case '\\':
        bytes_text(out, "\\\\");
        return;
    case '\n':
        bytes_text(out, "\\n");
        return;
    case '\r':
        bytes_text(out, "\\r");
        return;
    case '\t':
        bytes_text(out, "\\t");
        return;
    default:
        bytes_append(out, escape, sizeof escape);
    }
}

static size_t escape_bytes(unsigned char byte) {
    return byte && strchr("\"\\\n\r\t", byte) ? 2 : 6;
}

static bool is_plain(unsigned char byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void json_write_string(struct bytes *out, const char *text, size_t length) {
    bytes_append(out, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t run = i;
        while (run < length && is_plain((unsigned char)text[run])) run++;
        if (run > i) {
            bytes_append(out, text + i, run - i);
            i = run;
            continue;
        }
        size_t step = utf8_sequence_length(text + i, length - i);
        if (step == 1)
            write_escape(out, (unsigned char)text[i]);
        else if (step)
            bytes_append(out, text + i, step);
        else
            bytes_text(out, "\xef\xbf\xbd");
        i += step ? step : 1;
    }
    bytes_append(out, "\"", 1);
}

size_t json_string_bytes(const char *text, size_t length) {
    size_t bytes = 2;
    for (size_t i = 0, step; i < length; i += step ? step : 1) {
        step = utf8_sequence_length(text + i, length - i);
        if (step == 1)
            bytes += is_plain((unsigned char)text[i]) ? 1 : escape_bytes((unsigned char)text[i]);
        else
            bytes += step ? step : sizeof "\xef\xbf\xbd" - 1;
    }
    return bytes;
}

void json_write_text(struct bytes *out, const char *text) {
    if (text)
        json_write_string(out, text, strlen(text));
    else
        bytes_text(out, "null");
}

void json_write_logprob(struct bytes *out, float value) {
    if (!(value >= -9999.0f)) value = -9999.0f; /* -inf and NaN too */
    json_write_float(out, value > 9999.0f ? 9999.0f : value);
}

void json_write_float(struct bytes *out, float value) {
    char text[40];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    bytes_text(out, text);
    if (!strpbrk(text, ".e")) bytes_text(out, ".0");
}

void json_write_separator(struct bytes *out) {
    if (!out->length) return;
    char last = out->data[out->length - 1];
    if (last != '[' && last != '{') bytes_append(out, ",", 1);
}

/* In jansson's own words, which say the same double again. */
static void write_number(struct bytes *out, const json_t *value) {
    char text[40];
    if (json_is_integer(value))
        bytes_integer(out, json_integer_value(value));
    else
        bytes_append(out, text, json_dumpb(value, text, sizeof text, JSON_ENCODE_ANY));
}

static void write_array(struct bytes *out, const json_t *array) {
    bytes_append(out, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_write_separator(out);
        json_write_value(out, json_array_get(array, i));
    }
    bytes_append(out, "]", 1);
}

/* Keys have no NUL, which jansson refuses in them, and before 2.14 it tells no lengths of keys. */
static void write_object(struct bytes *out, const json_t *object) {
    const char *key;
    json_t *member;
    bytes_append(out, "{", 1);
    json_object_foreach((json_t *)(uintptr_t)object, key, member) {
        json_write_separator(out);
        json_write_text(out, key);
        bytes_append(out, ":", 1);
        json_write_value(out, member);
    }
    bytes_append(out, "}", 1);
}

void json_write_value(struct bytes *out, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(out, value);
        break;
    case JSON_ARRAY:
        write_array(out, value);
        break;
    case JSON_STRING:
        json_write_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        write_number(out, value);
        break;
    case JSON_TRUE:
        bytes_text(out, "true");
        break;
    case JSON_FALSE:
        bytes_text(out, "false");
        break;
    case JSON_NULL:
        bytes_text(out, "null");
    }
}
