/* Characters as the tokenizers library classes them. Its parts are of several Unicode versions, mostly not
 * the one of the libraries here, so that what it takes for what is written down; see
 * tests/golden/make_unicode_tables.py. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct unicode_range {
    int32_t first, last;
};

struct unicode_pair {
    int32_t from, to;
};

struct unicode_addition {
    const char *set; /* category, script, or "Alphabetic" */
    struct unicode_range range;
};

/* Each in ascending order, with its number of elements. */
extern const struct unicode_range unicode_word[], unicode_numeric[], unicode_punctuation[], unicode_mark[],
    unicode_nonspacing[], unicode_other[];
extern const size_t unicode_word_count, unicode_numeric_count, unicode_punctuation_count, unicode_mark_count,
    unicode_nonspacing_count, unicode_other_count;

/* Lower case beyond what Unicode 14 has. */
extern const struct unicode_pair unicode_lower_pairs[];
extern const size_t unicode_lower_pairs_count;

/* What the library's normal forms leave as it is and take for no mark, though later versions do not. */
extern const struct unicode_range unicode_inert[];
extern const size_t unicode_inert_count;

/* What its regular expressions have in a set though PCRE2's may not; in no order. */
extern const struct unicode_addition unicode_additions[];
extern const size_t unicode_additions_count;
