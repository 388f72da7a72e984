#include "server/api/prediction.h"

#include <string.h>

#include "server/api/json_body.h"

static enum api_error_kind check_type(const json_t *object, const char *name, const char *expected,
                                      struct api_error *e) {
    const char *type = json_string_value(json_object_get(object, "type"));
    if (type && strcmp(type, expected) == 0) return API_OK;
    return api_error_set(e, API_INVALID, "prediction", "'%s' must be \"%s\".", name, expected);
}

static enum api_error_kind check_part(const json_t *part, const struct api_limits *limits,
                                      struct api_error *e) {
    static const char *const known[] = {"type", "text"};
    if (!json_is_object(part)) return api_field_wrong_type(e, "prediction.content[]", "an object", part);
    if (check_type(part, "prediction.content[].type", "text", e) != API_OK) return e->kind;
    const json_t *text = json_object_get(part, "text");
    if (!json_is_string(text))
        return api_error_set(e, API_INVALID, "prediction", "'prediction.content[].text' must be a string.");
    return api_fields_check(part, "prediction.content[].", known, sizeof known / sizeof *known, limits, e);
}

static enum api_error_kind check_content(const json_t *content, const struct api_limits *limits,
                                         struct api_error *e) {
    if (json_is_string(content)) return API_OK;
    if (!json_is_array(content))
        return api_error_set(e, API_INVALID, "prediction",
                             "'prediction.content' must be a string or an array of text parts.");
    if (json_array_size(content) > PREDICTION_PARTS_MAX)
        return api_error_set(e, API_INVALID, "prediction",
                             "'prediction.content' has %zu parts; at most %d are allowed.",
                             json_array_size(content), PREDICTION_PARTS_MAX);
    for (size_t i = 0; i < json_array_size(content); i++)
        if (check_part(json_array_get(content, i), limits, e) != API_OK) return e->kind;
    return API_OK;
}

enum api_error_kind api_prediction_read(struct api_prediction *p, const json_t *body,
                                        const struct api_limits *limits, struct api_error *e) {
    static const char *const known[] = {"type", "content"};
    const json_t *object = json_body_field(body, "prediction");
    *p = (struct api_prediction){0};
    if (!object) return API_OK;
    if (!json_is_object(object)) return api_field_wrong_type(e, "prediction", "an object", object);
    if (check_type(object, "prediction.type", "content", e) != API_OK) return e->kind;
    const json_t *content = json_object_get(object, "content");
    if (check_content(content, limits, e) != API_OK) return e->kind;
    p->content = content;
    return api_fields_check(object, "prediction.", known, sizeof known / sizeof *known, limits, e);
}

size_t api_prediction_parts(const struct api_prediction *p) {
    if (!p->content) return 0;
    return json_is_array(p->content) ? json_array_size(p->content) : 1;
}

const char *api_prediction_part(const struct api_prediction *p, size_t i, size_t *length) {
    const json_t *text = p->content;
    if (json_is_array(text)) text = json_object_get(json_array_get(text, i), "text");
    *length = json_string_length(text);
    return json_string_value(text);
}
