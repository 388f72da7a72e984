/* json.dumps of Python, as the transformers library's tojson calls it. */
#include <math.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/text/template/filter_rows.h"
#include "engine/text/template/print.h"
#include "engine/text/unicode/unicode.h"

struct writer {
    struct builder b;
    bool ascii, sorted;
    const struct string *indent, *item, *key; /* indent NULL: all in one line */
    size_t level;
};

static bool write(struct writer *w, const struct value *v);

static const char *plain_escape(int32_t point) {
    switch (point) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\f':
        return "\\f";
    case '\b':
        return "\\b";
    default:
        return NULL;
    }
}

static void write_escape(struct writer *w, int32_t point, bool client) {
    char text[16];
    const char *plain = plain_escape(point);
    if (plain)
        snprintf(text, sizeof text, "%s", plain);
    else if (point < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)point);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800u + ((unsigned)(point - 0x10000) >> 10),
                 0xDC00u + ((unsigned)(point - 0x10000) & 0x3FF));
    builder_add(&w->b, text, strlen(text), client);
}

static bool write_string(struct writer *w, const struct string *s) {
    builder_text(&w->b, "\"");
    size_t kept = 0;
    for (size_t at = 0; at < s->length && !w->b.failed;) {
        size_t start = at;
        int32_t point = utf8_next(s->bytes, s->length, &at);
        bool escaped = point < 0x20 || point == '"' || point == '\\' || (w->ascii && point > 0x7E);
        if (!escaped || (point == 0x7F && !plain_escape(point))) continue;
        builder_part(&w->b, s, kept, start);
        write_escape(w, point, string_mark(s, start));
        kept = at;
    }
    builder_part(&w->b, s, kept, s->length);
    builder_text(&w->b, "\"");
    return !w->b.failed && render_bytes(w->b.r, s->length);
}

static bool number_text(const struct value *v, char out[FLOAT_TEXT_BYTES]) {
    if (v->kind == VALUE_INT)
        snprintf(out, FLOAT_TEXT_BYTES, "%" PRId64, v->integer);
    else if (v->kind == VALUE_FLOAT && isnan(v->real))
        snprintf(out, FLOAT_TEXT_BYTES, "NaN");
    else if (v->kind == VALUE_FLOAT && isinf(v->real))
        snprintf(out, FLOAT_TEXT_BYTES, "%sInfinity", v->real < 0 ? "-" : "");
    else if (v->kind == VALUE_FLOAT)
        print_float(v->real, out);
    else if (v->kind == VALUE_BOOL)
        snprintf(out, FLOAT_TEXT_BYTES, v->boolean ? "true" : "false");
    else if (v->kind == VALUE_NONE)
        snprintf(out, FLOAT_TEXT_BYTES, "null");
    else
        return false;
    return true;
}

static void write_line(struct writer *w) {
    if (!w->indent) return;
    builder_text(&w->b, "\n");
    for (size_t i = 0; i < w->level && !w->b.failed; i++) builder_string(&w->b, w->indent);
}

static bool write_list(struct writer *w, const struct list *list) {
    builder_text(&w->b, "[");
    w->level++;
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) builder_string(&w->b, w->item);
        write_line(w);
        if (!write(w, &list->items[i])) return false;
    }
    w->level--;
    if (list->count > 0) write_line(w);
    builder_text(&w->b, "]");
    return !w->b.failed;
}

static bool write_key(struct writer *w, const struct value *key) {
    char text[FLOAT_TEXT_BYTES];
    if (key->kind == VALUE_STRING) return write_string(w, key->string);
    if (!number_text(key, text))
        return render_error(w->b.r, "keys must be str, int, float, bool or None, not %s", value_type(key));
    builder_text(&w->b, "\"");
    builder_text(&w->b, text);
    builder_text(&w->b, "\"");
    return !w->b.failed;
}

