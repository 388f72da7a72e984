/* Parts of a regular expression in which '^' and '$' may stand anywhere. A part is four languages: of the texts that it
 * matches wherever they stand; that it matches only where the whole text begins, where it ends, and both. Of each it is
 * known whether the empty text is in it, which decides what can stand on the far side of an anchor: in "a*^b" a* has
 * to be empty. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/grammar/rules/rules.h"

/* Bits of the number of a language. */
enum { REGEX_AT_END = 1, REGEX_AT_BEGIN = 2, REGEX_LANGUAGES = 4 };

struct regex_fragment {
    rules_expression language[REGEX_LANGUAGES]; /* where it is present */
    bool present[REGEX_LANGUAGES], empty[REGEX_LANGUAGES];
};

/* A part without anchors. */
struct regex_fragment regex_fragment_plain(rules_expression language, bool has_empty);
/* An anchor: the empty text at a place. */
struct regex_fragment regex_fragment_anchor(struct rules *r, unsigned place);
bool regex_fragment_is_plain(const struct regex_fragment *f);
struct regex_fragment regex_fragment_join(struct rules *r, const struct regex_fragment *a,
                                          const struct regex_fragment *b);
/* Adds the empty text, wherever it stands. */
struct regex_fragment regex_fragment_optional(struct rules *r, const struct regex_fragment *f);
/* The texts that match as a whole; with `any`, which matches any text: those of which a part does. */
rules_expression regex_fragment_texts(struct rules *r, const struct regex_fragment *f,
                                      const rules_expression *any);
