/* Objects: the properties of all branches in the order in which they are met, each once, then what is required and not
 * listed, then any others.
 *
 * Which schemas a value of a key has to match is said by each branch for itself: its property of that name, and its
 * patterns that the key matches, else its additionalProperties. Whether a key matches a pattern is left to the automaton:
 * for each set of patterns there is one alternative, of the keys that match all of these and none of the others. */
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/sources/json_schema_writer.h"
#include "engine/grammar/sources/regex_source.h"
#include "engine/text/containers/text_buffer.h"

struct property {
    const char *name;
    bool is_required;
    rules_expression member; /* key, colon and value; `nothing` where it cannot be there */
};

struct object {
    struct json_schema_writer *w;
    const struct json_schema_list *branches;
    struct property *properties;
    size_t count, capacity;
    json_t *numbers; /* of properties, by name */
    struct {
        const json_t *schema;
        size_t branch;
        rules_expression keys, maybe; /* that match it, and that any dialect may say do; with quotes */
    } patterns[JSON_SCHEMA_PATTERNS_MAX];
    size_t pattern_count;
    rules_expression names;  /* what propertyNames ask of keys; RULES_NONE: nothing */
    rules_expression listed; /* keys that are listed; RULES_NONE: there are none */
    bool is_closed;          /* keys that no one speaks of are not allowed */
    rules_expression other;  /* key, colon and value of the others; `nothing`: there are none */
    size_t least, most;      /* properties */
};

/* ---- what there is ----------------------------------------------------------------------------------------------- */

