/* Filters that take lists apart and put them in order. */
#include <string.h>

#include "engine/text/template/filter_rows.h"

static bool give(struct list *list, struct value *out) {
    *out = list_value(list);
    return list != NULL;
}

static bool copy_list(struct render *r, const struct value *v, enum list_kind kind, struct list **out) {
    struct list *from;
    if (!value_elements(r, v, &from)) return false;
    *out = list_create(r, kind, from->count);
    if (!*out || !render_steps(r, from->count / 8)) return false;
    for (size_t i = 0; i < from->count; i++) (*out)->items[i] = from->items[i];
    (*out)->count = from->count;
    return true;
}

static bool list(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct list *copy;
    (void)p;
    return copy_list(r, v, LIST_LIST, &copy) && give(copy, out);
}

static bool first(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct list *elements;
    (void)p;
    if (value_is_list(v, LIST_ITERATOR) && v->list->position < v->list->count) {
        *out = v->list->items[v->list->position++];
        return true;
    }
    if (!value_elements(r, v, &elements)) return false;
    *out = elements->count ? elements->items[0] : UNDEFINED("No first item, sequence was empty.");
    return true;
}

static bool last(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct list *elements;
    (void)p;
    if (value_is_list(v, LIST_ITERATOR)) return render_error(r, "'generator' object is not reversible");
    if (!value_elements(r, v, &elements)) return false;
    *out = elements->count ? elements->items[elements->count - 1]
                           : UNDEFINED("No last item, sequence was empty.");
    return true;
}

static bool reverse(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct list *copy;
    (void)p;
    if (v->kind == VALUE_STRING) {
        const struct value bounds[3] = {NONE, NONE, INTEGER(-1)};
        return access_slice(r, v, bounds, out);
    }
    if (!value_is_iterable(v)) return render_error(r, "argument must be iterable");
    enum list_kind kind = value_is_list(v, LIST_ITERATOR) ? LIST_LIST : LIST_ITERATOR;
    if (!copy_list(r, v, kind, &copy)) return false;
    for (size_t i = 0; i < copy->count / 2; i++) {
        struct value other = copy->items[i];
        copy->items[i] = copy->items[copy->count - 1 - i];
        copy->items[copy->count - 1 - i] = other;
    }
    return give(copy, out);
}

static bool items(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string name = STRING_LITERAL("items");
    struct value method;
    (void)p;
    if (v->kind == VALUE_UNDEFINED) return give(list_create(r, LIST_ITERATOR, 0), out);
    if (v->kind != VALUE_DICT) {
        if (!give(list_create(r, LIST_ITERATOR, 0), out)) return false;
        out->list->failure = "Can only get item pairs from a mapping.";
        return true;
    }
    if (!access_attribute(r, v, &name, "", &method) || !call_value(r, &method, &(struct arguments){0}, out))
        return false;
    out->list->kind = LIST_ITERATOR;
    return true;
}

/* ---- order --------------------------------------------------------------------------------------------- */

struct sortable {
    struct value key, item;
};

/* Whether b goes before a. */
static bool before(struct render *r, const struct sortable *a, const struct sortable *b, bool reversed,
                   bool *out) {
    return reversed ? value_less(r, &a->key, &b->key, out) : value_less(r, &b->key, &a->key, out);
}

/* Merges [0, middle) and [middle, count) of from into to. */
static bool merge(struct render *r, const struct sortable *from, struct sortable *to, size_t middle,
                  size_t count, bool reversed) {
    size_t left = 0, right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_right = left == middle;
        if (left < middle && right < count && !before(r, &from[left], &from[right], reversed, &take_right))
            return false;
        to[i] = take_right ? from[right++] : from[left++];
    }
    return true;
}

/* Stable; *items and other have room for count. */
static bool sort_pairs(struct render *r, struct sortable **pairs, struct sortable *other, size_t count,
                       bool reversed) {
    struct sortable *from = *pairs, *to = other;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t length = count - at < 2 * width ? count - at : 2 * width;
            if (!merge(r, from + at, to + at, length < width ? length : width, length, reversed))
                return false;
        }
        struct sortable *done = to;
        to = from;
        from = done;
    }
    *pairs = from;
    return true;
}

/* The elements of v by the keys that the getter gives; in_list: each key is compared as the only element of a list, so
 * that equal ones need no order. */
