#include "engine/grammar/match/mask.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/behind.h"
#include "engine/grammar/match/clamp.h"
#include "engine/grammar/match/counts.h"
#include "engine/grammar/match/leaf_walk.h"
#include "engine/grammar/match/shared.h"
#include "engine/grammar/match/intern.h"

#define NO_MASK UINT32_MAX

/* From so many characters on a counted loop's mask is made from that of the loop without a limit: few nodes are higher.
 * Of plain characters from fewer on, since what is longer is known. */
enum { SHARED_LENGTH_MIN = 12, SHARED_PLAIN_MIN = 2 };

/* Words of a mask that are joined, copied or counted for what a step costs. */
#define WORDS_A_STEP 256

bool masks_init(struct masks *s, struct matcher *m, const struct grammar_vocabulary *v) {
    struct rules *r = m->rules;
    size_t capacity = 0;
    *s = (struct masks){.matcher = m, .vocabulary = v};
    if (!rules_grow(r, &s->levels, &capacity, v->trie.depth + 2, sizeof *s->levels)) return false;
    capacity = 0;
    class_groups_clear(&s->classes);
    if (!rules_grow(r, &s->bits, &capacity, vocabulary_words(v) + 1, sizeof *s->bits)) return false;
    capacity = 0;
    return rules_grow(r, &s->aside_bits, &capacity, vocabulary_words(v) + 1, sizeof *s->aside_bits);
}

static void free_kept(struct masks *s) {
    for (size_t i = 0; i < s->leaf_mask_count; i++) {
        free(s->leaf_masks[i].set.bits);
        free(s->leaf_masks[i].set.tokens);
        free(s->leaf_masks[i].exits);
        free(s->leaf_masks[i].counted);
        free(s->leaf_masks[i].exit_counts);
    }
    for (size_t i = 0; i < s->kept_count; i++) {
        if (s->kept[i].is_leafs) continue;
        free(s->kept[i].set.bits);
        free(s->kept[i].set.tokens);
    }
    free(s->leaf_masks);
    free(s->kept);
    slices_free(&s->slices);
    subtrees_free(&s->subtrees);
}

void masks_forget(struct masks *s) {
    struct rules *r = s->matcher->rules;
    free_kept(s);
    rules_refund_kept(r);
    s->leaf_masks = NULL;
    s->kept = NULL;
    s->leaf_mask_count = s->kept_count = s->leaf_mask_of_count = 0;
    s->leaf_mask_capacity = s->kept_capacity = 0;
    s->loop_count = s->loop_of_count = 0;
    rules_shrink(r, &s->leaf_mask_of, &s->leaf_mask_of_capacity, 0, sizeof *s->leaf_mask_of);
    rules_shrink(r, &s->loops, &s->loop_capacity, 0, sizeof *s->loops);
    rules_shrink(r, &s->loop_of, &s->loop_of_capacity, 0, sizeof *s->loop_of);
    rules_shrink(r, &s->exits, &s->exit_capacity, 0, sizeof *s->exits);
    rules_shrink(r, &s->aside_exits, &s->aside_capacity, 0, sizeof *s->aside_exits);
    rules_shrink(r, &s->missing, &s->missing_capacity, 0, sizeof *s->missing);
    s->exit_count = 0;
    class_groups_clear(&s->classes);
}