/* The property of this name, which is added where it is not there yet; NULL: no memory. */
static struct property *add_property(struct object *o, const char *name) {
    const json_t *number = json_object_get(o->numbers, name);
    if (number) return &o->properties[json_integer_value(number)];
    if (!array_reserve(&o->properties, &o->capacity, o->count + 1) ||
        json_object_set_new(o->numbers, name, json_integer((json_int_t)o->count)) != 0) {
        rules_fail(o->w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for properties");
        return NULL;
    }
    o->properties[o->count] = (struct property){.name = name};
    return &o->properties[o->count++];
}

static void list_properties(struct object *o) {
    const char *name;
    json_t *value;
    bool has_properties = false, has_others = false;
    for (size_t i = 0; i < o->branches->count; i++) {
        const json_t *properties = json_object_get(o->branches->items[i], "properties");
        json_object_foreach((json_t *)properties, name, value) {
            if (rules_spend(o->w->rules, 1)) add_property(o, name);
        }
        has_properties |= properties != NULL || (o->w->closes_objects &&
                                                 json_object_get(o->branches->items[i], "patternProperties"));
        has_others |= json_object_get(o->branches->items[i], "additionalProperties") != NULL;
    }
    o->is_closed = has_properties && !has_others;
}

static void list_required(struct object *o) {
    for (size_t i = 0; i < o->branches->count; i++) {
        const json_t *required = json_object_get(o->branches->items[i], "required");
        for (size_t k = 0; k < json_array_size(required) && rules_spend(o->w->rules, 1); k++) {
            struct property *p = add_property(o, json_string_value(json_array_get(required, k)));
            if (p) p->is_required = true;
        }
    }
}

static rules_expression write_keys(struct object *o, const json_t *map, const char *pattern, bool is_wide) {
    struct json_schema_writer *w = o->w;
    char where[ERROR_WHERE_BYTES];
    rules_spend(w->rules, json_schema_place_of(w, map, where, sizeof where));
    const struct regex_style style = {.where = where,
                                      .spelling = REGEX_IN_JSON_STRING,
                                      .is_part = true,
                                      .is_ecma = true,
                                      .is_wide = is_wide};
    rules_expression content =
        regex_write_as(w->rules, (struct engine_string){pattern, strlen(pattern)}, &style);
    rules_expression quote = json_schema_word(w, "\"");
    return json_schema_seq(w, quote, content, quote);
}

static void add_pattern(struct object *o, size_t branch, const char *pattern, const json_t *schema) {
    const json_t *map = json_object_get(o->branches->items[branch], "patternProperties");
    size_t number = o->pattern_count;
    if (number == JSON_SCHEMA_PATTERNS_MAX) {
        json_schema_refuse(o->w, STATUS_LIMIT, map, "more than %d patterns that hold together",
                           JSON_SCHEMA_PATTERNS_MAX);
        return;
    }
    o->patterns[number].schema = schema;
    o->patterns[number].branch = branch;
    o->patterns[number].keys = write_keys(o, map, pattern, false);
    o->patterns[number].maybe = write_keys(o, map, pattern, true);
    o->pattern_count++;
}

static void list_patterns(struct object *o) {
    const char *pattern;
    json_t *schema;
    for (size_t i = 0; i < o->branches->count; i++) {
        json_object_foreach(json_object_get(o->branches->items[i], "patternProperties"), pattern, schema) {
            add_pattern(o, i, pattern, schema);
        }
    }
}

/* Keys are strings whatever else is asked of them, in the spelling of keys. */
static void list_names(struct object *o) {
    struct json_schema_list asked = {.items = {o->w->any_string}, .count = 1};
    for (size_t i = 0; i < o->branches->count && asked.count < JSON_SCHEMA_BRANCHES_MAX; i++) {
        const json_t *names = json_object_get(o->branches->items[i], "propertyNames");
        if (names) asked.items[asked.count++] = names;
    }
    o->names = asked.count > 1 ? json_schema_goal(o->w, &asked) : RULES_NONE;
}

/* ---- members ------------------------------------------------------------------------------------------------------ */

/* What the branches ask of the value of a key that matches these patterns (bits). name NULL: one that no branch lists.
 * False: no such key is allowed. */
static bool ask(const struct object *o, const char *name, unsigned patterns, struct json_schema_list *asked) {
    asked->count = 0;
    if (!rules_spend(o->w->rules, o->branches->count)) return false;
    for (size_t i = 0; i < o->branches->count; i++) {
        const json_t *own =
            name ? json_object_get(json_object_get(o->branches->items[i], "properties"), name) : NULL;
        bool is_spoken_of = own != NULL;
        if (own) asked->items[asked->count++] = own;
        for (size_t k = 0; k < o->pattern_count; k++) {
            if (o->patterns[k].branch != i || !(patterns >> k & 1)) continue;
            is_spoken_of = true;
            if (asked->count < JSON_SCHEMA_BRANCHES_MAX) asked->items[asked->count++] = o->patterns[k].schema;
        }
        const json_t *others = json_object_get(o->branches->items[i], "additionalProperties");
        if (!is_spoken_of && others && asked->count < JSON_SCHEMA_BRANCHES_MAX)
            asked->items[asked->count++] = others;
    }
    return name || patterns != 0 || !o->is_closed;
}

static rules_expression both(const struct object *o, rules_expression a, rules_expression b) {
    return a == RULES_NONE ? b : rules_intersection(o->w->rules, a, b);
}

/* Those of the keys that match these patterns; NONE: there are no patterns, and all are. */
static rules_expression matching_keys(const struct object *o, rules_expression keys, unsigned patterns) {
    for (size_t k = 0; k < o->pattern_count; k++)
        if (patterns >> k & 1) keys = both(o, keys, o->patterns[k].keys);
    return keys;
}

static rules_expression without_others(const struct object *o, rules_expression keys, unsigned patterns) {
    for (size_t k = 0; k < o->pattern_count; k++)
        if (!(patterns >> k & 1)) keys = rules_difference(o->w->rules, keys, o->patterns[k].maybe);
    return keys;
}

/* Keys that are not listed and match these patterns and no others. A key that matches a pattern is a key without saying so;
 * what is asked of names stands behind all else, where a limit of their length is seen. */
static rules_expression other_keys(const struct object *o, unsigned patterns) {
    bool names_first = o->names != RULES_NONE && o->pattern_count == 0;
    rules_expression keys = names_first ? o->names : matching_keys(o, RULES_NONE, patterns);
    if (keys == RULES_NONE) keys = json_schema_any_key(o->w);
    keys = without_others(o, keys, patterns);
    if (o->listed != RULES_NONE) keys = rules_difference(o->w->rules, keys, o->listed);
    return names_first || o->names == RULES_NONE ? keys : both(o, keys, o->names);
}

static rules_expression listed_key(const struct object *o, const char *name, unsigned patterns) {
    rules_expression key = json_schema_quoted(o->w, name, strlen(name));
    if (o->names != RULES_NONE) key = both(o, key, o->names);
    return without_others(o, matching_keys(o, key, patterns), patterns);
}

/* name NULL: those that no branch lists. */
static rules_expression write_member(const struct object *o, const char *name) {
    struct json_schema_writer *w = o->w;
    rules_expression choices[1 << JSON_SCHEMA_PATTERNS_MAX];
    size_t count = 0;
    for (unsigned patterns = 0; patterns < 1u << o->pattern_count; patterns++) {
        struct json_schema_list asked;
        if (!ask(o, name, patterns, &asked)) continue;
        rules_expression value = json_schema_goal(w, &asked);
        if (value != w->shared.nothing)
            choices[count++] = json_schema_seq(
                w, name ? listed_key(o, name, patterns) : other_keys(o, patterns), w->shared.colon, value);
    }
    return count == 0 ? w->shared.nothing : rules_choice(w->rules, choices, count);
}

/* The keys that are listed, with their quotes; NONE: there are none, or it failed. */
static rules_expression write_listed(const struct object *o) {
    struct json_schema_writer *w = o->w;
    rules_expression *listed = calloc(o->count + 1, sizeof *listed), all, quote = json_schema_word(w, "\"");
    if (!listed)
        return rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for %zu properties",
                          o->count);
    for (size_t i = 0; i < o->count && !rules_failed(w->rules); i++)
        listed[i] = json_schema_unquoted(w, o->properties[i].name, strlen(o->properties[i].name));
    all = rules_choice(w->rules, listed, o->count);
    free(listed);
    return o->count > 0 ? json_schema_seq(w, quote, all, quote) : RULES_NONE;
}

