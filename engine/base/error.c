#include "engine/base/error.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/printable.h"

static const char *const status_names[STATUS_COUNT] = {
#define X(code, name) [STATUS_##code] = name,
    STATUS_LIST(X)
#undef X
};

const char *status_name(enum status code) {
    return (unsigned)code < STATUS_COUNT ? status_names[code] : "unknown status";
}

/* Names out of hostile files end up in logs and terminals. length: what the whole text would have taken. */
static void make_printable(char *text, size_t size, int length) {
    if (length < 0)
        text[0] = '\0';
    else if ((size_t)length < size)
        printable_text(text, (size_t)length);
    else
        text[printable_cut(text, size - 1)] = '\0';
}

enum status error_vset(struct error *e, enum status code, const char *where, const char *format,
                       va_list args) {
    if (!e) return code;
    e->code = code;
    make_printable(e->where, sizeof e->where, snprintf(e->where, sizeof e->where, "%s", where ? where : ""));
    make_printable(e->text, sizeof e->text, vsnprintf(e->text, sizeof e->text, format, args));
    return code;
}

enum status error_set(struct error *e, enum status code, const char *where, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_vset(e, code, where, format, args);
    va_end(args);
    return code;
}

int error_format(const struct error *e, char *out, size_t size) {
    if (e->where[0]) return snprintf(out, size, "%s: %s", e->where, e->text);
    return snprintf(out, size, "%s", e->text);
}
