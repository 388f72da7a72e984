/* Arithmetic and comparison, as Python has them; whole numbers have 64 bits, and what goes beyond is refused. */
#include <math.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/format.h"

static const char *sign_of(enum node_kind kind) {
    switch (kind) {
    case NODE_ADD:
        return "+";
    case NODE_SUBTRACT:
        return "-";
    case NODE_MULTIPLY:
        return "*";
    case NODE_DIVIDE:
        return "/";
    case NODE_FLOOR_DIVIDE:
        return "//";
    case NODE_MODULO:
        return "%";
    default:
        return "** or pow()";
    }
}

static bool fail_types(struct render *r, enum node_kind kind, const struct value *a, const struct value *b) {
    return render_error(r, "unsupported operand type(s) for %s: '%s' and '%s'", sign_of(kind), value_type(a),
                        value_type(b));
}

static bool fail_large(struct render *r) {
    return render_fail(r, STATUS_UNSUPPORTED, "a whole number beyond 64 bits");
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static bool floor_divide(struct render *r, int64_t a, int64_t b, int64_t *quotient, int64_t *rest) {
    if (b == 0) return render_error(r, "integer division or modulo by zero");
    if (b == -1) {
        *rest = 0;
        return !__builtin_sub_overflow((int64_t)0, a, quotient) || fail_large(r);
    }
    *quotient = a / b;
    *rest = a % b;
    if (*rest != 0 && (*rest < 0) != (b < 0)) {
        *quotient -= 1;
        *rest += b;
    }
    return true;
}

static bool power_whole(struct render *r, int64_t a, int64_t b, struct value *out) {
    int64_t result = 1;
    if (b < 0) {
        if (a == 0) return render_error(r, "0.0 cannot be raised to a negative power");
        *out = REAL(pow((double)a, (double)b));
        return true;
    }
    for (; b > 0; b >>= 1) {
        if ((b & 1) && __builtin_mul_overflow(result, a, &result)) return fail_large(r);
        if (b > 1 && __builtin_mul_overflow(a, a, &a)) return fail_large(r);
    }
    *out = INTEGER(result);
    return true;
}

static bool whole(struct render *r, enum node_kind kind, int64_t a, int64_t b, struct value *out) {
    int64_t result = 0, other = 0;
    bool overflow = false;
    switch (kind) {
    case NODE_ADD:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case NODE_SUBTRACT:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case NODE_MULTIPLY:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    case NODE_DIVIDE:
        if (b == 0) return render_error(r, "division by zero");
        *out = REAL((double)((long double)a / (long double)b));
        return true;
    case NODE_FLOOR_DIVIDE:
        if (!floor_divide(r, a, b, &result, &other)) return false;
        break;
    case NODE_MODULO:
        if (!floor_divide(r, a, b, &other, &result)) return false;
        break;
    default:
        return power_whole(r, a, b, out);
    }
    *out = INTEGER(result);
    return !overflow || fail_large(r);
}

static bool power_real(struct render *r, double a, double b, double *out) {
    if (a == 0 && b < 0) return render_error(r, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return render_fail(r, STATUS_UNSUPPORTED, "a complex number");
    *out = pow(a, b);
    return !isinf(*out) || isinf(a) || isinf(b) || render_error(r, "(34, 'Numerical result out of range')");
}

static double modulo_real(double a, double b) {
    double rest = fmod(a, b);
    if (rest == 0) return copysign(0.0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static double floor_real(double a, double b) {
    double rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0)) quotient -= 1;
    if (quotient == 0) return copysign(0.0, a / b);
    double floored = floor(quotient);
    return quotient - floored > 0.5 ? floored + 1 : floored;
}

static bool real(struct render *r, enum node_kind kind, double a, double b, struct value *out) {
    double result = 0;
    bool divides = kind == NODE_DIVIDE || kind == NODE_FLOOR_DIVIDE || kind == NODE_MODULO;
    if (divides && b == 0)
        return render_error(r, kind == NODE_DIVIDE         ? "float division by zero"
                               : kind == NODE_FLOOR_DIVIDE ? "float floor division by zero"
                                                           : "float modulo");
    switch (kind) {
    case NODE_ADD:
        result = a + b;
        break;
    case NODE_SUBTRACT:
        result = a - b;
        break;
    case NODE_MULTIPLY:
        result = a * b;
        break;
    case NODE_DIVIDE:
        result = a / b;
        break;
    case NODE_FLOOR_DIVIDE:
        result = floor_real(a, b);
        break;
    case NODE_MODULO:
        result = modulo_real(a, b);
        break;
    default:
        if (!power_real(r, a, b, &result)) return false;
    }
    *out = REAL(result);
    return true;
}

/* ---- sequences ----------------------------------------------------------------------------------------- */

static bool is_sequence(const struct value *v) {
    return v->kind == VALUE_STRING || value_is_list(v, LIST_LIST) || value_is_list(v, LIST_TUPLE);
}

static bool repeat_string(struct render *r, const struct string *s, size_t times, struct value *out) {
    struct builder b = {.r = r};
    for (size_t i = 0; i < times && !b.failed; i++) builder_string(&b, s);
    const struct string *text = builder_take(&b);
    if (text) text = string_with_safety(r, text, s->safe);
    *out = STRING(text);
    return text != NULL;
}

bool operator_repeat(struct render *r, const struct value *v, int64_t times, struct value *out) {
    size_t length = v->kind == VALUE_STRING ? v->string->length : v->list->count, total;
    size_t count = times > 0 && length > 0 ? (size_t)times : 0;
    if (__builtin_mul_overflow(length, count, &total) || !render_bytes(r, total) || !render_steps(r, count))
        return render_fail(r, STATUS_LIMIT, "a product of more bytes than can be counted");
    if (v->kind == VALUE_STRING) return repeat_string(r, v->string, count, out);
    struct list *list = list_create(r, v->list->kind, total);
    if (!list) return false;
    for (; list->count < total; list->count++)
        list->items[list->count] = v->list->items[list->count % length];
    *out = list_value(list);
    return true;
}

static bool join(struct render *r, const struct list *a, const struct list *b, struct value *out) {
    struct list *sum = list_create(r, a->kind, a->count + b->count);
    if (!sum || !render_steps(r, (a->count + b->count) / 8)) return false;
    for (size_t i = 0; i < a->count; i++) sum->items[sum->count++] = a->items[i];
    for (size_t i = 0; i < b->count; i++) sum->items[sum->count++] = b->items[i];
    *out = list_value(sum);
    return true;
}

static bool add_sequences(struct render *r, const struct value *a, const struct value *b, struct value *out) {
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        const struct string *sum = string_concat(r, a->string, b->string);
        *out = STRING(sum);
        return sum != NULL;
    }
    if (a->kind == VALUE_STRING || b->kind != VALUE_LIST || a->list->kind != b->list->kind) {
        if (a->kind == VALUE_STRING)
            return render_error(r, "can only concatenate str (not \"%s\") to str", value_type(b));
        return render_error(r, "can only concatenate %s (not \"%s\") to %s", value_type(a), value_type(b),
                            value_type(a));
    }
    return join(r, a->list, b->list, out);
}

static bool is_whole(const struct value *v) {
    return v->kind == VALUE_INT || v->kind == VALUE_BOOL;
}

bool operator_binary(struct render *r, enum node_kind kind, const struct value *a, const struct value *b,
                     struct value *out) {
    if (kind == NODE_MODULO && a->kind == VALUE_STRING) return format_percent(r, a->string, b, out);
    if (a->kind == VALUE_UNDEFINED) return render_error(r, "%s", a->undefined);
    if (b->kind == VALUE_UNDEFINED) return render_error(r, "%s", b->undefined);
    if (is_whole(a) && is_whole(b)) return whole(r, kind, value_integer(a), value_integer(b), out);
    if (value_is_number(a) && value_is_number(b)) return real(r, kind, value_real(a), value_real(b), out);
    if (kind == NODE_ADD && is_sequence(a)) return add_sequences(r, a, b, out);
    if (kind == NODE_MULTIPLY && is_sequence(a) && is_whole(b))
        return operator_repeat(r, a, value_integer(b), out);
    if (kind == NODE_MULTIPLY && is_sequence(b) && is_whole(a))
        return operator_repeat(r, b, value_integer(a), out);
    return fail_types(r, kind, a, b);
}

bool operator_unary(struct render *r, enum node_kind kind, const struct value *a, struct value *out) {
    if (a->kind == VALUE_UNDEFINED) return render_error(r, "%s", a->undefined);
    if (!value_is_number(a))
        return render_error(r, "bad operand type for unary %s: '%s'", kind == NODE_NEGATE ? "-" : "+",
                            value_type(a));
    if (a->kind == VALUE_FLOAT) {
        *out = REAL(kind == NODE_NEGATE ? -a->real : a->real);
        return true;
    }
    return whole(r, kind == NODE_NEGATE ? NODE_SUBTRACT : NODE_ADD, 0, value_integer(a), out);
}

bool operator_compare(struct render *r, enum compare_operator kind, const struct value *a,
                      const struct value *b, bool *out) {
    bool swapped = kind == COMPARE_GT || kind == COMPARE_LE,
         negated = kind == COMPARE_NE || kind == COMPARE_LE || kind == COMPARE_GE || kind == COMPARE_NOT_IN,
         done;
    bool nan = (a->kind == VALUE_FLOAT && isnan(a->real)) || (b->kind == VALUE_FLOAT && isnan(b->real));
    *out = false;
    if (kind == COMPARE_EQ || kind == COMPARE_NE)
        done = value_equal(r, a, b, out);
    else if (kind == COMPARE_IN || kind == COMPARE_NOT_IN)
        done = value_in(r, a, b, out);
    else
        done = swapped ? value_less(r, b, a, out) : value_less(r, a, b, out);
    if (negated) *out = !*out;
    if (nan && (kind == COMPARE_LE || kind == COMPARE_GE)) *out = false;
    return done;
}