static void write_members(struct object *o) {
    struct json_schema_writer *w = o->w;
    bool has_others = !o->is_closed || o->pattern_count > 0;
    for (size_t i = 0; i < o->count && !rules_failed(w->rules); i++)
        o->properties[i].member = write_member(o, o->properties[i].name);
    o->listed = has_others ? write_listed(o) : RULES_NONE;
    o->other = has_others ? write_member(o, NULL) : w->shared.nothing;
}

/* ---- the list of members ------------------------------------------------------------------------------------------ */

/* Tails: what may follow from a property on, the members before it being as many as the index says; without bounds on their
 * number it is only of interest whether there are any. Each tail ends with the white space in front of the '}'. */
struct tails {
    rules_expression *after; /* [count of members]; [0] is not used */
    size_t counts;           /* the largest index: with it come all larger ones, too */
};

/* Bounds that what is required sees to are none. */
static void bound_count(struct object *o) {
    size_t required = 0;
    for (size_t i = 0; i < o->count; i++) required += o->properties[i].is_required;
    o->least = json_schema_count(o->branches, "minProperties", true, 0);
    o->most = json_schema_count(o->branches, "maxProperties", false, RULES_UNLIMITED);
    if (o->least <= required) o->least = 0;
    if (o->other == o->w->shared.nothing && o->most >= o->count) o->most = RULES_UNLIMITED;
}

/* Whether it matters how many members there are, beyond whether there are any. */
static bool is_counted(const struct object *o) {
    return o->most != RULES_UNLIMITED || o->least > 1;
}

static rules_expression with_comma(struct json_schema_writer *w, rules_expression member) {
    return json_schema_seq(w, w->shared.comma, member);
}

/* Other properties behind `before` members, each with its comma. */
static rules_expression others_after(const struct object *o, size_t before) {
    struct json_schema_writer *w = o->w;
    size_t least = o->least > before ? o->least - before : 0;
    size_t most = o->most == RULES_UNLIMITED ? RULES_UNLIMITED : o->most - before;
    if (o->other == w->shared.nothing || most == 0) return least > 0 ? w->shared.nothing : w->shared.space;
    rules_expression all = rules_repeat(w->rules, with_comma(w, o->other), (uint32_t)least, (uint32_t)most);
    return json_schema_seq(w, all, w->shared.space);
}

/* rest behind one member, where both can be. */
static rules_expression then(struct json_schema_writer *w, rules_expression member, rules_expression rest) {
    if (member == w->shared.nothing || rest == w->shared.nothing) return w->shared.nothing;
    return json_schema_seq(w, member, rest);
}

