/* Values as text, as Python's str() and repr() write them. */
#pragma once

#include "engine/text/template/render.h"

/* str(): a string is itself. */
bool print_value(struct render *r, const struct value *v, const struct string **out);
/* repr(), appended. */
bool print_repr(struct builder *b, const struct value *v);

/* repr of a float: the shortest text that gives it back. */
enum { FLOAT_TEXT_BYTES = 40 };
void print_float(double d, char out[FLOAT_TEXT_BYTES]);

/* str.isprintable of one character. */
bool unicode_is_printable(int32_t point);
