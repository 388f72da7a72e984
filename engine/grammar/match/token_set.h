/* Sets of tokens: as bits, one for each token of the vocabulary, or as a list of their numbers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Many tokens as bits, few as numbers. */
struct token_set {
    uint32_t *bits; /* [words]; NULL: `tokens` has them */
    uint32_t *tokens;
    size_t count;
};

/* Tokens that are added to a set of bits, and taken out of it. */
void token_bits_add(uint32_t *bits, const uint32_t *tokens, size_t count);
void token_bits_remove(uint32_t *bits, const uint32_t *tokens, size_t count);
/* All tokens of a set of either kind: in place of what there is, and beside it. */
void token_bits_copy(uint32_t *bits, size_t words, const struct token_set *set);
void token_bits_join(uint32_t *bits, size_t words, const struct token_set *set);
/* At most about `most`: where there are more of them it is no matter how many. */
size_t token_bits_count(const uint32_t *bits, size_t words, size_t most);
/* tokens[count of all]: in ascending order. */
void token_bits_list(const uint32_t *bits, size_t words, uint32_t *tokens);