static rules_expression either(struct json_schema_writer *w, rules_expression a, rules_expression b) {
    if (a == w->shared.nothing || b == w->shared.nothing) return a == w->shared.nothing ? b : a;
    return json_schema_or(w, a, b);
}

/* From the tails behind property p to those in front of it. */
static void step_back(const struct object *o, const struct property *p, struct tails *t) {
    struct json_schema_writer *w = o->w;
    rules_expression member = p->member == w->shared.nothing ? p->member : with_comma(w, p->member);
    for (size_t n = 1; n <= t->counts; n++) {
        bool is_last = n == t->counts, is_full = n >= o->most;
        rules_expression behind = is_full ? w->shared.nothing : t->after[is_last ? n : n + 1];
        if (p->is_required)
            t->after[n] = then(w, member, behind);
        else if (is_last && !is_full && member != w->shared.nothing && behind != w->shared.nothing)
            t->after[n] = json_schema_seq(w, json_schema_optional(w, member), behind);
        else
            t->after[n] = either(w, then(w, member, behind), t->after[n]);
    }
}

/* Without any member: only others, or none. */
static rules_expression only_others(const struct object *o) {
    struct json_schema_writer *w = o->w;
    rules_expression some = w->shared.nothing;
    if (o->other != w->shared.nothing && o->most > 0) some = then(w, o->other, others_after(o, 1));
    return o->least > 0 ? some : either(w, some, json_schema_word(w, ""));
}

/* firsts: room for one alternative for each property, and one more. */
static rules_expression list_members(const struct object *o, struct tails *t, rules_expression *firsts) {
    struct json_schema_writer *w = o->w;
    size_t count = 0;
    rules_expression others = only_others(o);
    if (others != w->shared.nothing) firsts[count++] = others;
    for (size_t n = 1; n <= t->counts; n++) t->after[n] = others_after(o, n);
    for (size_t i = o->count; i-- > 0;) {
        const struct property *p = &o->properties[i];
        rules_expression first = o->most > 0 ? then(w, p->member, t->after[1]) : w->shared.nothing;
        if (p->is_required) count = 0;
        if (first != w->shared.nothing) firsts[count++] = first;
        step_back(o, p, t);
    }
    return count == 0 ? w->shared.nothing : rules_choice(w->rules, firsts, count);
}

static rules_expression write_list(const struct object *o) {
    struct json_schema_writer *w = o->w;
    bool counted = is_counted(o);
    struct tails t = {.counts = counted ? o->count + 1 : 1};
    if (counted && o->most < t.counts) t.counts = o->most > 0 ? o->most : 1;
    if (counted && o->count > JSON_SCHEMA_COUNTED_MAX)
        return json_schema_refuse(w, STATUS_LIMIT, o->branches->items[0],
                                  "minProperties or maxProperties beside more than %d properties",
                                  JSON_SCHEMA_COUNTED_MAX);
    t.after = calloc(t.counts + 1, sizeof *t.after);
    rules_expression *firsts = calloc(o->count + 1, sizeof *firsts), all = RULES_NONE;
    if (!t.after || !firsts)
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for %zu properties", o->count);
    else
        all = list_members(o, &t, firsts);
    free(t.after);
    free(firsts);
    return all;
}

static rules_expression write_object(struct object *o) {
    struct json_schema_writer *w = o->w;
    list_properties(o);
    list_required(o);
    list_patterns(o);
    if (!rules_failed(w->rules)) list_names(o);
    if (!rules_failed(w->rules)) write_members(o);
    if (rules_failed(w->rules)) return RULES_NONE;
    bound_count(o);
    rules_expression members = write_list(o);
    if (rules_failed(w->rules) || members == w->shared.nothing) return members;
    return json_schema_seq(w, json_schema_word(w, "{"), w->shared.space, members, json_schema_word(w, "}"));
}

rules_expression json_schema_object(struct json_schema_writer *w, const struct json_schema_list *branches) {
    if (!json_schema_has_kind(branches, JSON_SCHEMA_OF_OBJECT)) return json_schema_any_object(w);
    struct object o = {.w = w, .branches = branches, .numbers = json_object()};
    rules_expression all = write_object(&o);
    json_decref(o.numbers);
    free(o.properties);
    return all;
}
