#include "engine/grammar/match/subtrees.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/byte_groups.h"
#include "engine/grammar/match/mask.h"

/* Fewer are walked in no time. */
enum { NODES_MIN = 256 };

/* Tokens that are looked at for what a step costs. */
#define TOKENS_A_STEP 64

static void free_one(struct subtree_mask *one) {
    free(one->set.tokens);
    free(one->exits);
    *one = (struct subtree_mask){0};
}

void subtrees_free(struct subtrees_table *t) {
    for (size_t i = 0; i < SUBTREES_KEPT; i++) free_one(&t->kept[i]);
}

/* What slices have said before is not to be told from what a walk finds. */
bool subtrees_are_kept(const struct masks *s, unsigned byte) {
    const struct token_trie *t = &s->vocabulary->trie;
    bool is_many = t->tops[byte + 1] - t->tops[byte] >= NODES_MIN;
    return is_many && byte < 0x80 && s->slice_groups != 0 && !(byte_group(byte) & s->slice_groups);
}

bool subtrees_take(struct masks *s, unsigned byte, dfa_state state, bool *found) {
    *found = false;
    for (size_t i = 0; i < SUBTREES_KEPT && !*found; i++) {
        struct subtree_mask *one = &s->subtrees.kept[i];
        if (one->state != state || one->byte != byte || one->has_exits != s->wants_exits) continue;
        *found = one->was_found = true;
        token_bits_add(s->bits, one->set.tokens, one->set.count);
        for (size_t k = 0; k < one->exit_count; k++)
            if (!masks_add_exits(s, one->exits[k].first, one->exits[k].end)) return false;
        return rules_spend(s->matcher->rules, one->set.count / TOKENS_A_STEP);
    }
    return true;
}

/* One that has not been found since it was last asked. */
static struct subtree_mask *choose_old(struct subtrees_table *t) {
    struct subtree_mask *one = &t->kept[t->next];
    for (; one->was_found; one = &t->kept[t->next]) {
        one->was_found = false;
        t->next = (t->next + 1) % SUBTREES_KEPT;
    }
    t->next = (t->next + 1) % SUBTREES_KEPT;
    return one;
}

static bool copy_tokens(struct masks *s, uint32_t first, uint32_t end, struct subtree_mask *to) {
    const uint32_t *tokens = s->vocabulary->trie.tokens;
    size_t count = 0;
    for (uint32_t i = first; i < end; i++) count += s->bits[tokens[i] >> 5] >> (tokens[i] & 31) & 1;
    to->set.tokens = rules_keep(s->matcher->rules, (count + 1) * sizeof *to->set.tokens);
    if (!to->set.tokens) return false;
    to->bytes += (count + 1) * sizeof *to->set.tokens;
    for (uint32_t i = first; i < end; i++)
        if (s->bits[tokens[i] >> 5] >> (tokens[i] & 31) & 1) to->set.tokens[to->set.count++] = tokens[i];
    return rules_spend(s->matcher->rules, (end - first) / TOKENS_A_STEP);
}

/* The first of them may be joined to one before the subtree. */
static bool copy_exits(struct masks *s, uint32_t node, size_t first, struct subtree_mask *to) {
    if (first > 0 && s->exits[first - 1].end > node) first--;
    size_t count = s->exit_count - first;
    if (count == 0) return true;
    to->exits = rules_keep(s->matcher->rules, count * sizeof *to->exits);
    if (!to->exits) return false;
    to->bytes += count * sizeof *to->exits;
    to->exit_count = count;
    memcpy(to->exits, s->exits + first, count * sizeof *to->exits);
    if (to->exits[0].first < node) to->exits[0].first = node;
    return true;
}

bool subtrees_keep(struct masks *s, unsigned byte, dfa_state state, size_t first_exit) {
    const struct token_trie *t = &s->vocabulary->trie;
    uint32_t node = t->tops[byte], end = t->tops[byte + 1];
    uint32_t first = t->nodes[node].first, last = t->nodes[end].first;
    size_t bytes = (last - first + 1) * sizeof *t->tokens + (s->exit_count + 1) * sizeof *s->exits;
    if (!masks_have_room(s, bytes)) return true;
    struct subtree_mask *one = choose_old(&s->subtrees);
    rules_give_back(s->matcher->rules, one->bytes);
    free_one(one);
    bool done = copy_tokens(s, first, last, one) && copy_exits(s, node, first_exit, one);
    if (done) one->state = state, one->byte = (uint8_t)byte, one->has_exits = s->wants_exits;
    return done;
}
