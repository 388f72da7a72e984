/* Functions that every template has. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/print.h"
#include "engine/text/template/template.h"

/* Elements of a range: Jinja's sandbox has the same limit. */
enum { RANGE_MAX = 100000 };

/* Bytes that strftime_now writes. */
enum { TIME_BYTES_MAX = 256 };

static bool range_bound(struct render *r, const struct value *v, int64_t absent, int64_t *out) {
    *out = absent;
    if (v->kind == VALUE_MISSING) return true;
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (v->kind != VALUE_INT && v->kind != VALUE_BOOL)
        return render_error(r, "'%s' object cannot be interpreted as an integer", value_type(v));
    *out = value_integer(v);
    return true;
}

static bool fill_range(struct render *r, int64_t start, int64_t stop, int64_t step, struct value *out) {
    unsigned __int128 distance = 0, stride = step > 0 ? (unsigned __int128)step : -(unsigned __int128)step;
    if (step > 0 && stop > start) distance = (unsigned __int128)stop - (unsigned __int128)start;
    if (step < 0 && start > stop) distance = (unsigned __int128)start - (unsigned __int128)stop;
    unsigned __int128 count = (distance + stride - 1) / stride;
    if (count > RANGE_MAX)
        return render_error(r, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                            RANGE_MAX);
    struct list *list = list_create(r, LIST_RANGE, (size_t)count);
    if (!list || !render_steps(r, (size_t)count / 8)) return false;
    list->start = start;
    list->stop = stop;
    list->step = step;
    for (; list->count < count; list->count++)
        list->items[list->count] = INTEGER(start + (int64_t)list->count * step);
    *out = list_value(list);
    return true;
}

static bool range(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    struct value p[PARAMETERS_MAX];
    int64_t start, stop, step;
    (void)self;
    if (!call_bind(r, "range()", "start stop step", 1, false, a, p)) return false;
    if (!range_bound(r, &p[0], 0, &start) || !range_bound(r, &p[1], start, &stop) ||
        !range_bound(r, &p[2], 1, &step))
        return false;
    if (p[1].kind == VALUE_MISSING) start = 0;
    if (step == 0) return render_error(r, "range() arg 3 must not be zero");
    return fill_range(r, start, stop, step, out);
}

