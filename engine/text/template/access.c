/* What stands behind a dot or in brackets, by the rules of Jinja's sandbox: attributes are the methods of Python's types
 * that change nothing. */
#include "engine/text/template/eval.h"
#include "engine/text/template/for_loop.h"
#include "engine/text/template/methods.h"
#include "engine/text/unicode/unicode.h"

/* Names of a namespace, a loop, a cycler, a group; *out stays where it has none such. */
static bool own_attribute(struct render *r, const struct value *v, const struct string *name,
                          struct value *out) {
    switch (v->kind) {
    case VALUE_NAMESPACE:
        return dict_get(r, v->dict, STRING(name), out);
    case VALUE_LOOP:
        return for_loop_attribute(r, v->loop, name, out);
    case VALUE_LIST:
        if (v->list->group && string_is(name, "grouper")) *out = v->list->items[0];
        if (v->list->group && string_is(name, "list")) *out = v->list->items[1];
        return true;
    case VALUE_CALLABLE:
        return methods_of_callable(r, v->callable, name, out);
    default:
        return true;
    }
}

static bool attribute(struct render *r, const struct value *v, const struct string *name, struct value *out) {
    *out = (struct value){0};
    if (!own_attribute(r, v, name, out)) return false;
    return out->kind != VALUE_MISSING || methods_get(r, v, name, out);
}

static bool fail_undefined(struct render *r, const struct value *v) {
    return render_error(r, "%s", v->undefined);
}

bool access_attribute(struct render *r, const struct value *v, const struct string *name, const char *message,
                      struct value *out) {
    if (v->kind == VALUE_UNDEFINED) return fail_undefined(r, v);
    if (!attribute(r, v, name, out)) return false;
    if (out->kind == VALUE_MISSING && v->kind == VALUE_DICT && !dict_get(r, v->dict, STRING(name), out))
        return false;
    if (out->kind == VALUE_MISSING) *out = UNDEFINED(message);
    return true;
}

/* From the end where it is negative; false: there is none. */
static bool place(int64_t index, size_t count, size_t *out) {
    if (index < 0) index += (int64_t)count;
    *out = (size_t)index;
    return index >= 0 && (size_t)index < count;
}

static bool character(struct render *r, const struct string *s, int64_t index, struct value *out) {
    size_t at;
    if (!render_bytes(r, s->length)) return false;
    if (!place(index, string_characters(s), &at)) return true;
    size_t start = string_offset(s, at), end = start;
    utf8_next(s->bytes, s->length, &end);
    const struct string *part = string_part(r, s, start, end);
    *out = STRING(part);
    return part != NULL;
}

/* v[key] alone; *out stays where it has none. */
static bool item(struct render *r, const struct value *v, const struct value *key, struct value *out) {
    bool index = key->kind == VALUE_INT || key->kind == VALUE_BOOL;
    size_t at;
    if (v->kind == VALUE_DICT) return dict_get(r, v->dict, *key, out);
    if (v->kind == VALUE_STRING && index) return character(r, v->string, value_integer(key), out);
    bool list = v->kind == VALUE_LIST && v->list->kind <= LIST_RANGE;
    if (list && index && place(value_integer(key), v->list->count, &at)) *out = v->list->items[at];
    return true;
}

bool access_item(struct render *r, const struct value *v, const struct value *key, const char *message,
                 struct value *out) {
    if (v->kind == VALUE_UNDEFINED) return fail_undefined(r, v);
    *out = (struct value){0};
    if (!item(r, v, key, out)) return false;
    if (out->kind == VALUE_MISSING && key->kind == VALUE_STRING && !attribute(r, v, key->string, out))
        return false;
    if (out->kind == VALUE_MISSING) *out = UNDEFINED(message);
    return true;
}

/* ---- slices -------------------------------------------------------------------------------------------- */

struct slice {
    int64_t start, stop, step;
    size_t count;
};

static bool bound(struct render *r, const struct value *v, int64_t absent, int64_t *out) {
    *out = absent;
    if (v->kind == VALUE_NONE) return true;
    if (v->kind != VALUE_INT && v->kind != VALUE_BOOL)
        return render_error(r, "slice indices must be integers or None or have an __index__ method");
    *out = value_integer(v);
    return true;
}

