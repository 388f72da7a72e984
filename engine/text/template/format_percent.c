/* "%s, %d" % values */
#include "engine/text/template/format.h"

#include <string.h>

#include "engine/text/template/print.h"
#include "engine/text/unicode/unicode.h"

struct percent {
    struct render *r;
    const struct string *s;
    size_t at;
    const struct value *values; /* a tuple, a dict, or one value */
    size_t used;                /* of the tuple, or of the one */
    struct builder out;
};

static bool tuple_value(struct percent *p, struct value *out) {
    bool tuple = value_is_list(p->values, LIST_TUPLE);
    size_t count = tuple ? p->values->list->count : 1;
    if (p->used >= count) return render_error(p->r, "not enough arguments for format string");
    *out = tuple ? p->values->list->items[p->used] : *p->values;
    p->used++;
    return true;
}

/* "(name)" */
static bool named_value(struct percent *p, struct value *out) {
    size_t start = ++p->at, depth = 1;
    for (; p->at < p->s->length && depth > 0; p->at++)
        depth += (p->s->bytes[p->at] == '(') - (size_t)(p->s->bytes[p->at] == ')');
    if (depth > 0) return render_error(p->r, "incomplete format key");
    const struct string *name = string_part(p->r, p->s, start, p->at - 1);
    if (!name) return false;
    if (p->values->kind != VALUE_DICT) return render_error(p->r, "format requires a mapping");
    if (!dict_get(p->r, p->values->dict, STRING(name), out)) return false;
    return out->kind != VALUE_MISSING ||
           render_error(p->r, "KeyError: '%.*s'", (int)(name->length & 255), name->bytes);
}

static char next(const struct percent *p) {
    if (p->at < p->s->length) return p->s->bytes[p->at];
    return '\0';
}

/* A number in the format, or "*" for one of the values. */
static bool count_of(struct percent *p, int64_t most, int64_t *out) {
    struct value v;
    *out = 0;
    if (next(p) == '*') {
        p->at++;
        if (!tuple_value(p, &v)) return false;
        if (v.kind != VALUE_INT) return render_error(p->r, "* wants int");
        *out = v.integer;
    } else {
        for (; next(p) >= '0' && next(p) <= '9' && *out <= most; p->at++) *out = *out * 10 + (next(p) - '0');
    }
    if (*out <= most && *out >= -most) return true;
    return render_fail(p->r, STATUS_LIMIT, "a width or precision of more than %lld", (long long)most);
}

static bool read_spec(struct percent *p, struct format_spec *spec) {
    int64_t width, precision = -1;
    bool zero = false;
    *spec = (struct format_spec){.fill = ' ', .precision = -1, .client = string_has_marks(p->s)};
    for (; next(p) && strchr("-+ #0", next(p)); p->at++) {
        if (next(p) == '-') spec->align = '<';
        if (next(p) == '+' || (next(p) == ' ' && !spec->sign)) spec->sign = next(p);
        if (next(p) == '#') spec->alternate = true;
        if (next(p) == '0') zero = true;
    }
    if (!count_of(p, FORMAT_WIDTH_MAX, &width)) return false;
    if (next(p) == '.') {
        p->at++;
        if (!count_of(p, FORMAT_PRECISION_MAX, &precision)) return false;
    }
    if (width < 0) spec->align = '<';
    spec->width = (size_t)(width < 0 ? -width : width);
    spec->precision = (int)precision;
    if (zero && spec->align != '<') {
        spec->align = '=';
        spec->fill = '0';
    }
    while (next(p) && strchr("hlL", next(p))) p->at++;
    spec->type = next(p);
    if (!spec->type) return render_error(p->r, "incomplete format");
    p->at++;
    return true;
}

static bool put_text(struct percent *p, const struct format_spec *spec, const struct string *text) {
    struct format_spec plain = *spec;
    plain.fill = ' ';
    if (p->s->safe) text = string_escape(p->r, text);
    if (!text) return false;
    if (spec->precision >= 0 && string_characters(text) > (size_t)spec->precision)
        text = string_part(p->r, text, 0, string_offset(text, (size_t)spec->precision));
    if (!text) return false;
    format_padded(&p->out, &plain, text, spec->align == '<' ? '<' : '>');
    return !p->out.failed;
}

