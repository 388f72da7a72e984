/* Errors as values. A function that can fail returns enum status and writes what happened into the
 * caller's struct error: what (text), where (file, tensor, offset or field). Nothing below main exits. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* code, name as it is printed */
#define STATUS_LIST(X)                                                                                       \
    X(OK, "ok")                                                                                              \
    X(NO_MEMORY, "out of memory")                                                                            \
    X(IO, "input/output error")                                                                              \
    X(NOT_FOUND, "not found")                                                                                \
    X(MALFORMED, "malformed data")                                                                           \
    X(UNSUPPORTED, "unsupported")                                                                            \
    X(INVALID_ARGUMENT, "invalid argument")                                                                  \
    X(LIMIT, "limit exceeded")                                                                               \
    X(BUSY, "busy")                                                                                          \
    X(CLOSING, "closing")                                                                                    \
    X(CANCELLED, "cancelled")                                                                                \
    X(MISMATCH, "verification failed")                                                                       \
    X(OPTION, "an option that cannot be had")

enum status {
#define X(code, name) STATUS_##code,
    STATUS_LIST(X)
#undef X
        STATUS_COUNT
};

/* Of the two fields, and of both in a line (error_format). */
enum {
    ERROR_WHERE_BYTES = 512,
    ERROR_TEXT_BYTES = 768,
    ERROR_LINE_BYTES = ERROR_WHERE_BYTES + ERROR_TEXT_BYTES + 2
};

/* STATUS_OPTION: an option of the program asks for what cannot be, alone or beside others or for this model.
 * where is its key in config/options.def ("kv-cache-mib") and nothing else, so that who knows the configuration
 * can say where it was set. */
struct error {
    enum status code;
    char where[ERROR_WHERE_BYTES]; /* "" when there is nothing to point at */
    char text[ERROR_TEXT_BYTES];
};

/* Fills *e (which may be NULL) and returns code, so that callers can write `return error_set(...)`. Texts
 * that do not fit are cut. What is not printable UTF-8 (engine/base/printable.h) is replaced by '?' in both
 * fields. */
enum status error_set(struct error *e, enum status code, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with a va_list. */
enum status error_vset(struct error *e, enum status code, const char *where, const char *format,
                       va_list args);

/* "where: text" for logs and for stderr. Returns the length snprintf would have written. */
int error_format(const struct error *e, char *out, size_t size);

/* The printed name of a code; never NULL. */
const char *status_name(enum status code);
