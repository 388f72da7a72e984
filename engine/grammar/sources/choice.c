#include "engine/grammar/sources/choice.h"

#include <jansson.h>
#include <stdlib.h>

#include "engine/files/json_file.h"

#define CHOICES_MAX (1u << 20)

static enum status write_strings(struct rules *r, const json_t *list, rules_expression *parts,
                                 struct error *e) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item))
            return error_set(e, STATUS_INVALID_ARGUMENT, "choice", "element %zu is not a string", i);
        parts[i] = rules_text(r, json_string_value(item), json_string_length(item));
    }
    return STATUS_OK;
}

static enum status write_list(struct rules *r, const json_t *list, rules_expression *out, struct error *e) {
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count == 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "choice", "expected a list of at least one string");
    rules_expression *parts = calloc(count, sizeof *parts);
    if (!parts) return error_set(e, STATUS_NO_MEMORY, "choice", "cannot allocate for %zu strings", count);
    enum status status = write_strings(r, list, parts, e);
    if (status == STATUS_OK) *out = rules_choice(r, parts, count);
    free(parts);
    return status;
}

enum status choice_write(struct rules *r, struct engine_string source, const struct grammar_options *o,
                         rules_expression *out, struct error *e) {
    json_t *parsed = NULL;
    enum status status = o->document ? json_file_check(source.text, source.length, "choice", CHOICES_MAX, e)
                                     : json_file_parse_as(source.text, source.length, "choice", CHOICES_MAX,
                                                          JSON_FILE_WITH_NULS, &parsed, e);
    *out = RULES_NONE;
    if (status == STATUS_MALFORMED)
        return error_set(e, STATUS_INVALID_ARGUMENT, "choice", "it is no JSON list");
    if (status != STATUS_OK) return status;
    status = write_list(r, parsed ? parsed : o->document, out, e);
    json_decref(parsed);
    return status;
}
