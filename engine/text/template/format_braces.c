/* "{}, {name}".format(...) */
#include <string.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/format.h"
#include "engine/text/template/print.h"
#include "engine/text/unicode/unicode.h"

struct braces {
    struct render *r;
    const struct string *s;
    size_t at;
    const struct arguments *a;
    size_t automatic; /* fields without a number so far */
    bool numbered;
    struct builder out;
};

static char next(const struct braces *f) {
    if (f->at < f->s->length) return f->s->bytes[f->at];
    return '\0';
}

static bool skip(struct braces *f, char c) {
    bool there = next(f) == c;
    f->at += there;
    return there;
}

/* Digits alone; SIZE_MAX: something else. */
static size_t number_of(const struct string *s) {
    size_t number = 0;
    for (size_t i = 0; i < s->length; i++) {
        if (s->bytes[i] < '0' || s->bytes[i] > '9' || number > 1000000) return SIZE_MAX;
        number = number * 10 + (size_t)(s->bytes[i] - '0');
    }
    return s->length ? number : SIZE_MAX;
}

static bool positional(struct braces *f, const struct string *name, size_t number, struct value *out) {
    bool automatic = name->length == 0;
    if (automatic ? f->numbered : f->automatic > 0)
        return render_error(f->r,
                            "cannot switch between automatic field numbering and manual field specification");
    if (automatic)
        number = f->automatic++;
    else
        f->numbered = true;
    if (number >= f->a->count)
        return render_error(f->r, "Replacement index %zu out of range for positional args tuple", number);
    *out = f->a->items[number];
    return true;
}

static bool first_value(struct braces *f, const struct string *name, struct value *out) {
    size_t number = number_of(name);
    if (name->length == 0 || number != SIZE_MAX) return positional(f, name, number, out);
    if (!render_steps(f->r, f->a->keyword_count / 8)) return false;
    for (size_t i = 0; i < f->a->keyword_count; i++) {
        if (!string_equal(f->a->keywords[i].name, name)) continue;
        *out = f->a->keywords[i].value;
        return true;
    }
    return render_error(f->r, "KeyError: '%.*s'", (int)(name->length & 255), name->bytes);
}

/* The name up to one of these characters. */
static const struct string *word(struct braces *f, const char *ends) {
    size_t start = f->at;
    while (next(f) && !strchr(ends, next(f))) f->at++;
    return string_part(f->r, f->s, start, f->at);
}

static bool subscript(struct braces *f, struct value *v) {
    bool dot = next(f) == '.';
    f->at++;
    const struct string *name = word(f, dot ? ".[:!}" : "]");
    if (!name) return false;
    struct value from = *v;
    if (dot) return access_attribute(f->r, &from, name, "the value has no such attribute", v);
    if (next(f) != ']') return render_error(f->r, "Missing ']' in format string");
    f->at++;
    size_t number = number_of(name);
    struct value key = number == SIZE_MAX ? STRING(name) : INTEGER((int64_t)number);
    return access_item(f->r, &from, &key, "the value has no such element", v);
}

static bool read_align(struct braces *f, struct format_spec *spec) {
    size_t behind = f->at;
    if (!next(f)) return true;
    int32_t point = utf8_next(f->s->bytes, f->s->length, &behind);
    char align = '\0';
    if (behind < f->s->length) align = f->s->bytes[behind];
    if (align && strchr("<>=^", align)) {
        spec->fill = point;
        spec->align = align;
        f->at = behind + 1;
    } else if (strchr("<>=^", next(f))) {
        spec->align = next(f);
        f->at++;
    }
    return true;
}

static bool read_count(struct braces *f, int64_t most, int64_t *out) {
    for (*out = 0; next(f) >= '0' && next(f) <= '9' && *out <= most; f->at++)
        *out = *out * 10 + (next(f) - '0');
    return *out <= most ||
           render_fail(f->r, STATUS_LIMIT, "a width or precision of more than %lld", (long long)most);
}

