#include "engine/base/utf8.h"

#include <stdbool.h>

/* The second byte of some sequences has a narrower range (no overlong forms, no surrogates, nothing too
 * large). */
static bool second_byte_fits(unsigned char first, unsigned char second) {
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return second >= 0x80 && second <= 0xBF;
    }
}

static size_t sequence_length(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return 2;
    if (first >= 0xE0 && first <= 0xEF) return 3;
    if (first >= 0xF0 && first <= 0xF4) return 4;
    return 0;
}

enum utf8_kind utf8_classify(const unsigned char *bytes, size_t length, size_t *used) {
    size_t wanted = sequence_length(bytes[0]);
    *used = 1;
    if (wanted == 0) return UTF8_BROKEN;
    for (; *used < wanted; ++*used) {
        if (*used == length) return UTF8_INCOMPLETE;
        unsigned char byte = bytes[*used];
        bool fits = *used == 1 ? second_byte_fits(bytes[0], byte) : (byte & 0xC0) == 0x80;
        if (!fits) return UTF8_BROKEN;
    }
    return UTF8_WHOLE;
}

uint32_t utf8_point(const unsigned char *bytes, size_t count) {
    uint32_t point = count == 1 ? bytes[0] : bytes[0] & (0x7Fu >> count);
    for (size_t i = 1; i < count; i++) point = point << 6 | (bytes[i] & 0x3F);
    return point;
}
