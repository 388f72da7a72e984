/* Multiples of a number, as an expression over digits. */
#pragma once

#include "engine/grammar/sources/json_range.h"

struct json_multiple {
    __int128 factor; /* the number is factor * 10^-places, with as few places as can be */
    size_t places;
};

/* False: it is not above 0, or has too many digits. */
bool json_multiple_read(const struct json_decimal *d, struct json_multiple *out);
/* False: not a multiple, or with more digits than can be told. */
bool json_multiple_holds(const struct json_multiple *m, const struct json_decimal *d);
/* The multiples within the range. *found false: there is no expression for them that is small enough. */
rules_expression json_multiple_write(struct json_schema_writer *w, const struct json_multiple *m,
                                     const struct json_range *range, bool only_whole, bool *found);
