/* The configuration as JSON: {"some-option": V, ...}, read and printed. A key that is not an option is refused,
 * for it is most often a mistyped one; null says "not set". The file may hold options of any command. */
#include "config/option.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)

/* ---- reading ---- */

static enum status read_bytes(const char *path, char **bytes, size_t *length, struct error *e) {
    FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set(e, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, path,
                         "the configuration file cannot be read: %s", strerror(errno));
    *bytes = malloc(FILE_BYTES_MAX + 1);
    *length = *bytes ? fread(*bytes, 1, FILE_BYTES_MAX + 1, file) : 0;
    enum status status = STATUS_OK;
    if (!*bytes)
        status = error_set(e, STATUS_NO_MEMORY, path, "no memory for the configuration file");
    else if (ferror(file))
        status = error_set(e, STATUS_IO, path, "the configuration file cannot be read: %s", strerror(errno));
    else if (*length > FILE_BYTES_MAX)
        status = error_set(e, STATUS_LIMIT, path, "the configuration file has more than %zu bytes",
                           FILE_BYTES_MAX);
    fclose(file);
    return status;
}

static enum status refuse_key(const struct config *c, const char *key, struct error *e) {
    char where[OPTION_TEXT_MAX];
    const char *instead = option_instead_of(key), *nearest = option_nearest(key);
    snprintf(where, sizeof where, "%.64s in %s", key, c->file);
    if (instead) return error_set(e, STATUS_INVALID_ARGUMENT, where, "no such option; %s", instead);
    return error_set(e, STATUS_INVALID_ARGUMENT, where,
                     nearest ? "no such option; did you mean %s?" : "no such option", nearest);
}

/* Whether it is a number beyond 64 bits, read as a real one. */
static bool is_beyond(const json_t *value) {
    return json_is_real(value) && fabs(json_real_value(value)) >= 0x1p63;
}

static enum status refuse_member(const struct config *c, const char *key, const json_t *value,
                                 struct error *e) {
    char found[OPTION_TEXT_MAX];
    enum option_id id = option_find(key, strlen(key));
    if (id == OPTION_COUNT) return refuse_key(c, key, e);
    snprintf(found, sizeof found, "%.17g", json_real_value(value));
    return option_refuse(c, id, SOURCE_FILE, found, e);
}

/* JSON has no limits for numbers; we have. Says which option's it is, where that can be found out. */
static enum status refuse_number(const struct config *c, const char *bytes, size_t length, const char *where,
                                 struct error *e) {
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    enum status status = error_set(e, STATUS_MALFORMED, where, "a number is too large");
    const char *key;
    json_t *member, *item;
    size_t i;
    bool found = false;
    json_object_foreach(root, key, member) {
        const json_t *beyond = is_beyond(member) ? member : NULL;
        json_array_foreach(member, i, item) if (is_beyond(item)) beyond = item;
        if (beyond && !found) status = refuse_member(c, key, beyond, e);
        found |= beyond != NULL;
    }
    json_decref(root);
    return status;
}

static enum status parse_file(const struct config *c, json_t **out, struct error *e) {
    const char *path = c->file;
    char *bytes = NULL, where[OPTION_TEXT_MAX];
    size_t length = 0;
    json_error_t at;
    enum status status = read_bytes(path, &bytes, &length, e);
    if (status == STATUS_OK) {
        *out = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &at);
        snprintf(where, sizeof where, "%s:%d:%d", path, at.line, at.column);
        if (!*out && json_error_code(&at) == json_error_numeric_overflow)
            status = refuse_number(c, bytes, length, where, e);
        else if (!*out)
            status = error_set(e, STATUS_MALFORMED, where, "not JSON: %s", at.text);
        else if (!json_is_object(*out))
            status =
                error_set(e, STATUS_MALFORMED, path, "expected an object of options, {\"port\": 8080, ...}");
    }
    free(bytes);
    return status;
}

