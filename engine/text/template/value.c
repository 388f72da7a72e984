#include "engine/text/template/value.h"

#include <string.h>

#include "engine/text/template/for_loop.h"
#include "engine/text/template/render.h"
#include "engine/text/unicode/unicode.h"

/* ---- making -------------------------------------------------------------------------------------------- */

struct value list_value(struct list *list) {
    return (struct value){.kind = VALUE_LIST, .list = list};
}

struct value dict_value(struct dict *d) {
    return (struct value){.kind = VALUE_DICT, .dict = d};
}

struct list *list_create(struct render *r, enum list_kind kind, size_t capacity) {
    struct list *list = render_take(r, 1, sizeof *list);
    if (!list) return NULL;
    list->kind = kind;
    list->items = render_take(r, capacity, sizeof *list->items);
    list->capacity = capacity;
    return list->items ? list : NULL;
}

/* Twice the room; the old one is left in the arena. */
static bool double_room(struct render *r, void **items, size_t *capacity, size_t count, size_t size) {
    size_t wanted = *capacity < 4 ? 8 : 2 * *capacity;
    void *grown = render_take(r, wanted, size);
    if (!grown) return false;
    if (count > 0) memcpy(grown, *items, count * size);
    *items = grown;
    *capacity = wanted;
    return true;
}

bool list_add(struct render *r, struct list *list, struct value v) {
    if (list->count == list->capacity) {
        void *items = list->items;
        if (!double_room(r, &items, &list->capacity, list->count, sizeof *list->items)) return false;
        list->items = items;
    }
    list->items[list->count++] = v;
    return true;
}

struct dict *dict_create(struct render *r, size_t capacity) {
    struct dict *d = render_take(r, 1, sizeof *d);
    if (!d) return NULL;
    d->entries = render_take(r, capacity, sizeof *d->entries);
    d->capacity = capacity;
    return d->entries ? d : NULL;
}

bool dict_add(struct render *r, struct dict *d, struct value key, struct value v) {
    if (d->count == d->capacity) {
        void *entries = d->entries;
        if (!double_room(r, &entries, &d->capacity, d->count, sizeof *d->entries)) return false;
        d->entries = entries;
    }
    d->entries[d->count++] = (struct entry){key, v};
    return true;
}

static bool is_key(const struct value *v) {
    if (v->kind == VALUE_DICT) return false;
    if (v->kind != VALUE_LIST) return true;
    if (v->list->kind != LIST_TUPLE) return v->list->kind != LIST_LIST;
    for (size_t i = 0; i < v->list->count; i++)
        if (v->list->items[i].kind == VALUE_LIST || v->list->items[i].kind == VALUE_DICT) return false;
    return true; /* tuples within tuples are none here: they would have to be looked through */
}

/* Bytes are looked at where lengths are equal; those of short keys are within the steps of the lookup. */
static bool keys_equal(struct render *r, const struct string *a, const struct string *b) {
    return a->length == b->length && render_steps(r, a->length / 64) && string_equal(a, b);
}

/* *found: the entry, or NULL. */
static bool find_entry(struct render *r, const struct dict *d, const struct value *key,
                       struct entry **found) {
    *found = NULL;
    if (!render_steps(r, d->count / 8)) return false;
    for (size_t i = 0; i < d->count; i++) {
        bool equal;
        struct entry *entry = &d->entries[i];
        if (key->kind == VALUE_STRING && entry->key.kind == VALUE_STRING)
            equal = keys_equal(r, key->string, entry->key.string);
        else if (!value_equal(r, key, &entry->key, &equal))
            return false;
        if (r->failed) return false;
        if (!equal) continue;
        *found = entry;
        return true;
    }
    return true;
}

bool dict_set(struct render *r, struct dict *d, struct value key, struct value v) {
    struct entry *entry;
    if (!is_key(&key)) return render_error(r, "unhashable type: '%s'", value_type(&key));
    if (!find_entry(r, d, &key, &entry)) return false;
    if (!entry) return dict_add(r, d, key, v);
    entry->value = v;
    return true;
}

bool dict_get(struct render *r, const struct dict *d, struct value key, struct value *out) {
    struct entry *entry = NULL;
    if (is_key(&key) && !find_entry(r, d, &key, &entry)) return false;
    *out = entry ? entry->value : (struct value){0};
    return true;
}

/* ---- asking -------------------------------------------------------------------------------------------- */

bool value_is_list(const struct value *v, enum list_kind kind) {
    return v->kind == VALUE_LIST && v->list->kind == kind;
}

bool value_truth(const struct value *v) {
    switch (v->kind) {
    case VALUE_MISSING:
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v->boolean;
    case VALUE_INT:
        return v->integer != 0;
    case VALUE_FLOAT:
        return v->real != 0;
    case VALUE_STRING:
        return v->string->length > 0;
    case VALUE_LIST:
        return v->list->kind == LIST_ITERATOR || v->list->count > 0;
    case VALUE_DICT:
        return v->dict->count > 0;
    default:
        return true;
    }
}

bool value_is_number(const struct value *v) {
    return v->kind == VALUE_BOOL || v->kind == VALUE_INT || v->kind == VALUE_FLOAT;
}

