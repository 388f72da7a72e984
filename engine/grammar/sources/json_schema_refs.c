/* $ref within one document: by JSON pointer (RFC 6901), $anchor and $id. Nothing is ever loaded. */
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/sources/json_schema_writer.h"
#include "engine/text/containers/text_buffer.h"

/* Of one $ref or $id; schemas with a name of their own or below an $id. */
enum { REFERENCE_BYTES_MAX = 1024, PLACES_MAX = 4096 };

/* A schema with an $id begins a resource, which all schemas below belong to; the root is the first. There is a place for
 * each resource, each anchor, and each object that belongs to another resource than the root. */
struct json_schema_place {
    const json_t *schema;
    size_t resource;    /* number of the place of the resource that it belongs to */
    const char *anchor; /* NULL: none */
    char *uri;          /* of a resource, without a fragment; else NULL */
};

/* ---- URIs ---------------------------------------------------------------------------------------------------------- */

static bool is_absolute(const char *uri, size_t length) {
    const char *colon = memchr(uri, ':', length), *slash = memchr(uri, '/', length);
    return colon && (!slash || colon < slash);
}

/* Bytes of base that stand in front of a relative reference. */
static size_t kept_of_base(const char *base, const char *relative) {
    const char *authority = strstr(base, "://"), *slash = strrchr(base, '/');
    if (relative[0] != '/') return slash ? (size_t)(slash + 1 - base) : 0;
    const char *path = authority ? strchr(authority + 3, '/') : NULL;
    return path ? (size_t)(path - base) : authority ? strlen(base) : 0;
}

/* relative in front of its fragment, seen from base. NULL: refused. */
static char *resolve(struct json_schema_writer *w, const json_t *at, const char *base, const char *relative) {
    size_t length = strcspn(relative, "#");
    size_t kept = is_absolute(relative, length) ? 0
                  : length == 0                 ? strlen(base)
                                                : kept_of_base(base, relative);
    char *uri = kept + length > REFERENCE_BYTES_MAX ? NULL : malloc(kept + length + 1);
    if (kept + length > REFERENCE_BYTES_MAX)
        json_schema_refuse(w, STATUS_LIMIT, at, "'$id' or '$ref': longer than %d bytes", REFERENCE_BYTES_MAX);
    else if (!uri)
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for references");
    if (!uri) return NULL;
    memcpy(uri, base, kept);
    memcpy(uri + kept, relative, length);
    uri[kept + length] = '\0';
    return uri;
}

/* ---- what has a name ----------------------------------------------------------------------------------------------- */

/* A resource by its URI, an anchor by its resource too; what has no name is not looked for by one. */
static size_t hash_name(size_t resource, const char *name) {
    return json_schema_index_hash_text(resource + 1, name);
}

static size_t hash_schema(const json_t *schema) {
    return json_schema_index_hash(1, (uintptr_t)schema);
}

static bool index_place(struct json_schema_writer *w, const struct json_schema_place *place) {
    size_t name = place->uri      ? hash_name(0, place->uri)
                  : place->anchor ? hash_name(place->resource + 1, place->anchor)
                                  : hash_schema(place->schema);
    return json_schema_index_add(&w->places_by_schema, hash_schema(place->schema)) &&
           json_schema_index_add(&w->places_by_name, name);
}

/* Takes place.uri. Its number. */
static size_t add_place(struct json_schema_writer *w, struct json_schema_place place) {
    if (w->place_count >= PLACES_MAX)
        json_schema_refuse(w, STATUS_LIMIT, place.schema,
                           "more than %d schemas with $anchor, or with or below an $id", PLACES_MAX);
    else if (!array_reserve(&w->places, &w->place_capacity, w->place_count + 1) || !index_place(w, &place))
        rules_fail(w->rules, STATUS_NO_MEMORY, "schema", "cannot allocate for references");
    if (rules_failed(w->rules)) {
        free(place.uri);
        return 0;
    }
    w->places[w->place_count] = place;
    return w->place_count++;
}

