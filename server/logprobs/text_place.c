#include "server/logprobs/text_place.h"

#include <string.h>

#include "engine/base/utf8.h"

/* Of what is held with a byte behind it. */
static enum utf8_kind classify(const struct text_place *p, unsigned char byte, size_t *used) {
    unsigned char bytes[UTF8_BYTES_MAX];
    memcpy(bytes, p->held, p->held_count);
    bytes[p->held_count] = byte;
    return utf8_classify(bytes, p->held_count + 1, used);
}

/* What is held becomes no character if such a byte follows. */
static void drop_broken(struct text_place *p, unsigned char byte) {
    size_t used;
    if (p->held_count == 0 || classify(p, byte, &used) != UTF8_BROKEN) return;
    p->held_count = 0;
    p->offset++;
}

static void pass(struct text_place *p, unsigned char byte) {
    size_t used;
    drop_broken(p, byte);
    if (classify(p, byte, &used) == UTF8_INCOMPLETE) {
        p->held[p->held_count++] = byte;
    } else {
        p->held_count = 0;
        p->offset++;
    }
}

size_t text_place_pass(struct text_place *p, const char *bytes, size_t count) {
    if (count > 0) drop_broken(p, (unsigned char)bytes[0]);
    size_t start = p->offset;
    for (size_t i = 0; i < count; i++) pass(p, (unsigned char)bytes[i]);
    return start;
}

void text_place_limit(struct text_place *p, size_t least, size_t most) {
    if (p->offset > most) p->offset = most;
    if (p->offset < least) p->offset = least;
}
