#include "engine/base/printable.h"

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/utf8.h"

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

/* Bytes of the printable character at the start of the text; 0: there is none. */
static size_t printable_length(const char *text, size_t length) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t used;
    if (utf8_classify(bytes, length, &used) != UTF8_WHOLE) return 0;
    return is_printable(utf8_point(bytes, used)) ? used : 0;
}

void printable_text(char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t count = printable_length(text + i, length - i);
        if (count == 0) text[i++] = '?';
        i += count;
    }
}

/* Bytes at the end of the text that begin a character. */
static size_t begun_length(const char *text, size_t length) {
    const unsigned char *end = (const unsigned char *)text + length;
    for (size_t tail = 1, used; tail < UTF8_BYTES_MAX && tail <= length; tail++)
        if (utf8_classify(end - tail, tail, &used) == UTF8_INCOMPLETE) return tail;
    return 0;
}

size_t printable_cut(char *text, size_t length) {
    length -= begun_length(text, length);
    printable_text(text, length);
    return length;
}
