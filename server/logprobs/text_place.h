/* How far a text has come, by its tokens' bytes: where each of them starts, also where what comes of it is held back, for a
 * stop string or until a character is whole. Bytes that become no character count as the U+FFFD that a decoder of bytes writes
 * for them, which is one for as many as could have begun one. */
#pragma once

#include <stddef.h>

struct text_place {
    size_t offset;         /* where the next token's text starts, in characters */
    unsigned char held[3]; /* of a character that is not whole yet */
    size_t held_count;
    /* Characters of the tokens since the last that is text: a decoder may hold them back until the next one. */
    size_t of_bytes;
};

/* Bytes of the next token, behind which *p is then. Returns where they start: behind the U+FFFD for what was held, if they do
 * not go on with it, else where the character began that they go on with. */
size_t text_place_pass(struct text_place *p, const char *bytes, size_t count);

/* The text has come so far, or at most so far. */
void text_place_limit(struct text_place *p, size_t least, size_t most);
