#include "engine/grammar/match/clamp.h"

/* Elements of a sequence that are looked at. */
#define ELEMENTS_MAX 8
/* Expressions within each other that are looked into. */
#define LEVELS_MAX 6

/* Each time takes a byte at least, where the part is not nullable: more than `bytes` times cannot be told from any
 * number of times. */
static rules_expression clamp_repeat(struct rules *r, rules_expression x, uint32_t bytes) {
    struct expression e = r->expressions[x];
    bool is_beyond = e.b > bytes || (e.c > bytes && e.c < RULES_UNLIMITED);
    if (!is_beyond || expression_is(r, e.a, EXPRESSION_NULLABLE)) return x;
    uint32_t least = e.b > bytes ? bytes + 1 : e.b;
    return rules_repeat(r, e.a, least, e.c > bytes ? RULES_UNLIMITED : e.c);
}

static rules_expression clamp_element(struct rules *r, rules_expression x, uint32_t bytes) {
    return r->expressions[x].kind == EXPRESSION_REPEAT ? clamp_repeat(r, x, bytes) : x;
}

/* Mostly nothing in it counts so far: then it is not put together again. */
static rules_expression clamp_sequence(struct rules *r, rules_expression x, uint32_t bytes) {
    rules_expression parts[ELEMENTS_MAX + 1], rest = x;
    bool is_other = false;
    size_t count = 0;
    while (count < ELEMENTS_MAX && r->expressions[rest].kind == EXPRESSION_SEQUENCE) {
        rules_expression element = r->expressions[rest].a;
        rest = r->expressions[rest].b;
        parts[count] = clamp_element(r, element, bytes);
        is_other |= parts[count++] != element;
    }
    parts[count] = clamp_element(r, rest, bytes);
    is_other |= parts[count++] != rest;
    return is_other ? rules_sequence(r, parts, count) : x;
}

static rules_expression clamp_choice(struct rules *r, rules_expression x, uint32_t bytes) {
    struct expression e = r->expressions[x];
    size_t from = r->scratch_count;
    bool is_other = false;
    if (e.b > ELEMENTS_MAX) return x;
    for (uint32_t i = 0; i < e.b; i++) {
        rules_expression member = clamp_sequence(r, r->members[e.a + i], bytes);
        if (member == RULES_NONE || !scratch_push(r, member)) return RULES_NONE;
        is_other |= member != r->members[e.a + i];
    }
    if (is_other) return expression_choice(r, from);
    r->scratch_count = from;
    return x;
}

dfa_state clamp_leaf(struct rules *r, dfa_state leaf, uint32_t bytes) {
    rules_expression x = r->dfa_states[leaf].expression;
    if (expression_is(r, x, EXPRESSION_BOOLEAN)) return leaf;
    bool choice = r->expressions[x].kind == EXPRESSION_CHOICE;
    rules_expression clamped = choice ? clamp_choice(r, x, bytes) : clamp_sequence(r, x, bytes);
    if (clamped == x) return leaf;
    return clamped == RULES_NONE ? RULES_NONE : dfa_state_of(r, clamped);
}

/* ---- without limits ------------------------------------------------------------------------------------------------ */

static rules_expression lift(struct rules *r, rules_expression x, unsigned levels);

/* Up to the first that takes a character. */
static rules_expression lift_sequence(struct rules *r, struct expression e, unsigned levels) {
    rules_expression first = lift(r, e.a, levels);
    if (first == RULES_NONE || !expression_is(r, e.a, EXPRESSION_NULLABLE))
        return expression_sequence(r, first, e.b);
    return expression_sequence(r, first, lift(r, e.b, levels));
}

static rules_expression lift_choice(struct rules *r, struct expression e, unsigned levels) {
    size_t from = r->scratch_count;
    for (uint32_t i = 0; i < e.b; i++) {
        rules_expression member = lift(r, r->members[e.a + i], levels);
        if (member == RULES_NONE || !scratch_push(r, member)) return RULES_NONE;
    }
    return expression_choice(r, from);
}

static rules_expression lift(struct rules *r, rules_expression x, unsigned levels) {
    const struct expression e = r->expressions[x];
    if (levels == 0) return x;
    if (e.kind == EXPRESSION_REPEAT) return rules_repeat(r, e.a, e.b > 0, RULES_UNLIMITED);
    if (e.kind == EXPRESSION_SEQUENCE) return lift_sequence(r, e, levels - 1);
    if (e.kind == EXPRESSION_CHOICE && e.b <= ELEMENTS_MAX) return lift_choice(r, e, levels - 1);
    return x;
}

dfa_state clamp_lift(struct rules *r, dfa_state leaf) {
    rules_expression x = r->dfa_states[leaf].expression;
    if (expression_is(r, x, EXPRESSION_BOOLEAN)) return leaf;
    rules_expression lifted = lift(r, x, LEVELS_MAX);
    return lifted == RULES_NONE ? RULES_NONE : dfa_state_of(r, lifted);
}
