/* Numbers of a JSON document in decimal digits, so that bounds are compared and written exactly as they stand there: 0.1 is one
 * tenth, not the double next to it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Digits. Whatever is beyond 10^20 counts as 10^20. */
enum { JSON_DECIMAL_WHOLE_MAX = 21, JSON_DECIMAL_FRACTION_MAX = 19, JSON_DECIMAL_SCALED_MAX = 36 };

struct json_decimal {
    bool negative;                                /* not of zero */
    char whole[JSON_DECIMAL_WHOLE_MAX + 1];       /* without leading zeros, but for "0" */
    char fraction[JSON_DECIMAL_FRACTION_MAX + 1]; /* without trailing zeros; "": a whole number */
};

/* False: it has more digits behind the point. */
bool json_decimal_read(const json_t *number, struct json_decimal *out);
/* Zero, and 10^20. */
extern const struct json_decimal json_decimal_zero, json_decimal_huge;
int json_decimal_compare(const struct json_decimal *a, const struct json_decimal *b);
/* Digits of whole numbers without leading zeros. */
int json_decimal_compare_digits(const char *a, const char *b);
/* In place. down: of a number above zero. */
void json_decimal_whole_up(char whole[JSON_DECIMAL_WHOLE_MAX + 1]);
void json_decimal_whole_down(char whole[JSON_DECIMAL_WHOLE_MAX + 1]);
/* The number times 10^places; false: it is no whole number then, or has more than JSON_DECIMAL_SCALED_MAX digits. */
bool json_decimal_scale(const struct json_decimal *d, size_t places, __int128 *out);
/* The shortest text that reads as this number: with a point or an exponent if the document has one. */
enum { JSON_DECIMAL_TEXT_MAX = 40 };
size_t json_decimal_text(const json_t *number, char out[JSON_DECIMAL_TEXT_MAX]);
