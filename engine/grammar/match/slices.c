#include "engine/grammar/match/slices.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/byte_groups.h"
#include "engine/grammar/match/clamp.h"
#include "engine/grammar/match/state_list.h"
#include "engine/grammar/match/token_set.h"

/* Of fewer groups there are few tokens. */
enum { GROUPS_MIN = 12 };

#define ASCII_GROUPS (~(GROUPS_LINE_ENDS | GROUPS_BEYOND_ASCII | GROUPS_NO_UTF8))

/* Nodes that are looked at for what a step costs. */
#define NODES_A_STEP 10

size_t slices_bytes(const struct grammar_vocabulary *v) {
    return (vocabulary_words(v) + v->trie.token_count + 1) * sizeof(uint32_t);
}

bool slices_run(const struct leaf_loop *loop, uint64_t *groups, uint32_t *length) {
    *length = 0;
    for (size_t i = 0; i < RUNS_MAX; i++) {
        uint64_t ascii = loop->run_groups[i] & ASCII_GROUPS;
        if (__builtin_popcountll(ascii) < GROUPS_MIN || loop->run_lengths[i] <= *length) continue;
        *groups = ascii;
        *length = loop->run_lengths[i];
    }
    return *length > 0;
}

/* ---- making them ------------------------------------------------------------------------------------------------ */

/* Tokens of at most `length` characters, which are all of these groups. */
static bool collect(struct rules *r, const struct grammar_vocabulary *v, uint64_t groups, uint32_t length,
                    uint32_t *bits) {
    const struct token_trie *t = &v->trie;
    size_t nodes = 0;
    for (uint32_t node = 1; node < t->count; nodes++) {
        const struct trie_node *at = &t->nodes[node];
        uint32_t count = at[1].first - at->first;
        bool is_one = at->byte < 0x80 && (byte_group(at->byte) & groups);
        if (is_one && count > 0 && vocabulary_text(v, t->tokens[at->first]).length <= length)
            token_bits_add(bits, t->tokens + at->first, count);
        node = is_one ? node + 1 : at->end;
    }
    return rules_spend(r, nodes / NODES_A_STEP);
}

static size_t slice_of(const struct grammar_vocabulary *v, size_t token) {
    size_t length = vocabulary_text(v, token).length;
    return length <= PLAIN_LENGTH_MAX ? length : PLAIN_LENGTH_MAX + 1;
}

static void count_lengths(const struct grammar_vocabulary *v, struct token_slices *out) {
    for (size_t i = 0; i < vocabulary_words(v); i++)
        for (uint32_t word = out->bits[i]; word != 0; word &= word - 1)
            out->ends[slice_of(v, 32 * i + (size_t)__builtin_ctz(word))]++;
    for (size_t i = 1; i < PLAIN_LENGTH_MAX + 2; i++) out->ends[i] += out->ends[i - 1];
}

static void sort_by_length(const struct grammar_vocabulary *v, struct token_slices *out) {
    uint32_t next[PLAIN_LENGTH_MAX + 2] = {0};
    memcpy(next + 1, out->ends, sizeof next - sizeof *next);
    for (size_t i = 0; i < vocabulary_words(v); i++)
        for (uint32_t word = out->bits[i]; word != 0; word &= word - 1) {
            size_t token = 32 * i + (size_t)__builtin_ctz(word);
            out->tokens[next[slice_of(v, token)]++] = (uint32_t)token;
        }
}

static bool make(struct rules *r, const struct grammar_vocabulary *v, uint64_t groups,
                 struct token_slices *out) {
    size_t words = vocabulary_words(v);
    *out = (struct token_slices){.groups = groups, .bits = rules_keep(r, words * sizeof *out->bits)};
    if (!out->bits) return false;
    memset(out->bits, 0, words * sizeof *out->bits);
    if (!collect(r, v, groups, RULES_UNLIMITED, out->bits)) return false;
    count_lengths(v, out);
    uint32_t count = out->ends[PLAIN_LENGTH_MAX + 1];
    out->tokens = rules_keep(r, (count + 1) * sizeof *out->tokens);
    if (out->tokens) sort_by_length(v, out);
    return out->tokens && rules_spend(r, count / NODES_A_STEP);
}

static const struct token_slices *find(const struct slices_table *t, uint64_t groups) {
    for (size_t i = 0; i < t->count; i++)
        if (t->kept[i].groups == groups) return &t->kept[i];
    return NULL;
}

static void free_one(struct token_slices *one) {
    free(one->bits);
    free(one->tokens);
}

void slices_free(struct slices_table *t) {
    for (size_t i = 0; i < t->count; i++) free_one(&t->kept[i]);
    t->count = 0;
}

