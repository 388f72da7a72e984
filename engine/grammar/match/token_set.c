#include "engine/grammar/match/token_set.h"

#include <stdbool.h>
#include <string.h>

void token_bits_add(uint32_t *bits, const uint32_t *tokens, size_t count) {
    for (size_t i = 0; i < count; i++) bits[tokens[i] >> 5] |= (uint32_t)1 << (tokens[i] & 31);
}

void token_bits_remove(uint32_t *bits, const uint32_t *tokens, size_t count) {
    for (size_t i = 0; i < count; i++) bits[tokens[i] >> 5] &= ~((uint32_t)1 << (tokens[i] & 31));
}

void token_bits_copy(uint32_t *bits, size_t words, const struct token_set *set) {
    if (set->bits) {
        memcpy(bits, set->bits, words * sizeof *bits);
        return;
    }
    memset(bits, 0, words * sizeof *bits);
    token_bits_add(bits, set->tokens, set->count);
}

void token_bits_join(uint32_t *bits, size_t words, const struct token_set *set) {
    if (set->bits)
        for (size_t i = 0; i < words; i++) bits[i] |= set->bits[i];
    else
        token_bits_add(bits, set->tokens, set->count);
}

/* Without a call of the compiler's library, which is what a builtin is where no such instruction may be taken for granted. */
static unsigned count_bits(uint32_t word) {
    word -= (word >> 1) & 0x55555555u;
    word = (word & 0x33333333u) + ((word >> 2) & 0x33333333u);
    return (((word + (word >> 4)) & 0x0F0F0F0Fu) * 0x01010101u) >> 24;
}

/* Words that are looked at together, as a leaf that is a text allows a few tokens in all the vocabulary. */
enum { BLOCK_WORDS = 8 };

static bool is_empty_block(const uint32_t *bits, size_t words) {
    uint32_t any = 0;
    if (words < BLOCK_WORDS) return false;
    for (size_t i = 0; i < BLOCK_WORDS; i++) any |= bits[i];
    return any == 0;
}

size_t token_bits_count(const uint32_t *bits, size_t words, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < words && count < most; i++)
        if (i % BLOCK_WORDS == 0 && is_empty_block(bits + i, words - i))
            i += BLOCK_WORDS - 1;
        else if (bits[i] != 0)
            count += count_bits(bits[i]);
    return count;
}

void token_bits_list(const uint32_t *bits, size_t words, uint32_t *tokens) {
    for (size_t i = 0; i < words; i++) {
        if (i % BLOCK_WORDS == 0 && is_empty_block(bits + i, words - i)) {
            i += BLOCK_WORDS - 1;
            continue;
        }
        for (uint32_t word = bits[i]; word != 0; word &= word - 1)
            *tokens++ = (uint32_t)(i * 32) + (uint32_t)__builtin_ctz(word);
    }
}
