#include "engine/grammar/match/loop.h"

#include "engine/grammar/match/byte_groups.h"

static rules_expression target(const struct rules *r, const leaf_state *row, unsigned byte) {
    return r->leaves[row[r->class_of[byte]]].expression;
}

/* Groups of which a byte does not lead to the empty rest. */
static uint64_t other_groups(const struct rules *r, const leaf_state *row) {
    uint64_t others = 0;
    for (unsigned byte = 0; byte < 0x80; byte++)
        if (target(r, row, byte) != RULES_EMPTY) others |= byte_group(byte);
    return others;
}

/* Where all bytes of a range lead, LEAF_DEAD where they lead to different states. RULES_NONE: failed. */
static leaf_state common_target(struct rules *r, leaf_state state, unsigned first, unsigned last) {
    const leaf_state *row = leaf_row(r, state);
    if (!row) return RULES_NONE;
    leaf_state common = row[r->class_of[first]];
    for (unsigned byte = first + 1; byte <= last; byte++)
        if (row[r->class_of[byte]] != common) return LEAF_DEAD;
    return common;
}

/* *all: whether each character that begins with `lead` is taken, and nothing else but the empty rest is left of it. */
static bool takes_characters(struct rules *r, leaf_state state, unsigned lead, bool *all) {
    enum utf8_state at = utf8_lead(lead);
    const leaf_state *row = leaf_row(r, state);
    if (!row) return false;
    state = row[r->class_of[lead]];
    while (at != UTF8_BOUNDARY && state != LEAF_DEAD) {
        state = common_target(r, state, utf8_steps[at].first, utf8_steps[at].last);
        if (state == RULES_NONE) return false;
        at = (enum utf8_state)utf8_steps[at].next;
    }
    *all &= state != LEAF_DEAD && r->leaves[state].expression == RULES_EMPTY;
    return true;
}

static bool part_groups(struct rules *r, rules_expression part, uint64_t *groups) {
    leaf_state state = leaf_of(r, part);
    const leaf_state *row = state == RULES_NONE ? NULL : leaf_row(r, state);
    bool all = true;
    if (!row) return false;
    *groups = ~(other_groups(r, row) | GROUPS_BEYOND_ASCII | GROUPS_NO_UTF8);
    for (unsigned lead = 0xC2; lead <= 0xF4 && all; lead++)
        if (!takes_characters(r, state, lead, &all)) return false;
    if (all) *groups |= GROUPS_BEYOND_ASCII;
    return true;
}

/* Groups that may begin what comes behind the repeat. */
static bool tail_groups(struct rules *r, rules_expression tail, uint64_t *groups) {
    *groups = 0;
    if (tail == RULES_EMPTY) return true;
    leaf_state state = leaf_of(r, tail);
    const leaf_state *row = state == RULES_NONE ? NULL : leaf_row(r, state);
    if (!row) return false;
    for (unsigned byte = 0; byte < 256; byte++)
        if (row[r->class_of[byte]] != LEAF_DEAD)
            *groups |= byte < 0x80 ? byte_group(byte) : GROUPS_BEYOND_ASCII;
    return true;
}

/* The same repeat without an upper limit, and what comes behind it. */
static leaf_state without_limit(struct rules *r, const struct expression *repeat, rules_expression tail) {
    rules_expression endless = rules_repeat(r, repeat->a, repeat->b, RULES_UNLIMITED);
    rules_expression whole = expression_sequence(r, endless, tail);
    return whole == RULES_NONE ? RULES_NONE : leaf_of(r, whole);
}

bool loop_find(struct rules *r, leaf_state leaf, struct loop_part *last, struct leaf_loop *out) {
    const struct expression *x = expression_at(r, r->leaves[leaf].expression);
    bool sequence = x->kind == EXPRESSION_SEQUENCE;
    rules_expression tail = sequence ? x->b : RULES_EMPTY;
    const struct expression repeat = sequence ? *expression_at(r, x->a) : *x;
    uint64_t tail_set;
    *out = (struct leaf_loop){.known = true};
    if (repeat.kind != EXPRESSION_REPEAT || expression_is(r, repeat.a, EXPRESSION_NULLABLE)) return true;
    if (last->part != repeat.a) {
        last->part = RULES_NONE;
        if (!part_groups(r, repeat.a, &last->groups)) return false;
        last->part = repeat.a;
    }
    if (!tail_groups(r, tail, &tail_set)) return false;
    out->groups = last->groups & ~tail_set;
    out->length_max = repeat.c;
    out->unlimited = repeat.c == RULES_UNLIMITED ? leaf : without_limit(r, &repeat, tail);
    out->is_loop = true;
    out->may_end = expression_is(r, tail, EXPRESSION_NULLABLE);
    if (out->unlimited == RULES_NONE) return false;
    return true;
}
