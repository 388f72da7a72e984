/* UTF-8 of bytes that may be anything. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { UTF8_BYTES_MAX = 4 }; /* of a character */

/* What stands at the start of the bytes: a whole character, bytes that can never become one, or the beginning of one that needs
 * more bytes. Well-formed is what the Unicode standard's table 3-7 has: no surrogates, nothing overlong, nothing above
 * U+10FFFF. */
enum utf8_kind { UTF8_WHOLE, UTF8_BROKEN, UTF8_INCOMPLETE };

/* *used: bytes of the character, or of the maximal broken or incomplete part (each stands for one U+FFFD).
 * length > 0. */
enum utf8_kind utf8_classify(const unsigned char *bytes, size_t length, size_t *used);

/* The code point of a whole character of so many bytes. */
uint32_t utf8_point(const unsigned char *bytes, size_t count);
