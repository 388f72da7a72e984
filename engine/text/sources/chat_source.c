#include "engine/text/sources/chat_source.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/json_file.h"
#include "engine/files/regular_file.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/sources/side_files.h"
#include "engine/text/sources/tokenizer_class.h"
#include "engine/text/unicode/unicode.h"

/* Bytes of the small files beside it; tokenizer_config.json of some models lists thousands of added tokens. */
#define SIDE_BYTES_MAX ((size_t)64 << 20)

/* Values of what a converted file keeps. */
enum { VALUES_MAX = 1 << 16 };

static enum status set(json_t *object, const char *key, json_t *value, struct error *e) {
    return json_object_set_new(object, key, value) == 0 ? STATUS_OK : text_no_memory(e);
}

/* ---- the template -------------------------------------------------------------------------------------- */

static enum status set_template(json_t *source, const char *name, json_t *text, struct error *e) {
    enum status status = set(source, "template", text, e);
    return status == STATUS_OK ? set(source, "name", json_string(name), e) : status;
}

/* *found: there is such a file. */
static enum status load_text(json_t *source, const char *folder, const char *name, bool *found,
                             struct error *e) {
    char path[PATH_MAX], *bytes;
    size_t length;
    *found = false;
    enum status status = regular_file_path(folder, name, path, e);
    if (status == STATUS_OK) status = regular_file_read(path, CHAT_SOURCE_BYTES_MAX, &bytes, &length, e);
    if (status == STATUS_NOT_FOUND) return folder ? STATUS_OK : status;
    if (status != STATUS_OK) return status;
    *found = true;
    json_t *text = json_stringn(bytes, length);
    bool is_text = text || utf8_valid_prefix(bytes, length) == length;
    free(bytes);
    if (!is_text) return error_set(e, STATUS_MALFORMED, name, "is no text: it is not UTF-8");
    return text ? set_template(source, name, text, e) : text_no_memory(e);
}

/* "default" of [{"name", "template"}] or {name: template}. */
static const json_t *default_of(const json_t *named) {
    if (json_is_object(named)) return json_object_get(named, "default");
    for (size_t i = 0; i < json_array_size(named); i++) {
        const json_t *entry = json_array_get(named, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0) return json_object_get(entry, "template");
    }
    return NULL;
}

static enum status take_template(json_t *source, const char *name, const json_t *written, struct error *e) {
    if (!written || json_is_null(written)) return STATUS_OK;
    const json_t *text = json_is_string(written) ? written : default_of(written);
    if (!text && (json_is_array(written) || json_is_object(written)))
        return error_set(e, STATUS_UNSUPPORTED, name,
                         "chat_template: several are named, and none of them is \"default\"");
    if (!json_is_string(text)) return error_set(e, STATUS_MALFORMED, name, "chat_template: expected a text");
    return set_template(source, name, json_incref((json_t *)(uintptr_t)text), e);
}

static enum status take_processor(json_t *source, const char *folder, struct error *e) {
    static const char name[] = "chat_template.json";
    json_t *file = NULL;
    enum status status =
        json_file_load_as(folder, name, CHAT_SOURCE_BYTES_MAX, JSON_FILE_AS_PYTHON, &file, e);
    if (status == STATUS_NOT_FOUND) return STATUS_OK;
    if (status == STATUS_OK) status = take_template(source, name, json_object_get(file, "chat_template"), e);
    json_decref(file);
    return status;
}

/* ---- the variables ------------------------------------------------------------------------------------- */

/* A special token of the files, else of the class; special_tokens_map.json counts where tokenizer_config.json has no
 * added_tokens_decoder. */
static const json_t *entry_of(const struct side_files *side, const char *key) {
    bool listed = json_object_get(side->config, "added_tokens_decoder") != NULL;
    const json_t *entry = listed ? NULL : json_object_get(side->special_map, key);
    return entry ? entry : json_object_get(side->config, key);
}

static enum status set_token(json_t *variables, const char *key, const json_t *entry, const char *otherwise,
                             struct error *e) {
    const char *content = entry ? side_files_content(entry) : otherwise;
    return content && *content ? set(variables, key, json_string(content), e) : STATUS_OK;
}

static enum status set_more_tokens(json_t *variables, const struct side_files *side, struct error *e) {
    static const char key[] = "additional_special_tokens";
    const json_t *written = entry_of(side, key);
    json_t *list = json_array(), *extra = json_object_get(side->config, "extra_special_tokens"), *entry;
    const char *name;
    enum status status = list ? STATUS_OK : text_no_memory(e);
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(written); i++) {
        const char *content = side_files_content(json_array_get(written, i));
        if (content && json_array_append_new(list, json_string(content)) != 0) status = text_no_memory(e);
    }
    if (status == STATUS_OK && json_array_size(list) > 0) status = set(variables, key, json_incref(list), e);
    json_decref(list);
    json_object_foreach(extra, name, entry) {
        if (status == STATUS_OK) status = set_token(variables, name, entry, NULL, e);
    }
    return status;
}

static enum status set_variables(json_t *source, const struct side_files *side, struct error *e) {
    const struct tokenizer_class *class = NULL;
    struct error unused;
    bool named;
    json_t *variables = json_object();
    enum status status = set(source, "variables", variables, e);
    if (tokenizer_class_find(side->config, side->model_config, &class, &named, &unused) != STATUS_OK)
        class = NULL;
    for (size_t i = 0; status == STATUS_OK && i < CLASS_TOKENS; i++) {
        const char *key = tokenizer_class_keys[i];
        status = set_token(variables, key, entry_of(side, key), class ? class->tokens[i] : NULL, e);
    }
    return status == STATUS_OK ? set_more_tokens(variables, side, e) : status;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static enum status load(const char *folder, json_t *source, struct error *e) {
    struct side_files side;
    bool found = false;
    enum status status = side_files_load(folder, SIDE_BYTES_MAX, &side, e);
    if (status == STATUS_OK) status = set_variables(source, &side, e);
    if (status == STATUS_OK) status = load_text(source, folder, "chat_template.jinja", &found, e);
    if (status == STATUS_OK && !found)
        status =
            take_template(source, "tokenizer_config.json", json_object_get(side.config, "chat_template"), e);
    if (status == STATUS_OK && !json_object_get(source, "template"))
        status = take_processor(source, folder, e);
    side_files_deinit(&side);
    return status;
}

enum status chat_source_load(const char *folder, json_t **out, struct error *e) {
    *out = json_object();
    enum status status = *out ? load(folder, *out, e) : text_no_memory(e);
    if (status == STATUS_OK) return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

enum status chat_source_parse(const char *text, size_t length, json_t **out, struct error *e) {
    static const char place[] = "chat template";
    *out = NULL;
    enum status status = json_file_parse(text, length, place, VALUES_MAX, out, e);
    if (status == STATUS_OK && !json_is_object(*out))
        status = error_set(e, STATUS_MALFORMED, place, "expected an object");
    if (status == STATUS_OK) return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

enum status chat_source_set_file(json_t *source, const char *path, struct error *e) {
    bool found;
    return load_text(source, NULL, path, &found, e);
}