/* Pairs of an iterable of pairs. */
static bool add_pairs(struct render *r, struct dict *d, const struct value *v) {
    struct list *list, *pair;
    if (v->kind == VALUE_DICT) {
        for (size_t i = 0; i < v->dict->count; i++)
            if (!dict_set(r, d, v->dict->entries[i].key, v->dict->entries[i].value)) return false;
        return true;
    }
    if (!value_elements(r, v, &list)) return false;
    for (size_t i = 0; i < list->count; i++) {
        if (!value_elements(r, &list->items[i], &pair)) return false;
        if (pair->count != 2)
            return render_error(r, "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                                pair->count);
        if (!dict_set(r, d, pair->items[0], pair->items[1])) return false;
    }
    return true;
}

static bool make_dict(struct render *r, const struct arguments *a, struct dict **out) {
    *out = dict_create(r, a->keyword_count);
    if (!*out) return false;
    if (a->count > 1) return render_error(r, "dict expected at most 1 argument, got %zu", a->count);
    if (a->count == 1 && !add_pairs(r, *out, &a->items[0])) return false;
    for (size_t i = 0; i < a->keyword_count; i++)
        if (!dict_set(r, *out, STRING(a->keywords[i].name), a->keywords[i].value)) return false;
    return true;
}

static bool dict(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    struct dict *d;
    (void)self;
    if (!make_dict(r, a, &d)) return false;
    *out = dict_value(d);
    return true;
}

static bool namespace(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    if (!dict(r, self, a, out)) return false;
    out->kind = VALUE_NAMESPACE;
    return true;
}

static bool raise_exception(struct render *r, struct callable *self, const struct arguments *a,
                            struct value *out) {
    struct value p[PARAMETERS_MAX];
    const struct string *message;
    (void)self;
    (void)out;
    if (!call_bind(r, "raise_exception()", "message", 1, true, a, p) || !print_value(r, &p[0], &message))
        return false;
    r->failed = true;
    int length = message->length < sizeof r->e->text ? (int)message->length : (int)sizeof r->e->text;
    error_set(r->e, STATUS_INVALID_ARGUMENT, "raise_exception", "%.*s", length, message->bytes);
    return false;
}

static bool strftime_now(struct render *r, struct callable *self, const struct arguments *a,
                         struct value *out) {
    struct value p[PARAMETERS_MAX];
    char format[TIME_BYTES_MAX], text[TIME_BYTES_MAX];
    struct tm local;
    time_t now = r->input->now ? r->input->now : time(NULL);
    (void)self;
    if (!call_bind(r, "strftime_now()", "format", 1, true, a, p)) return false;
    if (p[0].kind != VALUE_STRING)
        return render_error(r, "strftime() argument 1 must be str, not %s", value_type(&p[0]));
    if (p[0].string->length >= sizeof format || memchr(p[0].string->bytes, '\0', p[0].string->length))
        return render_fail(r, STATUS_LIMIT, "a time format of more than %d bytes", TIME_BYTES_MAX);
    memcpy(format, p[0].string->bytes, p[0].string->length);
    format[p[0].string->length] = '\0';
    if (!localtime_r(&now, &local)) return render_error(r, "the time is beyond the calendar");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text[strftime(text, sizeof text, format, &local)] = '\0';
#pragma GCC diagnostic pop
    const struct string *s = string_copy(r, text);
    if (s) s = string_create(r, s->bytes, s->length, string_has_marks(p[0].string));
    *out = STRING(s);
    return s != NULL;
}

static bool call_joiner(struct render *r, struct callable *self, const struct arguments *a,
                        struct value *out) {
    static const struct string empty = STRING_LITERAL("");
    if (a->count > 0 || a->keyword_count > 0) return render_error(r, "a joiner takes no argument");
    *out = self->position++ == 0 ? STRING(&empty) : self->self;
    return true;
}

static bool joiner(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    static const struct string comma = STRING_LITERAL(", ");
    struct value p[PARAMETERS_MAX];
    struct callable *c = render_take(r, 1, sizeof *c);
    (void)self;
    if (!c || !call_bind(r, "joiner()", "sep", 0, true, a, p)) return false;
    *c = (struct callable){.kind = CALLABLE_JOINER,
                           .name = "Joiner",
                           .call = call_joiner,
                           .self = p[0].kind == VALUE_MISSING ? STRING(&comma) : p[0]};
    *out = (struct value){.kind = VALUE_CALLABLE, .callable = c};
    return true;
}

static bool cycler(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    (void)self;
    if (a->count == 0 || a->keyword_count > 0) return render_error(r, "at least one item has to be provided");
    struct callable *c = render_take(r, 1, sizeof *c);
    struct list *items = list_create(r, LIST_TUPLE, a->count);
    if (!c || !items) return false;
    for (size_t i = 0; i < a->count; i++) items->items[i] = a->items[i];
    items->count = a->count;
    *c = (struct callable){.kind = CALLABLE_CYCLER, .name = "Cycler", .items = items};
    *out = (struct value){.kind = VALUE_CALLABLE, .callable = c};
    return true;
}

bool globals_get(struct render *r, const struct string *name, struct value *out) {
    static const struct {
        const char *name;
        call_function *call;
    } functions[] = {{"range", range},
                     {"dict", dict},
                     {"namespace", namespace},
                     {"raise_exception", raise_exception},
                     {"strftime_now", strftime_now},
                     {"joiner", joiner},
                     {"cycler", cycler}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!string_is(name, functions[i].name)) continue;
        struct callable *c = render_take(r, 1, sizeof *c);
        if (!c) return false;
        *c = (struct callable){.kind = CALLABLE_GLOBAL, .name = functions[i].name, .call = functions[i].call};
        *out = (struct value){.kind = VALUE_CALLABLE, .callable = c};
        return true;
    }
    return true;
}
