/* Filters that give strings. */
#include <string.h>

#include "engine/text/template/filter_rows.h"
#include "engine/text/template/format.h"
#include "engine/text/template/lexer_words.h"
#include "engine/text/template/methods.h"
#include "engine/text/unicode/unicode.h"

static bool give(const struct string *s, struct value *out) {
    *out = STRING(s);
    return s != NULL;
}

static bool in_case(struct render *r, const struct value *v, enum text_case kind, struct value *out) {
    const struct string *s;
    return filter_text(r, v, &s) && give(text_case(r, s, kind), out);
}

static bool upper(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    (void)p;
    return in_case(r, v, CASE_UPPER, out);
}

static bool lower(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    (void)p;
    return in_case(r, v, CASE_LOWER, out);
}

static bool capitalize(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    (void)p;
    return in_case(r, v, CASE_CAPITALIZE, out);
}

/* ---- title: words as Jinja sees them ------------------------------------------------------------------- */

static bool starts_word(int32_t point) {
    return unicode_is_blank(point) || (point < 0x80 && strchr("-({[<", (char)point) && point > 0);
}

static size_t run_end(const struct string *s, size_t at, bool separators) {
    for (size_t next = at; at < s->length; at = next)
        if (starts_word(utf8_next(s->bytes, s->length, &next)) != separators) break;
    return at;
}

static bool add_word(struct render *r, struct builder *b, const struct string *s, size_t start, size_t end) {
    size_t second = start;
    if (start == end) return true;
    utf8_next(s->bytes, s->length, &second);
    const struct string *first = string_part(r, s, start, second), *rest = string_part(r, s, second, end);
    if (first) first = text_case(r, first, CASE_UPPER);
    if (rest) rest = text_case(r, rest, CASE_LOWER);
    if (!first || !rest) return false;
    builder_string(b, first);
    builder_string(b, rest);
    return !b->failed;
}

static bool title(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct builder b = {.r = r};
    const struct string *s;
    (void)p;
    if (!filter_text(r, v, &s)) return false;
    for (size_t at = 0; at < s->length;) {
        size_t end = run_end(s, at, false), next = run_end(s, end, true);
        if (!add_word(r, &b, s, at, end)) return false;
        builder_part(&b, s, end, next);
        at = next;
    }
    return give(builder_take(&b), out);
}

/* ---- parts and replacements ---------------------------------------------------------------------------- */

static bool trim(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s;
    bool all = p[0].kind == VALUE_MISSING || p[0].kind == VALUE_NONE;
    if (!filter_text(r, v, &s)) return false;
    if (!all && p[0].kind != VALUE_STRING)
        return render_error(r, "strip arg must be None or str, not %s", value_type(&p[0]));
    return give(text_strip(r, s, all ? NULL : p[0].string, 0), out);
}

static bool replace(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s, *old, *new;
    int64_t most;
    if (!filter_text(r, v, &s) || !filter_text(r, &p[0], &old) || !filter_text(r, &p[1], &new) ||
        !filter_integer(r, &p[2], -1, &most))
        return false;
    s = text_replace(r, s, old, new, most);
    return s && give(string_with_safety(r, s, false), out);
}

static bool center(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string blank = STRING_LITERAL(" ");
    const struct string *s;
    int64_t width;
    return filter_text(r, v, &s) && filter_integer(r, &p[0], 80, &width) &&
           give(text_pad(r, s, width, &blank, 0), out);
}

static bool make_indention(struct render *r, const struct value *width, struct value *out) {
    static const struct string blank = STRING_LITERAL(" ");
    int64_t count;
    struct value one = STRING(&blank);
    if (width->kind == VALUE_STRING) {
        *out = *width;
        return true;
    }
    return filter_integer(r, width, 4, &count) && operator_repeat(r, &one, count, out);
}

static bool indent(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string newline = STRING_LITERAL("\n");
    struct builder b = {.r = r};
    struct value indention;
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (v->kind != VALUE_STRING) return render_error(r, "indent needs a string, not %s", value_type(v));
    if (!make_indention(r, &p[0], &indention)) return false;
    const struct string *s = string_concat(r, v->string, &newline);
    struct list *lines = s ? text_lines(r, s, false) : NULL;
    if (!lines) return false;
    if (value_truth(&p[1])) builder_string(&b, indention.string);
    for (size_t i = 0; i < lines->count; i++) {
        const struct string *line = lines->items[i].string;
        if (i > 0) builder_text(&b, "\n");
        if (i > 0 && (value_truth(&p[2]) || line->length > 0)) builder_string(&b, indention.string);
        builder_string(&b, line);
        if (b.failed || !render_steps(r, 1)) return false;
    }
    return give(builder_take(&b), out);
}

static bool truncate(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string dots = STRING_LITERAL("..."), blank = STRING_LITERAL(" ");
    const struct string *end = p[2].kind == VALUE_STRING ? p[2].string : &dots;
    int64_t length, leeway, tail = (int64_t)string_characters(end);
    if (!filter_integer(r, &p[0], 255, &length) || !filter_integer(r, &p[3], 5, &leeway)) return false;
    size_t count;
    *out = *v;
    if (length < tail || leeway < 0)
        return render_error(r, "expected length >= %lld, got %lld", (long long)tail, (long long)length);
    if (!value_length(r, v, &count)) return false;
    if ((int64_t)count <= length || (int64_t)count - length <= leeway) return true;
    if (v->kind != VALUE_STRING) return render_error(r, "truncate needs a string, not %s", value_type(v));
    const struct string *s = v->string;
    size_t cut = string_offset(s, (size_t)(length - tail));
    size_t word = value_truth(&p[1]) ? SIZE_MAX : string_find_last(r, s, 0, cut, &blank);
    s = r->failed ? NULL : string_part(r, s, 0, word == SIZE_MAX ? cut : word);
    return s && give(string_concat(r, s, end), out);
}

