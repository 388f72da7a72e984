#include "engine/grammar/match/loop.h"

#include "engine/grammar/match/byte_groups.h"

/* Groups that may begin what comes behind the repeat. */
static bool tail_groups(struct rules *r, rules_expression tail, uint64_t *groups) {
    *groups = 0;
    if (tail == RULES_EMPTY) return true;
    dfa_state state = dfa_state_of(r, tail);
    const dfa_state *row = state == RULES_NONE ? NULL : dfa_row(r, state);
    if (!row) return false;
    for (unsigned byte = 0; byte < 256; byte++)
        if (row[r->class_of[byte]] != DFA_DEAD)
            *groups |= byte < 0x80 ? byte_group(byte) : GROUPS_BEYOND_ASCII;
    return true;
}

/* The same repeat without an upper limit, and what comes behind it. */
static dfa_state without_limit(struct rules *r, const struct expression *repeat, rules_expression tail) {
    rules_expression endless = rules_repeat(r, repeat->a, repeat->b, RULES_UNLIMITED);
    rules_expression whole = expression_sequence(r, endless, tail);
    return whole == RULES_NONE ? RULES_NONE : dfa_state_of(r, whole);
}

static bool find_runs(struct rules *r, rules_expression x, struct class_groups_table *t,
                      struct leaf_loop *out) {
    struct runs runs;
    if (!runs_find(r, t, x, &runs)) return false;
    for (size_t i = 0; i < runs.count; i++) {
        out->run_groups[i] = runs.list[i].groups;
        out->run_lengths[i] = runs.list[i].length;
    }
    return true;
}

bool loop_find(struct rules *r, dfa_state leaf, struct class_groups_table *t, struct leaf_loop *out) {
    rules_expression whole = r->dfa_states[leaf].expression;
    const struct expression *x = expression_at(r, whole);
    bool sequence = x->kind == EXPRESSION_SEQUENCE;
    rules_expression tail = sequence ? x->b : RULES_EMPTY;
    const struct expression repeat = sequence ? *expression_at(r, x->a) : *x;
    struct class_groups class;
    uint64_t tail_set;
    *out = (struct leaf_loop){0};
    if (!find_runs(r, whole, t, out)) return false;
    if (repeat.kind != EXPRESSION_REPEAT || expression_is(r, repeat.a, EXPRESSION_NULLABLE)) return true;
    if (!class_groups_find(r, t, repeat.a, &class) || !tail_groups(r, tail, &tail_set)) return false;
    out->groups = class.exact & ~tail_set;
    out->length_max = repeat.c;
    out->unlimited = repeat.c == RULES_UNLIMITED ? leaf : without_limit(r, &repeat, tail);
    out->is_loop = true;
    out->may_end = expression_is(r, tail, EXPRESSION_NULLABLE);
    return out->unlimited != RULES_NONE;
}
