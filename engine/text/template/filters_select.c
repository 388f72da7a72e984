/* Filters that apply other filters and tests to each element: map, select, reject and their kin; attr. */
#include "engine/text/template/filter_rows.h"
#include "engine/text/template/tests.h"

/* Arguments behind the first few. */
static struct arguments rest_of(const struct arguments *a, size_t used) {
    struct arguments rest = *a;
    if (used > 0) rest.items += used;
    rest.count -= used;
    return rest;
}

static bool fail_unknown(struct render *r, const char *what, const struct value *v) {
    if (v->kind != VALUE_STRING) return render_error(r, "No %s of that name found.", what);
    return render_error(r, "No %s named '%.*s' found.", what, (int)(v->string->length & 255),
                        v->string->bytes);
}

/* map(attribute=..., default=...) */
static bool map_attribute(struct render *r, const struct list *elements, const struct arguments *a,
                          struct list *found) {
    struct value p[PARAMETERS_MAX], v;
    struct getter g = {0};
    if (!call_bind(r, "map", "attribute default", 1, true, a, p) || !getter_init(r, &g, &p[0])) return false;
    if (p[1].kind != VALUE_NONE) g.absent = p[1];
    for (size_t i = 0; i < elements->count; i++)
        if (!getter_get(r, &g, &elements->items[i], &v) || !list_add(r, found, v)) return false;
    return true;
}

static bool map_filter(struct render *r, const struct list *elements, const struct arguments *a,
                       struct list *found) {
    const struct filter_row *row = a->items[0].kind == VALUE_STRING ? filters_find(a->items[0].string) : NULL;
    const struct arguments rest = rest_of(a, 1);
    if (!row) return fail_unknown(r, "filter", &a->items[0]);
    for (size_t i = 0; i < elements->count; i++) {
        struct value v;
        if (!render_steps(r, 1) || !filters_apply(r, row, &elements->items[i], &rest, &v) ||
            !list_add(r, found, v))
            return false;
    }
    return true;
}

/* As its stack counts beside that of others. */
enum { MAP_LEVELS = 2 };

static bool map(struct render *r, const struct value *v, const struct arguments *a, struct value *out) {
    struct list *elements, *found = list_create(r, LIST_LIST, 0);
    if (!found) return false;
    if (!value_truth(v)) return filter_generator(r, found, true, out);
    if (!value_elements_lazily(r, v, &elements, out)) return false;
    if (!elements) return true;
    if (a->count == 0 && a->keyword_count == 0) return render_error(r, "map requires a filter argument");
    /* A filter may apply others in turn: map('map', ...). */
    if (!render_enter_levels(r, MAP_LEVELS)) return false;
    bool done = a->count == 0 ? map_attribute(r, elements, a, found) : map_filter(r, elements, a, found);
    render_leave_levels(r, MAP_LEVELS);
    return filter_generator(r, found, done, out);
}

static bool passes(struct render *r, const struct test_row *row, const struct value *v,
                   const struct arguments *a, bool *out) {
    *out = value_truth(v);
    return render_steps(r, 1) && (!row || tests_apply(r, row, v, a, out));
}

/* What passes a test, itself or by an attribute, as wanted. */
struct choice {
    struct getter getter;
    const struct test_row *test; /* NULL: the truth of it */
    struct arguments arguments;
    bool wanted;
};

static bool choose_each(struct render *r, const struct list *elements, const struct choice *c,
                        struct list *found) {
    for (size_t i = 0; i < elements->count; i++) {
        struct value element;
        bool passed;
        if (!getter_get(r, &c->getter, &elements->items[i], &element) ||
            !passes(r, c->test, &element, &c->arguments, &passed))
            return false;
        if (passed == c->wanted && !list_add(r, found, elements->items[i])) return false;
    }
    return true;
}

static bool choose(struct render *r, const struct value *v, const struct arguments *a, bool attribute,
                   bool wanted, struct value *out) {
    struct list *elements, *found = list_create(r, LIST_LIST, 0);
    struct choice c = {.wanted = wanted};
    size_t used = attribute ? 1 : 0;
    if (!found) return false;
    if (!value_truth(v)) return filter_generator(r, found, true, out);
    if (a->count < used) return render_error(r, "Missing parameter for attribute name");
    if ((attribute && !getter_init(r, &c.getter, &a->items[0])) ||
        !value_elements_lazily(r, v, &elements, out))
        return false;
    if (!elements) return true;
    if (a->count > used) {
        const struct value *name = &a->items[used++];
        c.test = name->kind == VALUE_STRING ? tests_find(name->string) : NULL;
        if (!c.test) return fail_unknown(r, "test", name);
    }
    c.arguments = rest_of(a, used);
    return filter_generator(r, found, choose_each(r, elements, &c, found), out);
}

static bool select_(struct render *r, const struct value *v, const struct arguments *a, struct value *out) {
    return choose(r, v, a, false, true, out);
}

static bool reject(struct render *r, const struct value *v, const struct arguments *a, struct value *out) {
    return choose(r, v, a, false, false, out);
}

static bool selectattr(struct render *r, const struct value *v, const struct arguments *a,
                       struct value *out) {
    return choose(r, v, a, true, true, out);
}

static bool rejectattr(struct render *r, const struct value *v, const struct arguments *a,
                       struct value *out) {
    return choose(r, v, a, true, false, out);
}

static bool attr(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    if (p[0].kind != VALUE_STRING) return render_error(r, "attribute name must be string");
    if (v->kind != VALUE_DICT)
        return access_attribute(r, v, p[0].string, "the value has no such attribute", out);
    const struct value empty = dict_value(dict_create(r, 0)); /* of a dict its methods alone */
    if (!empty.dict || !access_attribute(r, &empty, p[0].string, "the dict has no such attribute", out))
        return false;
    if (out->kind == VALUE_CALLABLE) out->callable->self = *v;
    return true;
}

const struct filter_row select_filters[] = {
    {"map", NULL, map, "", 0},
    {"select", NULL, select_, "", 0},
    {"reject", NULL, reject, "", 0},
    {"selectattr", NULL, selectattr, "", 0},
    {"rejectattr", NULL, rejectattr, "", 0},
    {"attr", attr, NULL, "name", 1},
    {0},
};
