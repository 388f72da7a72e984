#include <stdlib.h>

#include "engine/grammar/sources/json_schema_writer.h"

struct array {
    struct json_schema_writer *w;
    const struct json_schema_list *branches;
    size_t prefix, least, most; /* the longest prefix; elements */
    bool is_closed;             /* nothing comes behind the prefix */
};

static const json_t *prefix_of(const json_t *branch) {
    const json_t *items = json_object_get(branch, "items");
    return json_is_array(items) ? items : json_object_get(branch, "prefixItems");
}

/* What a branch asks of the elements behind its prefix; NULL: nothing. */
static const json_t *rest_of(const json_t *branch) {
    const json_t *items = json_object_get(branch, "items");
    return json_is_array(items) ? json_object_get(branch, "additionalItems") : items;
}

static struct array measure(struct json_schema_writer *w, const struct json_schema_list *branches) {
    struct array a = {.w = w, .branches = branches};
    bool has_rest = false;
    for (size_t i = 0; i < branches->count; i++) {
        size_t size = json_array_size(prefix_of(branches->items[i]));
        if (size > a.prefix) a.prefix = size;
        has_rest |= rest_of(branches->items[i]) != NULL;
    }
    a.least = json_schema_count(branches, "minItems", true, 0);
    a.most = json_schema_count(branches, "maxItems", false, RULES_UNLIMITED);
    a.is_closed = a.prefix > 0 && !has_rest;
    return a;
}

/* The element with this index; all behind the prefix are alike. */
static rules_expression element(const struct array *a, size_t index) {
    struct json_schema_list asked = {.count = 0};
    if (index >= a->prefix && a->is_closed) return a->w->shared.nothing;
    for (size_t i = 0; i < a->branches->count; i++) {
        const json_t *prefix = prefix_of(a->branches->items[i]);
        const json_t *schema =
            index < json_array_size(prefix) ? json_array_get(prefix, index) : rest_of(a->branches->items[i]);
        if (schema) asked.items[asked.count++] = schema;
    }
    return json_schema_goal(a->w, &asked);
}

/* What may stand behind the last element of the prefix: commas and elements, and the white space at the end. */
static rules_expression behind_prefix(const struct array *a) {
    struct json_schema_writer *w = a->w;
    rules_expression one = element(a, a->prefix);
    size_t least = a->least > a->prefix ? a->least - a->prefix : 0;
    size_t most = a->most == RULES_UNLIMITED ? RULES_UNLIMITED : a->most - a->prefix;
    if (one == w->shared.nothing && least > 0) return w->shared.nothing;
    if (one == w->shared.nothing || most == 0) return w->shared.space;
    rules_expression more = json_schema_seq(w, w->shared.comma, one);
    return json_schema_seq(w, rules_repeat(w->rules, more, (uint32_t)least, (uint32_t)most), w->shared.space);
}

/* Elements from the first on, there being at least one. */
static rules_expression elements(const struct array *a) {
    struct json_schema_writer *w = a->w;
    size_t fixed = a->prefix < a->most ? a->prefix : a->most;
    rules_expression rest = a->most > a->prefix ? behind_prefix(a)
                            : a->least > fixed  ? w->shared.nothing
                                                : w->shared.space;
    for (size_t i = fixed; i-- > 1;) {
        rules_expression one = element(a, i);
        rest = one == w->shared.nothing || rest == w->shared.nothing
                   ? w->shared.nothing
                   : json_schema_seq(w, w->shared.comma, one, rest);
        if (i >= a->least)
            rest = rest == w->shared.nothing ? w->shared.space : json_schema_or(w, rest, w->shared.space);
    }
    rules_expression first = element(a, 0);
    return first == w->shared.nothing || rest == w->shared.nothing ? w->shared.nothing
                                                                   : json_schema_seq(w, first, rest);
}

/* Elements that are all alike. */
static rules_expression alike(const struct array *a) {
    struct json_schema_writer *w = a->w;
    rules_expression one = element(a, 0), more = json_schema_seq(w, w->shared.comma, one);
    size_t least = a->least > 0 ? a->least - 1 : 0,
           most = a->most == RULES_UNLIMITED ? RULES_UNLIMITED : a->most - 1;
    if (one == w->shared.nothing) return one;
    return json_schema_seq(w, one, rules_repeat(w->rules, more, (uint32_t)least, (uint32_t)most),
                           w->shared.space);
}

rules_expression json_schema_array(struct json_schema_writer *w, const struct json_schema_list *branches) {
    if (!json_schema_has_kind(branches, JSON_SCHEMA_OF_ARRAY)) return json_schema_any_array(w);
    struct array a = measure(w, branches);
    if (a.least > a.most) return w->shared.nothing;
    rules_expression inside = a.most == 0 ? w->shared.nothing : a.prefix > 0 ? elements(&a) : alike(&a);
    if (rules_failed(w->rules)) return RULES_NONE;
    if (a.least == 0)
        inside = inside == w->shared.nothing ? json_schema_word(w, "") : json_schema_optional(w, inside);
    if (inside == w->shared.nothing) return inside;
    return json_schema_seq(w, json_schema_word(w, "["), w->shared.space, inside, json_schema_word(w, "]"));
}