static bool sorted(struct render *r, const struct list *list, const struct getter *g, bool in_list,
                   bool reversed, struct sortable **out) {
    struct sortable *pairs = render_take(r, list->count, sizeof *pairs);
    struct sortable *other = render_take(r, list->count, sizeof *other);
    if (!pairs || !other) return false;
    for (size_t i = 0; i < list->count; i++) {
        pairs[i].item = list->items[i];
        if (!getter_get(r, g, &list->items[i], &pairs[i].key)) return false;
        if (!in_list) continue;
        struct list *key = list_create(r, LIST_LIST, 1);
        if (!key || !list_add(r, key, pairs[i].key)) return false;
        pairs[i].key = list_value(key);
    }
    if (!sort_pairs(r, &pairs, other, list->count, reversed)) return false;
    *out = pairs;
    return true;
}

static bool give_sorted(struct render *r, const struct sortable *pairs, size_t count, struct value *out) {
    struct list *list = list_create(r, LIST_LIST, count);
    for (size_t i = 0; list && i < count; i++) list->items[i] = pairs[i].item;
    if (list) list->count = count;
    return give(list, out);
}

static bool sort(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct getter g = {.lower = !value_truth(&p[1])};
    struct list *elements;
    struct sortable *pairs;
    if (p[2].kind == VALUE_STRING && memchr(p[2].string->bytes, ',', p[2].string->length))
        return render_fail(r, STATUS_UNSUPPORTED, "sorting by several attributes");
    return value_elements(r, v, &elements) && getter_init(r, &g, &p[2]) &&
           sorted(r, elements, &g, true, value_truth(&p[0]), &pairs) &&
           give_sorted(r, pairs, elements->count, out);
}

static bool dictsort(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string key = STRING_LITERAL("key"), value = STRING_LITERAL("value");
    struct value pairs, number = INTEGER(0);
    struct sortable *result;
    struct getter g = {.lower = !value_truth(&p[0])};
    const struct string *by = p[1].kind == VALUE_STRING ? p[1].string : &key;
    if (!string_equal(by, &key) && !string_equal(by, &value))
        return render_error(r, "You can only sort by either \"key\" or \"value\"");
    if (v->kind == VALUE_UNDEFINED) return render_error(r, "%s", v->undefined);
    if (v->kind != VALUE_DICT) return render_error(r, "'%s' object has no attribute 'items'", value_type(v));
    number.integer = string_equal(by, &value);
    return items(r, v, p, &pairs) && getter_init(r, &g, &number) &&
           sorted(r, pairs.list, &g, false, value_truth(&p[2]), &result) &&
           give_sorted(r, result, pairs.list->count, out);
}

static bool extreme(struct render *r, const struct value *v, const struct value *p, bool greatest,
                    struct value *out) {
    struct getter g = {.lower = !value_truth(&p[0])};
    struct list *elements;
    struct value best, key;
    if (!value_elements(r, v, &elements) || !getter_init(r, &g, &p[1])) return false;
    *out = UNDEFINED("No aggregated item, sequence was empty.");
    for (size_t i = 0; i < elements->count; i++) {
        bool better = i == 0;
        if (!getter_get(r, &g, &elements->items[i], &key)) return false;
        if (i > 0 && !(greatest ? value_less(r, &best, &key, &better) : value_less(r, &key, &best, &better)))
            return false;
        if (!better) continue;
        best = key;
        *out = elements->items[i];
    }
    return true;
}

static bool minimum(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    return extreme(r, v, p, false, out);
}

static bool maximum(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    return extreme(r, v, p, true, out);
}

static bool unique(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct getter g = {.lower = !value_truth(&p[0])};
    struct list *elements, *found = list_create(r, LIST_ITERATOR, 0);
    struct dict *seen = dict_create(r, 0);
    struct value key, unused;
    if (!found || !seen || !value_elements_lazily(r, v, &elements, out) || !getter_init(r, &g, &p[1]))
        return false;
    if (!elements) return true;
    bool done = true;
    for (size_t i = 0; done && i < elements->count; i++) {
        done = getter_get(r, &g, &elements->items[i], &key) && dict_get(r, seen, key, &unused);
        if (done && unused.kind == VALUE_MISSING)
            done = dict_set(r, seen, key, BOOLEAN(true)) && list_add(r, found, elements->items[i]);
    }
    return filter_generator(r, found, done, out);
}

/* ---- groups -------------------------------------------------------------------------------------------- */

static bool add_group(struct render *r, struct list *groups, const struct value *grouper,
                      struct list *members) {
    struct list *group = list_create(r, LIST_TUPLE, 2);
    if (!group || !list_add(r, group, *grouper) || !list_add(r, group, list_value(members))) return false;
    group->group = true;
    return list_add(r, groups, list_value(group));
}