/* From none of them, or from all: whatever is less to do. */
static void copy(const struct token_slices *slices, uint32_t length, uint32_t *bits, size_t words) {
    uint32_t count = slices->ends[PLAIN_LENGTH_MAX + 1];
    uint32_t end = length <= PLAIN_LENGTH_MAX ? slices->ends[length] : count;
    if (end > count / 2) {
        memcpy(bits, slices->bits, words * sizeof *bits);
        token_bits_remove(bits, slices->tokens + end, count - end);
    } else {
        memset(bits, 0, words * sizeof *bits);
        token_bits_add(bits, slices->tokens, end);
    }
}

/* Keeps another one. False: failed. */
static bool add(struct rules *r, struct slices_table *t, const struct grammar_vocabulary *v,
                uint64_t groups) {
    size_t before = r->kept_bytes;
    struct token_slices *one = &t->kept[t->count];
    if (make(r, v, groups, one)) {
        t->count++;
        return true;
    }
    rules_give_back(r, r->kept_bytes - before);
    free_one(one);
    return false;
}

bool slices_begin(struct rules *r, struct slices_table *t, const struct grammar_vocabulary *v,
                  uint64_t groups, uint32_t length, bool has_room, uint32_t *bits) {
    size_t words = vocabulary_words(v);
    if (!find(t, groups) && has_room && t->count < SLICES_KEPT && !add(r, t, v, groups)) return false;
    const struct token_slices *slices = find(t, groups);
    if (slices) {
        copy(slices, length, bits, words);
        return true;
    }
    memset(bits, 0, words * sizeof *bits);
    return collect(r, v, groups, length, bits);
}

/* ---- what comes behind them ------------------------------------------------------------------------------------- */

/* States in which texts of the same length may be, and lengths without limits that are looked at. */
enum { STATES_MAX = 8, LENGTHS_MAX = 4 };

/* Those behind one more character are added. *is_known false: there are too many. False: failed. */
static bool step_states(struct rules *r, const struct state_list *from, uint64_t groups,
                        struct state_list *to, bool *is_known) {
    for (size_t i = 0; i < from->count; i++) {
        const dfa_state *row = dfa_row(r, from->states[i]);
        if (!row) return false;
        dfa_state last = DFA_DEAD;
        for (unsigned byte = 0; byte < 0x80 && *is_known; byte++) {
            dfa_state next = row[r->class_of[byte]];
            if (next == DFA_DEAD || next == last || !(byte_group(byte) & groups)) continue;
            *is_known = state_list_add(to, next, STATES_MAX);
            last = next;
        }
    }
    return rules_spend(r, from->count);
}

static bool may_end_in(const struct rules *r, const struct state_list *at) {
    for (size_t i = 0; i < at->count; i++)
        if (dfa_nullable(r, at->states[i])) return true;
    return false;
}

static bool are_all(struct rules *r, dfa_state leaf, uint64_t groups, uint32_t length, bool may_end,
                    bool *out) {
    struct state_list now = {.states = {leaf}, .count = 1};
    *out = length <= PLAIN_LENGTH_MAX;
    for (uint32_t i = 0; i <= length && *out; i++) {
        struct state_list next = {.count = 0};
        if (!step_states(r, &now, groups, &next, out)) return false;
        now = next;
        if (!may_end) *out &= !may_end_in(r, &now);
    }
    *out &= now.count == 0;
    return true;
}

/* Groups that a text of one of the states may begin with. What is not ASCII is one. */
static bool first_groups(struct rules *r, const struct state_list *at, uint64_t *groups) {
    *groups = 0;
    for (size_t i = 0; i < at->count; i++) {
        const dfa_state *row = dfa_row(r, at->states[i]);
        if (!row) return false;
        for (unsigned byte = 0; byte < 256; byte++)
            if (row[r->class_of[byte]] != DFA_DEAD) *groups |= byte < 0x80 ? byte_group(byte) : ~ASCII_GROUPS;
    }
    return true;
}

/* Looked for without the limits, where there are few states. */
static bool find_dead(struct rules *r, dfa_state leaf, uint64_t groups, bool may_end, uint64_t *dead) {
    dfa_state lifted = clamp_lift(r, leaf);
    struct state_list all = {.states = {lifted}, .count = 1};
    bool is_known = true;
    size_t before = 0;
    *dead = 0;
    if (lifted == RULES_NONE) return false;
    for (size_t i = 0; i < LENGTHS_MAX && before < all.count && is_known; i++) {
        struct state_list from = all;
        before = all.count;
        if (!step_states(r, &from, groups, &all, &is_known)) return false;
    }
    if (!is_known || before < all.count || (!may_end && may_end_in(r, &all))) return true;
    if (!first_groups(r, &all, dead)) return false;
    *dead = ~*dead;
    return true;
}

bool slices_find_end(struct rules *r, dfa_state leaf, uint64_t groups, uint32_t length, bool may_end,
                     struct slice_end *out) {
    return are_all(r, leaf, groups, length, may_end, &out->is_all) &&
           find_dead(r, leaf, groups, may_end, &out->dead);
}
