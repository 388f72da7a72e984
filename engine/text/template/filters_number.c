/* Filters that give numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/text/template/filter_rows.h"
#include "engine/text/template/methods.h"
#include "engine/text/unicode/unicode.h"

static bool absolute(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    (void)p;
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (!value_is_number(v)) return render_error(r, "bad operand type for abs(): '%s'", value_type(v));
    *out = v->kind == VALUE_FLOAT ? REAL(fabs(v->real)) : INTEGER(value_integer(v));
    return out->kind == VALUE_FLOAT || out->integer >= 0 || operator_unary(r, NODE_NEGATE, out, out);
}

/* int() of a float; *valid: it is one. */
static bool from_real(struct render *r, double d, bool *valid, int64_t *out) {
    *valid = !isnan(d);
    if (!*valid) return true;
    if (isinf(d)) return render_error(r, "cannot convert float infinity to integer");
    if (!(d > -9223372036854775809.0 && d < 9223372036854775808.0))
        return render_fail(r, STATUS_UNSUPPORTED, "a whole number beyond 64 bits");
    *out = (int64_t)d;
    return true;
}

static bool from_text(struct render *r, const struct string *s, int64_t base, bool *valid, int64_t *out) {
    double d;
    if (!text_parse_integer(r, s, base, valid, out)) return false;
    if (*valid || !text_parse_real(r, s, valid, &d)) return !r->failed;
    if (*valid && isinf(d)) *valid = false;
    return !*valid || from_real(r, d, valid, out);
}

static bool to_integer(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    int64_t base, number = 0;
    bool valid = false;
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (!filter_integer(r, &p[1], 10, &base)) return false;
    if (v->kind == VALUE_STRING && !from_text(r, v->string, base, &valid, &number)) return false;
    if (v->kind == VALUE_FLOAT && !from_real(r, v->real, &valid, &number)) return false;
    if (v->kind == VALUE_INT || v->kind == VALUE_BOOL) {
        valid = true;
        number = value_integer(v);
    }
    *out = valid ? INTEGER(number) : p[0].kind == VALUE_MISSING ? INTEGER(0) : p[0];
    return true;
}

static bool to_real(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    double number = 0;
    bool valid = value_is_number(v);
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (v->kind == VALUE_STRING && !text_parse_real(r, v->string, &valid, &number)) return false;
    if (value_is_number(v)) number = value_real(v);
    *out = valid ? REAL(number) : p[0].kind == VALUE_MISSING ? REAL(0.0) : p[0];
    return true;
}

/* round() of a float: to the nearest decimal of its exact value, as printf does it. */
static double round_decimal(double d, int64_t precision) {
    char text[512];
    if (!isfinite(d) || precision > 100) return d;
    if (precision >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)precision, d);
        return strtod(text, NULL);
    }
    double unit = pow(10, -(double)precision);
    return isfinite(unit) ? nearbyint(d / unit) * unit : 0.0;
}

static bool round_to(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    int64_t precision;
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (!value_is_number(v)) return render_error(r, "type %s doesn't define __round__ method", value_type(v));
    if (!filter_integer(r, &p[0], 0, &precision)) return false;
    const struct string *method = p[1].kind == VALUE_STRING ? p[1].string : NULL;
    bool up = method && string_is(method, "ceil"), down = method && string_is(method, "floor");
    if (p[1].kind != VALUE_MISSING && !up && !down && !(method && string_is(method, "common")))
        return render_error(r, "method must be common, ceil or floor");
    double scale = pow(10, (double)precision), scaled = value_real(v) * scale;
    if (up || down) {
        *out = REAL((up ? ceil(scaled) : floor(scaled)) / scale);
    } else if (v->kind == VALUE_FLOAT) {
        *out = REAL(round_decimal(v->real, precision));
    } else {
        *out = INTEGER(value_integer(v));
        if (precision < 0) return render_fail(r, STATUS_UNSUPPORTED, "rounding a whole number to tens");
    }
    return true;
}

static bool sum(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct getter g = {0};
    struct list *list;
    *out = p[1].kind == VALUE_MISSING ? INTEGER(0) : p[1];
    if (out->kind == VALUE_STRING)
        return render_error(r, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!value_elements(r, v, &list) || !getter_init(r, &g, &p[0])) return false;
    for (size_t i = 0; i < list->count; i++) {
        struct value element, total = *out;
        if (!getter_get(r, &g, &list->items[i], &element) ||
            !operator_binary(r, NODE_ADD, &total, &element, out))
            return false;
    }
    return true;
}

static bool length(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    size_t count;
    (void)p;
    if (!value_length(r, v, &count)) return false;
    *out = INTEGER((int64_t)count);
    return true;
}

static bool is_word(int32_t point) {
    return point == '_' || (unicode_is_word(point) && !unicode_is_mark(point) && point != 0x200C &&
                            point != 0x200D && !(point > 0x7F && unicode_is_punctuation(point)));
}

static bool wordcount(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    const struct string *s;
    bool within = false;
    (void)p;
    /* What is a word's is looked up in several tables. */
    if (!filter_text(r, v, &s) || !render_bytes(r, 16 * s->length)) return false;
    *out = INTEGER(0);
    for (size_t at = 0; at < s->length;) {
        bool word = is_word(utf8_next(s->bytes, s->length, &at));
        out->integer += word && !within;
        within = word;
    }
    return true;
}

const struct filter_row number_filters[] = {
    {"abs", absolute, NULL, "", 0},           {"int", to_integer, NULL, "default base", 0},
    {"float", to_real, NULL, "default", 0},   {"round", round_to, NULL, "precision method", 0},
    {"sum", sum, NULL, "attribute start", 0}, {"length", length, NULL, "", 0},
    {"count", length, NULL, "", 0},           {"wordcount", wordcount, NULL, "", 0},
    {"filesizeformat", NULL, NULL, "", 0},    {0},
};