static bool groupby(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct getter g = {.lower = !value_truth(&p[2]), .absent = p[1]}, exact = {.absent = p[1]};
    struct list *elements, *groups = list_create(r, LIST_LIST, 0);
    struct sortable *pairs;
    if (p[1].kind == VALUE_NONE) g.absent = exact.absent = (struct value){0};
    if (!groups || !value_elements(r, v, &elements) || !getter_init(r, &g, &p[0]) ||
        !getter_init(r, &exact, &p[0]) || !sorted(r, elements, &g, false, false, &pairs))
        return false;
    for (size_t at = 0, end; at < elements->count; at = end) {
        struct list *members = list_create(r, LIST_LIST, 0);
        struct value grouper;
        bool equal = true;
        for (end = at; end < elements->count; end++) {
            if (!value_equal(r, &pairs[at].key, &pairs[end].key, &equal)) return false;
            if (!equal) break;
            if (!members || !list_add(r, members, pairs[end].item)) return false;
        }
        if (end == at) return render_error(r, "a group's key is not equal to itself");
        if (!getter_get(r, &exact, &pairs[at].item, &grouper) || !add_group(r, groups, &grouper, members))
            return false;
    }
    return give(groups, out);
}

static bool batch(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct list *elements, *rows = list_create(r, LIST_ITERATOR, 0), *row = NULL;
    int64_t width;
    if (!rows || !value_elements_lazily(r, v, &elements, out) || !filter_integer(r, &p[0], 0, &width))
        return false;
    if (!elements) return true;
    for (size_t i = 0; i < elements->count; i++) {
        if (!row || (int64_t)row->count == width) {
            row = list_create(r, LIST_LIST, 0);
            if (!row || !list_add(r, rows, list_value(row))) return false;
        }
        if (!list_add(r, row, elements->items[i]) || !render_steps(r, 1)) return false;
    }
    bool fill = row && p[1].kind != VALUE_MISSING && p[1].kind != VALUE_NONE;
    while (fill && (int64_t)row->count < width)
        if (!list_add(r, row, p[1]) || !render_steps(r, 1)) return false;
    return give(rows, out);
}

static bool slice(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    struct list *elements, *rows = list_create(r, LIST_ITERATOR, 0);
    int64_t count;
    if (!rows || !value_elements_lazily(r, v, &elements, out) || !filter_integer(r, &p[0], 0, &count))
        return false;
    if (!elements) return true;
    if (count == 0) return render_error(r, "integer division or modulo by zero");
    bool fill = p[1].kind != VALUE_MISSING && p[1].kind != VALUE_NONE;
    size_t at = 0, slices = count > 0 ? (size_t)count : 0;
    for (size_t i = 0; i < slices; i++) {
        bool longer = i < elements->count % slices;
        struct list *row = list_create(r, LIST_LIST, 0);
        if (!row || !render_steps(r, 1)) return false;
        for (size_t end = at + elements->count / slices + longer; at < end; at++)
            if (!list_add(r, row, elements->items[at])) return false;
        if ((fill && !longer && !list_add(r, row, p[1])) || !list_add(r, rows, list_value(row))) return false;
    }
    return give(rows, out);
}

static bool default_value(struct render *r, const struct value *v, const struct value *p, struct value *out) {
    static const struct string empty = STRING_LITERAL("");
    (void)r;
    bool absent = v->kind == VALUE_UNDEFINED || (value_truth(&p[1]) && !value_truth(v));
    *out = !absent ? *v : p[0].kind == VALUE_MISSING ? STRING(&empty) : p[0];
    return true;
}

const struct filter_row list_filters[] = {
    {"list", list, NULL, "", 0},
    {"first", first, NULL, "", 0},
    {"last", last, NULL, "", 0},
    {"reverse", reverse, NULL, "", 0},
    {"items", items, NULL, "", 0},
    {"sort", sort, NULL, "reverse case_sensitive attribute", 0},
    {"dictsort", dictsort, NULL, "case_sensitive by reverse", 0},
    {"min", minimum, NULL, "case_sensitive attribute", 0},
    {"max", maximum, NULL, "case_sensitive attribute", 0},
    {"unique", unique, NULL, "case_sensitive attribute", 0},
    {"groupby", groupby, NULL, "attribute default case_sensitive", 1},
    {"batch", batch, NULL, "linecount fill_with", 1},
    {"slice", slice, NULL, "slices fill_with", 1},
    {"default", default_value, NULL, "default_value boolean", 0},
    {"d", default_value, NULL, "default_value boolean", 0},
    {"random", NULL, NULL, "", 0},
    {0},
};