static int64_t clip(int64_t at, int64_t count, int64_t least, int64_t most) {
    if (at < 0) at += count;
    return at < least ? least : at > most ? most : at;
}

/* As Python's slice.indices. */
static bool resolve(struct render *r, const struct value bounds[3], size_t length, struct slice *out) {
    int64_t count = (int64_t)length, stop = 0;
    if (!bound(r, &bounds[2], 1, &out->step)) return false;
    if (out->step == 0) return render_error(r, "slice step cannot be zero");
    bool back = out->step < 0;
    if (out->step < -count - 1) out->step = -count - 1;
    if (out->step > count + 1) out->step = count + 1;
    int64_t least = back ? -1 : 0, most = back ? count - 1 : count;
    if (!bound(r, &bounds[0], 0, &out->start) || !bound(r, &bounds[1], 0, &stop)) return false;
    out->start = bounds[0].kind == VALUE_NONE ? (back ? most : least) : clip(out->start, count, least, most);
    stop = bounds[1].kind == VALUE_NONE ? (back ? least : most) : clip(stop, count, least, most);
    out->stop = stop;
    int64_t distance = back ? out->start - stop : stop - out->start, step = back ? -out->step : out->step;
    out->count = distance > 0 ? (size_t)((distance + step - 1) / step) : 0;
    return true;
}

static bool slice_string(struct render *r, const struct string *s, const struct slice *slice,
                         struct value *out) {
    struct builder b = {.r = r};
    const struct string *part;
    if (slice->step == 1) {
        size_t start = string_offset(s, (size_t)slice->start);
        size_t end = string_offset(s, (size_t)slice->start + slice->count);
        part = string_part(r, s, start, slice->count ? end : start);
    } else {
        int64_t at = slice->start;
        for (size_t i = 0; i < slice->count && !b.failed; i++, at += slice->step) {
            struct value v = {0};
            if (!character(r, s, at, &v)) return false;
            builder_string(&b, v.string);
        }
        part = builder_take(&b);
    }
    *out = STRING(part);
    return part != NULL;
}

/* Of the range that the slice of a range is. */
static bool slice_range(struct render *r, const struct list *list, const struct slice *slice,
                        struct list *part) {
    int64_t start, stop;
    if (__builtin_mul_overflow(list->step, slice->start, &start) ||
        __builtin_add_overflow(list->start, start, &part->start) ||
        __builtin_mul_overflow(list->step, slice->stop, &stop) ||
        __builtin_add_overflow(list->start, stop, &part->stop) ||
        __builtin_mul_overflow(list->step, slice->step, &part->step))
        return render_fail(r, STATUS_UNSUPPORTED, "a whole number beyond 64 bits");
    return true;
}

static bool slice_list(struct render *r, const struct list *list, const struct slice *slice,
                       struct value *out) {
    struct list *part = list_create(r, list->kind == LIST_TUPLE ? LIST_TUPLE : list->kind, slice->count);
    if (!part || !render_steps(r, slice->count / 8)) return false;
    int64_t at = slice->start;
    for (size_t i = 0; i < slice->count; i++, at += slice->step) part->items[i] = list->items[at];
    part->count = slice->count;
    *out = list_value(part);
    return list->kind != LIST_RANGE || slice_range(r, list, slice, part);
}

bool access_slice(struct render *r, const struct value *v, const struct value bounds[3], struct value *out) {
    struct slice slice;
    size_t length;
    bool list = v->kind == VALUE_LIST && v->list->kind <= LIST_RANGE;
    if (v->kind == VALUE_UNDEFINED) return fail_undefined(r, v);
    if (!list && v->kind == VALUE_DICT) return render_error(r, "unhashable type: 'slice'");
    if (!list && v->kind != VALUE_STRING)
        return render_error(r, "'%s' object is not subscriptable", value_type(v));
    if (!value_length(r, v, &length) || !resolve(r, bounds, length, &slice)) return false;
    return list ? slice_list(r, v->list, &slice, out) : slice_string(r, v->string, &slice, out);
}
