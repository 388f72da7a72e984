#include "engine/grammar/match/leaf_walk.h"

#include <string.h>

#include "engine/grammar/match/byte_groups.h"

/* Of a counted loop: it takes no more. */
#define NONE_LEFT (UINT32_MAX - 1)

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* Whether a node and all that is below it is taken, whatever comes then. Where the leaf may end in there is no matter:
 * all these tokens are allowed as it is. */
static bool is_whole(const struct trie_node *at, const struct leaf_loop *loop) {
    if ((at->groups & ~loop->stay_groups) == 0) return true;
    for (size_t i = 0; i < RUNS_MAX; i++)
        if ((at->groups & ~loop->run_groups[i]) == 0 && node_has_length(at, 1, loop->run_lengths[i]))
            return true;
    return false;
}

/* Whether all that is below a node takes no more of a counted loop than is left of it. `more` of the node itself. */
static bool is_within(const struct trie_node *at, unsigned more, uint32_t left) {
    return left == RULES_UNLIMITED || node_has_length(at, more, left);
}

/* Goes below a node that the leaf reaches in this state, or one that does the same below it and has as few relatives as
 * can be: counts that cannot be reached there are one, and bytes are counted beside the state. level->left: of the loop in
 * which it is already. */
static bool enter_node(struct masks *s, uint32_t node, dfa_state state, struct mask_level *level) {
    const struct trie_node *at = &s->vocabulary->trie.nodes[node];
    uint32_t loop = masks_find_loop(s, state), left = level->left;
    if (loop == MASKS_NO_LOOP) return false;
    if (s->loops[loop].unlimited != state) {
        const struct leaf_loop *limited = &s->loops[loop];
        bool is_far = node_has_length(at, 0, limited->like_length);
        if (is_far || loop_counts_bytes(s->matcher->rules, limited)) {
            left = is_far ? RULES_UNLIMITED : limited->length_max;
            if (!is_far) level->counted = expression_at(s->matcher->rules, limited->part)->a;
            state = limited->unlimited;
            loop = masks_find_loop(s, state);
        }
    }
    if (is_within(at, 0, left)) left = RULES_UNLIMITED;
    *level = (struct mask_level){.node = node,
                                 .end = at->end,
                                 .state = state,
                                 .loop = loop,
                                 .count = level->count,
                                 .left = left,
                                 .counted = level->counted,
                                 .exits = s->wants_exits && dfa_nullable(s->matcher->rules, state)};
    return loop != MASKS_NO_LOOP;
}

/* Characters of the plain tokens that the state takes, at most; 0: none, or not all of them. */
static uint32_t plain_run(const struct leaf_loop *loop) {
    uint32_t length = 0;
    for (size_t i = 0; i < RUNS_MAX; i++)
        if ((PLAIN_GROUPS & ~loop->run_groups[i]) == 0 && loop->run_lengths[i] > length)
            length = loop->run_lengths[i];
    return length;
}

/* ---- what it begins with ---------------------------------------------------------------------------------------- */

/* Of a leaf that does not take all plain characters: those of some groups that it takes. */
static bool begin_with_slice(struct masks *s, dfa_state leaf, const struct leaf_loop *loop) {
    struct rules *r = s->matcher->rules;
    const struct grammar_vocabulary *v = s->vocabulary;
    struct slice_end end;
    uint32_t length, most;
    bool has_room = masks_have_room(s, slices_bytes(v));
    if (!slices_run(loop, &s->slice_groups, &length)) {
        memset(s->bits, 0, vocabulary_words(v) * sizeof *s->bits);
        return true;
    }
    most = length <= PLAIN_LENGTH_MAX || length == RULES_UNLIMITED ? length : PLAIN_LENGTH_MAX;
    if (!slices_find_end(r, leaf, s->slice_groups, length, !s->wants_exits, &end)) return false;
    s->slice_length = end.is_all ? UINT32_MAX : most;
    s->slice_dead = end.dead;
    return slices_begin(r, &s->slices, v, s->slice_groups, most, has_room, s->bits);
}

/* A leaf that takes plain characters, whichever they are, takes all plain tokens that are not too long. */
static bool begin_mask(struct masks *s, dfa_state leaf) {
    const struct grammar_vocabulary *v = s->vocabulary;
    uint32_t place = masks_find_loop(s, leaf);
    if (place == MASKS_NO_LOOP) return false;
    const struct leaf_loop *loop = &s->loops[place];
    uint32_t most = plain_run(loop), length = most <= PLAIN_LENGTH_MAX ? most : PLAIN_LENGTH_MAX;
    size_t slice = most == RULES_UNLIMITED ? PLAIN_LENGTH_MAX : length - 1;
    s->exit_count = 0;
    s->slice_groups = s->slice_dead = 0;
    s->plain_length = most == RULES_UNLIMITED ? UINT8_MAX
                      : most == 0             ? 0
                                              : masks_plain_length(s, loop, length);
    if (most > 0)
        memcpy(s->bits, v->plain[slice], vocabulary_words(v) * sizeof *s->bits);
    else if (!begin_with_slice(s, leaf, loop))
        return false;
    s->levels[0] = (struct mask_level){
        .end = (uint32_t)v->trie.count, .state = leaf, .loop = place, .left = RULES_UNLIMITED};
    return true;
}

