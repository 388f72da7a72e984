/* jansson bounds neither the memory of a tree (an empty object of 2 bytes takes over 200) nor, to less than
 * 2048, the depth of its recursion. So a text is scanned for both before it is parsed. */
#include "engine/files/json_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json_memory.h"
#include "engine/base/log.h"
#include "engine/files/json_repair.h"
#include "engine/files/regular_file.h"

struct scan {
    size_t line, line_start; /* line counts from 1; line_start is the offset of its first byte */
    size_t depth, values;
    bool in_string;
};

/* One byte outside of strings. A container has at most one value more than commas, so these and the opening
 * brackets bound the number of values. */
static void scan_structure(struct scan *s, char byte) {
    switch (byte) {
    case '"':
        s->in_string = true;
        break;
    case '[':
    case '{':
        s->depth++; /* fall through */
    case ',':
        s->values++;
        break;
    case ']':
    case '}':
        if (s->depth > 0) s->depth--; /* if there are too many of them the parser will say so */
        break;
    default:
        break;
    }
}

enum status json_file_check(const char *text, size_t length, const char *where, size_t values_max,
                            struct error *e) {
    struct scan s = {.line = 1};
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') s.line++, s.line_start = i + 1;
        if (!s.in_string)
            scan_structure(&s, text[i]);
        else if (text[i] == '\\')
            i++;
        else if (text[i] == '"')
            s.in_string = false;
        if (s.depth > JSON_FILE_DEPTH_MAX)
            return error_set(e, STATUS_LIMIT, where, "line %zu, column %zu: nested deeper than %d", s.line,
                             i - s.line_start + 1, JSON_FILE_DEPTH_MAX);
        if (s.values > values_max)
            return error_set(e, STATUS_LIMIT, where, "line %zu, column %zu: more than %zu values", s.line,
                             i - s.line_start + 1, values_max);
    }
    return STATUS_OK;
}

void json_file_process_init(void) {
    json_set_alloc_funcs(json_memory_take, free);
}

/* rules are those of jansson's flags alone: the text is repaired. */
static enum status parse(const char *text, size_t length, const char *where, enum json_file_rules rules,
                         json_t **out, struct error *e) {
    size_t nuls = rules == JSON_FILE_WITH_NULS ? JSON_ALLOW_NUL : 0;
    json_error_t cause;
    json_memory_begin();
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES | nuls, &cause);
    if (!*out && rules != JSON_FILE_STRICT && json_error_code(&cause) == json_error_duplicate_key) {
        if (rules != JSON_FILE_AS_PYTHON_AGAIN)
            log_warn("%s: line %d, column %d: %s: of equal keys the last counts", where, cause.line,
                     cause.column, cause.text);
        *out = json_loadb(text, length, nuls, &cause);
    }
    bool is_whole = json_memory_end();
    if (*out && is_whole) return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    if (!is_whole || !cause.text[0])
        return error_set(e, STATUS_NO_MEMORY, where, "cannot allocate for %zu bytes of JSON", length);
    return error_set(e, STATUS_MALFORMED, where, "line %d, column %d: %s", cause.line, cause.column,
                     cause.text);
}

enum status json_file_parse(const char *text, size_t length, const char *where, size_t values_max,
                            json_t **out, struct error *e) {
    enum status status = json_file_check(text, length, where, values_max, e);
    return status == STATUS_OK ? parse(text, length, where, JSON_FILE_STRICT, out, e) : status;
}

/* text is the caller's, and is repaired in place. */
static enum status repair_and_parse(char *text, size_t length, const char *where, size_t values_max,
                                    enum json_file_rules rules, json_t **out, struct error *e) {
    enum status status = json_file_check(text, length, where, values_max, e);
    if (status == STATUS_OK && rules != JSON_FILE_STRICT)
        status = json_repair(text, length, rules == JSON_FILE_WITH_NULS, where, e);
    return status == STATUS_OK ? parse(text, length, where, rules, out, e) : status;
}

enum status json_file_parse_as(const char *text, size_t length, const char *where, size_t values_max,
                               enum json_file_rules rules, json_t **out, struct error *e) {
    char *copy = malloc(length + 1);
    if (!copy) return error_set(e, STATUS_NO_MEMORY, where, "cannot allocate for %zu bytes of JSON", length);
    memcpy(copy, text, length);
    enum status status = repair_and_parse(copy, length, where, values_max, rules, out, e);
    free(copy);
    return status;
}

enum status json_file_load(const char *folder, const char *name, size_t bytes_max, json_t **out,
                           struct error *e) {
    return json_file_load_as(folder, name, bytes_max, JSON_FILE_STRICT, out, e);
}

enum status json_file_load_as(const char *folder, const char *name, size_t bytes_max,
                              enum json_file_rules rules, json_t **out, struct error *e) {
    char path[PATH_MAX], *text = NULL;
    size_t length;
    enum status status = regular_file_path(folder, name, path, e);
    if (status == STATUS_OK) status = regular_file_read(path, bytes_max, &text, &length, e);
    if (status == STATUS_OK)
        status = repair_and_parse(text, length, path, JSON_FILE_VALUES_MAX, rules, out, e);
    free(text);
    return status;
}