static bool join(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct builder b = {.r = r};
    struct getter g = {0};
    struct list *list;
    const struct string *between = NULL, *text;
    if (p[0].kind != VALUE_MISSING && !filter_text(r, &p[0], &between)) return false;
    if (!value_elements(r, v, &list) || !getter_init(r, &g, &p[1])) return false;
    for (size_t i = 0; i < list->count; i++) {
        struct value element;
        if (i > 0 && between) builder_string(&b, between);
        if (!getter_get(r, &g, &list->items[i], &element) || !filter_text(r, &element, &text)) return false;
        builder_string(&b, text);
        if (b.failed) return false;
    }
    return give(builder_take(&b), out);
}

static bool format(struct render *r, const struct value *v, const struct arguments *a, struct value *out) {
    const struct string *s;
    struct value values;
    if (a->count > 0 && a->keyword_count > 0)
        return render_error(r, "can't handle positional and keyword arguments at the same time");
    if (!filter_text(r, v, &s)) return false;
    if (a->keyword_count > 0) {
        struct dict *d = dict_create(r, a->keyword_count);
        for (size_t i = 0; d && i < a->keyword_count; i++)
            if (!dict_set(r, d, STRING(a->keywords[i].name), a->keywords[i].value)) return false;
        values = dict_value(d);
        return d && format_percent(r, s, &values, out);
    }
    struct list *list = list_create(r, LIST_TUPLE, a->count);
    for (size_t i = 0; list && i < a->count; i++)
        if (!list_add(r, list, a->items[i])) return false;
    values = list_value(list);
    return list && format_percent(r, s, &values, out);
}

/* ---- markup -------------------------------------------------------------------------------------------- */

static bool string(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s;
    (void)p;
    return filter_text(r, v, &s) && give(s, out);
}

static bool escape(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s;
    (void)p;
    return filter_text(r, v, &s) && give(string_escape(r, s), out);
}

static bool forceescape(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s;
    (void)p;
    if (!filter_text(r, v, &s)) return false;
    s = string_with_safety(r, s, false);
    return s && give(string_escape(r, s), out);
}

static bool safe(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s;
    (void)p;
    return filter_text(r, v, &s) && give(string_with_safety(r, s, true), out);
}

static void quote(struct builder *b, const struct string *s, bool query) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s->length && !b->failed; i++) {
        char c = s->bytes[i];
        unsigned char byte = (unsigned char)c;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c && strchr("_.-~", c)) || (c == '/' && !query);
        const char hex[] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (plain)
            builder_part(b, s, i, i + 1);
        else if (query && c == ' ')
            builder_add(b, "+", 1, string_mark(s, i));
        else
            builder_add(b, hex, 3, string_mark(s, i));
    }
}

static bool quote_pair(struct render *r, struct builder *b, const struct value *v) {
    struct list *pair;
    const struct string *key, *value;
    if (!value_elements(r, v, &pair)) return false;
    if (pair->count != 2) return render_error(r, "urlencode needs pairs");
    if (!filter_text(r, &pair->items[0], &key) || !filter_text(r, &pair->items[1], &value)) return false;
    if (b->length > 0) builder_text(b, "&");
    quote(b, key, true);
    builder_text(b, "=");
    quote(b, value, true);
    return !b->failed && render_steps(r, 1);
}

static bool urlencode(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string items = STRING_LITERAL("items");
    struct builder b = {.r = r};
    const struct string *s;
    struct value pairs = *v, method;
    struct list *list;
    (void)p;
    if (v->kind == VALUE_STRING || !value_is_iterable(v)) {
        if (!filter_text(r, v, &s) || !render_bytes(r, s->length)) return false;
        quote(&b, s, false);
        return give(builder_take(&b), out);
    }
    if (v->kind == VALUE_DICT && (!access_attribute(r, v, &items, "", &method) ||
                                  !call_value(r, &method, &(struct arguments){0}, &pairs)))
        return false;
    if (!value_elements(r, &pairs, &list)) return false;
    for (size_t i = 0; i < list->count; i++)
        if (!quote_pair(r, &b, &list->items[i])) return false;
    return give(builder_take(&b), out);
}

const struct filter_row text_filters[] = {
    {"upper", upper, NULL, "", 0},
    {"lower", lower, NULL, "", 0},
    {"capitalize", capitalize, NULL, "", 0},
    {"title", title, NULL, "", 0},
    {"trim", trim, NULL, "chars", 0},
    {"replace", replace, NULL, "old new count", 2},
    {"center", center, NULL, "width", 0},
    {"indent", indent, NULL, "width first blank", 0},
    {"truncate", truncate, NULL, "length killwords end leeway", 0},
    {"join", join, NULL, "d attribute", 0},
    {"format", NULL, format, "", 0},
    {"string", string, NULL, "", 0},
    {"escape", escape, NULL, "", 0},
    {"e", escape, NULL, "", 0},
    {"forceescape", forceescape, NULL, "", 0},
    {"safe", safe, NULL, "", 0},
    {"tojson", filter_tojson, NULL, "ensure_ascii indent separators sort_keys", 0},
    {"urlencode", urlencode, NULL, "", 0},
    {"striptags", NULL, NULL, "", 0},
    {"urlize", NULL, NULL, "", 0},
    {"xmlattr", NULL, NULL, "", 0},
    {"wordwrap", NULL, NULL, "", 0},
    {"pprint", NULL, NULL, "", 0},
    {0},
};
