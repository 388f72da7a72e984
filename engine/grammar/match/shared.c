#include "engine/grammar/match/shared.h"

/* Of the nodes from first to before end; *next: the range to begin with, those before it are over. */
static bool copy_exits(struct masks *s, const struct leaf_mask *from, size_t *next, uint32_t first,
                       uint32_t end) {
    while (*next < from->exit_count && from->exits[*next].end <= first) ++*next;
    for (size_t i = *next; i < from->exit_count && from->exits[i].first < end; i++) {
        struct exit_range range = from->exits[i];
        if (range.first < first) range.first = first;
        if (range.end > end) range.end = end;
        if (!masks_add_exits(s, range.first, range.end)) return false;
    }
    return true;
}

/* Whether a node and what is below it is the same to the leaf and to the one without a limit. */
static bool is_shared(const struct masks *s, uint32_t node, const struct mask_level *level) {
    const struct leaf_loop *loop = &s->loops[level->loop];
    return level->state == level->like ||
           (loop->unlimited == level->like &&
            node_has_length(&s->vocabulary->trie.nodes[node], 1, loop->like_length));
}

/* As step_leaf, of a node that is not shared. */
static bool step_shared(struct masks *s, uint32_t node, struct mask_level **level) {
    const struct token_trie *t = &s->vocabulary->trie;
    const struct trie_node *at = &t->nodes[node];
    struct rules *r = s->matcher->rules;
    struct mask_level above = **level;
    const dfa_state *row = dfa_row(r, above.like);
    if (!row) return false;
    dfa_state like = row[r->class_of[at->byte]];
    if (like == DFA_DEAD) return true;
    if (!(row = dfa_row(r, above.state))) return false;
    dfa_state next = row[r->class_of[at->byte]];
    if (next == DFA_DEAD)
        token_bits_remove(s->bits, t->tokens + at->first, t->nodes[at->end].first - at->first);
    if (next == DFA_DEAD || at->end == node + 1) return true;
    uint32_t loop = masks_find_loop(s, next);
    if (loop == MASKS_NO_LOOP) return false;
    *++*level = (struct mask_level){.node = node, .end = at->end, .state = next, .loop = loop, .like = like};
    return !s->wants_exits || !dfa_nullable(r, next) || masks_add_exits(s, node, node + 1);
}

/* Where longer plain tokens than there is a slice for are not allowed: those that are no longer, in place of all. Then
 * s->plain_length is not 0, and their nodes need no walk. */
static void cut_plain(struct masks *s, const struct leaf_loop *loop) {
    uint32_t length = loop->length_max;
    s->plain_length = 0;
    if (length > PLAIN_LENGTH_MAX || !loop_is_plain(loop) || masks_plain_length(s, loop, length) != UINT8_MAX)
        return;
    masks_cut_plain(s, length);
    s->plain_length = UINT8_MAX;
}

/* The nodes from first to before end, which are below the root; *next as copy_exits has it. */
static bool walk_shared_below(struct masks *s, uint32_t first, uint32_t end, const struct leaf_mask *from,
                              size_t *next, size_t *nodes) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct mask_level *level = s->levels;
    for (uint32_t node = first; node < end;) {
        const struct trie_node *at = &t->nodes[node];
        if (!mask_pass_node(s, nodes)) return false;
        if (at->plain > 0 && s->plain_length > 0) {
            node = at->end;
            continue;
        }
        while (node >= level->end) level--;
        if (is_shared(s, node, level)) {
            if (!copy_exits(s, from, next, node, at->end)) return false;
            node = at->end;
            continue;
        }
        const struct mask_level *above = level;
        if (!step_shared(s, node, &level)) return false;
        node = level == above ? at->end : node + 1;
    }
    return true;
}

/* The mask of a loop with a limit out of that of the same loop without one: they differ in nodes that go on for longer
 * than the limit. */
bool shared_make_mask(struct masks *s, dfa_state leaf, dfa_state unlimited, const struct leaf_mask *from) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct rules *r = s->matcher->rules;
    size_t nodes = 0, next = 0;
    token_bits_copy(s->bits, vocabulary_words(s->vocabulary), &from->set);
    cut_plain(s, &s->loops[s->loop_of[leaf]]);
    s->exit_count = 0;
    s->levels[0] = (struct mask_level){
        .end = (uint32_t)t->count, .state = leaf, .loop = s->loop_of[leaf], .like = unlimited};
    for (unsigned byte = 0; byte < 256; byte++) {
        const dfa_state *row = dfa_row(r, unlimited);
        if (!row) return false;
        if (row[r->class_of[byte]] == DFA_DEAD) continue;
        if (!walk_shared_below(s, t->tops[byte], t->tops[byte + 1], from, &next, &nodes)) return false;
    }
    return true;
}
