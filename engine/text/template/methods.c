#include "engine/text/template/methods.h"

#include <string.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/format.h"

/* ---- dict ---------------------------------------------------------------------------------------------- */

static bool dict_get_method(struct render *r, const struct value *self, const struct value *p,
                            struct value *out) {
    if (p[0].kind == VALUE_DICT || value_is_list(&p[0], LIST_LIST))
        return render_error(r, "unhashable type: '%s'", value_type(&p[0]));
    if (!dict_get(r, self->dict, p[0], out)) return false;
    if (out->kind == VALUE_MISSING) *out = p[1].kind == VALUE_MISSING ? NONE : p[1];
    return true;
}

static bool view(struct render *r, const struct value *self, enum list_kind kind, struct value *out) {
    const struct dict *d = self->dict;
    struct list *list = list_create(r, kind, d->count);
    if (!list || !render_steps(r, d->count)) return false;
    for (; list->count < d->count; list->count++) {
        const struct entry *entry = &d->entries[list->count];
        struct list *pair = kind == LIST_ITEMS ? list_create(r, LIST_TUPLE, 2) : NULL;
        if (kind == LIST_ITEMS && !pair) return false;
        if (pair) {
            pair->items[0] = entry->key;
            pair->items[1] = entry->value;
            pair->count = 2;
        }
        list->items[list->count] = pair ? list_value(pair) : kind == LIST_KEYS ? entry->key : entry->value;
    }
    *out = list_value(list);
    return true;
}

static bool items(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return view(r, self, LIST_ITEMS, out);
}

static bool keys(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return view(r, self, LIST_KEYS, out);
}

static bool values(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)p;
    return view(r, self, LIST_VALUES, out);
}

/* Nothing can be changed, so a copy is the thing itself. */
static bool copy(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    (void)r;
    (void)p;
    *out = *self;
    return true;
}

const struct method container_dict_methods[] = {
    {"get", dict_get_method, "key default", 1, false},
    {"items", items, "", 0, false},
    {"keys", keys, "", 0, false},
    {"values", values, "", 0, false},
    {"copy", copy, "", 0, false},
    {"fromkeys", NULL, "", 0, false},
    {0},
};

/* ---- list, tuple, range -------------------------------------------------------------------------------- */

static bool index_of(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    const struct list *list = self->list;
    int64_t count = (int64_t)list->count;
    int64_t start = p[1].kind == VALUE_INT ? p[1].integer : 0,
            stop = p[2].kind == VALUE_INT ? p[2].integer : count;
    if (start < 0) start = start + count < 0 ? 0 : start + count;
    if (stop < 0) stop += count;
    for (int64_t i = start; i < stop && i < count; i++) {
        bool equal;
        if (!value_equal(r, &list->items[i], &p[0], &equal)) return false;
        *out = INTEGER(i);
        if (equal) return true;
    }
    return render_error(r, "the value is not in the %s", value_type(self));
}

static bool count_of(struct render *r, const struct value *self, const struct value *p, struct value *out) {
    *out = INTEGER(0);
    for (size_t i = 0; i < self->list->count; i++) {
        bool equal;
        if (!value_equal(r, &self->list->items[i], &p[0], &equal)) return false;
        out->integer += equal;
    }
    return true;
}

const struct method container_list_methods[] = {
    {"index", index_of, "value start stop", 1, false},
    {"count", count_of, "value", 1, false},
    {"copy", copy, "", 0, false},
    {0},
};

static const struct method number_methods[] = {
    {"real", NULL, "", 0, false},       {"imag", NULL, "", 0, false},
    {"numerator", NULL, "", 0, false},  {"denominator", NULL, "", 0, false},
    {"conjugate", NULL, "", 0, false},  {"bit_length", NULL, "", 0, false},
    {"bit_count", NULL, "", 0, false},  {"to_bytes", NULL, "", 0, false},
    {"from_bytes", NULL, "", 0, false}, {"as_integer_ratio", NULL, "", 0, false},
    {"is_integer", NULL, "", 0, false}, {"hex", NULL, "", 0, false},
    {"fromhex", NULL, "", 0, false},    {0},
};

