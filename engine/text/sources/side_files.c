#include "engine/text/sources/side_files.h"

#include <stdbool.h>

#include "engine/files/json_file.h"
#include "engine/text/sources/file_names.h"

static enum status load(const char *folder, const char *name, size_t bytes_max, enum json_file_rules rules,
                        json_t **out, struct error *e) {
    enum status status = json_file_load_as(folder, name, bytes_max, rules, out, e);
    if (status == STATUS_NOT_FOUND) return STATUS_OK;
    if (status == STATUS_OK && !json_is_object(*out))
        return error_set(e, STATUS_MALFORMED, name, "expected an object");
    return status;
}

enum status side_files_load(const char *folder, size_t bytes_max, struct side_files *out, struct error *e) {
    const struct {
        const char *name;
        json_t **json;
        enum json_file_rules rules;
    } files[] = {
        {FILE_NAME_TOKENIZER_CONFIG, &out->config, JSON_FILE_AS_PYTHON},
        {FILE_NAME_SPECIAL_TOKENS, &out->special_map, JSON_FILE_AS_PYTHON},
        {FILE_NAME_ADDED_TOKENS, &out->added, JSON_FILE_AS_PYTHON},
        {FILE_NAME_MODEL_CONFIG, &out->model_config, JSON_FILE_AS_PYTHON_AGAIN}, /* the model's, above all */
    };
    enum status status = STATUS_OK;
    *out = (struct side_files){0};
    for (size_t i = 0; status == STATUS_OK && i < sizeof files / sizeof files[0]; i++)
        status = load(folder, files[i].name, bytes_max, files[i].rules, files[i].json, e);
    return status;
}

void side_files_deinit(struct side_files *s) {
    json_decref(s->config);
    json_decref(s->special_map);
    json_decref(s->added);
    json_decref(s->model_config);
    *s = (struct side_files){0};
}

const char *side_files_content(const json_t *entry) {
    return json_string_value(json_is_object(entry) ? json_object_get(entry, "content") : entry);
}

/* Adds a token to the parts of a template and to its table. */
static bool add_token(json_t *parts, json_t *table, const char *content, json_int_t id) {
    json_t *part = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", content, "type_id", 0);
    json_t *ids = json_pack("{s:s, s:[I]}", "id", content, "ids", id);
    bool added =
        part && json_array_append(parts, part) == 0 && ids && json_object_set(table, content, ids) == 0;
    json_decref(part);
    json_decref(ids);
    return added;
}

json_t *side_files_template(const char *before, json_int_t before_id, const char *after,
                            json_int_t after_id) {
    json_t *parts = json_array(), *table = json_object(), *out = NULL;
    json_t *text = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    bool whole = parts && table && text;
    if (whole && before) whole = add_token(parts, table, before, before_id);
    if (whole) whole = json_array_append(parts, text) == 0;
    if (whole && after) whole = add_token(parts, table, after, after_id);
    if (whole)
        out = json_pack("{s:s, s:O, s:O}", "type", "TemplateProcessing", "single", parts, "special_tokens",
                        table);
    json_decref(parts);
    json_decref(table);
    json_decref(text);
    return out;
}
