#include "engine/grammar/match/mask.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/byte_groups.h"
#include "engine/grammar/match/clamp.h"

#define NO_MASK UINT32_MAX

/* A node that is passed costs about a tenth of what a step of the matcher does. */
#define NODES_A_STEP 10

bool masks_init(struct masks *s, struct matcher *m, const struct grammar_vocabulary *v) {
    struct rules *r = m->rules;
    size_t depth = v->trie.depth + 2, capacity = 0;
    *s = (struct masks){.matcher = m, .vocabulary = v};
    if (!rules_grow(r, &s->states, &capacity, depth, sizeof *s->states)) return false;
    capacity = 0;
    if (!rules_grow(r, &s->ends, &capacity, depth, sizeof *s->ends)) return false;
    capacity = 0;
    s->loop_part.part = RULES_NONE;
    return rules_grow(r, &s->bits, &capacity, vocabulary_words(v) + 1, sizeof *s->bits);
}

static void free_kept(struct masks *s) {
    for (size_t i = 0; i < s->leaf_mask_count; i++) {
        free(s->leaf_masks[i].set.bits);
        free(s->leaf_masks[i].set.tokens);
        free(s->leaf_masks[i].exits);
    }
    for (size_t i = 0; i < s->kept_count; i++) {
        free(s->kept[i].bits);
        free(s->kept[i].tokens);
    }
}

void masks_forget(struct masks *s) {
    struct rules *r = s->matcher->rules;
    free_kept(s);
    rules_refund(r, s->kept_bytes);
    s->leaf_mask_count = s->kept_count = s->leaf_mask_of_count = s->loop_count = s->kept_bytes = 0;
    rules_shrink(r, &s->leaf_masks, &s->leaf_mask_capacity, 0, sizeof *s->leaf_masks);
    rules_shrink(r, &s->kept, &s->kept_capacity, 0, sizeof *s->kept);
    rules_shrink(r, &s->leaf_mask_of, &s->leaf_mask_of_capacity, 0, sizeof *s->leaf_mask_of);
    rules_shrink(r, &s->loops, &s->loop_capacity, 0, sizeof *s->loops);
    rules_shrink(r, &s->exits, &s->exit_capacity, 0, sizeof *s->exits);
    s->exit_count = 0;
    s->loop_part = (struct loop_part){.part = RULES_NONE};
}

