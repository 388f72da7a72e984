#include "engine/grammar/match/loop.h"

#include "engine/grammar/match/byte_groups.h"
#include "engine/grammar/rules/completion.h"

/* Groups that may begin what comes behind the repeat. */
static bool tail_groups(struct rules *r, rules_expression tail, uint64_t *groups) {
    *groups = 0;
    if (tail == RULES_EMPTY) return true;
    dfa_state state = dfa_state_of(r, tail);
    return state != RULES_NONE && class_groups_first(r, state, groups);
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

/* What any text that is no longer is a run of is a run of the leaf with the limit, too, up to it. */
static bool take_runs(struct rules *r, rules_expression endless, struct class_groups_table *t,
                      struct leaf_loop *out) {
    struct leaf_loop other = {0};
    if (!find_runs(r, endless, t, &other)) return false;
    for (size_t i = 0; i < RUNS_MAX; i++) {
        out->run_groups[i] = other.run_groups[i];
        out->run_lengths[i] =
            other.run_lengths[i] < out->like_length ? other.run_lengths[i] : out->like_length;
    }
    return true;
}

/* Of x and so many parts at most, as maxLength beside a pattern is: as long as more are left than a text that has begun needs
 * to its end, the leaf does the same as without that. */
static bool find_limited(struct rules *r, const struct limited *limited, rules_expression tail,
                         struct class_groups_table *t, struct leaf_loop *out) {
    uint32_t needed;
    if (!completion_find(r, limited->x, limited->part, &needed)) return false;
    if (needed >= limited->most) return true;
    rules_expression endless = expression_sequence(r, limited->x, tail);
    out->unlimited = endless == RULES_NONE ? RULES_NONE : dfa_state_of(r, endless);
    out->like_length = limited->most - needed;
    return out->unlimited != RULES_NONE && take_runs(r, endless, t, out);
}

static bool find_intersection(struct rules *r, rules_expression both, rules_expression tail,
                              struct class_groups_table *t, struct leaf_loop *out) {
    struct limited limited;
    for (unsigned i = 0; i < 2 && out->like_length == 0; i++)
        if (completion_limited(r, both, i, &limited) && !find_limited(r, &limited, tail, t, out))
            return false;
    return true;
}

/* Texts of the part, and what comes behind them, are told apart by their first bytes. */
static bool find_part(struct rules *r, const struct expression *repeat, uint64_t tail_set,
                      struct class_groups_table *t, struct leaf_loop *out) {
    struct class_code code;
    if (repeat->c == RULES_UNLIMITED) return true;
    if (!class_code_find(r, t, repeat->a, &code)) return false;
    if (code.is_code && (code.first & tail_set) == 0) out->part = repeat->a;
    return true;
}

static bool find_repeat(struct rules *r, struct expression repeat, rules_expression tail,
                        struct class_groups_table *t, struct leaf_loop *out) {
    struct class_groups class;
    uint64_t tail_set;
    if (!class_groups_find(r, t, repeat.a, &class) || !tail_groups(r, tail, &tail_set)) return false;
    out->groups = class.exact & ~tail_set;
    out->length_max = out->like_length = repeat.c;
    if (repeat.c != RULES_UNLIMITED) out->unlimited = without_limit(r, &repeat, tail);
    out->is_loop = true;
    out->may_end = expression_is(r, tail, EXPRESSION_NULLABLE);
    return out->unlimited != RULES_NONE && find_part(r, &repeat, tail_set, t, out);
}

static bool find_kind(struct rules *r, dfa_state leaf, struct class_groups_table *t, struct leaf_loop *out) {
    rules_expression whole = r->dfa_states[leaf].expression;
    const struct expression *x = expression_at(r, whole);
    bool sequence = x->kind == EXPRESSION_SEQUENCE;
    rules_expression first = sequence ? x->a : whole, tail = sequence ? x->b : RULES_EMPTY;
    const struct expression repeat = *expression_at(r, first);
    if (repeat.kind == EXPRESSION_INTERSECTION) return find_intersection(r, first, tail, t, out);
    if (repeat.kind != EXPRESSION_REPEAT || expression_is(r, repeat.a, EXPRESSION_NULLABLE)) return true;
    return find_repeat(r, repeat, tail, t, out);
}

bool loop_find(struct rules *r, dfa_state leaf, struct class_groups_table *t, struct leaf_loop *out) {
    rules_expression whole = r->dfa_states[leaf].expression;
    *out = (struct leaf_loop){.unlimited = leaf, .part = RULES_NONE};
    if (!find_runs(r, whole, t, out) || !find_kind(r, leaf, t, out)) return false;
    bool is_known = out->unlimited != leaf || !expression_is(r, whole, EXPRESSION_BOOLEAN);
    return is_known || class_groups_staying(r, leaf, &out->stay_groups);
}

bool loop_is_plain(const struct leaf_loop *loop) {
    return loop->is_loop && (PLAIN_GROUPS & ~loop->groups) == 0 && loop->length_max > 0;
}

bool loop_counts_bytes(const struct rules *r, const struct leaf_loop *loop) {
    if (loop->part == RULES_NONE) return false;
    const struct expression *part = expression_at(r, loop->part);
    if (part->kind != EXPRESSION_BYTES) return false;
    const struct byte_set *set = &r->sets[part->a];
    return (set->bits[2] | set->bits[3]) == 0;
}
