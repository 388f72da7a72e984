/* What the two halves of the translation of regular expressions share: the place in the pattern, the output,
 * and the first error, after which nothing more is read or written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"

/* Groups and sets within each other. */
enum { REGEX_DEPTH_MAX = 50 };

/* What a match may do without a callout (regex_callouts.h). */
struct regex_paths {
    uint32_t ways;  /* ways through, each of which may be tried before what follows has failed for good */
    uint32_t walk;  /* characters */
    uint32_t tried; /* likewise, up to the first callout, if it fails; one of a large set is several */
};

struct regex_parser {
    const char *pattern; /* well-formed UTF-8 */
    size_t length, at;
    struct text_buffer *out;
    size_t depth;
    enum status status;
    struct error *error;
};

/* The byte `ahead` of the place, or -1. */
int regex_peek(const struct regex_parser *p, size_t ahead);
bool regex_starts_with(const struct regex_parser *p, const char *text);
/* Takes the byte, which must be there. */
void regex_expect(struct regex_parser *p, char byte);
void regex_refuse(struct regex_parser *p, const char *what);
void regex_emit(struct regex_parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A character that means itself, in a set or outside. */
void regex_emit_point(struct regex_parser *p, int32_t point);
/* Puts text into the output at `at`. */
void regex_insert(struct regex_parser *p, size_t at, const char *text);
