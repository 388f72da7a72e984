#include "server/api/chat_messages.h"

#include <stdio.h>
#include <string.h>

#include "server/api/fields.h"
#include "server/api/json_body.h"
#include "server/json/bytes.h"

/* Of "messages[4294967295].content[4294967295].type". */
enum { PLACE_SIZE = 64 };

static enum api_error_kind out_of_memory(struct api_error *e) {
    return api_error_set(e, API_INTERNAL, NULL, "There is not enough memory for this request.");
}

static enum api_error_kind refuse_part(const char *place, const json_t *type, struct api_error *e) {
    if (!json_is_string(type))
        return api_error_set(e, API_INVALID, "messages",
                             "'%s' must be an object with a 'type' that is a string.", place);
    return api_error_set(
        e, API_INVALID, "messages",
        "'%s' is of type '%.40s', which is not supported by this server: the model reads and "
        "writes text alone. Parts of type 'text' are read.",
        place, json_string_value(type));
}

static enum api_error_kind add_part(struct bytes *text, const json_t *part, const char *place,
                                    struct api_error *e) {
    const json_t *type = json_body_field(part, "type"), *value = json_body_field(part, "text");
    bool is_text = json_is_string(type) && strcmp(json_string_value(type), "text") == 0;
    if (!is_text) return refuse_part(place, type, e);
    if (!json_is_string(value))
        return api_error_set(e, API_INVALID, "messages", "'%s.text' must be a string, not %s.", place,
                             value ? json_body_type_name(value) : "null");
    bytes_append(text, json_string_value(value), json_string_length(value));
    return API_OK;
}

/* The texts of one message's parts. */
static enum api_error_kind join_parts(struct bytes *text, const json_t *parts, size_t at,
                                      struct api_error *e) {
    enum api_error_kind kind = API_OK;
    for (size_t i = 0; kind == API_OK && i < json_array_size(parts); i++) {
        char place[PLACE_SIZE];
        snprintf(place, sizeof place, "messages[%zu].content[%zu]", at, i);
        if (i) bytes_text(text, "\n");
        kind = add_part(text, json_array_get(parts, i), place, e);
    }
    return kind;
}

static enum api_error_kind check_message(const json_t *message, size_t at, struct api_error *e) {
    if (!json_is_object(message))
        return api_error_set(e, API_INVALID, "messages", "'messages[%zu]' must be an object, not %s.", at,
                             json_body_type_name(message));
    const json_t *role = json_body_field(message, "role"), *content = json_body_field(message, "content");
    if (!json_is_string(role))
        return api_error_set(e, API_INVALID, "messages", "'messages[%zu].role' must be a string, not %s.", at,
                             role ? json_body_type_name(role) : "null");
    if (content && !json_is_string(content) && !json_is_array(content))
        return api_error_set(e, API_INVALID, "messages",
                             "'messages[%zu].content' must be a string or an array of parts, not %s.", at,
                             json_body_type_name(content));
    return API_OK;
}

/* Clients send answers back as their library writes them, with "tool_calls": null, which a template that asks whether there
 * are some would take for a list. A content of null says something: the message has none. */
static bool is_absent(const char *key, const json_t *value) {
    return json_is_null(value) && strcmp(key, "content") != 0;
}

static bool has_absent(json_t *message) {
    const char *key;
    json_t *value;
    json_object_foreach(message, key, value) if (is_absent(key, value)) return true;
    return false;
}

/* One like it without what is absent; NULL: no memory. */
static json_t *without_absent(json_t *message) {
    json_t *copy = json_copy(message), *value;
    const char *key;
    void *next;
    if (copy)
        json_object_foreach_safe(copy, next, key, value) if (is_absent(key, value))
            json_object_del(copy, key);
    return copy;
}

/* Takes the message, or NULL. One like it, with a text for its parts; NULL: no memory. */
static json_t *with_text(json_t *message, const struct bytes *text) {
    json_t *copy = text->failed || !message ? NULL : json_copy(message);
    json_t *content = copy ? json_stringn_nocheck(text->data ? text->data : "", text->length) : NULL;
    json_decref(message);
    if (content && json_object_set_new_nocheck(copy, "content", content) == 0) return copy;
    json_decref(copy);
    return NULL;
}

/* *out: the message itself, or one without what is absent, and with a text for its parts. */
static enum api_error_kind read_message(json_t *message, size_t at, bool keeps_parts, json_t **out,
                                        struct api_error *e) {
    if (check_message(message, at, e) != API_OK) return e->kind;
    const json_t *content = json_body_field(message, "content");
    struct bytes text = {0};
    enum api_error_kind kind = json_is_array(content) ? join_parts(&text, content, at, e) : API_OK;
    if (kind == API_OK) {
        *out = has_absent(message) ? without_absent(message) : json_incref(message);
        if (json_is_array(content) && !keeps_parts) *out = with_text(*out, &text);
    }
    bytes_deinit(&text);
    return kind == API_OK && !*out ? out_of_memory(e) : kind;
}

static enum api_error_kind read_all(const json_t *from, bool keeps_parts, json_t *to, struct api_error *e) {
    for (size_t i = 0; i < json_array_size(from); i++) {
        json_t *message = NULL;
        if (read_message(json_array_get(from, i), i, keeps_parts, &message, e) != API_OK) return e->kind;
        if (json_array_append_new(to, message) != 0) return out_of_memory(e);
    }
    return API_OK;
}

bool chat_messages_have_parts(const json_t *body) {
    const json_t *messages = json_body_field(body, "messages");
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (json_is_array(json_object_get(json_array_get(messages, i), "content"))) return true;
    return false;
}

enum api_error_kind chat_messages_read(const json_t *body, bool keeps_parts, json_t **messages,
                                       struct api_error *e) {
    const json_t *given = json_body_field(body, "messages");
    *messages = NULL;
    if (!given) return api_error_set(e, API_INVALID, "messages", "'messages' is missing.");
    if (!json_is_array(given)) return api_field_wrong_type(e, "messages", "an array of messages", given);
    *messages = json_array();
    if (!*messages) return out_of_memory(e);
    if (read_all(given, keeps_parts, *messages, e) == API_OK) return API_OK;
    json_decref(*messages);
    *messages = NULL;
    return e->kind;
}
