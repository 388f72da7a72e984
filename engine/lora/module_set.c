#include "engine/lora/module_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/json_file.h"

static enum status fail(struct error *e, enum status code, const char *key, const char *text) {
    char where[128];
    snprintf(where, sizeof where, LORA_CONFIG_NAME ": %.80s", key);
    return error_set(e, code, where, "%s", text);
}

/* before and after go round the pattern. */
static enum status make_regex(const char *before, const char *pattern, const char *after, const char *key,
                              struct regex **out, struct error *e) {
    struct error cause = {0};
    size_t length = strlen(before) + strlen(pattern) + strlen(after);
    char *whole = malloc(length + 1);
    if (!whole) return fail(e, STATUS_NO_MEMORY, key, "no memory for a regular expression");
    snprintf(whole, length + 1, "%s%s%s", before, pattern, after);
    enum status status = regex_create(whole, length, out, &cause);
    free(whole);
    return status == STATUS_OK ? status : fail(e, status, key, cause.text);
}

static enum status matches(const struct regex *regex, struct regex_run *run, const char *module, bool *found,
                           struct error *e) {
    struct regex_scan scan;
    struct error cause = {0};
    regex_scan_init(&scan, regex, run, module, strlen(module));
    enum status status = regex_scan_next(&scan, found, &cause);
    if (status == STATUS_OK) return status;
    return error_set(e, status, LORA_CONFIG_NAME, "a pattern takes too long on '%.200s'", module);
}

/* ---- sets ---------------------------------------------------------------------------------------------- */

static enum status check_names(const json_t *names, const char *key, struct error *e) {
    for (size_t i = 0; i < json_array_size(names); i++)
        if (!json_is_string(json_array_get(names, i)))
            return fail(e, STATUS_MALFORMED, key, "has an element that is not a name of a module");
    return STATUS_OK;
}

enum status module_set_init(struct module_set *s, const json_t *value, const char *key, struct error *e) {
    *s = (struct module_set){0};
    if (!value) return STATUS_OK;
    if (json_is_string(value))
        return json_string_length(value)
                   ? make_regex("\\A(?:", json_string_value(value), ")\\z", key, &s->regex, e)
                   : STATUS_OK;
    if (!json_is_array(value))
        return fail(e, STATUS_MALFORMED, key,
                    "is neither a list of names of modules nor a regular expression for them");
    enum status status = check_names(value, key, e);
    if (status == STATUS_OK) s->names = value;
    return status;
}

void module_set_deinit(struct module_set *s) {
    regex_destroy(s->regex);
    *s = (struct module_set){0};
}

bool module_name_has(const char *name, const char *module, bool inner) {
    size_t length = strlen(name);
    if (length == 0) return false;
    for (const char *at = module; (at = strstr(at, name)); at++) {
        bool starts = at == module || at[-1] == '.';
        if (starts && (at[length] == '\0' || (inner && at[length] == '.'))) return true;
    }
    return false;
}

enum status module_set_has(const struct module_set *s, struct regex_run *run, const char *module, bool *has,
                           struct error *e) {
    *has = false;
    if (s->regex) return matches(s->regex, run, module, has, e);
    for (size_t i = 0; i < json_array_size(s->names) && !*has; i++)
        *has = module_name_has(json_string_value(json_array_get(s->names, i)), module, false);
    return STATUS_OK;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static enum status add_number(struct module_numbers *n, const char *pattern, const json_t *value,
                              const char *key, double least, double most, struct error *e) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= least && number <= most))
        return fail(e, STATUS_MALFORMED, key, "has a value that is not a number in its range");
    struct module_number *item = &n->items[n->count];
    enum status status = make_regex("\\A(?:.*\\.)?(?:", pattern, ")\\z", key, &item->regex, e);
    if (status != STATUS_OK) return status;
    item->value = number;
    n->count++;
    return STATUS_OK;
}

enum status module_numbers_init(struct module_numbers *n, const json_t *value, const char *key, double least,
                                double most, struct error *e) {
    *n = (struct module_numbers){0};
    if (!value) return STATUS_OK;
    if (!json_is_object(value))
        return fail(e, STATUS_MALFORMED, key, "is not an object of patterns with numbers");
    if (json_object_size(value) > MODULE_PATTERNS_MAX)
        return fail(e, STATUS_LIMIT, key, "has too many patterns");
    n->items = calloc(json_object_size(value) + 1, sizeof *n->items);
    if (!n->items) return fail(e, STATUS_NO_MEMORY, key, "no memory for its patterns");
    const char *pattern;
    json_t *number;
    enum status status = STATUS_OK;
    json_object_foreach((json_t *)value, pattern, number) {
        status = add_number(n, pattern, number, key, least, most, e);
        if (status != STATUS_OK) break;
    }
    if (status != STATUS_OK) module_numbers_deinit(n);
    return status;
}

void module_numbers_deinit(struct module_numbers *n) {
    for (size_t i = 0; i < n->count; i++) regex_destroy(n->items[i].regex);
    free(n->items);
    *n = (struct module_numbers){0};
}

enum status module_numbers_find(const struct module_numbers *n, struct regex_run *run, const char *module,
                                double *out, struct error *e) {
    bool found = false;
    for (size_t i = 0; i < n->count && !found; i++) {
        enum status status = matches(n->items[i].regex, run, module, &found, e);
        if (status != STATUS_OK) return status;
        if (found) *out = n->items[i].value;
    }
    return STATUS_OK;
}
