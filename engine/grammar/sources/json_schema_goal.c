/* Goals: which expression a list of schemas is, once for each list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/sources/json_schema_writer.h"
#include "engine/text/containers/text_buffer.h"

/* Unions that are looked into before one is left to the queue. */
enum { UNION_DEPTH_MAX = 24 };

enum goal_state {
    GOAL_OPEN,   /* being written, no byte is taken yet: to ask for it now is a circle */
    GOAL_QUEUED, /* a rule that is defined later */
    GOAL_DONE,
};

struct json_schema_goal {
    const json_t **schemas;
    size_t count, hash;
    enum goal_state state;
    rules_name rule;             /* GOAL_QUEUED */
    rules_expression expression; /* but for GOAL_OPEN */
};

static rules_expression find_or_write(struct json_schema_writer *w, const struct json_schema_list *schemas,
                                      size_t depth);

/* ---- one combination ------------------------------------------------------------------------------------------------ */

/* Lists of choices that grow. */
struct choices {
    rules_expression *items;
    size_t count, capacity;
};

static void add_choice(struct json_schema_writer *w, struct choices *all, rules_expression one) {
    if (one == w->shared.nothing) return;
    if (!array_reserve(&all->items, &all->capacity, all->count + 1))
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for alternatives");
    else
        all->items[all->count++] = one;
}

/* Takes the list. */
static rules_expression choose(struct json_schema_writer *w, struct choices *all) {
    rules_expression one =
        all->count > 0 ? rules_choice(w->rules, all->items, all->count) : w->shared.nothing;
    free(all->items);
    return one;
}

static bool says_nothing(const struct json_schema_list *branches) {
    for (int kind = JSON_SCHEMA_OF_STRING; kind <= JSON_SCHEMA_OF_OBJECT; kind++)
        if (json_schema_has_kind(branches, (enum json_schema_kind)kind)) return false;
    return json_schema_types(branches) == JSON_SCHEMA_ALL_TYPES;
}

static void write_scalars(struct json_schema_writer *w, const struct json_schema_list *branches,
                          unsigned types, struct choices *all) {
    unsigned numbers = types & (JSON_SCHEMA_INTEGER | JSON_SCHEMA_FRACTION);
    if (types & JSON_SCHEMA_NULL) add_choice(w, all, json_schema_word(w, "null"));
    if (types & JSON_SCHEMA_BOOLEAN) {
        add_choice(w, all, json_schema_word(w, "true"));
        add_choice(w, all, json_schema_word(w, "false"));
    }
    if (numbers) add_choice(w, all, json_schema_number(w, branches, numbers));
    if (types & JSON_SCHEMA_STRING) add_choice(w, all, json_schema_string(w, branches));
}

static void write_combination(struct json_schema_writer *w, const struct json_schema_list *branches,
                              void *context) {
    struct choices *all = context;
    unsigned types = json_schema_types(branches);
    bool is_fixed;
    rules_expression fixed = json_schema_fixed(w, branches, types, &is_fixed);
    if (rules_failed(w->rules)) return;
    if (is_fixed) {
        add_choice(w, all, fixed);
    } else if (says_nothing(branches)) {
        add_choice(w, all, json_schema_any_value(w));
    } else {
        write_scalars(w, branches, types, all);
        if (types & JSON_SCHEMA_ARRAY) add_choice(w, all, json_schema_array(w, branches));
        if (types & JSON_SCHEMA_OBJECT) add_choice(w, all, json_schema_object(w, branches));
    }
}

static rules_expression write(struct json_schema_writer *w, const json_t *const *schemas, size_t count) {
    struct choices all = {0};
    json_schema_spread(w, schemas, count, write_combination, &all);
    return choose(w, &all);
}

/* Whether a combination may be an object or a list with something in it that is asked of its parts. */
static void look_for_containers(struct json_schema_writer *w, const struct json_schema_list *branches,
                                void *context) {
    bool *found = context, is_fixed = false;
    for (size_t i = 0; i < branches->count && !is_fixed; i++)
        is_fixed =
            json_object_get(branches->items[i], "enum") || json_object_get(branches->items[i], "const");
    (void)w;
    if (is_fixed || says_nothing(branches)) return;
    *found |= (json_schema_types(branches) & (JSON_SCHEMA_ARRAY | JSON_SCHEMA_OBJECT)) != 0;
}

/* ---- unions and references ------------------------------------------------------------------------------------------- */

/* The one keyword of a schema that is no annotation; NULL: there are none, or several. */
static const char *only_keyword(const json_t *schema) {
    const char *name, *found = NULL;
    size_t count = 0;
    json_t *value;
    json_object_foreach((json_t *)schema, name, value) {
        enum json_schema_kind kind = json_schema_keyword_kind(name);
        if (kind == JSON_SCHEMA_OF_ANNOTATION || kind == JSON_SCHEMA_OF_LOCATION) continue;
        found = name;
        count++;
    }
    return count == 1 ? found : NULL;
}

static rules_expression find_single(struct json_schema_writer *w, const json_t *schema, size_t depth) {
    struct json_schema_list one = {.items = {schema}, .count = 1};
    return find_or_write(w, &one, depth);
}

static rules_expression write_union(struct json_schema_writer *w, const json_t *schema, const char *keyword,
                                    size_t depth) {
    const json_t *alternatives = json_object_get(schema, keyword);
    struct choices all = {0};
    for (size_t i = 0; i < json_array_size(alternatives) && !rules_failed(w->rules); i++)
        add_choice(w, &all, find_single(w, json_array_get(alternatives, i), depth + 1));
    return choose(w, &all);
}

