/* Variables of the input, when they are asked for. */
#include <string.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/template.h"

/* Whose text it is. A role is a choice among these, not a text: a template may make a token of it ("<|" + role + "|>"). */
static const char *const roles[] = {"system",    "user",     "assistant", "tool",
                                    "developer", "function", "ipython",   "model"};

static bool convert(struct render *r, const json_t *json, bool client, struct value *out);

static bool is_role(const char *key, const json_t *json) {
    const char *role = json_string_value(json);
    if (!role || strcmp(key, "role") != 0) return false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strlen(roles[i]) == json_string_length(json) && strcmp(role, roles[i]) == 0) return true;
    return false;
}

static bool convert_string(struct render *r, const json_t *json, bool client, struct value *out) {
    const struct string *s = string_create(r, json_string_value(json), json_string_length(json), client);
    *out = STRING(s);
    return s && render_bytes(r, s->length);
}

static bool convert_array(struct render *r, const json_t *json, bool client, struct value *out) {
    size_t count = json_array_size(json);
    struct list *list = list_create(r, LIST_LIST, count);
    if (!list) return false;
    for (; list->count < count; list->count++)
        if (!convert(r, json_array_get(json, list->count), client, &list->items[list->count])) return false;
    *out = list_value(list);
    return true;
}

/* Iterated over through a pointer that is not const: nothing is changed. */
static bool convert_object(struct render *r, const json_t *json, bool client, struct value *out) {
    struct dict *d = dict_create(r, json_object_size(json));
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *at = json_object_iter(object); d && at; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        const json_t *member = json_object_iter_value(at);
        const struct string *name = string_create(r, key, strlen(key), client);
        struct value v;
        if (!name || !convert(r, member, client && !is_role(key, member), &v) ||
            !dict_add(r, d, STRING(name), v))
            return false;
    }
    *out = d ? dict_value(d) : NONE;
    return d != NULL;
}

static bool convert_compound(struct render *r, const json_t *json, bool client, struct value *out) {
    if (!render_enter(r)) return false;
    bool done =
        json_is_array(json) ? convert_array(r, json, client, out) : convert_object(r, json, client, out);
    render_leave(r);
    return done;
}

static bool convert(struct render *r, const json_t *json, bool client, struct value *out) {
    if (!render_steps(r, 1)) return false;
    switch (json_typeof(json)) {
    case JSON_STRING:
        return convert_string(r, json, client, out);
    case JSON_INTEGER:
        *out = INTEGER(json_integer_value(json));
        return true;
    case JSON_REAL:
        *out = REAL(json_real_value(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = BOOLEAN(json_is_true(json));
        return true;
    case JSON_NULL:
        *out = NONE;
        return true;
    default:
        return convert_compound(r, json, client, out);
    }
}

bool input_get(struct render *r, const struct string *name, struct value *out) {
    char key[256];
    if (name->length >= sizeof key) return true; /* no variable has such a name */
    memcpy(key, name->bytes, name->length);
    key[name->length] = '\0';
    const json_t *json = json_object_get(r->input->client, key);
    bool client = json != NULL;
    if (!json) json = json_object_get(r->input->model, key);
    return !json || convert(r, json, client, out);
}
