/* The text of a GBNF grammar: where the reader is in it, and its words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct gbnf_reader {
    const char *text; /* well-formed UTF-8 */
    size_t length, at;
    enum status status; /* the first failure; after it nothing is read */
    struct error *error;
};

/* INVALID_ARGUMENT at the place the reader is at. */
void gbnf_refuse(struct gbnf_reader *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool gbnf_failed(const struct gbnf_reader *g);
/* The byte at the place, 0 at the end. */
char gbnf_peek(const struct gbnf_reader *g);
bool gbnf_take(struct gbnf_reader *g, const char *word);
/* Blanks and comments, and ends of lines too where `lines` says so. */
void gbnf_skip(struct gbnf_reader *g, bool lines);
/* The length of the name at the place, 0: none. */
size_t gbnf_name(const struct gbnf_reader *g);
/* One character in quotes or in a set, escapes resolved. */
uint32_t gbnf_point(struct gbnf_reader *g);
/* A decimal number; false: refused. */
bool gbnf_number(struct gbnf_reader *g, uint32_t *out);
