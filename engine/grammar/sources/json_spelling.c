#include "engine/grammar/sources/json_spelling.h"

#include <stdio.h>
#include <string.h>

#include "engine/grammar/sources/point_set.h"

enum { SPELLING_BYTES_MAX = 8, ESCAPED_COUNT = 0x20 + 2 };

static bool is_escaped(uint32_t point) {
    return point < 0x20 || point == '"' || point == '\\';
}

static size_t spell(uint32_t point, char out[SPELLING_BYTES_MAX]) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = point ? strchr(plain, (int)point) : NULL;
    if (found) return (size_t)snprintf(out, SPELLING_BYTES_MAX, "\\%c", letters[found - plain]);
    return (size_t)snprintf(out, SPELLING_BYTES_MAX, "\\u%04x", point & 0xFF);
}

static bool has(const struct rules_range *ranges, size_t count, uint32_t point) {
    for (size_t i = 0; i < count; i++)
        if (ranges[i].first <= point && point <= ranges[i].last) return true;
    return false;
}

static rules_expression escaped(struct rules *r, uint32_t point) {
    char text[SPELLING_BYTES_MAX];
    return rules_text(r, text, spell(point, text));
}

static void add_raw(struct point_set *raw, const struct rules_range *ranges, size_t count) {
    static const struct rules_range allowed[] = {
        {0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, RULES_POINT_MAX}};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 3; k++) {
            uint32_t first = ranges[i].first > allowed[k].first ? ranges[i].first : allowed[k].first;
            uint32_t last = ranges[i].last < allowed[k].last ? ranges[i].last : allowed[k].last;
            point_set_add(raw, first, last);
        }
}

rules_expression json_spelling_points(struct rules *r, const struct rules_range *ranges, size_t count) {
    rules_expression parts[1 + ESCAPED_COUNT];
    size_t n = 0;
    struct point_set raw = {0};
    add_raw(&raw, ranges, count);
    if (raw.failed) rules_fail(r, STATUS_NO_MEMORY, "JSON", "cannot allocate for a set of characters");
    if (raw.count > 0) parts[n++] = rules_points(r, raw.ranges, raw.count);
    point_set_deinit(&raw);
    for (uint32_t point = 0; point <= '\\'; point++)
        if (is_escaped(point) && has(ranges, count, point)) parts[n++] = escaped(r, point);
    return n == 1 ? parts[0] : rules_choice(r, parts, n);
}

rules_expression json_spelling_any(struct rules *r) {
    return json_spelling_points(r, &(const struct rules_range){0, RULES_POINT_MAX}, 1);
}

void json_spelling_append(struct text_buffer *out, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char spelled[SPELLING_BYTES_MAX];
        if (is_escaped((unsigned char)text[i]))
            text_buffer_append(out, spelled, spell((unsigned char)text[i], spelled));
        else
            text_buffer_append_byte(out, text[i]);
    }
}