/* The entries in the order in which they are written. */
static bool order(struct writer *w, const struct dict *d, struct entry **out) {
    static const struct string sort = STRING_LITERAL("dictsort");
    struct value self = dict_value((struct dict *)(uintptr_t)d), sorted, flag = BOOLEAN(true);
    const struct arguments sensitive = {.items = &flag, .count = 1};
    *out = d->entries;
    if (!w->sorted || d->count < 2) return true;
    if (!filters_apply(w->b.r, filters_find(&sort), &self, &sensitive, &sorted)) return false;
    *out = render_take(w->b.r, d->count, sizeof **out);
    for (size_t i = 0; *out && i < d->count; i++) {
        const struct list *pair = sorted.list->items[i].list;
        (*out)[i] = (struct entry){pair->items[0], pair->items[1]};
    }
    return *out != NULL;
}

static bool write_dict(struct writer *w, const struct dict *d) {
    struct entry *entries;
    if (!order(w, d, &entries)) return false;
    builder_text(&w->b, "{");
    w->level++;
    for (size_t i = 0; i < d->count; i++) {
        if (i > 0) builder_string(&w->b, w->item);
        write_line(w);
        if (!write_key(w, &entries[i].key)) return false;
        builder_string(&w->b, w->key);
        if (!write(w, &entries[i].value)) return false;
    }
    w->level--;
    if (d->count > 0) write_line(w);
    builder_text(&w->b, "}");
    return !w->b.failed;
}

static bool write_compound(struct writer *w, const struct value *v) {
    bool list = v->kind == VALUE_LIST && v->list->kind <= LIST_TUPLE;
    if (!list && v->kind != VALUE_DICT)
        return render_error(w->b.r, "Object of type %s is not JSON serializable", value_type(v));
    if (!render_enter(w->b.r)) return false;
    bool done = list ? write_list(w, v->list) : write_dict(w, v->dict);
    render_leave(w->b.r);
    return done;
}

static bool write(struct writer *w, const struct value *v) {
    char text[FLOAT_TEXT_BYTES];
    if (!render_steps(w->b.r, 1)) return false;
    if (v->kind == VALUE_STRING) return write_string(w, v->string);
    if (!number_text(v, text)) return write_compound(w, v);
    builder_text(&w->b, text);
    return !w->b.failed;
}

/* The indentation of one level: a text, or so many blanks. */
static bool read_indent(struct writer *w, const struct value *v) {
    static const struct string blank = STRING_LITERAL(" ");
    struct value one = STRING(&blank), text;
    int64_t count;
    if (v->kind == VALUE_MISSING || v->kind == VALUE_NONE) return true;
    if (v->kind == VALUE_STRING) {
        w->indent = v->string;
        return true;
    }
    if (!filter_integer(w->b.r, v, 0, &count) || !operator_repeat(w->b.r, &one, count, &text)) return false;
    w->indent = text.string;
    return true;
}

static bool read_separators(struct writer *w, const struct value *v) {
    static const struct string comma = STRING_LITERAL(","), comma_blank = STRING_LITERAL(", "),
                               colon = STRING_LITERAL(": ");
    struct list *pair;
    w->item = w->indent ? &comma : &comma_blank;
    w->key = &colon;
    if (v->kind == VALUE_MISSING || v->kind == VALUE_NONE) return true;
    if (!value_elements(w->b.r, v, &pair)) return false;
    if (pair->count != 2 || pair->items[0].kind != VALUE_STRING || pair->items[1].kind != VALUE_STRING)
        return render_error(w->b.r, "tojson needs two strings as separators");
    w->item = pair->items[0].string;
    w->key = pair->items[1].string;
    return true;
}

bool filter_tojson(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct writer w = {.b = {.r = r}, .ascii = value_truth(&p[0]), .sorted = value_truth(&p[3])};
    if (!read_indent(&w, &p[1]) || !read_separators(&w, &p[2]) || !write(&w, v)) return false;
    const struct string *s = builder_take(&w.b);
    *out = STRING(s);
    return s != NULL;
}
