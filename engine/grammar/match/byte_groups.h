/* What the bytes of a set of texts are, in one word: a bit for each group of ASCII bytes that grammars rarely tell apart
 * (small letters, digits, each mark for itself), one for characters beyond ASCII, and one for what is no UTF-8. */
#pragma once

#include <stdint.h>

#define GROUPS_BEYOND_ASCII ((uint64_t)1 << 62)
#define GROUPS_NO_UTF8      ((uint64_t)1 << 63)

enum { GROUP_SMALL, GROUP_CAPITAL, GROUP_DIGIT, GROUP_CONTROL, GROUP_MARKS };

/* The bit of an ASCII byte. */
static inline uint64_t byte_group(unsigned byte) {
    static const char marks[] = " \t\n\r!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    if (byte >= 'a' && byte <= 'z') return (uint64_t)1 << GROUP_SMALL;
    if (byte >= 'A' && byte <= 'Z') return (uint64_t)1 << GROUP_CAPITAL;
    if (byte >= '0' && byte <= '9') return (uint64_t)1 << GROUP_DIGIT;
    for (unsigned i = 0; marks[i]; i++)
        if ((unsigned char)marks[i] == byte) return (uint64_t)1 << (GROUP_MARKS + i);
    return (uint64_t)1 << GROUP_CONTROL;
}

/* Where a reader of UTF-8 stands; each state is a bit in a set of states. */
enum utf8_state {
    UTF8_BOUNDARY,
    UTF8_ONE_MORE,   /* continuation bytes */
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
