/* Characters as sacremoses classes them (moses_classes.c is made from it), and the English words behind which a full stop
 * ends no sentence. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MOSES_ALNUM = 1,
    MOSES_ALPHA = 2,
    MOSES_NUMBER = 4,
    MOSES_LOWER = 8,
    MOSES_CURRENCY = 16,
    MOSES_PLAIN_ALPHA = 32, /* without the signs of Indic scripts: what its detokenizer takes for a letter */
    MOSES_CJK = 64,
};

struct moses_range {
    int32_t first, last, classes;
};

extern const struct moses_range moses_ranges[]; /* in ascending order */
extern const size_t moses_range_count;

/* Whether a character has one of the classes; -1, which is none, has not. */
bool moses_is(int32_t point, int32_t classes);

extern const char *const moses_prefixes[];         /* up to NULL */
extern const char *const moses_numeric_prefixes[]; /* only in front of a number */
