/* Upper, lower and title case, as Python's methods of strings write them. */
#include <utf8proc.h>

#include "engine/text/template/case_table.h"
#include "engine/text/template/methods.h"
#include "engine/text/unicode/unicode.h"

static const int32_t *find_row(const struct case_row *rows, size_t count, int32_t point) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].point == point) return rows[middle].mapped;
        if (rows[middle].point < point)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void add_large(struct builder *b, int32_t point, bool title, bool client) {
    const int32_t *several =
        title ? find_row(case_title, case_title_count, point) : find_row(case_upper, case_upper_count, point);
    if (!several) builder_point(b, title ? utf8proc_totitle(point) : utf8proc_toupper(point), client);
    for (size_t i = 0; several && i < 3 && several[i]; i++) builder_point(b, several[i], client);
}

static bool is_cased(int32_t point) {
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
           category == UTF8PROC_CATEGORY_LT;
}

static bool is_ignored(int32_t point) {
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME ||
           category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_LM ||
           category == UTF8PROC_CATEGORY_SK || point == '\'' || point == '.' || point == ':' ||
           point == 0xB7 || point == 0x2018 || point == 0x2019;
}

/* Whether a capital sigma in [start, end) ends a word: letters before it, and none behind. */
static bool ends_word(const struct string *s, size_t start, size_t end) {
    int32_t before = 0, behind = 0;
    while (start > 0) {
        size_t at = start = utf8_previous(s->bytes, start);
        before = utf8_next(s->bytes, s->length, &at);
        if (!is_ignored(before)) break;
    }
    while (end < s->length) {
        behind = utf8_next(s->bytes, s->length, &end);
        if (!is_ignored(behind)) break;
    }
    return is_cased(before) && !is_cased(behind);
}

static void add_small(struct builder *b, const struct string *s, size_t start, size_t end, int32_t point) {
    int32_t lower[2];
    bool client = string_mark(s, start);
    if (point == 0x3A3) {
        builder_point(b, ends_word(s, start, end) ? 0x3C2 : 0x3C3, client);
        return;
    }
    size_t count = unicode_lower(point, lower);
    for (size_t i = 0; i < count; i++) builder_point(b, lower[i], client);
}

/* Whether a character becomes large, and then, as a title does. */
static bool is_large(enum text_case kind, int32_t point, bool first, bool in_word, bool *title) {
    *title = kind == CASE_TITLE || kind == CASE_CAPITALIZE;
    switch (kind) {
    case CASE_LOWER:
        return false;
    case CASE_UPPER:
        return true;
    case CASE_TITLE:
        return !in_word;
    case CASE_CAPITALIZE:
        return first;
    default:
        return utf8proc_category(point) == UTF8PROC_CATEGORY_LL;
    }
}

const struct string *text_case(struct render *r, const struct string *s, enum text_case kind) {
    struct builder b = {.r = r};
    bool in_word = false, title;
    if (!render_bytes(r, 4 * s->length)) return NULL;
    for (size_t at = 0; at < s->length && !b.failed;) {
        size_t start = at;
        int32_t point = utf8_next(s->bytes, s->length, &at);
        if (is_large(kind, point, start == 0, in_word, &title))
            add_large(&b, point, title, string_mark(s, start));
        else
            add_small(&b, s, start, at, point);
        in_word = is_cased(point);
    }
    const struct string *text = builder_take(&b);
    return text ? string_with_safety(r, text, s->safe) : NULL;
}
