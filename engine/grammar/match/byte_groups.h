/* What the bytes of a set of texts are, in one word: a bit for each group of ASCII bytes that grammars rarely tell apart
 * (capital letters, digits, each small letter and mark for itself), one for characters beyond ASCII, one for the line ends among
 * these (U+2028 and U+2029, which a `.` of ECMAScript does not take), and one for what is no UTF-8. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GROUPS_LINE_ENDS    ((uint64_t)1 << 57)
#define GROUPS_BEYOND_ASCII ((uint64_t)1 << 62) /* but for these */
#define GROUPS_NO_UTF8      ((uint64_t)1 << 63)

/* From 0 on each small letter, the rarest ones together; then capital letters, digits, control characters, and from 26 on each
 * mark for itself, but for ^ and `. */
static const uint8_t byte_group_numbers[128] = {
    25, 25, 25, 25, 25, 25, 25, 25, 25, 26, 27, 25, 25, 28, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 24, 24, 24, 24,
    24, 24, 24, 24, 24, 24, 45, 46, 47, 48, 49, 50, 51, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23,
    23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 52, 53, 54, 55, 56, 55, 0,  1,  2,  3,  4,  5,  6,
    7,  8,  22, 9,  10, 11, 12, 13, 14, 22, 15, 16, 17, 18, 19, 20, 22, 21, 22, 58, 59, 60, 61, 25};

/* The bit of an ASCII byte. */
static inline uint64_t byte_group(unsigned byte) {
    return (uint64_t)1 << byte_group_numbers[byte];
}

/* Characters that a JSON string has as they are: but quotes, backslashes and control characters;
 * without line ends beyond ASCII, so that what a `.` takes is plain. */
#define PLAIN_GROUPS ((uint64_t)0x7DDFFFFF61FFFFFF)

/* The bytes of line ends beyond ASCII. */
#define LINE_END_FIRST  0xE2
#define LINE_END_SECOND 0x80
#define LINE_END_LAST   0xA8 /* and the byte behind it */

static inline bool is_line_end(unsigned first, unsigned second, unsigned last) {
    return first == LINE_END_FIRST && second == LINE_END_SECOND && (last & 0xFE) == LINE_END_LAST;
}

/* Where a reader of UTF-8 stands; each state is a bit in a set of states. */
enum utf8_state {
    UTF8_BOUNDARY,
    UTF8_ONE_MORE, /* continuation bytes */
    UTF8_TWO_MORE,
    UTF8_THREE_MORE,
    UTF8_AFTER_E0, /* those after which not every continuation byte may come */
    UTF8_AFTER_ED,
    UTF8_AFTER_F0,
    UTF8_AFTER_F4,
    UTF8_STATES,
    UTF8_REJECTED = UTF8_STATES,
};

static inline enum utf8_state utf8_lead(unsigned byte) {
    if (byte < 0x80) return UTF8_BOUNDARY;
    if (byte < 0xC2 || byte > 0xF4) return UTF8_REJECTED;
    if (byte < 0xE0) return UTF8_ONE_MORE;
    if (byte == 0xE0) return UTF8_AFTER_E0;
    if (byte == 0xED) return UTF8_AFTER_ED;
    if (byte < 0xF0) return UTF8_TWO_MORE;
    if (byte == 0xF0) return UTF8_AFTER_F0;
    return byte == 0xF4 ? UTF8_AFTER_F4 : UTF8_THREE_MORE;
}

/* first and last of the continuation bytes that may come, and where they lead. */
struct utf8_step {
    uint8_t first, last, next;
};
static const struct utf8_step utf8_steps[UTF8_STATES] = {
    [UTF8_ONE_MORE] = {0x80, 0xBF, UTF8_BOUNDARY},   [UTF8_TWO_MORE] = {0x80, 0xBF, UTF8_ONE_MORE},
    [UTF8_THREE_MORE] = {0x80, 0xBF, UTF8_TWO_MORE}, [UTF8_AFTER_E0] = {0xA0, 0xBF, UTF8_ONE_MORE},
    [UTF8_AFTER_ED] = {0x80, 0x9F, UTF8_ONE_MORE},   [UTF8_AFTER_F0] = {0x90, 0xBF, UTF8_TWO_MORE},
    [UTF8_AFTER_F4] = {0x80, 0x8F, UTF8_TWO_MORE},
};

static inline enum utf8_state utf8_step_of(enum utf8_state state, unsigned byte) {
    if (state == UTF8_BOUNDARY) return utf8_lead(byte);
    const struct utf8_step *step = &utf8_steps[state];
    return byte >= step->first && byte <= step->last ? (enum utf8_state)step->next : UTF8_REJECTED;
}
