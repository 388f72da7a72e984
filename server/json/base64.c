#include "server/json/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Up to three bytes. */
static void write_group(struct bytes *out, const unsigned char *bytes, size_t count) {
    const unsigned group = (unsigned)bytes[0] << 16 | (count > 1 ? (unsigned)bytes[1] << 8 : 0) |
                           (count > 2 ? (unsigned)bytes[2] : 0);
    char text[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                    digits[group & 63]};
    if (count < 3) text[3] = '=';
    if (count < 2) text[2] = '=';
    bytes_append(out, text, sizeof text);
}

void base64_write(struct bytes *out, const void *data, size_t length) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i += 3) write_group(out, bytes + i, length - i);
}
