#include "engine/grammar/match/counts.h"

/* Tokens that are sorted for what a step costs. */
#define TOKENS_A_STEP 64

/* Nodes of the mask's exits, in their order. */
struct exit_cursor {
    const struct leaf_mask *mask;
    size_t range;
    uint32_t node;
};

struct walk {
    struct masks *s;
    dfa_state part;            /* before its first byte */
    bool skips_plain;          /* short plain tokens, which have as many parts as characters */
    struct leaf_mask *out;     /* where counts are kept; NULL: the mask is made at once, */
    uint32_t most;             /* of so many parts at most */
    struct exit_cursor cursor; /* the next exit */
};

/* Where the leaf may end beside the loop its mask leaves out nodes at which it may, since all that is below them is allowed: not
 * so with a limit. */
bool counts_tell(const struct leaf_loop *loop, bool wants_exits) {
    return loop->part != RULES_NONE && loop->length_max < UINT8_MAX && !(wants_exits && loop->may_end);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void begin_exits(struct exit_cursor *c, const struct leaf_mask *mask) {
    *c = (struct exit_cursor){.mask = mask, .node = mask->exit_count > 0 ? mask->exits[0].first : UINT32_MAX};
}

static void next_exit(struct exit_cursor *c) {
    if (++c->node < c->mask->exits[c->range].end) return;
    c->range++;
    c->node = c->range < c->mask->exit_count ? c->mask->exits[c->range].first : UINT32_MAX;
}

static bool keep_counts(struct walk *w, const struct trie_node *at, uint32_t count) {
    const struct token_trie *t = &w->s->vocabulary->trie;
    struct leaf_mask *out = w->out;
    uint32_t own = at[1].first - at->first;
    if (count == 0 || own == 0) return true;
    if (!rules_keep_array(w->s->matcher->rules, &out->counted, &out->counted_capacity,
                          out->counted_count + own, sizeof *out->counted))
        return false;
    for (uint32_t i = at->first; i < at[1].first; i++)
        out->counted[out->counted_count++] = (struct counted_token){t->tokens[i], count};
    return true;
}

static bool keep_exit(struct walk *w, uint32_t count) {
    struct leaf_mask *out = w->out;
    if (!rules_keep_array(w->s->matcher->rules, &out->exit_counts, &out->exit_counts_capacity,
                          out->exit_counts_count + 1, sizeof *out->exit_counts))
        return false;
    out->exit_counts[out->exit_counts_count++] = count;
    return true;
}

/* A node that the loop without a limit reaches when its part has been begun so often. */
static bool take_node(struct walk *w, uint32_t node, uint32_t count) {
    const struct token_trie *t = &w->s->vocabulary->trie;
    const struct trie_node *at = &t->nodes[node];
    bool is_exit = w->cursor.node == node;
    if (is_exit) next_exit(&w->cursor);
    if (w->out) return keep_counts(w, at, count) && (!is_exit || keep_exit(w, count));
    if (count <= w->most) return !is_exit || masks_add_exits(w->s, node, node + 1);
    token_bits_remove(w->s->bits, t->tokens + at->first, at[1].first - at->first);
    return true;
}

/* Where the level above leads to: in the loop its state of the part goes along. False: failed. */
static bool step(struct walk *w, const struct mask_level *above, const struct trie_node *at,
                 struct mask_level *to) {
    struct rules *r = w->s->matcher->rules;
    uint32_t class = r->class_of[at->byte];
    const dfa_state *row = dfa_row(r, above->state);
    if (!row) return false;
    *to = (struct mask_level){.end = at->end, .state = row[class], .count = above->count};
    if (to->state == DFA_DEAD || above->like == DFA_DEAD) return true;
    if (!(row = dfa_row(r, above->like))) return false;
    to->like = row[class];
    if (to->like == DFA_DEAD) return true;
    to->count += above->like == w->part && to->count < UINT8_MAX;
    if (dfa_nullable(r, to->like)) to->like = w->part;
    return true;
}

static bool walk_below(struct walk *w, uint32_t first, uint32_t end, size_t *nodes) {
    const struct token_trie *t = &w->s->vocabulary->trie;
    struct mask_level *level = w->s->levels;
    for (uint32_t node = first; node < end;) {
        const struct trie_node *at = &t->nodes[node];
        struct mask_level next;
        if (!mask_pass_node(w->s, nodes)) return false;
        if (w->skips_plain && at->plain > 0 && at->plain <= PLAIN_LENGTH_MAX) {
            node = at->end;
            continue;
        }
        while (node >= level->end) level--;
        if (!step(w, level, at, &next)) return false;
        if (next.state == DFA_DEAD) {
            node = at->end;
            continue;
        }
        if (!take_node(w, node, next.count)) return false;
        if (at->end > ++node) *++level = next;
    }
    return true;
}

static bool walk(struct walk *w, dfa_state unlimited) {
    const struct token_trie *t = &w->s->vocabulary->trie;
    struct rules *r = w->s->matcher->rules;
    size_t nodes = 0;
    w->s->levels[0] = (struct mask_level){.end = (uint32_t)t->count, .state = unlimited, .like = w->part};
    for (unsigned byte = 0; byte < 256; byte++) {
        const dfa_state *row = dfa_row(r, unlimited);
        if (!row) return false;
        bool is_dead = row[r->class_of[byte]] == DFA_DEAD;
        if (!is_dead && !walk_below(w, t->tops[byte], t->tops[byte + 1], &nodes)) return false;
    }
    return true;
}

/* ---- masks ------------------------------------------------------------------------------------------------------- */

/* Each goes where the next of its count belongs, until all that stand there do. */
static bool sort_counts(struct rules *r, struct counted_token *list, size_t count) {
    size_t next[UINT8_MAX + 1] = {0}, ends[UINT8_MAX + 1], sum = 0;
    for (size_t i = 0; i < count; i++) next[list[i].count]++;
    for (size_t i = 0; i <= UINT8_MAX; i++) {
        sum += next[i];
        next[i] = sum - next[i];
        ends[i] = sum;
    }
    for (size_t i = 0; i <= UINT8_MAX; i++)
        while (next[i] < ends[i]) {
            struct counted_token *at = &list[next[i]], *to = &list[next[at->count]++], moved = *at;
            *at = *to;
            *to = moved;
        }
    return rules_spend(r, count / TOKENS_A_STEP);
}

/* Tokens and exits that may be kept, and that their memory may be twice as much. */
static size_t bytes_at_most(const struct masks *s, const struct leaf_mask *from) {
    size_t exits = 0;
    for (size_t i = 0; i < from->exit_count; i++) exits += from->exits[i].end - from->exits[i].first;
    return 2 * (s->vocabulary->trie.token_count * sizeof *from->counted + exits * sizeof *from->exit_counts);
}

static bool apply(struct masks *s, const struct leaf_mask *from, uint32_t most) {
    struct exit_cursor cursor;
    for (size_t i = from->counted_count; i-- > 0 && from->counted[i].count > most;)
        token_bits_remove(s->bits, &from->counted[i].token, 1);
    begin_exits(&cursor, from);
    for (size_t i = 0; i < from->exit_counts_count; i++, next_exit(&cursor))
        if (from->exit_counts[i] <= most && !masks_add_exits(s, cursor.node, cursor.node + 1)) return false;
    return true;
}

bool counts_make_mask(struct masks *s, const struct leaf_loop *loop, const struct leaf_mask *from) {
    struct rules *r = s->matcher->rules;
    struct walk w = {.s = s, .skips_plain = loop_is_plain(loop), .most = loop->length_max};
    dfa_state unlimited = loop->unlimited;
    w.part = dfa_state_of(r, loop->part);
    if (w.part == RULES_NONE) return false;
    token_bits_copy(s->bits, vocabulary_words(s->vocabulary), &from->set);
    /* Plain tokens have as many parts as characters. */
    if (w.skips_plain && w.most <= PLAIN_LENGTH_MAX) masks_cut_plain(s, w.most);
    s->exit_count = 0;
    begin_exits(&w.cursor, from);
    bool is_kept = from != &s->passing;
    if (is_kept && !from->has_counts && masks_have_room(s, bytes_at_most(s, from))) {
        w.out = &s->leaf_masks[from - s->leaf_masks];
        w.out->counted_count = w.out->exit_counts_count = 0; /* if it failed before */
        if (!walk(&w, unlimited)) return false;
        if (!sort_counts(r, w.out->counted, w.out->counted_count)) return false;
        w.out->has_counts = true;
    }
    return from->has_counts ? apply(s, from, w.most) : walk(&w, unlimited);
}