static bool put_repr(struct percent *p, const struct format_spec *spec, const struct value *v) {
    struct builder b = {.r = p->r};
    if (!print_repr(&b, v)) return false;
    const struct string *text = builder_take(&b);
    return text && put_text(p, spec, text);
}

static bool put_character(struct percent *p, const struct format_spec *spec, const struct value *v) {
    struct builder b = {.r = p->r};
    if (v->kind == VALUE_STRING && string_characters(v->string) == 1) return put_text(p, spec, v->string);
    if (v->kind != VALUE_INT || v->integer < 0 || v->integer > 0x10FFFF ||
        (v->integer >= 0xD800 && v->integer < 0xE000))
        return render_error(p->r, "%%c requires int or char");
    builder_point(&b, (int32_t)v->integer, true); /* whose number it was is not known */
    const struct string *text = builder_take(&b);
    return text && put_text(p, spec, text);
}

static bool put_number(struct percent *p, struct format_spec *spec, const struct value *v) {
    struct value number = *v;
    bool real = strchr("eEfFgG", spec->type) != NULL;
    if (v->kind == VALUE_UNDEFINED) return render_error(p->r, "%s", v->undefined);
    if (!value_is_number(v))
        return render_error(
            p->r, real ? "must be real number, not %s" : "a number is required for this format, not %s",
            value_type(v));
    if (v->kind == VALUE_FLOAT && !real) {
        if (!strchr("diu", spec->type)) return render_error(p->r, "an integer is required, not float");
        if (!(v->real > -9.2e18 && v->real < 9.2e18))
            return render_fail(p->r, STATUS_UNSUPPORTED, "a whole number beyond 64 bits");
        number = INTEGER((int64_t)v->real);
    }
    if (!real && spec->precision >= 0)
        return render_fail(p->r, STATUS_UNSUPPORTED, "a precision of a whole number");
    return format_number(&p->out, spec, &number);
}

static bool put(struct percent *p, struct format_spec *spec, const struct value *v) {
    const struct string *text;
    switch (spec->type) {
    case 's':
        return print_value(p->r, v, &text) && put_text(p, spec, text);
    case 'r':
        return put_repr(p, spec, v);
    case 'c':
        return put_character(p, spec, v);
    case 'a':
        return render_fail(p->r, STATUS_UNSUPPORTED, "the format %%a");
    default:
        if (!strchr("diuoxXeEfFgG", spec->type))
            return render_error(p->r, "unsupported format character '%c'", spec->type);
        return put_number(p, spec, v);
    }
}

static bool conversion(struct percent *p) {
    struct format_spec spec;
    struct value v = {0};
    if (next(p) == '(' && !named_value(p, &v)) return false;
    if (!read_spec(p, &spec)) return false;
    if (spec.type == '%') {
        builder_text(&p->out, "%");
        return !p->out.failed;
    }
    return (v.kind != VALUE_MISSING || tuple_value(p, &v)) && put(p, &spec, &v);
}

static bool all_used(struct percent *p) {
    bool tuple = value_is_list(p->values, LIST_TUPLE);
    bool mapping = p->values->kind == VALUE_DICT || p->values->kind == VALUE_UNDEFINED ||
                   (p->values->kind == VALUE_LIST && p->values->list->kind <= LIST_RANGE && !tuple);
    size_t count = tuple ? p->values->list->count : mapping ? 0 : 1;
    return p->used >= count || render_error(p->r, "not all arguments converted during string formatting");
}

bool format_percent(struct render *r, const struct string *s, const struct value *v, struct value *out) {
    struct percent p = {.r = r, .s = s, .values = v, .out = {.r = r}};
    while (p.at < s->length) {
        const char *found = memchr(s->bytes + p.at, '%', s->length - p.at);
        size_t end = found ? (size_t)(found - s->bytes) : s->length;
        builder_part(&p.out, s, p.at, end);
        p.at = found ? end + 1 : end;
        if (!render_steps(r, 1) || (found && !conversion(&p))) return false;
    }
    const struct string *text = all_used(&p) ? builder_take(&p.out) : NULL;
    if (text) text = string_with_safety(r, text, s->safe);
    *out = STRING(text);
    return text != NULL;
}
