/* UTF-8, and the classes of characters that tokenizers speak of. The classes are those of the tokenizers
 * library, which mixes Rust's own (whitespace, numeric), the regex crate's (\w) and general categories. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/utf8.h"

enum { UNICODE_REPLACEMENT = 0xFFFD };

/* Length of the longest prefix that is well-formed UTF-8 (no surrogates, nothing overlong, nothing above
 * U+10FFFF). */
size_t utf8_valid_prefix(const char *text, size_t length);

/* The code point at text[*at], and *at moved behind it. The text must be well-formed and *at < length. */
int32_t utf8_next(const char *text, size_t length, size_t *at);

/* Start of the character that ends before `at` (at > 0) in well-formed text. */
size_t utf8_previous(const char *text, size_t at);

/* Number of code points of well-formed text. */
size_t utf8_count(const char *text, size_t length);

/* Writes the UTF-8 of a code point (not a surrogate); returns its length. */
size_t utf8_encode(int32_t point, char out[UTF8_BYTES_MAX]);

bool unicode_is_whitespace(int32_t point);      /* White_Space */
bool unicode_is_word(int32_t point);            /* \w of UTS #18: Alphabetic, marks, Nd, Pc, joiners */
bool unicode_is_numeric(int32_t point);         /* Nd, Nl, No */
bool unicode_is_punctuation(int32_t point);     /* P*, and all ASCII punctuation and symbols */
bool unicode_is_mark(int32_t point);            /* Mn, Mc, Me */
bool unicode_is_nonspacing_mark(int32_t point); /* Mn */
bool unicode_is_other(int32_t point);           /* Cc, Cf, Co (and unassigned ones not) */
bool unicode_is_inert(int32_t point);           /* the normal forms do not know it yet */

/* Lower case of one code point whatever stands around it: 1 or 2 code points; returns how many. */
size_t unicode_lower(int32_t point, int32_t out[2]);