/* ---- finding ------------------------------------------------------------------------------------------- */

static const struct method *find(const struct method *methods, const struct string *name) {
    for (; methods->name; methods++)
        if (string_is(name, methods->name)) return methods;
    return NULL;
}

static bool is_forbidden(const struct value *v, const struct string *name) {
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const of_list[] = {"append", "clear",  "pop",    "reverse", "insert",
                                          "sort",   "extend", "remove", NULL};
    const char *const *names = v->kind == VALUE_DICT ? of_dict : value_is_list(v, LIST_LIST) ? of_list : NULL;
    for (; names && *names; names++)
        if (string_is(name, *names)) return true;
    return false;
}

static const struct method *find_of(const struct value *v, const struct string *name) {
    switch (v->kind) {
    case VALUE_STRING: {
        const struct method *found = find(string_methods, name);
        return found ? found : find(string_case_methods, name);
    }
    case VALUE_DICT:
        return find(container_dict_methods, name);
    case VALUE_LIST:
        if (v->list->kind > LIST_RANGE) return NULL;
        if (v->list->kind != LIST_LIST && string_is(name, "copy")) return NULL;
        return find(container_list_methods, name);
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT:
        return find(number_methods, name);
    default:
        return NULL;
    }
}

static bool bind(struct render *r, const struct value *v, const struct callable *like, struct value *out) {
    struct callable *c = render_take(r, 1, sizeof *c);
    if (!c) return false;
    *c = *like;
    c->kind = CALLABLE_METHOD;
    if (v) c->self = *v;
    *out = (struct value){.kind = VALUE_CALLABLE, .callable = c};
    return true;
}

static bool format(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    return format_braces(r, self->self.string, a, out);
}

bool methods_get(struct render *r, const struct value *v, const struct string *name, struct value *out) {
    if (is_forbidden(v, name)) {
        *out = UNDEFINED(render_format(r, "access to attribute '%.*s' of '%s' object is unsafe.",
                                       (int)(name->length & 63), name->bytes, value_type(v)));
        return !r->failed;
    }
    if (v->kind == VALUE_STRING && string_is(name, "format"))
        return bind(r, v, &(struct callable){.name = "format", .call = format}, out);
    const struct method *method = find_of(v, name);
    if (!method) return true;
    if (!method->run && value_is_number(v))
        return render_fail(r, STATUS_UNSUPPORTED, "the attribute '%s' of a %s is not supported", method->name,
                           value_type(v));
    return bind(r, v, &(struct callable){.name = method->name, .method = method}, out);
}

/* ---- cyclers, macros ----------------------------------------------------------------------------------- */

static bool next(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    struct callable *cycler = self->self.callable;
    if (a->count > 0 || a->keyword_count > 0) return render_error(r, "next() takes no argument");
    *out = cycler->items->items[cycler->position];
    cycler->position = (cycler->position + 1) % cycler->items->count;
    return true;
}

static bool reset(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    (void)r;
    (void)a;
    self->self.callable->position = 0;
    *out = NONE;
    return true;
}

bool methods_of_callable(struct render *r, struct callable *c, const struct string *name, struct value *out) {
    const struct value self = {.kind = VALUE_CALLABLE, .callable = c};
    if (c->kind == CALLABLE_MACRO && string_is(name, "name")) {
        const struct string *s = string_copy(r, c->name);
        *out = STRING(s);
        return s != NULL;
    }
    if (c->kind != CALLABLE_CYCLER) return true;
    if (string_is(name, "current")) *out = c->items->items[c->position];
    if (string_is(name, "next")) return bind(r, &self, &(struct callable){.name = "next", .call = next}, out);
    if (string_is(name, "reset"))
        return bind(r, &self, &(struct callable){.name = "reset", .call = reset}, out);
    return true;
}