/* Draft 4 has another name for it. Below the root that is refused. NULL: there is none. */
static const char *id_of(const struct json_schema_writer *w, const json_t *schema) {
    const char *id = json_string_value(json_object_get(schema, "$id"));
    return id || schema != w->root ? id : json_string_value(json_object_get(schema, "id"));
}

/* The number of the resource that begins here, else the one that it lies in. */
static size_t find_id(struct json_schema_writer *w, const json_t *schema, size_t resource) {
    const char *id = id_of(w, schema);
    if (!id) return resource;
    if (id[0] == '#') { /* the anchor of drafts 6 and 7 */
        add_place(w, (struct json_schema_place){.schema = schema, .resource = resource, .anchor = id + 1});
        return resource;
    }
    if (schema == w->root) resource = 0;
    char *uri = resolve(w, schema, w->place_count > 0 ? w->places[resource].uri : "", id);
    if (!uri) return resource;
    return add_place(w, (struct json_schema_place){.schema = schema, .resource = w->place_count, .uri = uri});
}

static void find_names(struct json_schema_writer *w, const json_t *schema, size_t resource);

/* Schemas that a keyword has in it, or in a list or object of them. */
static void find_in(struct json_schema_writer *w, const json_t *value, enum json_schema_holder holder,
                    size_t resource) {
    const char *key;
    json_t *member;
    if (holder == JSON_SCHEMA_HOLDS_SCHEMAS && json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && rules_spend(w->rules, 1); i++)
            find_names(w, json_array_get(value, i), resource);
    } else if (holder == JSON_SCHEMA_HOLDS_SCHEMAS) {
        find_names(w, value, resource);
    } else if (holder == JSON_SCHEMA_HOLDS_MAP) {
        json_object_foreach((json_t *)value, key, member) {
            if (!rules_spend(w->rules, 1)) return;
            find_names(w, member, resource);
        }
    }
}

/* As deep as JSON_FILE_DEPTH_MAX. */
static void find_names(struct json_schema_writer *w, const json_t *schema, size_t resource) {
    const char *name, *anchor = json_string_value(json_object_get(schema, "$anchor"));
    json_t *value;
    if (!json_is_object(schema) || !rules_spend(w->rules, 1 + json_object_size(schema))) return;
    size_t home = find_id(w, schema, resource);
    if (anchor)
        add_place(w, (struct json_schema_place){.schema = schema, .resource = home, .anchor = anchor});
    if (home == resource && home != 0)
        add_place(w, (struct json_schema_place){.schema = schema, .resource = home});
    json_object_foreach((json_t *)schema, name, value) {
        find_in(w, value, json_schema_keyword_holder(name), home);
    }
}

void json_schema_refs_find(struct json_schema_writer *w) {
    const char *id = id_of(w, w->root);
    if (json_is_object(w->root) && (!id || id[0] == '#')) {
        char *uri = resolve(w, w->root, "", "");
        if (uri) add_place(w, (struct json_schema_place){.schema = w->root, .uri = uri});
    }
    find_names(w, w->root, 0);
}

void json_schema_refs_deinit(struct json_schema_writer *w) {
    for (size_t i = 0; i < w->place_count; i++) free(w->places[i].uri);
    free(w->places);
    json_schema_index_deinit(&w->places_by_schema);
    json_schema_index_deinit(&w->places_by_name);
}

/* ---- where a $ref leads -------------------------------------------------------------------------------------------- */

#define EACH_PLACE(i, index, hash)                                                                           \
    uint32_t i = json_schema_index_first(index, hash);                                                       \
    i != JSON_SCHEMA_INDEX_NONE;                                                                             \
    i = json_schema_index_next(index, i)

/* The first place of several says it. */
static size_t home_of(const struct json_schema_writer *w, const json_t *schema) {
    size_t home = 0;
    for (EACH_PLACE(i, &w->places_by_schema, hash_schema(schema)))
        if (w->places[i].schema == schema) home = w->places[i].resource;
    return home;
}

static int hex_value(char digit) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = digit ? strchr(digits, digit) : NULL;
    if (!found) return -1;
    int value = (int)(found - digits);
    return value < 16 ? value : value - 6;
}

