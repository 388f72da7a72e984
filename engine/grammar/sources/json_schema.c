#include "engine/grammar/sources/json_schema.h"

#include <string.h>

#include "engine/base/clock.h"
#include "engine/files/json_file.h"
#include "engine/grammar/sources/json_schema_writer.h"

static rules_expression write_schema(struct json_schema_writer *w) {
    struct json_schema_list root = {.items = {w->root}, .count = 1};
    if (!json_is_object(w->root) && !json_is_boolean(w->root))
        return json_schema_refuse(w, STATUS_INVALID_ARGUMENT, w->root,
                                  "a schema is an object, true or false");
    json_schema_refs_find(w);
    rules_expression whole = json_schema_goal(w, &root);
    json_schema_goals_define(w);
    return whole;
}

/* Whether a string of the text may have a zero in it, which a schema is not taken with. */
static bool has_zero(struct engine_string source) {
    return memmem(source.text, source.length, "\\u0000", 6) != NULL;
}

/* Scalars alone are no JSON text for jansson, so true and false are told apart here. *out: the asker's document, or a reference
 * in *parsed. */
static enum status parse(struct engine_string source, const json_t *document, const json_t **out,
                         json_t **parsed, struct error *e) {
    if (source.length > JSON_SCHEMA_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, "schema", "%zu bytes: at most %d are taken", source.length,
                         JSON_SCHEMA_BYTES_MAX);
    if (document && !has_zero(source)) {
        *out = document;
        return json_file_check(source.text, source.length, "schema", JSON_SCHEMA_VALUES_MAX, e);
    }
    if (source.length == 4 && memcmp(source.text, "true", 4) == 0)
        *parsed = json_true();
    else if (source.length == 5 && memcmp(source.text, "false", 5) == 0)
        *parsed = json_false();
    else
        json_file_parse(source.text, source.length, "schema", JSON_SCHEMA_VALUES_MAX, parsed, e);
    *out = *parsed;
    return *parsed ? STATUS_OK : e->code;
}

static enum status finish(struct rules *r, struct error *e) {
    return rules_failed(r) ? rules_finish(r, RULES_NONE, e) : STATUS_OK;
}

enum status json_schema_write(struct rules *r, struct engine_string source,
                              const struct grammar_options *options, rules_expression *out, struct error *e) {
    const json_t *root = NULL;
    json_t *parsed = NULL;
    uint64_t start = clock_thread_ns();
    enum status status = parse(source, options->document, &root, &parsed, e);
    /* As much again, for giving it back. */
    if (parsed) rules_reserve_time(r, clock_thread_ns() - start);
    *out = RULES_NONE;
    if (status == STATUS_MALFORMED) return e->code = STATUS_INVALID_ARGUMENT;
    if (status != STATUS_OK) return status;
    struct json_schema_writer w = {.rules = r,
                                   .root = root,
                                   .closes_objects = options->closes_objects,
                                   .any_string = json_pack("{s:s}", "type", "string")};
    if (!w.any_string) rules_fail(r, STATUS_NO_MEMORY, "schema", "cannot allocate for a schema");
    json_schema_shared_init(&w, options->whitespace_pattern);
    if (!rules_failed(r)) *out = write_schema(&w);
    json_schema_goals_deinit(&w);
    json_schema_refs_deinit(&w);
    json_decref(w.any_string);
    json_decref(parsed);
    return finish(r, e);
}

enum status json_object_write(struct rules *r, struct engine_string source,
                              const struct grammar_options *options, rules_expression *out, struct error *e) {
    (void)source;
    struct json_schema_writer w = {.rules = r};
    json_schema_shared_init(&w, options->whitespace_pattern);
    *out = rules_failed(r) ? RULES_NONE : json_schema_any_object(&w);
    return finish(r, e);
}
