#include "engine/text/regex/pattern.h"

enum status pattern_read(const struct json_path *parent, struct regex **out, struct error *e) {
    struct json_path pattern = json_path_member(parent, "pattern");
    struct json_path regex = json_path_member(&pattern, "Regex");
    const char *text;
    size_t length;
    enum status status = json_path_object(&pattern, e);
    if (status == STATUS_OK)
        status = json_path_string(&pattern, regex.value ? "Regex" : "String", NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    if (length == 0)
        return json_path_error(&pattern, STATUS_UNSUPPORTED, e, "an empty pattern is not supported");
    struct error cause;
    status = regex.value ? regex_create(text, length, out, &cause)
                         : regex_create_literal(text, length, out, &cause);
    if (status == STATUS_OK) return STATUS_OK;
    return json_path_error(regex.value ? &regex : &pattern, status, e, "%s", cause.text);
}

size_t pattern_literal_bytes(const struct json_path *parent) {
    struct json_path pattern = json_path_member(parent, "pattern");
    return json_object_get(pattern.value, "Regex")
               ? 0
               : json_string_length(json_object_get(pattern.value, "String"));
}
