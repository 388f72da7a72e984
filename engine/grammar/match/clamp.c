#include "engine/grammar/match/clamp.h"

/* Elements of a sequence that are looked at. */
#define ELEMENTS_MAX 8

/* Each time takes a byte at least, where the part is not nullable: more than `bytes` times cannot be told from any
 * number of times. */
static rules_expression clamp_repeat(struct rules *r, rules_expression x, uint32_t bytes) {
    struct expression e = r->expressions[x];
    if (expression_is(r, e.a, EXPRESSION_NULLABLE)) return x;
    uint32_t least = e.b > bytes ? bytes + 1 : e.b;
    return rules_repeat(r, e.a, least, e.c > bytes ? RULES_UNLIMITED : e.c);
}

static rules_expression clamp_sequence(struct rules *r, rules_expression x, uint32_t bytes) {
    rules_expression parts[ELEMENTS_MAX + 1];
    size_t count = 0;
    while (count < ELEMENTS_MAX && r->expressions[x].kind == EXPRESSION_SEQUENCE) {
        rules_expression element = r->expressions[x].a;
        bool repeat = r->expressions[element].kind == EXPRESSION_REPEAT;
        x = r->expressions[x].b;
        parts[count++] = repeat ? clamp_repeat(r, element, bytes) : element;
    }
    parts[count++] = r->expressions[x].kind == EXPRESSION_REPEAT ? clamp_repeat(r, x, bytes) : x;
    return rules_sequence(r, parts, count);
}

static rules_expression clamp_choice(struct rules *r, rules_expression x, uint32_t bytes) {
    struct expression e = r->expressions[x];
    size_t from = r->scratch_count;
    if (e.b > ELEMENTS_MAX) return x;
    for (uint32_t i = 0; i < e.b; i++) {
        rules_expression member = clamp_sequence(r, r->members[e.a + i], bytes);
        if (member == RULES_NONE || !scratch_push(r, member)) return RULES_NONE;
    }
    return expression_choice(r, from);
}

dfa_state clamp_leaf(struct rules *r, dfa_state leaf, uint32_t bytes) {
    rules_expression x = r->dfa_states[leaf].expression;
    if (expression_is(r, x, EXPRESSION_BOOLEAN)) return leaf;
    bool choice = r->expressions[x].kind == EXPRESSION_CHOICE;
    rules_expression clamped = choice ? clamp_choice(r, x, bytes) : clamp_sequence(r, x, bytes);
    if (clamped == x) return leaf;
    return clamped == RULES_NONE ? RULES_NONE : dfa_state_of(r, clamped);
}
