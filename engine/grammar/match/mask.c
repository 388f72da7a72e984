#include "engine/grammar/match/mask.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/clamp.h"

#define NO_MASK UINT32_MAX

bool masks_init(struct masks *s, struct matcher *m, const struct grammar_vocabulary *v) {
    struct rules *r = m->rules;
    size_t depth = v->trie.depth + 2, capacity = 0;
    *s = (struct masks){.matcher = m, .vocabulary = v};
    if (!rules_grow(r, &s->states, &capacity, depth, sizeof *s->states)) return false;
    capacity = 0;
    return rules_grow(r, &s->ends, &capacity, depth, sizeof *s->ends);
}

void masks_deinit(struct masks *s) {
    for (size_t i = 0; i < s->leaf_mask_count; i++) {
        free(s->leaf_masks[i].bits);
        free(s->leaf_masks[i].tokens);
        free(s->leaf_masks[i].exits);
    }
    for (size_t i = 0; i < s->kept_count; i++) {
        free(s->kept[i].bits);
        free(s->kept[i].tokens);
    }
    free(s->leaf_mask_of);
    free(s->leaf_masks);
    free(s->kept);
    free(s->tokens.numbers);
    free(s->exits.numbers);
    free(s->states);
    free(s->ends);
}

static void set_bit(uint32_t *bits, uint32_t token) {
    bits[token >> 5] |= (uint32_t)1 << (token & 31);
}

static void set_tokens(uint32_t *bits, const uint32_t *tokens, size_t count) {
    for (size_t i = 0; i < count; i++) set_bit(bits, tokens[i]);
}

/* ---- what a leaf decides ------------------------------------------------------------------------------------- */

static bool append(struct rules *r, struct number_list *l, uint32_t number) {
    if (l->count == l->capacity && !rules_grow(r, &l->numbers, &l->capacity, l->count + 1, sizeof number))
        return false;
    l->numbers[l->count++] = number;
    return true;
}

/* Notes a node that the leaf reaches in `state`. */
static bool note_node(struct masks *s, uint32_t node, leaf_state state) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct rules *r = s->matcher->rules;
    for (uint32_t k = t->firsts[node]; k < t->firsts[node + 1]; k++)
        if (!append(r, &s->tokens, t->tokens[k])) return false;
    bool ends = t->ends[node] > node + 1 && leaf_nullable(r, state);
    return !ends || append(r, &s->exits, node);
}

static bool walk_leaf(struct masks *s, leaf_state leaf) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct rules *r = s->matcher->rules;
    size_t depth = 0;
    s->tokens.count = s->exits.count = 0;
    s->states[0] = leaf;
    s->ends[0] = (uint32_t)t->count;
    for (uint32_t node = 1; node < t->count;) {
        while (node >= s->ends[depth]) depth--;
        const leaf_state *row = leaf_row(r, s->states[depth]);
        if (!row) return false;
        leaf_state next = row[r->class_of[t->bytes[node]]];
        uint32_t end = t->ends[node];
        if (next != LEAF_DEAD) {
            if (!note_node(s, node, next)) return false;
            if (end > node + 1) {
                s->states[++depth] = next;
                s->ends[depth] = end;
                end = node + 1;
            }
        }
        node = end;
    }
    return true;
}

/* *block: a copy of `count` numbers, or NULL where there are none. */
static bool copy_numbers(struct masks *s, const uint32_t *numbers, size_t count, uint32_t **block) {
    size_t capacity = 0;
    *block = NULL;
    if (count == 0) return true;
    if (!rules_grow(s->matcher->rules, block, &capacity, count, sizeof *numbers)) return false;
    memcpy(*block, numbers, count * sizeof *numbers);
    s->kept_bytes += capacity * sizeof *numbers;
    return true;
}

/* Many tokens are kept as bits, few as numbers. */
static bool copy_tokens(struct masks *s, struct leaf_mask *to) {
    size_t words = vocabulary_words(s->vocabulary), capacity = 0;
    to->token_count = s->tokens.count;
    if (s->tokens.count < words) return copy_numbers(s, s->tokens.numbers, s->tokens.count, &to->tokens);
    if (!rules_grow(s->matcher->rules, &to->bits, &capacity, words, sizeof *to->bits)) return false;
    memset(to->bits, 0, capacity * sizeof *to->bits);
    s->kept_bytes += capacity * sizeof *to->bits;
    set_tokens(to->bits, s->tokens.numbers, s->tokens.count);
    return true;
}

static bool make_leaf_mask(struct masks *s, leaf_state leaf) {
    struct rules *r = s->matcher->rules;
    if (!walk_leaf(s, leaf) ||
        !rules_grow(r, &s->leaf_masks, &s->leaf_mask_capacity, s->leaf_mask_count + 1, sizeof *s->leaf_masks))
        return false;
    struct leaf_mask *made = &s->leaf_masks[s->leaf_mask_count];
    *made = (struct leaf_mask){.exit_count = s->exits.count};
    s->leaf_mask_count++; /* so that what was made of it is freed */
    if (!copy_tokens(s, made) || !copy_numbers(s, s->exits.numbers, s->exits.count, &made->exits))
        return false;
    s->leaf_mask_of[leaf] = (uint32_t)s->leaf_mask_count - 1;
    return true;
}

