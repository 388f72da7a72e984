#include "engine/grammar/match/behind.h"

#include <string.h>

/* Tokens that are looked up for what a step costs. */
#define TOKENS_A_STEP 64

/* Nodes that were passed until it is looked for what is missing. */
static size_t many_nodes(const struct masks *s) {
    return s->vocabulary->trie.count / 8;
}

/* Which tokens are not allowed yet, in the order of the trie. */
static bool list_missing(struct masks *s, const uint32_t *bits) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct rules *r = s->matcher->rules;
    size_t words = (t->token_count + 31) / 32;
    if (!rules_grow(r, &s->missing, &s->missing_capacity, words + 1, sizeof *s->missing)) return false;
    memset(s->missing, 0, words * sizeof *s->missing);
    for (size_t i = 0; i < t->token_count; i++) {
        uint32_t is_allowed = bits[t->tokens[i] >> 5] >> (t->tokens[i] & 31) & 1;
        s->missing[i >> 5] |= (is_allowed ^ 1) << (i & 31);
        if (i % TOKENS_A_STEP == 0 && !rules_spend(r, 1)) return false;
    }
    s->knows_missing = true;
    return true;
}

/* Whether one of these is missing. */
static bool are_missing(const struct masks *s, uint32_t first, uint32_t end) {
    if (!s->knows_missing) return true;
    if (first == end) return false;
    uint32_t low = UINT32_MAX << (first & 31), high = UINT32_MAX >> (31 - ((end - 1) & 31));
    size_t word = first >> 5, last = (end - 1) >> 5;
    if (word == last) return (s->missing[word] & low & high) != 0;
    if (s->missing[word] & low) return true;
    while (++word < last)
        if (s->missing[word]) return true;
    return (s->missing[last] & high) != 0;
}

/* The tokens of a node, which are missing no longer. */
static void allow_node(struct masks *s, uint32_t node, uint32_t *bits) {
    const struct token_trie *t = &s->vocabulary->trie;
    const struct trie_node *at = &t->nodes[node];
    token_bits_add(bits, t->tokens + at->first, at[1].first - at->first);
    for (uint32_t i = at->first; s->knows_missing && i < at[1].first; i++)
        s->missing[i >> 5] &= ~((uint32_t)1 << (i & 31));
}

/* The subtree of a node that was reached in configuration c. */
static bool walk_subtree(struct masks *s, uint32_t top, configuration c, size_t *nodes, uint32_t *bits) {
    const struct token_trie *t = &s->vocabulary->trie;
    const struct rules *r = s->matcher->rules;
    struct mask_level *level = s->levels;
    *level = (struct mask_level){.end = t->nodes[top].end, .state = c};
    for (uint32_t node = top + 1; node < t->nodes[top].end;) {
        const struct trie_node *at = &t->nodes[node];
        uint32_t end = at->end;
        if (!mask_pass_node(s, nodes)) return false;
        while (node >= level->end) level--;
        if (!are_missing(s, at->first, t->nodes[end].first)) {
            node = end;
            continue;
        }
        configuration next = matcher_step(s->matcher, level->state, r->class_of[at->byte]);
        if (next == CONFIGURATION_FAILED) return false;
        if (next != CONFIGURATION_DEAD) {
            allow_node(s, node, bits);
            if (end > node + 1) {
                *++level = (struct mask_level){.end = end, .state = next};
                end = node + 1;
            }
        }
        node = end;
    }
    return true;
}

/* A walk from each exit, which mostly ends soon; where it does not it is worth while to know what is missing. */
bool masks_add_behind(struct masks *s, const struct leaf_mask *leaf, configuration behind, uint32_t *bits) {
    const struct token_trie *t = &s->vocabulary->trie;
    size_t *nodes = &s->nodes_behind;
    for (size_t i = 0; i < leaf->exit_count; i++)
        for (uint32_t node = leaf->exits[i].first; node < leaf->exits[i].end; node++) {
            if (!s->knows_missing && *nodes > many_nodes(s) && !list_missing(s, bits)) return false;
            if (!mask_pass_node(s, nodes)) return false;
            if (!are_missing(s, t->nodes[node + 1].first, t->nodes[t->nodes[node].end].first)) continue;
            if (!walk_subtree(s, node, behind, nodes, bits)) return false;
        }
    return true;
}