int64_t value_integer(const struct value *v) {
    return v->kind == VALUE_BOOL ? v->boolean : v->integer;
}

double value_real(const struct value *v) {
    return v->kind == VALUE_FLOAT ? v->real : (double)value_integer(v);
}

static const char *list_type(const struct list *list) {
    switch (list->kind) {
    case LIST_LIST:
        return "list";
    case LIST_TUPLE:
        return "tuple";
    case LIST_RANGE:
        return "range";
    case LIST_KEYS:
        return "dict_keys";
    case LIST_VALUES:
        return "dict_values";
    case LIST_ITEMS:
        return "dict_items";
    default:
        return "generator";
    }
}

const char *value_type(const struct value *v) {
    switch (v->kind) {
    case VALUE_NONE:
        return "NoneType";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
        return "int";
    case VALUE_FLOAT:
        return "float";
    case VALUE_STRING:
        return v->string->safe ? "Markup" : "str";
    case VALUE_LIST:
        return list_type(v->list);
    case VALUE_DICT:
        return "dict";
    case VALUE_NAMESPACE:
        return "Namespace";
    case VALUE_CALLABLE:
        return v->callable->kind == CALLABLE_MACRO ? "Macro" : "function";
    case VALUE_LOOP:
        return "LoopContext";
    default:
        return "Undefined";
    }
}

/* Both are numbers. A whole number of 64 bits is exact in a long double. */
static bool numbers_equal(const struct value *a, const struct value *b) {
    if (a->kind != VALUE_FLOAT && b->kind != VALUE_FLOAT) return value_integer(a) == value_integer(b);
    long double x = a->kind == VALUE_FLOAT ? (long double)a->real : (long double)value_integer(a);
    long double y = b->kind == VALUE_FLOAT ? (long double)b->real : (long double)value_integer(b);
    return x == y;
}

static bool numbers_less(const struct value *a, const struct value *b) {
    if (a->kind != VALUE_FLOAT && b->kind != VALUE_FLOAT) return value_integer(a) < value_integer(b);
    long double x = a->kind == VALUE_FLOAT ? (long double)a->real : (long double)value_integer(a);
    long double y = b->kind == VALUE_FLOAT ? (long double)b->real : (long double)value_integer(b);
    return x < y;
}

static bool lists_equal(struct render *r, const struct list *a, const struct list *b, bool *equal) {
    *equal = a == b;
    if (a->kind != b->kind || a->kind > LIST_RANGE || a->count != b->count) return true;
    *equal = true;
    for (size_t i = 0; *equal && i < a->count; i++)
        if (!value_equal(r, &a->items[i], &b->items[i], equal)) return false;
    return true;
}

static bool dicts_equal(struct render *r, const struct dict *a, const struct dict *b, bool *equal) {
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++) {
        struct value other;
        if (!dict_get(r, b, a->entries[i].key, &other)) return false;
        *equal = other.kind != VALUE_MISSING;
        if (*equal && !value_equal(r, &a->entries[i].value, &other, equal)) return false;
    }
    return true;
}

bool value_same(const struct value *a, const struct value *b) {
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT: /* small ones are single objects */
        return a->integer == b->integer && a->integer >= -5 && a->integer <= 256;
    case VALUE_FLOAT:
        return false;
    case VALUE_STRING:
        return a->string == b->string;
    case VALUE_NONE:
        return true;
    default:
        return a->list == b->list;
    }
}

static bool compound_equal(struct render *r, const struct value *a, const struct value *b, bool *equal) {
    if (!render_enter(r)) return false;
    bool done = a->kind == VALUE_LIST ? lists_equal(r, a->list, b->list, equal)
                                      : dicts_equal(r, a->dict, b->dict, equal);
    render_leave(r);
    return done;
}

bool value_equal(struct render *r, const struct value *a, const struct value *b, bool *equal) {
    if (!render_steps(r, 1)) return false;
    *equal = false;
    if (value_is_number(a) && value_is_number(b)) {
        *equal = numbers_equal(a, b);
        return true;
    }
    if (a->kind != b->kind) return true;
    switch (a->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        *equal = true;
        return true;
    case VALUE_STRING:
        *equal = string_equal(a->string, b->string);
        return render_bytes(r, a->string->length);
    case VALUE_LIST:
    case VALUE_DICT:
        return compound_equal(r, a, b, equal);
    default:
        *equal = a->list == b->list;
        return true;
    }
}

static bool lists_less(struct render *r, const struct list *a, const struct list *b, bool *less) {
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        bool equal;
        if (!value_equal(r, &a->items[i], &b->items[i], &equal)) return false;
        if (!equal) return value_less(r, &a->items[i], &b->items[i], less);
    }
    *less = a->count < b->count;
    return true;
}