static bool reserve_leaf(struct masks *s, leaf_state leaf) {
    if (leaf < s->leaf_mask_of_count) return true;
    if (!rules_grow(s->matcher->rules, &s->leaf_mask_of, &s->leaf_mask_of_capacity, leaf + 1,
                    sizeof *s->leaf_mask_of))
        return false;
    memset(s->leaf_mask_of + s->leaf_mask_of_count, 0xFF,
           (s->leaf_mask_of_capacity - s->leaf_mask_of_count) * sizeof *s->leaf_mask_of);
    s->leaf_mask_of_count = s->leaf_mask_of_capacity;
    return true;
}

/* NULL: failed. Good until the next call. */
static const struct leaf_mask *leaf_mask_of(struct masks *s, leaf_state leaf) {
    if (!reserve_leaf(s, leaf)) return NULL;
    if (s->leaf_mask_of[leaf] == NO_MASK) {
        leaf_state like = clamp_leaf(s->matcher->rules, leaf, (uint32_t)s->vocabulary->trie.depth);
        if (like == RULES_NONE || !reserve_leaf(s, like)) return NULL;
        if (s->leaf_mask_of[like] == NO_MASK && !make_leaf_mask(s, like)) return NULL;
        s->leaf_mask_of[leaf] = s->leaf_mask_of[like];
    }
    return &s->leaf_masks[s->leaf_mask_of[leaf]];
}

/* ---- what comes behind it --------------------------------------------------------------------------------------- */

/* The subtree of a node that was reached in configuration c. */
static bool walk_subtree(struct masks *s, uint32_t top, configuration c, uint32_t *bits) {
    const struct token_trie *t = &s->vocabulary->trie;
    const struct rules *r = s->matcher->rules;
    size_t depth = 0;
    s->states[0] = c;
    s->ends[0] = t->ends[top];
    for (uint32_t node = top + 1; node < t->ends[top];) {
        while (node >= s->ends[depth]) depth--;
        configuration next = matcher_step(s->matcher, s->states[depth], r->class_of[t->bytes[node]]);
        uint32_t end = t->ends[node];
        if (next == CONFIGURATION_FAILED) return false;
        if (next != CONFIGURATION_DEAD) {
            set_tokens(bits, t->tokens + t->firsts[node], t->firsts[node + 1] - t->firsts[node]);
            if (end > node + 1) {
                s->states[++depth] = next;
                s->ends[depth] = end;
                end = node + 1;
            }
        }
        node = end;
    }
    return true;
}

static bool add_item(struct masks *s, struct item item, uint32_t *bits) {
    struct matcher *m = s->matcher;
    const struct leaf_mask *leaf = leaf_mask_of(s, item.leaf);
    if (!leaf) return false;
    if (leaf->bits)
        for (size_t i = 0, words = vocabulary_words(s->vocabulary); i < words; i++) bits[i] |= leaf->bits[i];
    else
        set_tokens(bits, leaf->tokens, leaf->token_count);
    if (leaf->exit_count == 0) return true;
    configuration behind = matcher_enter(m, item.cell);
    if (behind == CONFIGURATION_FAILED) return false;
    for (size_t i = 0; i < leaf->exit_count && m->configurations[behind].count > 0; i++)
        if (!walk_subtree(s, leaf->exits[i], behind, bits)) return false;
    return true;
}

/* ---- masks that are kept ------------------------------------------------------------------------------------------ */

/* A mask is kept while there is room for it; where there is none it is worked out again, which is no failure. */
static void keep(struct masks *s, configuration c, const uint32_t *bits) {
    struct rules *r = s->matcher->rules;
    struct leaf_mask copy = {0};
    size_t words = vocabulary_words(s->vocabulary);
    if (s->kept_bytes + words * sizeof *bits > r->bytes_max / 2 || r->bytes_max - r->bytes < r->bytes_max / 4)
        return;
    s->tokens.count = 0;
    for (size_t i = 0; i < words; i++)
        for (uint32_t word = bits[i]; word != 0 && s->tokens.count < words; word &= word - 1)
            if (!append(r, &s->tokens, (uint32_t)(i * 32) + (uint32_t)__builtin_ctz(word))) return;
    if (!rules_grow(r, &s->kept, &s->kept_capacity, s->kept_count + 1, sizeof *s->kept)) return;
    bool done = s->tokens.count < words ? copy_tokens(s, &copy) : copy_numbers(s, bits, words, &copy.bits);
    if (!done) return;
    s->kept[s->kept_count] = (struct kept_mask){copy.bits, copy.tokens, copy.token_count};
    s->matcher->configurations[c].mask = (uint32_t)s->kept_count++;
}

bool masks_find(struct masks *s, configuration c, uint32_t *bits) {
    struct matcher *m = s->matcher;
    size_t words = vocabulary_words(s->vocabulary);
    uint32_t mask = m->configurations[c].mask;
    if (mask != NO_MASK && s->kept[mask].bits) {
        memcpy(bits, s->kept[mask].bits, words * sizeof *bits);
        return true;
    }
    memset(bits, 0, words * sizeof *bits);
    if (mask != NO_MASK) {
        set_tokens(bits, s->kept[mask].tokens, s->kept[mask].token_count);
        return true;
    }
    for (uint32_t i = 0; i < m->configurations[c].count; i++)
        if (!add_item(s, m->items[m->configurations[c].first + i], bits)) return false;
    keep(s, c, bits);
    return true;
}
