#include "engine/files/json_repair.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INT64_DIGITS 19 /* of the largest */

/* ---- numbers ------------------------------------------------------------------------------------------- */

static bool is_beyond_int64(const char *digits, size_t count, bool negative) {
    if (count != INT64_DIGITS) return count > INT64_DIGITS;
    return memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", INT64_DIGITS) > 0;
}

/* The number that begins at i; returns its end. */
static size_t repair_number(char *text, size_t length, size_t i) {
    bool negative = text[i] == '-';
    size_t first = i + negative, end = first;
    while (end < length && isdigit((unsigned char)text[end])) end++;
    bool is_real = end < length && (text[end] == '.' || text[end] == 'e' || text[end] == 'E');
    if (!is_real && is_beyond_int64(text + first, end - first, negative)) {
        text[end - 3] = 'e';
        text[end - 2] = '0';
        text[end - 1] = '3';
    }
    if (!is_real) return end;
    while (end < length && (isalnum((unsigned char)text[end]) || strchr("+-.", text[end]))) end++;
    return end;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static bool is_key(const char *text, size_t length, size_t end) {
    for (size_t i = end + 1; i < length; i++)
        if (!strchr(" \t\r\n", text[i]) || !text[i]) return text[i] == ':';
    return false;
}

/* key: what stands between the quotes. */
static bool repair_key(char *key, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (length - i >= 3 && memcmp(key + i, JSON_REPAIR_NUL, 3) == 0) return false;
        if (key[i] != '\\') continue;
        bool has_code = length - i >= 6 && key[i + 1] == 'u';
        if (has_code && strncasecmp(key + i + 2, "FDD0", 4) == 0) return false;
        if (has_code && memcmp(key + i + 2, "0000", 4) == 0) memcpy(key + i + 2, "FDD0", 4);
        i++; /* what is escaped begins no escape */
    }
    return true;
}

static size_t string_end(const char *text, size_t length, size_t i) {
    for (i++; i < length && text[i] != '"'; i++)
        if (text[i] == '\\') i++;
    return i < length ? i : length;
}

/* Copies the string that begins at text[i] to out, as JSON says it; returns its end there. */
static char *undo_string(const char *text, size_t i, size_t end, bool key, char *out) {
    while (i <= end) {
        bool is_nul = key && end - i >= 3 && memcmp(text + i, JSON_REPAIR_NUL, 3) == 0;
        memcpy(out, is_nul ? "\\u0000" : text + i, is_nul ? 6 : 1);
        out += is_nul ? 6 : 1;
        i += is_nul ? 3 : 1;
    }
    return out;
}

/* ---- whole texts --------------------------------------------------------------------------------------- */

enum status json_repair(char *text, size_t length, bool with_nuls, const char *where, struct error *e) {
    for (size_t i = 0; i < length;) {
        if (text[i] == '"') {
            size_t end = string_end(text, length, i);
            if (with_nuls && is_key(text, length, end) && !repair_key(text + i + 1, end - i - 1))
                return error_set(e, STATUS_UNSUPPORTED, where,
                                 "byte %zu: a key with U+FDD0, which is not a character", i);
            i = end + 1;
        } else if (text[i] == '-' || isdigit((unsigned char)text[i])) {
            i = repair_number(text, length, i);
        } else {
            i++;
        }
    }
    return STATUS_OK;
}

char *json_repair_undo(const char *text, size_t *length) {
    size_t from_length = strlen(text);
    char *copy = malloc(2 * from_length + 1), *out = copy; /* three bytes become six */
    if (!copy) return NULL;
    for (size_t i = 0; i < from_length; i++) {
        size_t end = text[i] == '"' ? string_end(text, from_length, i) : i;
        out = undo_string(text, i, end, end > i && is_key(text, from_length, end), out);
        i = end;
    }
    *out = '\0';
    *length = (size_t)(out - copy);
    return copy;
}

size_t json_repair_restore(char *key) {
    size_t length = 0;
    for (const char *from = key; *from;) {
        bool is_nul = strncmp(from, JSON_REPAIR_NUL, 3) == 0;
        key[length] = *from;
        if (is_nul) key[length] = '\0';
        length++;
        from += is_nul ? 3 : 1;
    }
    key[length] = '\0';
    return length;
}
