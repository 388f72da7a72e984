#include "server/logprobs/text_place.h"

/* Of the first byte of a character: how many it has, and what its second byte may be (Unicode 15, table 3-7). false: it is none
 * of a character of several. */
static bool begins(unsigned char byte, size_t *length, unsigned char *least, unsigned char *most) {
    if (byte < 0xc2 || byte > 0xf4) return false;
    *length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    *least = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    *most = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool goes_on(const struct text_place *p, unsigned char byte, size_t *length) {
    unsigned char least, most;
    if (p->held_count == 0 || !begins(p->held[0], length, &least, &most)) return false;
    if (p->held_count > 1) least = 0x80, most = 0xbf;
    return byte >= least && byte <= most;
}

/* What was held becomes no character. */
static void drop_held(struct text_place *p) {
    p->offset += p->held_count > 0;
    p->held_count = 0;
}

static void pass(struct text_place *p, unsigned char byte) {
    size_t length;
    unsigned char least, most;
    if (goes_on(p, byte, &length)) {
        if (p->held_count + 1 < length) {
            p->held[p->held_count++] = byte;
        } else {
            p->held_count = 0;
            p->offset++;
        }
        return;
    }
    drop_held(p);
    if (begins(byte, &length, &least, &most))
        p->held[p->held_count++] = byte;
    else
        p->offset++;
}

size_t text_place_pass(struct text_place *p, const char *bytes, size_t count) {
    size_t length;
    if (count > 0 && !goes_on(p, (unsigned char)bytes[0], &length)) drop_held(p);
    size_t start = p->offset;
    for (size_t i = 0; i < count; i++) pass(p, (unsigned char)bytes[i]);
    return start;
}

void text_place_limit(struct text_place *p, size_t least, size_t most) {
    if (p->offset > most) p->offset = most;
    if (p->offset < least) p->offset = least;
}
