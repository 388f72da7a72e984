#include "engine/text/pretokenize/metaspace.h"

#include <string.h>

#include "engine/text/unicode/unicode.h"

static enum status read_replacement(struct metaspace *m, const struct json_path *path, struct error *e) {
    const char *text;
    size_t length, at = 0;
    enum status status = json_path_string(path, "replacement", NULL, &text, &length, e);
    if (status != STATUS_OK) return status;
    if (length > 0) m->replacement = utf8_next(text, length, &at);
    struct json_path at_place = json_path_member(path, "replacement");
    if (length == 0 || at != length)
        return json_path_error(&at_place, STATUS_MALFORMED, e, "expected one character");
    return STATUS_OK;
}

/* "prepend_scheme", or in files from before it "add_prefix_space". */
static enum status read_scheme(struct metaspace *m, const struct json_path *path, struct error *e) {
    const char *scheme;
    bool prefix;
    enum status status = json_path_string(path, "prepend_scheme", "always", &scheme, NULL, e);
    if (status == STATUS_OK) status = json_path_bool(path, "add_prefix_space", true, &prefix, e);
    if (status != STATUS_OK) return status;
    struct json_path at = json_path_member(path, "prepend_scheme");
    if (strcmp(scheme, "always") == 0)
        m->prepend = METASPACE_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        m->prepend = METASPACE_FIRST;
    else if (strcmp(scheme, "never") == 0)
        m->prepend = METASPACE_NEVER;
    else
        return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", scheme);
    if (!prefix && m->prepend != METASPACE_NEVER) {
        if (at.value)
            return json_path_error(&at, STATUS_MALFORMED, e, "'%s' but add_prefix_space is false", scheme);
        m->prepend = METASPACE_NEVER;
    }
    return STATUS_OK;
}

enum status metaspace_read(struct metaspace *m, const struct json_path *path, struct error *e) {
    enum status status = read_replacement(m, path, e);
    if (status == STATUS_OK) status = read_scheme(m, path, e);
    return status == STATUS_OK ? json_path_bool(path, "split", true, &m->split, e) : status;
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