void masks_deinit(struct masks *s) {
    free_kept(s);
    free(s->leaf_mask_of);
    free(s->loop_of);
    free(s->loops);
    free(s->bits);
    free(s->exits);
    free(s->aside_bits);
    free(s->aside_exits);
    free(s->levels);
    free(s->missing);
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* A mask is kept while there is room for it, up to half of what the grammar may have; where there is none it is worked out
 * again, which is no failure. What others leave of the budget decides about that, so masks that are kept count for nothing
 * where it is decided whether a grammar needs too much. */
bool masks_have_room(const struct masks *s, size_t bytes) {
    const struct rules *r = s->matcher->rules;
    if (r->budget &&
        atomic_load_explicit(&r->budget->used, memory_order_relaxed) + bytes > r->budget->bytes_max / 4 * 3)
        return false;
    return r->kept_bytes + bytes <= r->bytes_max / 2 && r->bytes + bytes <= r->bytes_max / 4 * 3;
}

static bool has_room(const struct masks *s) {
    return masks_have_room(s, (vocabulary_words(s->vocabulary) + 64) * sizeof(uint32_t) +
                                  s->exit_count * sizeof *s->exits + s->kept_capacity * sizeof *s->kept +
                                  s->leaf_mask_capacity * sizeof *s->leaf_masks);
}

/* ---- what a leaf decides ------------------------------------------------------------------------------------- */

bool masks_add_exits(struct masks *s, uint32_t first, uint32_t end) {
    if (s->exit_count > 0 && s->exits[s->exit_count - 1].end == first) {
        s->exits[s->exit_count - 1].end = end;
        return true;
    }
    if (!rules_grow(s->matcher->rules, &s->exits, &s->exit_capacity, s->exit_count + 1, sizeof *s->exits))
        return false;
    s->exits[s->exit_count++] = (struct exit_range){first, end};
    return true;
}

static bool reserve_loop(struct masks *s, dfa_state leaf) {
    struct rules *r = s->matcher->rules;
    if (!rules_grow(r, &s->loops, &s->loop_capacity, s->loop_count + 1, sizeof *s->loops)) return false;
    if (leaf < s->loop_of_count) return true;
    if (!rules_grow(r, &s->loop_of, &s->loop_of_capacity, leaf + 1, sizeof *s->loop_of)) return false;
    memset(s->loop_of + s->loop_of_count, 0xFF,
           (s->loop_of_capacity - s->loop_of_count) * sizeof *s->loop_of);
    s->loop_of_count = s->loop_of_capacity;
    return true;
}

uint32_t masks_find_loop(struct masks *s, dfa_state leaf) {
    if (leaf < s->loop_of_count && s->loop_of[leaf] != MASKS_NO_LOOP) return s->loop_of[leaf];
    if (!reserve_loop(s, leaf)) return MASKS_NO_LOOP;
    if (!loop_find(s->matcher->rules, leaf, &s->classes, &s->loops[s->loop_count])) return MASKS_NO_LOOP;
    return s->loop_of[leaf] = (uint32_t)s->loop_count++;
}

uint32_t masks_plain_length(const struct masks *s, const struct leaf_loop *loop, uint32_t length) {
    bool goes_on = s->wants_exits && loop->may_end;
    return loop_is_plain(loop) && loop->length_max == length && !goes_on ? UINT8_MAX : length;
}

void masks_cut_plain(struct masks *s, uint32_t length) {
    const struct grammar_vocabulary *v = s->vocabulary;
    const uint32_t *all = v->plain[PLAIN_LENGTH_MAX], *slice = v->plain[length - 1];
    for (size_t i = 0, words = vocabulary_words(v); i < words; i++)
        s->bits[i] = (s->bits[i] & ~all[i]) | slice[i];
}

static bool spend_words(struct masks *s) {
    return rules_spend(s->matcher->rules, vocabulary_words(s->vocabulary) / WORDS_A_STEP);
}

/* ---- masks of leaves that are kept ------------------------------------------------------------------------------ */

/* A copy, charged to the grammar. NULL: failed. */
static void *copy_block(struct masks *s, const void *block, size_t bytes) {
    void *copy = rules_keep(s->matcher->rules, bytes);
    if (copy) memcpy(copy, block, bytes);
    return copy;
}

/* Many tokens are kept as bits, few as numbers. */
static size_t many_tokens(const struct masks *s) {
    size_t words = vocabulary_words(s->vocabulary);
    return words / 2 > 0 ? words / 2 : 1;
}

static bool keep_tokens(struct masks *s, const uint32_t *bits, struct token_set *to) {
    size_t words = vocabulary_words(s->vocabulary), many = many_tokens(s);
    *to = (struct token_set){.count = token_bits_count(bits, words, many)};
    if (to->count == 0) return true;
    if (to->count >= many) {
        to->bits = copy_block(s, bits, words * sizeof *bits);
        return to->bits != NULL;
    }
    to->tokens = rules_keep(s->matcher->rules, to->count * sizeof *to->tokens);
    if (!to->tokens) return false;
    token_bits_list(bits, words, to->tokens);
    return true;
}

/* Of what was walked last. */
static bool keep_leaf_mask(struct masks *s, dfa_state leaf) {
    struct rules *r = s->matcher->rules;
    if (!rules_keep_array(r, &s->leaf_masks, &s->leaf_mask_capacity, s->leaf_mask_count + 1,
                          sizeof *s->leaf_masks))
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

static bool reserve_leaf(struct masks *s, dfa_state leaf) {
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

/* The mask out of which another is made, beside that. There is memory for it where it is kept, too, so that a grammar needs
 * the same whether masks are kept or not. */
static bool set_aside(struct masks *s, const struct leaf_mask *from) {
    if (!rules_grow(s->matcher->rules, &s->aside_exits, &s->aside_capacity, from->exit_count,
                    sizeof *s->aside_exits))
        return false;
    if (from != &s->passing) return true;
    memcpy(s->aside_bits, s->bits, vocabulary_words(s->vocabulary) * sizeof *s->bits);
    if (from->exit_count > 0) memcpy(s->aside_exits, s->exits, from->exit_count * sizeof *s->exits);
    s->passing.set.bits = s->aside_bits;
    s->passing.exits = s->aside_exits;
    return true;
}

static const struct leaf_mask *leaf_mask_of(struct masks *s, dfa_state leaf, bool wants_exits);

/* Whether there is so little to count that it pays for a few limits: plain tokens need not be counted. */
static bool is_little_to_count(const struct masks *s, const struct leaf_loop *loop,
                               const struct leaf_mask *from) {
    size_t many = many_tokens(s);
    bool is_list = !from->set.bits;
    return loop_is_plain(loop) || is_list ||
           token_bits_count(from->set.bits, vocabulary_words(s->vocabulary), many) < many;
}

static bool make_leaf_mask(struct masks *s, dfa_state leaf, bool wants_exits) {
    uint32_t place = masks_find_loop(s, leaf);
    if (place == MASKS_NO_LOOP || !spend_words(s)) return false;
    const struct leaf_loop *loop = &s->loops[place];
    dfa_state unlimited = loop->unlimited;
    bool is_told = counts_tell(loop, wants_exits);
    uint32_t least = is_told ? 1 : loop_is_plain(loop) ? SHARED_PLAIN_MIN : SHARED_LENGTH_MIN;
    bool shares = unlimited != leaf && loop->like_length >= least;
    const struct leaf_mask *from = shares ? leaf_mask_of(s, unlimited, wants_exits) : NULL;
    if (shares && (!from || !set_aside(s, from))) return false;
    s->wants_exits = wants_exits;
    loop = &s->loops[place];
    if (shares && is_told && is_little_to_count(s, loop, from)) return counts_make_mask(s, loop, from);
    shares &= !is_told || loop->like_length >= SHARED_LENGTH_MIN;
    return shares ? shared_make_mask(s, leaf, unlimited, from) : leaf_walk(s, leaf);
}

/* NULL: failed. Good until the next call. */
static const struct leaf_mask *leaf_mask_of(struct masks *s, dfa_state leaf, bool wants_exits) {
    if (!reserve_leaf(s, leaf)) return NULL;
    size_t place = 2 * (size_t)leaf + wants_exits;
    if (s->leaf_mask_of[place] == NO_MASK) {
        dfa_state like = clamp_leaf(s->matcher->rules, leaf, (uint32_t)s->vocabulary->trie.depth);
        if (like == RULES_NONE || !reserve_leaf(s, like)) return NULL;
        size_t like_place = 2 * (size_t)like + wants_exits;
        if (s->leaf_mask_of[like_place] == NO_MASK) {
            if (!make_leaf_mask(s, like, wants_exits)) return NULL;
            if (!has_room(s)) return passing_leaf_mask(s);
            if (!keep_leaf_mask(s, like)) return NULL;
        }
        s->leaf_mask_of[place] = s->leaf_mask_of[like_place];
    }
    return &s->leaf_masks[s->leaf_mask_of[place]];
}

/* ---- what comes behind it --------------------------------------------------------------------------------------- */

/* What the leaf of an item decides. NULL: failed. Good until the next call. */
static const struct leaf_mask *item_mask(struct masks *s, struct item item) {
    return leaf_mask_of(s, item.leaf, item.cell != CELL_END);
}

/* What comes behind the leaf of an item is worked out where a token may reach it: of a key with a hundred others behind it
 * mostly none does. */
static bool add_behind(struct masks *s, struct item item, const struct leaf_mask *leaf, uint32_t *bits) {
    if (leaf->exit_count == 0) return true;
    configuration behind = matcher_enter(s->matcher, item.cell);
    return behind != CONFIGURATION_FAILED && masks_add_behind(s, leaf, behind, bits);
}

/* First what leaves decide, so that little is missing when it is looked behind them. *only: the leaf that decides about
 * all of it, where that is kept; else NULL. */
static bool add_items(struct masks *s, configuration c, uint32_t *bits, const struct leaf_mask **only) {
    const struct configuration_data data = s->matcher->configurations[c];
    const struct leaf_mask *leaf = NULL;
    bool has_exits = false;
    *only = NULL;
    s->knows_missing = false;
    s->nodes_behind = 0;
    for (uint32_t i = 0; i < data.count; i++) {
        leaf = item_mask(s, s->matcher->items[data.first + i]);
        if (!leaf || !spend_words(s)) return false;
        token_bits_join(bits, vocabulary_words(s->vocabulary), &leaf->set);
        has_exits |= leaf->exit_count > 0;
    }
    if (data.count == 1 && !has_exits && leaf != &s->passing) *only = leaf;
    for (uint32_t i = 0; i < data.count && has_exits; i++) {
        struct item item = s->matcher->items[data.first + i];
        if (data.count > 1) leaf = item_mask(s, item);
        if (!leaf || !add_behind(s, item, leaf, bits)) return false;
    }
    return true;
}

/* ---- masks that are kept ------------------------------------------------------------------------------------------ */

static bool keep(struct masks *s, configuration c, const uint32_t *bits, const struct leaf_mask *only) {
    struct rules *r = s->matcher->rules;
    if (!has_room(s)) return true;
    if (!rules_keep_array(r, &s->kept, &s->kept_capacity, s->kept_count + 1, sizeof *s->kept)) return false;
    struct kept_mask *kept = &s->kept[s->kept_count];
    *kept = (struct kept_mask){.is_leafs = only != NULL};
    if (only)
        kept->set = only->set;
    else if (!keep_tokens(s, bits, &kept->set))
        return false;
    s->matcher->configurations[c].mask = (uint32_t)s->kept_count++;
    return true;
}

bool masks_find(struct masks *s, configuration c, uint32_t *bits) {
    struct matcher *m = s->matcher;
    uint32_t mask = m->configurations[c].mask;
    const struct leaf_mask *only;
    if (mask != NO_MASK) {
        token_bits_copy(bits, vocabulary_words(s->vocabulary), &s->kept[mask].set);
        return true;
    }
    memset(bits, 0, vocabulary_words(s->vocabulary) * sizeof *bits);
    return add_items(s, c, bits, &only) && keep(s, c, bits, only);
}
