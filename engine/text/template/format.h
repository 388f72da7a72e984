/* Python's two ways to put values into a text. */
#pragma once

#include "engine/text/template/render.h"

/* s % v */
bool format_percent(struct render *r, const struct string *s, const struct value *v, struct value *out);
/* s.format(...) */
bool format_braces(struct render *r, const struct string *s, const struct arguments *a, struct value *out);

/* How one value is to be written. */
struct format_spec {
    int32_t fill; /* a code point */
    char align;   /* '<', '>', '^', '=', or 0: as the kind of value has it */
    char sign;    /* '+', ' ', or 0 */
    bool alternate, commas, underscores;
    bool client; /* a client wrote some of the format */
    size_t width;
    int precision; /* -1: none */
    char type;     /* 0: none */
};
enum { FORMAT_PRECISION_MAX = 100, FORMAT_WIDTH_MAX = 1 << 20 };

bool format_number(struct builder *b, const struct format_spec *spec, const struct value *v);
void format_padded(struct builder *b, const struct format_spec *spec, const struct string *s, char align);