void masks_deinit(struct masks *s) {
    free_kept(s);
    free(s->leaf_mask_of);
    free(s->leaf_masks);
    free(s->kept);
    free(s->loops);
    free(s->bits);
    free(s->exits);
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

static bool add_exits(struct masks *s, uint32_t first, uint32_t end) {
    if (s->exit_count > 0 && s->exits[s->exit_count - 1].end == first) {
        s->exits[s->exit_count - 1].end = end;
        return true;
    }
    if (!rules_grow(s->matcher->rules, &s->exits, &s->exit_capacity, s->exit_count + 1, sizeof *s->exits))
        return false;
    s->exits[s->exit_count++] = (struct exit_range){first, end};
    return true;
}

static bool find_loop(struct masks *s, leaf_state leaf) {
    if (leaf >= s->loop_count) {
        if (!rules_grow(s->matcher->rules, &s->loops, &s->loop_capacity, leaf + 1, sizeof *s->loops))
            return false;
        memset(s->loops + s->loop_count, 0, (s->loop_capacity - s->loop_count) * sizeof *s->loops);
        s->loop_count = s->loop_capacity;
    }
    return s->loops[leaf].known || loop_find(s->matcher->rules, leaf, &s->loop_part, &s->loops[leaf]);
}

/* Whether nothing below a node is longer than the loop goes on. */
static bool has_length(const struct masks *s, uint32_t node, const struct leaf_loop *loop) {
    uint8_t height = s->vocabulary->trie.heights[node];
    return loop->length_max == RULES_UNLIMITED || (height < UINT8_MAX && height <= loop->length_max);
}

/* Whether all that is below a node stays in the leaf's loop. Where the leaf may end in there is no matter: all these
 * tokens are allowed as it is. */
static bool is_whole(const struct masks *s, uint32_t node, const struct leaf_loop *loop) {
    const struct token_trie *t = &s->vocabulary->trie;
    return t->ends[node] == node + 1 || ((t->below[node] & ~loop->groups) == 0 && has_length(s, node, loop));
}

/* Notes a node that the leaf reaches in *state; *whole: with all that is below it. Else *state becomes one that does the
 * same below the node and has as few relatives as can be: counts that cannot be reached there are one. */
static bool note_node(struct masks *s, uint32_t node, leaf_state *state, bool *whole) {
    const struct token_trie *t = &s->vocabulary->trie;
    if (!find_loop(s, *state)) return false;
    const struct leaf_loop *loop = &s->loops[*state];
    uint32_t end = t->ends[node], first = t->firsts[node];
    *whole = is_whole(s, node, loop);
    set_tokens(s->bits, t->tokens + first, t->firsts[*whole ? end : node + 1] - first);
    if (*whole) return true;
    if (loop->is_loop && has_length(s, node, loop)) *state = loop->unlimited;
    bool may_end = s->wants_exits && leaf_nullable(s->matcher->rules, *state);
    return !may_end || add_exits(s, node, node + 1);
}

/* Nodes whose plain tokens are so long at most need no walk, where `most` characters are taken and there is a slice for
 * those of `length`. Where that is the same number longer ones are not allowed, unless they go on behind the leaf. */
static uint32_t plain_length(const struct masks *s, const struct leaf_loop *loop, uint32_t length) {
    bool goes_on = s->wants_exits && loop->may_end;
    return loop->length_max == RULES_UNLIMITED || (loop->length_max == length && !goes_on) ? UINT8_MAX
                                                                                           : length;
}

/* A leaf that loops over plain characters takes all plain tokens that are not too long. */
static bool begin_mask(struct masks *s, leaf_state leaf) {
    const struct grammar_vocabulary *v = s->vocabulary;
    size_t words = vocabulary_words(v);
    if (!find_loop(s, leaf)) return false;
    const struct leaf_loop *loop = &s->loops[leaf];
    uint32_t most = loop->length_max;
    bool loops = loop->is_loop && (PLAIN_GROUPS & ~loop->groups) == 0 && most > 0;
    uint32_t length = most <= PLAIN_LENGTH_MAX ? most : PLAIN_LENGTH_MAX;
    size_t slice = most == RULES_UNLIMITED ? PLAIN_LENGTH_MAX : length - 1;
    s->exit_count = 0;
    s->plain_length = loops ? plain_length(s, loop, length) : 0;
    if (loops)
        memcpy(s->bits, v->plain[slice], words * sizeof *s->bits);
    else
        memset(s->bits, 0, words * sizeof *s->bits);
    s->states[0] = leaf;
    s->ends[0] = (uint32_t)v->trie.count;
    return true;
}

/* Counts one; false: there were too many steps. */
static bool pass_node(struct rules *r, size_t *nodes) {
    return ++*nodes % NODES_A_STEP != 0 || rules_spend(r, 1);
}

static bool walk_leaf(struct masks *s, leaf_state leaf) {
    const struct token_trie *t = &s->vocabulary->trie;
    struct rules *r = s->matcher->rules;
    size_t depth = 0, nodes = 0;
    if (!begin_mask(s, leaf)) return false;
    for (uint32_t node = 1; node < t->count;) {
        uint32_t end = t->ends[node];
        if (!pass_node(r, &nodes)) return false;
        if (t->plain[node] > 0 && t->plain[node] <= s->plain_length) {
            node = end;
            continue;
        }
        while (node >= s->ends[depth]) depth--;
        const leaf_state *row = leaf_row(r, s->states[depth]);
        if (!row) return false;
        leaf_state next = row[r->class_of[t->bytes[node]]];
        bool whole = true;
        if (next != LEAF_DEAD && !note_node(s, node, &next, &whole)) return false;
        if (!whole) {
            s->states[++depth] = next;
            s->ends[depth] = end;
            end = node + 1;
        }
        node = end;
    }
    return true;
}

/* A copy, charged to the grammar. NULL: failed. */
static void *copy_block(struct masks *s, const void *block, size_t bytes) {
    size_t capacity = 0;
    void *copy = NULL;
    if (!rules_grow(s->matcher->rules, &copy, &capacity, bytes, 1)) return NULL;
    memcpy(copy, block, bytes);
    s->kept_bytes += capacity;
    return copy;
}

static size_t count_bits(const struct masks *s, const uint32_t *bits) {
    size_t count = 0;
    for (size_t i = 0, words = vocabulary_words(s->vocabulary); i < words; i++)
        count += (size_t)__builtin_popcount(bits[i]);
    return count;
}

static void list_bits(const struct masks *s, const uint32_t *bits, uint32_t *tokens) {
    for (size_t i = 0, words = vocabulary_words(s->vocabulary); i < words; i++)
        for (uint32_t word = bits[i]; word != 0; word &= word - 1)
            *tokens++ = (uint32_t)(i * 32) + (uint32_t)__builtin_ctz(word);
}

/* Many tokens are kept as bits, few as numbers. */
static bool keep_tokens(struct masks *s, const uint32_t *bits, struct token_set *to) {
    size_t words = vocabulary_words(s->vocabulary), capacity = 0;
    *to = (struct token_set){.count = count_bits(s, bits)};
    if (to->count == 0) return true;
    if (to->count >= words / 2) {
        to->bits = copy_block(s, bits, words * sizeof *bits);
        return to->bits != NULL;
    }
    if (!rules_grow(s->matcher->rules, &to->tokens, &capacity, to->count, sizeof *to->tokens)) return false;
    s->kept_bytes += capacity * sizeof *to->tokens;
    list_bits(s, bits, to->tokens);
    return true;
}

/* A mask is kept while there is room for it; where there is none it is worked out again, which is no failure. */
static bool has_room(const struct masks *s) {
    const struct rules *r = s->matcher->rules;
    size_t bytes = (vocabulary_words(s->vocabulary) + 64) * sizeof(uint32_t) +
                   s->exit_count * sizeof *s->exits + s->kept_capacity * sizeof *s->kept +
                   s->leaf_mask_capacity * sizeof *s->leaf_masks;
    if (r->budget &&
        atomic_load_explicit(&r->budget->used, memory_order_relaxed) + bytes > r->budget->bytes_max / 4 * 3)
        return false;
    return s->kept_bytes + bytes <= r->bytes_max / 2 && r->bytes + bytes <= r->bytes_max / 4 * 3;
}

/* Of what was walked last. */
static bool keep_leaf_mask(struct masks *s, leaf_state leaf) {
    struct rules *r = s->matcher->rules;
    if (!rules_grow(r, &s->leaf_masks, &s->leaf_mask_capacity, s->leaf_mask_count + 1, sizeof *s->leaf_masks))
        return false;
    struct leaf_mask *made = &s->leaf_masks[s->leaf_mask_count];
    *made = (struct leaf_mask){.exit_count = s->exit_count};
    s->leaf_mask_count++; /* so that what was made of it is freed */
    if (!keep_tokens(s, s->bits, &made->set)) return false;
    if (s->exit_count > 0 && !(made->exits = copy_block(s, s->exits, s->exit_count * sizeof *s->exits)))
        return false;
    s->leaf_mask_of[2 * leaf + s->wants_exits] = (uint32_t)s->leaf_mask_count - 1;
    return true;
}

static bool reserve_leaf(struct masks *s, leaf_state leaf) {
    size_t count = 2 * (size_t)leaf + 2;
    if (count <= s->leaf_mask_of_count) return true;
    if (!rules_grow(s->matcher->rules, &s->leaf_mask_of, &s->leaf_mask_of_capacity, count,
                    sizeof *s->leaf_mask_of))
        return false;
    memset(s->leaf_mask_of + s->leaf_mask_of_count, 0xFF,
           (s->leaf_mask_of_capacity - s->leaf_mask_of_count) * sizeof *s->leaf_mask_of);
    s->leaf_mask_of_count = s->leaf_mask_of_capacity;
    return true;
}

/* What was walked last, where it lies. */
static const struct leaf_mask *passing_leaf_mask(struct masks *s) {
    s->passing = (struct leaf_mask){.set = {.bits = s->bits}, .exits = s->exits, .exit_count = s->exit_count};
    return &s->passing;
}

/* NULL: failed. Good until the next call. */
static const struct leaf_mask *leaf_mask_of(struct masks *s, leaf_state leaf, bool wants_exits) {
    if (!reserve_leaf(s, leaf)) return NULL;
    size_t place = 2 * (size_t)leaf + wants_exits;
    if (s->leaf_mask_of[place] == NO_MASK) {
        leaf_state like = clamp_leaf(s->matcher->rules, leaf, (uint32_t)s->vocabulary->trie.depth);
        if (like == RULES_NONE || !reserve_leaf(s, like)) return NULL;
        size_t like_place = 2 * (size_t)like + wants_exits;
        s->wants_exits = wants_exits;
        if (s->leaf_mask_of[like_place] == NO_MASK) {
            if (!walk_leaf(s, like)) return NULL;
            if (!has_room(s)) return passing_leaf_mask(s);
            if (!keep_leaf_mask(s, like)) return NULL;
        }
        s->leaf_mask_of[place] = s->leaf_mask_of[like_place];
    }
    return &s->leaf_masks[s->leaf_mask_of[place]];
}

/* ---- what comes behind it --------------------------------------------------------------------------------------- */

/* The subtree of a node that was reached in configuration c. */
static bool walk_subtree(struct masks *s, uint32_t top, configuration c, uint32_t *bits) {
    const struct token_trie *t = &s->vocabulary->trie;
    const struct rules *r = s->matcher->rules;
    size_t depth = 0, nodes = 0;
    s->states[0] = c;
    s->ends[0] = t->ends[top];
    if (!rules_spend(s->matcher->rules, 1)) return false;
    for (uint32_t node = top + 1; node < t->ends[top];) {
        if (!pass_node(s->matcher->rules, &nodes)) return false;
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

static void join_set(const struct masks *s, const struct token_set *set, uint32_t *bits) {
    if (set->bits)
        for (size_t i = 0, words = vocabulary_words(s->vocabulary); i < words; i++) bits[i] |= set->bits[i];
    else
        set_tokens(bits, set->tokens, set->count);
}

static bool add_item(struct masks *s, struct item item, uint32_t *bits) {
    struct matcher *m = s->matcher;
    configuration behind = matcher_enter(m, item.cell);
    if (behind == CONFIGURATION_FAILED) return false;
    const struct leaf_mask *leaf = leaf_mask_of(s, item.leaf, m->configurations[behind].count > 0);
    if (!leaf) return false;
    join_set(s, &leaf->set, bits);
    for (size_t i = 0; i < leaf->exit_count; i++)
        for (uint32_t node = leaf->exits[i].first; node < leaf->exits[i].end; node++)
            if (!walk_subtree(s, node, behind, bits)) return false;
    return true;
}

/* ---- masks that are kept ------------------------------------------------------------------------------------------ */

static bool keep(struct masks *s, configuration c, const uint32_t *bits) {
    struct rules *r = s->matcher->rules;
    if (!has_room(s)) return true;
    if (!rules_grow(r, &s->kept, &s->kept_capacity, s->kept_count + 1, sizeof *s->kept)) return false;
    if (!keep_tokens(s, bits, &s->kept[s->kept_count])) return false;
    s->matcher->configurations[c].mask = (uint32_t)s->kept_count++;
    return true;
}

bool masks_find(struct masks *s, configuration c, uint32_t *bits) {
    struct matcher *m = s->matcher;
    uint32_t mask = m->configurations[c].mask;
    memset(bits, 0, vocabulary_words(s->vocabulary) * sizeof *bits);
    if (mask != NO_MASK) {
        join_set(s, &s->kept[mask], bits);
        return true;
    }
    for (uint32_t i = 0; i < m->configurations[c].count; i++)
        if (!add_item(s, m->items[m->configurations[c].first + i], bits)) return false;
    return keep(s, c, bits);
}