/* ---- the walk ------------------------------------------------------------------------------------------------------ */

/* Whether what the slice has of it is all that is allowed. */
static bool is_sliced(const struct masks *s, const struct trie_node *at, const struct mask_level *above) {
    if ((at->groups & ~(s->slice_groups | s->slice_dead)) != 0 || above->count == UINT32_MAX) return false;
    return s->slice_length == UINT32_MAX || node_has_length(at, above->count + 1, s->slice_length);
}

static uint32_t sliced_below(const struct masks *s, const struct trie_node *at, uint32_t above) {
    bool goes_on = above < UINT32_MAX && at->byte < 0x80 && (byte_group(at->byte) & s->slice_groups) != 0;
    return goes_on ? above + 1 : UINT32_MAX;
}

/* Of the counted loop above, behind one more byte; NONE_LEFT: it takes none. */
static uint32_t left_behind(const struct masks *s, const struct mask_level *above, uint8_t byte) {
    const struct rules *r = s->matcher->rules;
    if (above->left == RULES_UNLIMITED) return RULES_UNLIMITED;
    if (!byte_set_has(&r->sets[above->counted], byte)) return RULES_UNLIMITED;
    return above->left > 0 ? above->left - 1 : NONE_LEFT;
}

/* A node that the state above it does not take as a whole. *level: of the node above; one more where the walk goes on
 * below this node. */
static bool step_leaf(struct masks *s, uint32_t node, struct mask_level **level) {
    const struct token_trie *t = &s->vocabulary->trie;
    const struct trie_node *at = &t->nodes[node];
    struct rules *r = s->matcher->rules;
    struct mask_level *above = *level;
    if (above->exits && !masks_add_exits(s, above->node, above->node + 1)) return false;
    above->exits = false;
    const dfa_state *row = dfa_row(r, above->state);
    if (!row) return false;
    dfa_state next = row[r->class_of[at->byte]];
    uint32_t left = left_behind(s, above, at->byte);
    if (next == DFA_DEAD || left == NONE_LEFT) return true;
    token_bits_add(s->bits, t->tokens + at->first, at[1].first - at->first);
    if (at->end == node + 1) return true;
    (*level)[1].count = sliced_below(s, at, above->count);
    (*level)[1].left = left;
    (*level)[1].counted = above->counted;
    return enter_node(s, node, next, ++*level);
}

/* The nodes from first to before end, which are below the root. */
static bool walk_leaf_below(struct masks *s, uint32_t first, uint32_t end, size_t *nodes) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct mask_level *level = s->levels;
    for (uint32_t node = first; node < end;) {
        const struct trie_node *at = &t->nodes[node];
        if (!mask_pass_node(s, nodes)) return false;
        if (at->plain > 0 && at->plain <= s->plain_length) {
            node = at->end;
            continue;
        }
        while (node >= level->end) level--;
        if (is_sliced(s, at, level)) {
            node = at->end;
            continue;
        }
        if (is_within(at, 1, level->left) && is_whole(at, &s->loops[level->loop])) {
            token_bits_add(s->bits, t->tokens + at->first, t->nodes[at->end].first - at->first);
            node = at->end;
            continue;
        }
        const struct mask_level *above = level;
        if (!step_leaf(s, node, &level)) return false;
        node = level == above ? at->end : node + 1;
    }
    return true;
}

/* Of the tokens that begin with a byte, which leads to `next`. */
static bool walk_leaf_top(struct masks *s, unsigned byte, dfa_state next, size_t *nodes) {
    const struct token_trie *t = &s->vocabulary->trie;
    bool is_found = false, is_kept = subtrees_are_kept(s, byte);
    size_t first_exit = s->exit_count;
    if (is_kept && !subtrees_take(s, byte, next, &is_found)) return false;
    if (is_found) return true;
    if (!walk_leaf_below(s, t->tops[byte], t->tops[byte + 1], nodes)) return false;
    return !is_kept || subtrees_keep(s, byte, next, first_exit);
}

/* Most leaves take few of the bytes that a token may begin with. */
bool leaf_walk(struct masks *s, dfa_state leaf) {
    struct rules *r = s->matcher->rules;
    size_t nodes = 0;
    if (!begin_mask(s, leaf)) return false;
    for (unsigned byte = 0; byte < 256; byte++) {
        const dfa_state *row = dfa_row(r, leaf);
        if (!row) return false;
        dfa_state next = row[r->class_of[byte]];
        if (next != DFA_DEAD && !walk_leaf_top(s, byte, next, &nodes)) return false;
    }
    return true;
}
