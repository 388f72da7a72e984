#include "engine/text/template/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/text/unicode/unicode.h"

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* Digits of the shortest text that gives d back, and where the point stands behind how many of them. */
static int shortest_digits(double d, char digits[24]) {
    char text[40];
    int precision = 0;
    do {
        snprintf(text, sizeof text, "%.*e", precision, d);
    } while (strtod(text, NULL) != d && ++precision < 17);
    size_t count = 0;
    for (const char *at = text; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') digits[count++] = *at;
    digits[count] = '\0';
    return (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
}

static void positional(const char *digits, int point, char *out) {
    int count = (int)strlen(digits);
    if (point <= 0)
        snprintf(out, FLOAT_TEXT_BYTES - 1, "0.%.*s%s", -point, "0000", digits);
    else if (point >= count)
        snprintf(out, FLOAT_TEXT_BYTES - 1, "%.17s%.*s.0", digits, point - count, "0000000000000000");
    else
        snprintf(out, FLOAT_TEXT_BYTES - 1, "%.*s.%s", point, digits, digits + point);
}

void print_float(double d, char out[FLOAT_TEXT_BYTES]) {
    char digits[24];
    if (isnan(d) || isinf(d)) {
        snprintf(out, FLOAT_TEXT_BYTES, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    int point = shortest_digits(d, digits);
    if (signbit(d)) *out++ = '-';
    if (point > -4 && point <= 16) {
        positional(digits, point, out);
        return;
    }
    snprintf(out, FLOAT_TEXT_BYTES - 1, "%c%s%se%c%02d", digits[0], digits[1] ? "." : "", digits + 1,
             point - 1 < 0 ? '-' : '+', abs(point - 1));
}

/* ---- strings ------------------------------------------------------------------------------------------- */

bool unicode_is_printable(int32_t point) {
    utf8proc_category_t category = utf8proc_category(point);
    return point == ' ' || (category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS);
}

static void add_escape(struct builder *b, int32_t point, bool client) {
    static const char plain[] = "\t\n\r\\", letters[] = "tnr\\";
    char text[16];
    const char *found = point > 0 && point < 0x80 ? strchr(plain, (char)point) : NULL;
    if (found)
        snprintf(text, sizeof text, "\\%c", letters[found - plain]);
    else if (point < 0x100)
        snprintf(text, sizeof text, "\\x%02x", (unsigned)point);
    else
        snprintf(text, sizeof text, point < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)point);
    builder_add(b, text, strlen(text), client);
}

static bool repr_string(struct builder *b, const struct string *s) {
    bool single = memchr(s->bytes, '\'', s->length), twofold = memchr(s->bytes, '"', s->length);
    char quote = single && !twofold ? '"' : '\'';
    builder_add(b, &quote, 1, false);
    for (size_t at = 0; at < s->length;) {
        size_t start = at;
        int32_t point = utf8_next(s->bytes, s->length, &at);
        bool client = string_mark(s, start);
        if (point == quote) builder_add(b, "\\", 1, client);
        if (point == '\\' || !unicode_is_printable(point))
            add_escape(b, point, client);
        else
            builder_part(b, s, start, at);
    }
    builder_add(b, &quote, 1, false);
    return !b->failed && render_bytes(b->r, s->length);
}

/* ---- what holds others --------------------------------------------------------------------------------- */

static bool repr_items(struct builder *b, const struct list *list, const char *begin, const char *end) {
    builder_text(b, begin);
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) builder_text(b, ", ");
        if (!print_repr(b, &list->items[i])) return false;
    }
    if (list->kind == LIST_TUPLE && list->count == 1) builder_text(b, ",");
    builder_text(b, end);
    return !b->failed;
}

static bool repr_range(struct builder *b, const struct list *list) {
    char text[96];
    int length = snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64, list->start, list->stop);
    if (list->step != 1) snprintf(text + length, sizeof text - (size_t)length, ", %" PRId64, list->step);
    builder_text(b, text);
    builder_text(b, ")");
    return !b->failed;
}

