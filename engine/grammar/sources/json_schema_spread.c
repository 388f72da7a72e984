#include <stdlib.h>

#include "engine/grammar/sources/json_schema_writer.h"

/* anyOf and oneOf of one combination that are not decided yet, or are. */
enum { GROUPS_MAX = 64, NO_OWNER = JSON_SCHEMA_BRANCHES_MAX };

/* One combination, as it grows: what is added by an alternative is taken off again for the next. */
struct spread {
    struct json_schema_writer *w;
    struct json_schema_list branches;
    size_t owners[JSON_SCHEMA_BRANCHES_MAX]; /* the branch that led to each; NO_OWNER: the goal did */
    size_t depths[JSON_SCHEMA_BRANCHES_MAX]; /* owners above it */
    struct {
        const json_t *alternatives;
        size_t owner;
    } groups[GROUPS_MAX];
    size_t group_count;
    size_t false_count; /* of schemas that nothing holds for */
    json_schema_each *each;
    void *context;
};

static bool is_among_owners(const struct spread *s, const json_t *schema, size_t owner) {
    for (; owner != NO_OWNER; owner = s->owners[owner])
        if (s->branches.items[owner] == schema) return true;
    return false;
}

static bool is_branch(const struct spread *s, const json_t *schema) {
    for (size_t i = 0; i < s->branches.count; i++)
        if (s->branches.items[i] == schema) return true;
    return false;
}

static void add_group(struct spread *s, const json_t *alternatives, size_t owner) {
    if (!alternatives) return;
    if (s->group_count == GROUPS_MAX) {
        json_schema_refuse(s->w, STATUS_LIMIT, alternatives,
                           "more than %d of anyOf and oneOf that hold together", GROUPS_MAX);
        return;
    }
    s->groups[s->group_count].alternatives = alternatives;
    s->groups[s->group_count++].owner = owner;
}

static void add(struct spread *s, const json_t *schema, size_t owner);

static void add_what_it_leads_to(struct spread *s, const json_t *schema, size_t number) {
    const json_t *all = json_object_get(schema, "allOf"), *negated = json_object_get(schema, "not");
    if (json_object_get(schema, "$ref")) {
        const json_t *target = json_schema_refs_target(s->w, schema);
        if (target) add(s, target, number);
    }
    for (size_t i = 0; i < json_array_size(all); i++) add(s, json_array_get(all, i), number);
    add_group(s, json_object_get(schema, "anyOf"), number);
    add_group(s, json_object_get(schema, "oneOf"), number);
    if (negated && !json_is_false(negated)) s->false_count++;
}

/* A schema object that is not among the branches yet. */
static void add_branch(struct spread *s, const json_t *schema, size_t owner) {
    size_t number = s->branches.count, depth = owner == NO_OWNER ? 0 : s->depths[owner] + 1;
    if (number == JSON_SCHEMA_BRANCHES_MAX || depth > JSON_SCHEMA_CHAIN_MAX) {
        json_schema_refuse(s->w, STATUS_LIMIT, schema,
                           "more than %d schemas that hold together, or %d behind each other",
                           JSON_SCHEMA_BRANCHES_MAX, JSON_SCHEMA_CHAIN_MAX);
        return;
    }
    json_schema_keywords_check(s->w, schema);
    if (rules_failed(s->w->rules)) return;
    s->branches.items[number] = schema;
    s->owners[number] = owner;
    s->depths[number] = depth;
    s->branches.count++;
    add_what_it_leads_to(s, schema, number);
}

static void add(struct spread *s, const json_t *schema, size_t owner) {
    if (!rules_spend(s->w->rules, 1 + s->branches.count / 8) || json_is_true(schema)) return;
    if (json_is_false(schema))
        s->false_count++;
    else if (is_among_owners(s, schema, owner))
        json_schema_refuse(s->w, STATUS_INVALID_ARGUMENT, schema,
                           "leads back to itself without a value in between");
    else if (!is_branch(s, schema))
        add_branch(s, schema, owner);
}

static void decide(struct spread *s, size_t group);

static void decide_by(struct spread *s, size_t group, const json_t *alternative) {
    size_t branches = s->branches.count, groups = s->group_count, falses = s->false_count;
    add(s, alternative, s->groups[group].owner);
    decide(s, group + 1);
    s->branches.count = branches;
    s->group_count = groups;
    s->false_count = falses;
}

/* Groups before `group` are decided. As deep as GROUPS_MAX. */
static void decide(struct spread *s, size_t group) {
    if (!rules_spend(s->w->rules, 1) || s->false_count > 0) return;
    if (group < s->group_count) {
        const json_t *alternatives = s->groups[group].alternatives;
        for (size_t i = 0; i < json_array_size(alternatives); i++)
            decide_by(s, group, json_array_get(alternatives, i));
        return;
    }
    if (++s->w->spread_count > JSON_SCHEMA_ALTERNATIVES_MAX) {
        json_schema_refuse(s->w, STATUS_LIMIT, s->groups[0].alternatives,
                           "more than %d combinations of alternatives", JSON_SCHEMA_ALTERNATIVES_MAX);
        return;
    }
    s->each(s->w, &s->branches, s->context);
}

void json_schema_spread(struct json_schema_writer *w, const json_t *const *schemas, size_t count,
                        json_schema_each *each, void *context) {
    struct spread *s = calloc(1, sizeof *s);
    if (!s) {
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate %zu bytes", sizeof *s);
        return;
    }
    s->w = w;
    s->each = each;
    s->context = context;
    w->spread_count = 0;
    for (size_t i = 0; i < count; i++) add(s, schemas[i], NO_OWNER);
    decide(s, 0);
    free(s);
}
