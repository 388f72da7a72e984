/* Places of a schema for messages. A value of the document knows no parent: it is looked for, when there is something to
 * be said about it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/files/json_file.h"
#include "engine/grammar/sources/json_schema_writer.h"

/* That are looked at for what a step costs. */
#define VALUES_A_STEP 4

enum { PLACE_BYTES_MAX = 256, TEXT_BYTES_MAX_OF_REFUSAL = 512 };

struct place {
    char *out;
    size_t size, length, looked_at;
};

static void append(struct place *p, const char *text, size_t length) {
    if (length >= p->size - p->length) length = p->size - p->length - 1;
    memcpy(p->out + p->length, text, length);
    p->length += length;
    p->out[p->length] = '\0';
}

/* A token of a JSON pointer. */
static void append_key(struct place *p, const char *key) {
    append(p, "/", 1);
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            append(p, *key == '~' ? "~0" : "~1", 2);
        else
            append(p, key, 1);
    }
}

static bool find(struct place *p, const json_t *from, const json_t *at);

static bool find_in_object(struct place *p, const json_t *from, const json_t *at) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)from, key, value) {
        size_t length = p->length;
        append_key(p, key);
        if (find(p, value, at)) return true;
        p->length = length;
    }
    return false;
}

static bool find_in_array(struct place *p, const json_t *from, const json_t *at) {
    for (size_t i = 0; i < json_array_size(from); i++) {
        char number[24];
        size_t length = p->length;
        snprintf(number, sizeof number, "%zu", i);
        append_key(p, number);
        if (find(p, json_array_get(from, i), at)) return true;
        p->length = length;
    }
    return false;
}

/* As deep as JSON_FILE_DEPTH_MAX. */
static bool find(struct place *p, const json_t *from, const json_t *at) {
    p->looked_at++;
    if (from == at) return true;
    return json_is_object(from) ? find_in_object(p, from, at)
                                : json_is_array(from) && find_in_array(p, from, at);
}

size_t json_schema_place_of(const struct json_schema_writer *w, const json_t *at, char *out, size_t size) {
    struct place place = {.out = out, .size = size};
    append(&place, "schema#", 7);
    find(&place, w->root, at);
    out[place.length] = '\0';
    return place.looked_at / VALUES_A_STEP;
}

rules_expression json_schema_refuse(struct json_schema_writer *w, enum status status, const json_t *at,
                                    const char *format, ...) {
    char place[PLACE_BYTES_MAX], text[TEXT_BYTES_MAX_OF_REFUSAL];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_schema_place_of(w, at, place, sizeof place);
    return rules_fail(w->rules, status, place, "%s", text);
}
