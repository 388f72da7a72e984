#include "server/json/read.h"

#include <string.h>

#include "engine/base/json_memory.h"

json_t *json_read(const char *text, size_t length, size_t flags, json_error_t *at) {
    json_memory_begin();
    json_t *value = json_loadb(text, length, flags, at);
    if (json_memory_end()) return value;
    json_decref(value);
    if (at) at->text[sizeof at->text - 1] = (char)json_error_out_of_memory; /* where jansson has it */
    return NULL;
}