static bool repr_list(struct builder *b, const struct list *list) {
    switch (list->kind) {
    case LIST_LIST:
        return repr_items(b, list, "[", "]");
    case LIST_TUPLE:
        return repr_items(b, list, "(", ")");
    case LIST_RANGE:
        return repr_range(b, list);
    case LIST_KEYS:
        return repr_items(b, list, "dict_keys([", "])");
    case LIST_VALUES:
        return repr_items(b, list, "dict_values([", "])");
    case LIST_ITEMS:
        return repr_items(b, list, "dict_items([", "])");
    default:
        return render_fail(b->r, STATUS_UNSUPPORTED, "printing a generator, whose text is an address");
    }
}

static bool repr_dict(struct builder *b, const struct dict *d) {
    builder_text(b, "{");
    for (size_t i = 0; i < d->count; i++) {
        if (i > 0) builder_text(b, ", ");
        if (!print_repr(b, &d->entries[i].key)) return false;
        builder_text(b, ": ");
        if (!print_repr(b, &d->entries[i].value)) return false;
    }
    builder_text(b, "}");
    return !b->failed;
}

static bool repr_safe(struct builder *b, const struct string *s) {
    builder_text(b, "Markup(");
    if (!repr_string(b, s)) return false;
    builder_text(b, ")");
    return !b->failed;
}

static bool repr_number(struct builder *b, const struct value *v) {
    char text[FLOAT_TEXT_BYTES];
    if (v->kind == VALUE_INT)
        snprintf(text, sizeof text, "%" PRId64, v->integer);
    else
        print_float(v->real, text);
    builder_text(b, text);
    return !b->failed;
}

static bool repr_compound(struct builder *b, const struct value *v) {
    if (!render_enter(b->r)) return false;
    if (v->kind == VALUE_NAMESPACE) builder_text(b, "<Namespace ");
    bool done = v->kind == VALUE_LIST ? repr_list(b, v->list) : repr_dict(b, v->dict);
    if (v->kind == VALUE_NAMESPACE) builder_text(b, ">");
    render_leave(b->r);
    return done;
}

bool print_repr(struct builder *b, const struct value *v) {
    if (!render_steps(b->r, 1)) return false;
    switch (v->kind) {
    case VALUE_NONE:
        builder_text(b, "None");
        return !b->failed;
    case VALUE_BOOL:
        builder_text(b, v->boolean ? "True" : "False");
        return !b->failed;
    case VALUE_INT:
    case VALUE_FLOAT:
        return repr_number(b, v);
    case VALUE_STRING:
        return v->string->safe ? repr_safe(b, v->string) : repr_string(b, v->string);
    case VALUE_LIST:
    case VALUE_DICT:
    case VALUE_NAMESPACE:
        return repr_compound(b, v);
    case VALUE_UNDEFINED:
        builder_text(b, "Undefined");
        return !b->failed;
    default:
        return render_fail(b->r, STATUS_UNSUPPORTED, "printing a %s", value_type(v));
    }
}

static bool print_macro(struct builder *b, const struct value *v) {
    if (v->kind != VALUE_CALLABLE || v->callable->kind != CALLABLE_MACRO) return print_repr(b, v);
    builder_text(b, "<Macro '");
    builder_text(b, v->callable->name);
    builder_text(b, "'>");
    return !b->failed;
}

bool print_value(struct render *r, const struct value *v, const struct string **out) {
    static const struct string empty = STRING_LITERAL("");
    struct builder b = {.r = r};
    *out = v->kind == VALUE_STRING ? v->string : &empty;
    if (v->kind == VALUE_STRING || v->kind == VALUE_UNDEFINED) return true;
    if (!print_macro(&b, v)) return false;
    *out = builder_take(&b);
    return *out != NULL;
}
