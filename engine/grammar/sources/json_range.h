/* The decimal numbers between two bounds, as an expression over digits: without an exponent, without leading zeros, "-0" not
 * among them. Digits behind the point are so few that two texts are two doubles near the bounds: 15 significant ones, more
 * where a bound has more. A number that is above a bound by its text is so as a double, too. */
#pragma once

#include <stdbool.h>

#include "engine/grammar/sources/json_decimal.h"
#include "engine/grammar/sources/json_schema_writer.h"

struct json_range {
    struct json_decimal low, high;
    bool has_low, has_high;
    bool low_is_open, high_is_open; /* the bound itself is out */
};

/* fraction_least: so many digits may stand behind the point in any case. */
rules_expression json_range_write(struct json_schema_writer *w, const struct json_range *range,
                                  bool whole_numbers, size_t fraction_least);
/* Whole numbers, as they stand in the texts: from low to high, both without leading zeros. */
rules_expression json_range_digits(struct json_schema_writer *w, const char *low, const char *high);
