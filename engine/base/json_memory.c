#include "engine/base/json_memory.h"

#include <stdlib.h>

static _Thread_local bool is_parsing, is_short;

void *json_memory_take(size_t bytes) {
    if (is_parsing && is_short) return NULL;
    void *block = malloc(bytes);
    if (!block) is_short = true;
    return block;
}

void json_memory_begin(void) {
    is_parsing = true;
    is_short = false;
}

bool json_memory_end(void) {
    is_parsing = false;
    return !is_short;
}
