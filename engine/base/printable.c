#include "engine/base/printable.h"

#include <stdbool.h>
#include <stdint.h>

/* First and last: Unicode 15, categories Cc, Cf without U+200C and U+200D, Zl, Zp, Cs, Co; in order. */
static const uint32_t unprintable[][2] = {
    {0x0, 0x1f},        {0x7f, 0x9f},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x180e, 0x180e},
    {0x200b, 0x200b},   {0x200e, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},   {0xd800, 0xf8ff},
    {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
    {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe00ff}, {0xe01f0, UINT32_MAX},
};

static bool is_printable(uint32_t character) {
    if ((character & 0xfffe) == 0xfffe) return false; /* non-characters of every plane */
    for (size_t i = 0; i < sizeof unprintable / sizeof *unprintable && unprintable[i][0] <= character; i++)
        if (character <= unprintable[i][1]) return false;
    return true;
}

/* Bytes of the sequence that this byte begins; 0: it begins none. */
static size_t sequence_length(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first < 0xe0) return 2;
    if (first >= 0xe0 && first < 0xf0) return 3;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* Bytes of the printable character at the start of the text; 0: there is none. */
static size_t printable_length(const char *text, size_t length) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t count = sequence_length(bytes[0]);
    if (count == 0 || count > length) return 0;
    uint32_t character = count == 1 ? bytes[0] : bytes[0] & (0x7fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    return character >= smallest[count] && is_printable(character) ? count : 0;
}

void printable_text(char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t count = printable_length(text + i, length - i);
        if (count == 0) text[i++] = '?';
        i += count;
    }
}

size_t printable_cut(char *text, size_t length) {
    size_t whole = length, tail = 0;
    while (tail < 3 && tail < length && ((unsigned char)text[length - 1 - tail] & 0xc0) == 0x80) tail++;
    if (tail < length && sequence_length((unsigned char)text[length - 1 - tail]) > tail + 1)
        whole = length - 1 - tail;
    printable_text(text, whole);
    return whole;
}
