#include "engine/text/metaspace.h"

#include <string.h>

#include "engine/text/unicode.h"

static enum status read_replacement(struct metaspace *m, const struct json_place *place, struct error *e) {
    const char *text;
    size_t length, at = 0;
    enum status status = json_place_string(place, "replacement", NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    if (length > 0) m->replacement = utf8_next(text, length, &at);
    struct json_place at_place = json_place_member(place, "replacement");
    if (length == 0 || at != length)
        return json_place_error(&at_place, STATUS_MALFORMED, e, "expected one character");
    return STATUS_OK;
}

/* "prepend_scheme", or in files from before it "add_prefix_space". */
static enum status read_scheme(struct metaspace *m, const struct json_place *place, struct error *e) {
    const char *scheme;
    bool prefix;
    enum status status = json_place_string(place, "prepend_scheme", "always", &scheme, NULL, e);
    if (status == STATUS_OK) status = json_place_bool(place, "add_prefix_space", true, &prefix, e);
    if (status != STATUS_OK) return status;
    struct json_place at = json_place_member(place, "prepend_scheme");
    if (strcmp(scheme, "always") == 0)
        m->prepend = METASPACE_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        m->prepend = METASPACE_FIRST;
    else if (strcmp(scheme, "never") == 0)
        m->prepend = METASPACE_NEVER;
    else
        return json_place_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", scheme);
    if (!prefix && m->prepend != METASPACE_NEVER) {
        if (at.value)
            return json_place_error(&at, STATUS_MALFORMED, e, "'%s' but add_prefix_space is false", scheme);
        m->prepend = METASPACE_NEVER;
    }
    return STATUS_OK;
}

enum status metaspace_read(struct metaspace *m, const struct json_place *place, struct error *e) {
    enum status status = read_replacement(m, place, e);
    if (status == STATUS_OK) status = read_scheme(m, place, e);
    return status == STATUS_OK ? json_place_bool(place, "split", true, &m->split, e) : status;
}

void metaspace_replace(const struct metaspace *m, const char *text, size_t length, bool first,
                       struct text_buffer *out) {
    size_t at = 0;
    int32_t point = utf8_next(text, length, &at);
    bool prepend = m->prepend == METASPACE_ALWAYS || (m->prepend == METASPACE_FIRST && first);
    if (prepend && point != ' ' && point != m->replacement) text_buffer_append_point(out, m->replacement);
    for (at = 0; at < length;) {
        point = utf8_next(text, length, &at);
        text_buffer_append_point(out, point == ' ' ? m->replacement : point);
    }
}