/* %XX in place; not of a zero. */
static void decode_percent(char *text) {
    char *out = text;
    for (; *text; text++) {
        int high = text[0] == '%' ? hex_value(text[1]) : -1, low = high >= 0 ? hex_value(text[2]) : -1;
        *out = *text;
        if (low >= 0 && high + low > 0) {
            *out = (char)(high * 16 + low);
            text += 2;
        }
        out++;
    }
    *out = '\0';
}

/* ~1 and ~0 in place. */
static void decode_token(char *token) {
    char *out = token;
    for (; *token; token++) {
        *out = *token;
        if (token[0] == '~' && (token[1] == '0' || token[1] == '1')) {
            if (token[1] == '1') *out = '/';
            token++;
        }
        out++;
    }
    *out = '\0';
}

static const json_t *member(const json_t *value, const char *token) {
    char *end;
    if (json_is_object(value)) return json_object_get(value, token);
    unsigned long index = strtoul(token, &end, 10);
    bool is_number =
        token[0] >= '0' && token[0] <= '9' && *end == '\0' && (token[0] != '0' || token[1] == '\0');
    return is_number ? json_array_get(value, index) : NULL;
}

/* pointer begins with '/', and is changed. */
static const json_t *follow_pointer(const json_t *value, char *pointer) {
    while (pointer && value) {
        char *token = pointer + 1;
        pointer = strchr(token, '/');
        if (pointer) *pointer = '\0';
        decode_token(token);
        value = member(value, token);
    }
    return value;
}

/* Of several the first. */
static const json_t *find_anchor(struct json_schema_writer *w, size_t resource, const char *name) {
    const json_t *found = NULL;
    for (EACH_PLACE(i, &w->places_by_name, hash_name(resource + 1, name))) {
        const struct json_schema_place *place = &w->places[i];
        if (!rules_spend(w->rules, 1)) break;
        if (place->anchor && place->resource == resource && strcmp(place->anchor, name) == 0)
            found = place->schema;
    }
    return found;
}

/* The number of the resource with this URI, of several the first; PLACES_MAX: there is none. */
static size_t find_resource(struct json_schema_writer *w, const char *uri) {
    size_t found = PLACES_MAX;
    for (EACH_PLACE(i, &w->places_by_name, hash_name(0, uri))) {
        if (!rules_spend(w->rules, 1)) break;
        if (w->places[i].uri && strcmp(w->places[i].uri, uri) == 0) found = i;
    }
    return found;
}

static const json_t *follow(struct json_schema_writer *w, const json_t *schema, const char *reference) {
    const char *base = w->places[home_of(w, schema)].uri;
    char fragment[REFERENCE_BYTES_MAX + 1], *uri = resolve(w, schema, base, reference);
    size_t resource = uri ? find_resource(w, uri) : PLACES_MAX, length = strcspn(reference, "#");
    free(uri);
    if (resource == PLACES_MAX) return NULL;
    if (reference[length] == '\0') return w->places[resource].schema;
    memcpy(fragment, reference + length + 1, strlen(reference + length)); /* its end too */
    decode_percent(fragment);
    if (fragment[0] == '\0') return w->places[resource].schema;
    if (fragment[0] == '/') return follow_pointer(w->places[resource].schema, fragment);
    return find_anchor(w, resource, fragment);
}

const json_t *json_schema_refs_target(struct json_schema_writer *w, const json_t *schema) {
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    const json_t *target = NULL;
    if (rules_failed(w->rules)) return NULL;
    if (strlen(reference) <= REFERENCE_BYTES_MAX) target = follow(w, schema, reference);
    if (!target)
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema,
                           "'$ref': '%.*s' leads to nothing within the schema", REFERENCE_BYTES_MAX / 4,
                           reference);
    else if (!json_is_object(target) && !json_is_boolean(target))
        json_schema_refuse(w, STATUS_INVALID_ARGUMENT, schema,
                           "'$ref': '%.*s' leads to something that is no schema", REFERENCE_BYTES_MAX / 4,
                           reference);
    return target;
}