static bool read_spec(struct braces *f, struct format_spec *spec) {
    int64_t count;
    read_align(f, spec);
    if (next(f) && strchr("+- ", next(f))) spec->sign = f->s->bytes[f->at++];
    if (spec->sign == '-') spec->sign = 0;
    spec->alternate = skip(f, '#');
    if (skip(f, '0') && !spec->align) {
        spec->fill = '0';
        spec->align = '=';
    }
    if (!read_count(f, FORMAT_WIDTH_MAX, &count)) return false;
    spec->width = (size_t)count;
    spec->commas = skip(f, ',');
    spec->underscores = skip(f, '_');
    if (skip(f, '.')) {
        if (!read_count(f, FORMAT_PRECISION_MAX, &count)) return false;
        spec->precision = (int)count;
    }
    if (next(f) && next(f) != '}') spec->type = f->s->bytes[f->at++];
    if (next(f) == '}') return true;
    return render_fail(f->r, STATUS_UNSUPPORTED, "a format with more than fill, width, precision and type");
}

static bool put(struct braces *f, const struct format_spec *spec, const struct value *v) {
    const struct string *text;
    if (value_is_number(v) && !(v->kind == VALUE_BOOL && !spec->type)) return format_number(&f->out, spec, v);
    bool plain = spec->width == 0 && spec->precision < 0 && !spec->type;
    if (v->kind != VALUE_STRING && !plain && v->kind != VALUE_BOOL)
        return render_error(f->r, "unsupported format string passed to %s.__format__", value_type(v));
    if (spec->type && spec->type != 's')
        return render_error(f->r, "Unknown format code '%c' for object of type 'str'", spec->type);
    if (!print_value(f->r, v, &text)) return false;
    if (spec->precision >= 0 && string_characters(text) > (size_t)spec->precision)
        text = string_part(f->r, text, 0, string_offset(text, (size_t)spec->precision));
    if (!text) return false;
    char align = spec->align;
    if (!align) align = v->kind == VALUE_BOOL ? '>' : '<';
    format_padded(&f->out, spec, text, align);
    return !f->out.failed;
}

/* "!r" or "!s" */
static bool convert(struct braces *f, struct value *v) {
    struct builder b = {.r = f->r};
    const struct string *text;
    if (next(f) != '!') return true;
    f->at++;
    char kind = next(f);
    if (kind != 'r' && kind != 's')
        return render_error(f->r, "Unknown conversion specifier '%c'", kind ? kind : ' ');
    f->at++;
    if (kind == 's' ? !print_value(f->r, v, &text) : !print_repr(&b, v)) return false;
    if (kind == 'r') text = builder_take(&b);
    *v = STRING(text);
    return text != NULL;
}

/* Behind the brace that opens it. */
static bool field(struct braces *f) {
    struct value v;
    struct format_spec spec = {.fill = ' ', .precision = -1, .client = string_has_marks(f->s)};
    const struct string *name = word(f, ".[:!}{");
    if (!name || !first_value(f, name, &v)) return false;
    while (next(f) == '.' || next(f) == '[')
        if (!subscript(f, &v)) return false;
    if (!convert(f, &v)) return false;
    if (next(f) == ':') {
        f->at++;
        if (!read_spec(f, &spec)) return false;
    }
    if (next(f) != '}') return render_error(f->r, "expected '}' before end of string");
    f->at++;
    return put(f, &spec, &v);
}

bool format_braces(struct render *r, const struct string *s, const struct arguments *a, struct value *out) {
    struct braces f = {.r = r, .s = s, .a = a, .out = {.r = r}};
    if (s->safe) return render_fail(r, STATUS_UNSUPPORTED, "format() of a string that is marked safe");
    while (f.at < s->length) {
        char c = s->bytes[f.at++], same = next(&f);
        if (!render_steps(r, 1)) return false;
        if ((c == '{' || c == '}') && c == same) {
            builder_part(&f.out, s, f.at, f.at + 1);
            f.at++;
        } else if (c == '}') {
            return render_error(r, "Single '}' encountered in format string");
        } else if (c == '{') {
            if (f.at == s->length) return render_error(r, "Single '{' encountered in format string");
            if (!field(&f)) return false;
        } else {
            builder_part(&f.out, s, f.at - 1, f.at);
        }
    }
    const struct string *text = builder_take(&f.out);
    *out = STRING(text);
    return text != NULL;
}
