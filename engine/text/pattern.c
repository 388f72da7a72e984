#include "engine/text/pattern.h"

enum status pattern_read(const struct json_place *parent, struct regex **out, struct error *e) {
    struct json_place pattern = json_place_member(parent, "pattern");
    struct json_place regex = json_place_member(&pattern, "Regex");
    const char *text;
    size_t length;
    enum status status = json_place_object(&pattern, e);
    if (status == STATUS_OK)
        status = json_place_string(&pattern, regex.value ? "Regex" : "String", NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    if (length == 0)
        return json_place_error(&pattern, STATUS_UNSUPPORTED, e, "an empty pattern is not supported");
    struct error cause;
    status = regex.value ? regex_create(text, length, out, &cause)
                         : regex_create_literal(text, length, out, &cause);
    if (status == STATUS_OK) return STATUS_OK;
    return json_place_error(regex.value ? &regex : &pattern, status, e, "%s", cause.text);
}