/* Whether the kind of JSON value is the one that the option needs. */
static bool fits(enum option_type type, const json_t *value) {
    switch (type) {
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_INTEGER:
        return json_is_integer(value);
    case OPTION_TYPE_REAL:
        return json_is_number(value);
    case OPTION_TYPE_BOOL:
        return json_is_boolean(value);
    default:
        return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
    }
}

static enum status set_value(struct config *c, enum option_id id, const json_t *value, struct error *e) {
    enum option_type type = option_rows[id].type;
    if (fits(type, value) && json_is_string(value))
        return option_set(c, id, SOURCE_FILE, json_string_value(value), e);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text) return error_set(e, STATUS_NO_MEMORY, "configuration", "no memory for a value");
    enum status status = fits(type, value) ? option_set(c, id, SOURCE_FILE, text, e)
                                           : option_refuse(c, id, SOURCE_FILE, text, e);
    free(text);
    return status;
}

static enum status set_list(struct config *c, enum option_id id, const json_t *array, struct error *e) {
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item) {
        enum status status = set_value(c, id, item, e);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static enum status set_member(struct config *c, const char *key, const json_t *value, struct error *e) {
    enum option_id id = option_find(key, strlen(key));
    if (id == OPTION_COUNT) return refuse_key(c, key, e);
    if (json_is_null(value)) return STATUS_OK;
    if (option_rows[id].type == OPTION_TYPE_LIST && json_is_array(value)) return set_list(c, id, value, e);
    return set_value(c, id, value, e);
}

enum status config_file_read(struct config *c, struct error *e) {
    json_t *root = NULL, *value;
    const char *key;
    enum status status = parse_file(c, &root, e);
    if (status == STATUS_OK) {
        json_object_foreach(root, key, value) {
            status = set_member(c, key, value, e);
            if (status != STATUS_OK) break;
        }
    }
    json_decref(root);
    return status;
}

/* ---- printing ---- */

static enum status print_text(const char *text, FILE *out, struct error *e) {
    if (!text) return fputs("null", out), STATUS_OK;
    json_t *string = json_string(text);
    if (!string) return error_set(e, STATUS_UNSUPPORTED, text, "is not UTF-8 and cannot be printed as JSON");
    json_dumpf(string, out, JSON_ENCODE_ANY);
    json_decref(string);
    return STATUS_OK;
}

static enum status print_list(const struct config_list *list, FILE *out, struct error *e) {
    enum status status = STATUS_OK;
    fputc('[', out);
    for (size_t i = 0; i < list->count && status == STATUS_OK; i++) {
        if (i) fputs(", ", out);
        status = print_text(list->items[i], out, e);
    }
    fputc(']', out);
    return status;
}

static enum status print_value(const struct config *c, enum option_id id, FILE *out, struct error *e) {
    const void *field = (const char *)c + option_rows[id].offset;
    char text[OPTION_TEXT_MAX];
    if (!option_rows[id].initial && !config_is_set(c, id)) return print_text(NULL, out, e);
    switch (option_rows[id].type) {
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_INTEGER:
    case OPTION_TYPE_REAL:
    case OPTION_TYPE_BOOL:
        fputs(option_value(c, id, text), out);
        return STATUS_OK;
    case OPTION_TYPE_LIST:
        return print_list(field, out, e);
    case OPTION_TYPE_STRING:
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_CHOICE:
        return print_text(*(char *const *)field, out, e);
    default:
        return print_text(option_value(c, id, text), out, e);
    }
}

enum status config_print(const struct config *c, enum command command, FILE *out, struct error *e) {
    enum status status = STATUS_OK;
    const char *separator = "{\n";
    for (int id = 0; id < OPTION_COUNT && status == STATUS_OK; id++) {
        if (!option_belongs(&option_rows[id], command)) continue;
        fprintf(out, "%s    \"%s\": ", separator, option_rows[id].key);
        status = print_value(c, (enum option_id)id, out, e);
        separator = ",\n";
    }
    fputs("\n}\n", out);
    if (status == STATUS_OK && (fflush(out) != 0 || ferror(out)))
        status = error_set(e, STATUS_IO, "standard output", "%s", strerror(errno));
    return status;
}