/* A schema that is a reference or a union and nothing else shares the rules of what it leads to. */
static bool is_transparent(struct json_schema_writer *w, const struct json_schema_list *schemas,
                           const char **keyword) {
    const json_t *schema = schemas->items[0];
    *keyword = schemas->count == 1 && json_is_object(schema) ? only_keyword(schema) : NULL;
    if (!*keyword ||
        (strcmp(*keyword, "$ref") != 0 && strcmp(*keyword, "anyOf") != 0 && strcmp(*keyword, "oneOf") != 0))
        return false;
    json_schema_keywords_check(w, schema);
    return !rules_failed(w->rules);
}

static rules_expression write_transparent(struct json_schema_writer *w, const json_t *schema,
                                          const char *keyword, size_t depth) {
    if (strcmp(keyword, "$ref") != 0) return write_union(w, schema, keyword, depth);
    const json_t *target = json_schema_refs_target(w, schema);
    return target ? find_single(w, target, depth + 1) : RULES_NONE;
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

static size_t hash_of(const struct json_schema_list *schemas) {
    size_t hash = schemas->count;
    for (size_t i = 0; i < schemas->count; i++)
        hash = json_schema_index_hash(hash, (uintptr_t)schemas->items[i]);
    return hash;
}

static struct json_schema_goal *find_goal(struct json_schema_writer *w,
                                          const struct json_schema_list *schemas) {
    size_t bytes = schemas->count * sizeof *schemas->items, hash = hash_of(schemas);
    for (uint32_t i = json_schema_index_first(&w->goal_index, hash); i != JSON_SCHEMA_INDEX_NONE;
         i = json_schema_index_next(&w->goal_index, i)) {
        const struct json_schema_goal *goal = &w->goals[i];
        if (goal->hash == hash && goal->count == schemas->count &&
            memcmp(goal->schemas, schemas->items, bytes) == 0)
            return &w->goals[i];
    }
    return NULL;
}

/* Its number. */
static size_t add_goal(struct json_schema_writer *w, const struct json_schema_list *schemas) {
    size_t bytes = schemas->count * sizeof *schemas->items;
    if (w->goal_count == JSON_SCHEMA_GOALS_MAX) {
        json_schema_refuse(w, STATUS_LIMIT, schemas->items[0], "more than %d different values in one schema",
                           JSON_SCHEMA_GOALS_MAX);
        return 0;
    }
    const json_t **copy = malloc(bytes);
    if (!copy || !array_reserve(&w->goals, &w->goal_capacity, w->goal_count + 1) ||
        !json_schema_index_add(&w->goal_index, hash_of(schemas))) {
        free(copy);
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for %zu schemas", schemas->count);
        return 0;
    }
    memcpy(copy, schemas->items, bytes);
    w->goals[w->goal_count] =
        (struct json_schema_goal){.schemas = copy, .count = schemas->count, .hash = hash_of(schemas)};
    return w->goal_count++;
}

static rules_expression queue(struct json_schema_writer *w, size_t number) {
    struct json_schema_goal *goal = &w->goals[number];
    char name[32];
    snprintf(name, sizeof name, "value %zu", number);
    goal->rule = rules_declare(w->rules, name);
    goal->expression = rules_call(w->rules, goal->rule);
    goal->state = GOAL_QUEUED;
    return goal->expression;
}

static rules_expression done(struct json_schema_writer *w, size_t number, rules_expression expression) {
    w->goals[number].expression = expression;
    w->goals[number].state = GOAL_DONE;
    return expression;
}

static rules_expression write_new(struct json_schema_writer *w, const struct json_schema_list *schemas,
                                  size_t depth) {
    const char *keyword;
    bool has_containers = false;
    size_t number = add_goal(w, schemas);
    bool is_transparent_goal = !rules_failed(w->rules) && is_transparent(w, schemas, &keyword);
    if (rules_failed(w->rules)) return RULES_NONE;
    if (is_transparent_goal && depth < UNION_DEPTH_MAX)
        return done(w, number, write_transparent(w, schemas->items[0], keyword, depth));
    json_schema_spread(w, schemas->items, schemas->count, look_for_containers, &has_containers);
    if (has_containers || is_transparent_goal) return queue(w, number);
    return done(w, number, write(w, schemas->items, schemas->count));
}

static rules_expression find_or_write(struct json_schema_writer *w, const struct json_schema_list *schemas,
                                      size_t depth) {
    struct json_schema_list all = {.count = 0};
    for (size_t i = 0; i < schemas->count; i++) {
        if (json_is_false(schemas->items[i])) return w->shared.nothing;
        if (!json_is_true(schemas->items[i])) all.items[all.count++] = schemas->items[i];
    }
    if (rules_failed(w->rules)) return RULES_NONE;
    if (all.count == 0) return json_schema_any_value(w);
    const struct json_schema_goal *found = find_goal(w, &all);
    if (!found) return write_new(w, &all, depth);
    if (found->state != GOAL_OPEN) return found->expression;
    return json_schema_refuse(w, STATUS_INVALID_ARGUMENT, all.items[0],
                              "leads back to itself without a value in between");
}

rules_expression json_schema_goal(struct json_schema_writer *w, const struct json_schema_list *schemas) {
    return find_or_write(w, schemas, 0);
}

void json_schema_goals_define(struct json_schema_writer *w) {
    for (; w->defined < w->goal_count && !rules_failed(w->rules); w->defined++) {
        struct json_schema_goal goal = w->goals[w->defined]; /* the table may move */
        if (goal.state == GOAL_QUEUED) rules_define(w->rules, goal.rule, write(w, goal.schemas, goal.count));
    }
}

void json_schema_goals_deinit(struct json_schema_writer *w) {
    for (size_t i = 0; i < w->goal_count; i++) free(w->goals[i].schemas);
    free(w->goals);
    json_schema_index_deinit(&w->goal_index);
}
