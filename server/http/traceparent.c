#include "server/http/traceparent.h"

#include <string.h>

/* "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": where its parts begin, and its length in version 00. */
enum { VERSION_AT = 0, TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53, LENGTH = 55 };
enum { VERSION_BYTES = 2, PARENT_BYTES = 16, FLAGS_BYTES = 2 };

static bool is_hex(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    return true;
}

static bool is_zero(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] != '0') return false;
    return true;
}

/* A later version may say more, behind another hyphen. */
static bool has_length(const char *value, size_t length) {
    bool is_first = is_zero(value + VERSION_AT, VERSION_BYTES);
    return length == LENGTH || (!is_first && value[LENGTH] == '-');
}

bool traceparent_read(const char *value, size_t length, char trace_id[TRACE_ID_BYTES + 1]) {
    if (length < LENGTH || !is_hex(value + VERSION_AT, VERSION_BYTES) || !has_length(value, length))
        return false;
    if (strncmp(value + VERSION_AT, "ff", VERSION_BYTES) == 0) return false;
    if (value[TRACE_AT - 1] != '-' || value[PARENT_AT - 1] != '-' || value[FLAGS_AT - 1] != '-') return false;
    if (!is_hex(value + TRACE_AT, TRACE_ID_BYTES) || is_zero(value + TRACE_AT, TRACE_ID_BYTES)) return false;
    if (!is_hex(value + PARENT_AT, PARENT_BYTES) || is_zero(value + PARENT_AT, PARENT_BYTES)) return false;
    if (!is_hex(value + FLAGS_AT, FLAGS_BYTES)) return false;
    memcpy(trace_id, value + TRACE_AT, TRACE_ID_BYTES);
    trace_id[TRACE_ID_BYTES] = '\0';
    return true;
}
