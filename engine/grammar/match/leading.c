#include "engine/grammar/match/leading.h"

/* Whether any text of a broad set of characters fills x, but for its length, which is fixed: one behind the other is such
 * a text, too. Of texts whose lengths differ there would be many ways to divide what was read, and a state for each set
 * of them. */
static bool is_filled(const struct rules *r, rules_expression x) {
    const struct expression *e = &r->expressions[x];
    while (e->kind == EXPRESSION_REPEAT && (e->b == e->c || e->c == 1)) {
        e = &r->expressions[e->a];
        if (!(e->flags & EXPRESSION_WIDE)) return (e->flags & EXPRESSION_BROAD) != 0;
    }
    return false;
}

/* Whether something wide stands in x in such a way that x must be looked into. */
static bool is_open(const struct rules *r, rules_expression x) {
    const struct expression *e = &r->expressions[x];
    if (!(e->flags & EXPRESSION_REGULAR)) return true;
    if (!(e->flags & EXPRESSION_WIDE)) return false;
    if (e->kind == EXPRESSION_REPEAT) return expression_is(r, e->a, EXPRESSION_WIDE) && !is_filled(r, e->a);
    return e->kind == EXPRESSION_CHOICE || e->kind == EXPRESSION_SEQUENCE;
}

/* How many elements at the left of a sequence make a leaf: up to the first that is to be looked into, to a second wide
 * one, or to what ends a wide one. *rest: what is behind them. */
static size_t count_leading(const struct rules *r, rules_expression x, rules_expression *rest) {
    size_t count = 0;
    bool wide = false;
    while (x != RULES_EMPTY) {
        const struct expression *e = &r->expressions[x];
        bool sequence = e->kind == EXPRESSION_SEQUENCE;
        rules_expression element = sequence ? e->a : x;
        bool is_wide = expression_is(r, element, EXPRESSION_WIDE);
        if (is_open(r, element) || (wide && is_wide)) break;
        x = sequence ? e->b : RULES_EMPTY;
        count++;
        if (wide && !expression_is(r, element, EXPRESSION_NULLABLE)) break;
        wide |= is_wide;
    }
    *rest = x;
    return count;
}

/* The first `count` elements. */
static rules_expression take(struct rules *r, rules_expression x, size_t count) {
    size_t from = r->scratch_count;
    rules_expression made = RULES_EMPTY;
    for (; count > 0; count--) {
        const struct expression *e = &r->expressions[x];
        bool sequence = e->kind == EXPRESSION_SEQUENCE;
        if (!scratch_push(r, sequence ? e->a : x)) return RULES_NONE;
        x = sequence ? e->b : RULES_EMPTY;
    }
    while (r->scratch_count > from) made = expression_sequence(r, r->scratch[--r->scratch_count], made);
    return made;
}

enum leading_kind leading_split(struct rules *r, rules_expression x, rules_expression *leading,
                                rules_expression *rest) {
    const struct expression *e = &r->expressions[x];
    *leading = x;
    *rest = RULES_EMPTY;
    if (!is_open(r, x)) return LEADING_LEAF;
    if (e->kind != EXPRESSION_SEQUENCE) return LEADING_OPEN;
    size_t count = count_leading(r, x, rest);
    if (count == 0) {
        *leading = e->a;
        *rest = e->b;
        return LEADING_OPEN;
    }
    *leading = *rest == RULES_EMPTY ? x : take(r, x, count);
    return *leading == RULES_NONE ? LEADING_FAILED : LEADING_LEAF;
}
