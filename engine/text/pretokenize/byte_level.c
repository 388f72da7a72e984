#include "engine/text/pretokenize/byte_level.h"

#include <stdbool.h>

/* Bytes that print in Latin-1, soft hyphen aside, stand for themselves. The other 68 follow from U+0100 in
 * order: 0x00..0x20, 0x7F..0xA0, 0xAD. */
enum { SHIFTED_FIRST = 0x100, LOW_COUNT = 0x21, MIDDLE_COUNT = 0xA0 - 0x7F + 1 };
enum { SHIFTED_COUNT = LOW_COUNT + MIDDLE_COUNT + 1 };

static bool stands_for_itself(int32_t point) {
    return (point >= 0x21 && point <= 0x7E) || (point >= 0xA1 && point <= 0xFF && point != 0xAD);
}

int32_t byte_level_point(unsigned char byte) {
    if (stands_for_itself(byte)) return byte;
    if (byte < LOW_COUNT) return SHIFTED_FIRST + byte;
    if (byte <= 0xA0) return SHIFTED_FIRST + LOW_COUNT + byte - 0x7F;
    return SHIFTED_FIRST + LOW_COUNT + MIDDLE_COUNT;
}

int byte_level_byte(int32_t point) {
    if (stands_for_itself(point)) return point;
    int32_t shifted = point - SHIFTED_FIRST;
    if (shifted < 0 || shifted >= SHIFTED_COUNT) return -1;
    if (shifted < LOW_COUNT) return shifted;
    if (shifted < LOW_COUNT + MIDDLE_COUNT) return 0x7F + shifted - LOW_COUNT;
    return 0xAD;
}

void byte_level_append(struct text_buffer *out, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        text_buffer_append_point(out, byte_level_point((unsigned char)bytes[i]));
}
