/* What of an expression decides where any text may stand beside it: of "[a-z]+" the first letter. */
#include "engine/grammar/rules/expression.h"

static rules_expression trim(struct rules *r, rules_expression x, bool at_end);

static rules_expression trim_choice(struct rules *r, const struct expression *x, bool at_end) {
    size_t from = r->scratch_count;
    uint32_t first = x->a, count = x->b;
    for (uint32_t i = 0; i < count; i++) {
        rules_expression member = trim(r, r->members[first + i], at_end);
        if (member == RULES_NONE || !scratch_push(r, member)) return RULES_NONE;
    }
    return expression_choice(r, from);
}

/* As many as there must be, one of which is trimmed. */
static rules_expression trim_repeat(struct rules *r, const struct expression *x, bool at_end) {
    rules_expression part = x->a, last = trim(r, part, at_end);
    if (last == part) return rules_repeat(r, part, x->b, x->b);
    rules_expression others = rules_repeat(r, part, x->b - 1, x->b - 1);
    return at_end ? expression_sequence(r, others, last) : expression_sequence(r, last, others);
}

/* Elements at the end that may be left out are. */
static rules_expression trim_end_of_sequence(struct rules *r, rules_expression x) {
    size_t from = r->scratch_count;
    rules_expression made = RULES_EMPTY;
    for (; r->expressions[x].kind == EXPRESSION_SEQUENCE; x = r->expressions[x].b)
        if (!rules_tick(r) || !scratch_push(r, r->expressions[x].a)) return RULES_NONE;
    made = trim(r, x, true);
    while (made == RULES_EMPTY && r->scratch_count > from)
        made = trim(r, r->scratch[--r->scratch_count], true);
    while (r->scratch_count > from) made = expression_sequence(r, r->scratch[--r->scratch_count], made);
    return made;
}

static rules_expression trim_begin_of_sequence(struct rules *r, rules_expression x) {
    while (r->expressions[x].kind == EXPRESSION_SEQUENCE &&
           expression_is(r, r->expressions[x].a, EXPRESSION_NULLABLE))
        x = r->expressions[x].b;
    if (r->expressions[x].kind != EXPRESSION_SEQUENCE) return trim(r, x, false);
    rules_expression rest = r->expressions[x].b;
    return expression_sequence(r, trim(r, r->expressions[x].a, false), rest);
}

/* The depth of an expression is limited, and with it that of these calls. */
static rules_expression trim(struct rules *r, rules_expression x, bool at_end) {
    if (rules_failed(r) || x == RULES_NONE || !rules_tick(r)) return RULES_NONE;
    const struct expression e = r->expressions[x];
    if (expression_is(r, x, EXPRESSION_NULLABLE)) return RULES_EMPTY;
    switch ((enum expression_kind)e.kind) {
    case EXPRESSION_CHOICE:
        return trim_choice(r, &e, at_end);
    case EXPRESSION_REPEAT:
        return trim_repeat(r, &e, at_end);
    case EXPRESSION_SEQUENCE:
        return at_end ? trim_end_of_sequence(r, x) : trim_begin_of_sequence(r, x);
    default:
        return x;
    }
}

rules_expression rules_trim_end(struct rules *r, rules_expression x) {
    return trim(r, x, true);
}

rules_expression rules_trim_begin(struct rules *r, rules_expression x) {
    return trim(r, x, false);
}
