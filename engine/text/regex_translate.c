#include "engine/text/regex.h"

enum status regex_translate(const char *pattern, size_t length, struct text_buffer *out, struct error *e) {
    text_buffer_append(out, pattern, length);
    return text_buffer_status(out, e);
}