bool value_less(struct render *r, const struct value *a, const struct value *b, bool *less) {
    const struct value *undefined = a->kind == VALUE_UNDEFINED ? a : b;
    if (!render_steps(r, 1)) return false;
    if (undefined->kind == VALUE_UNDEFINED) return render_error(r, "%s", undefined->undefined);
    if (value_is_number(a) && value_is_number(b)) {
        *less = numbers_less(a, b);
        return true;
    }
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        *less = string_compare(a->string, b->string) < 0;
        return render_bytes(r, a->string->length);
    }
    bool lists = a->kind == VALUE_LIST && b->kind == VALUE_LIST && a->list->kind == b->list->kind &&
                 a->list->kind <= LIST_TUPLE;
    if (!lists)
        return render_error(r, "'<' not supported between instances of '%s' and '%s'", value_type(a),
                            value_type(b));
    if (!render_enter(r)) return false;
    bool done = lists_less(r, a->list, b->list, less);
    render_leave(r);
    return done;
}

static bool in_string(struct render *r, const struct value *a, const struct string *s, bool *found) {
    if (a->kind != VALUE_STRING)
        return render_error(r, "'in <string>' requires string as left operand, not %s", value_type(a));
    *found = string_find(s, 0, s->length, a->string) != SIZE_MAX;
    return render_bytes(r, s->length);
}

bool value_in(struct render *r, const struct value *a, const struct value *b, bool *found) {
    struct list *list;
    struct value unused = {0};
    *found = false;
    if (b->kind == VALUE_STRING) return in_string(r, a, b->string, found);
    if (b->kind == VALUE_DICT) {
        if (!is_key(a)) return render_error(r, "unhashable type: '%s'", value_type(a));
        bool done = dict_get(r, b->dict, *a, &unused);
        *found = unused.kind != VALUE_MISSING;
        return done;
    }
    if (!value_is_iterable(b)) return render_error(r, "argument of type '%s' is not iterable", value_type(b));
    if (!value_elements(r, b, &list)) return false;
    for (size_t i = 0; !*found && i < list->count; i++)
        if (!value_equal(r, a, &list->items[i], found)) return false;
    return true;
}

bool value_length(struct render *r, const struct value *v, size_t *length) {
    *length = 0;
    if (v->kind == VALUE_UNDEFINED) return true;
    if (v->kind == VALUE_STRING) {
        *length = string_characters(v->string);
        return render_bytes(r, v->string->length);
    }
    if (v->kind == VALUE_LIST && v->list->kind != LIST_ITERATOR) {
        *length = v->list->count;
        return true;
    }
    if (v->kind == VALUE_LOOP) return for_loop_length(r, v->loop, length);
    if (v->kind != VALUE_DICT) return render_error(r, "object of type '%s' has no len()", value_type(v));
    *length = v->dict->count;
    return true;
}

bool value_is_iterable(const struct value *v) {
    return v->kind == VALUE_UNDEFINED || v->kind == VALUE_STRING || v->kind == VALUE_LIST ||
           v->kind == VALUE_DICT;
}

static bool characters(struct render *r, const struct string *s, struct list **out) {
    *out = list_create(r, LIST_LIST, string_characters(s));
    for (size_t at = 0; *out && at < s->length;) {
        size_t start = at;
        utf8_next(s->bytes, s->length, &at);
        const struct string *part = string_part(r, s, start, at);
        if (part) part = string_with_safety(r, part, false);
        if (!part || !render_steps(r, 1) || !list_add(r, *out, STRING(part))) return false;
    }
    return *out != NULL;
}

static bool keys(struct render *r, const struct dict *d, struct list **out) {
    *out = list_create(r, LIST_LIST, d->count);
    if (!*out || !render_steps(r, d->count)) return false;
    for (size_t i = 0; i < d->count; i++) (*out)->items[i] = d->entries[i].key;
    (*out)->count = d->count;
    return true;
}

bool value_elements_lazily(struct render *r, const struct value *v, struct list **out, struct value *lazy) {
    *out = NULL;
    *lazy = *v;
    if (value_is_list(v, LIST_ITERATOR) && v->list->failure) return true;
    if (value_is_iterable(v)) return value_elements(r, v, out);
    struct list *list = list_create(r, LIST_ITERATOR, 0);
    if (!list) return false;
    list->failure = render_format(r, "'%s' object is not iterable", value_type(v));
    *lazy = list_value(list);
    return !r->failed;
}

/* What is left of an iterator. */
static bool walk_through(struct render *r, struct list *iterator, struct list **out) {
    if (iterator->failure) return render_error(r, "%s", iterator->failure);
    *out = list_create(r, LIST_LIST, 0);
    if (!*out) return false;
    (*out)->items = iterator->items + iterator->position;
    (*out)->count = (*out)->capacity = iterator->count - iterator->position;
    iterator->position = iterator->count;
    return true;
}

bool value_elements(struct render *r, const struct value *v, struct list **out) {
    switch (v->kind) {
    case VALUE_UNDEFINED:
        *out = list_create(r, LIST_LIST, 0);
        return *out != NULL;
    case VALUE_STRING:
        return characters(r, v->string, out);
    case VALUE_DICT:
        return keys(r, v->dict, out);
    case VALUE_LIST:
        if (v->list->kind == LIST_ITERATOR) return walk_through(r, v->list, out);
        *out = v->list;
        return true;
    default:
        return render_error(r, "'%s' object is not iterable", value_type(v));
    }
}
