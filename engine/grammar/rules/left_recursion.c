#include "engine/grammar/rules/left_recursion.h"

#include <stdlib.h>

enum { UNSEEN, OPEN, DONE };

/* Parts of an expression that may be at its left end, one after the other: `next` counts them. */
static rules_expression left_part(const struct rules *r, const struct expression *x, uint32_t next) {
    switch ((enum expression_kind)x->kind) {
    case EXPRESSION_CHOICE:
        return next < x->b ? r->members[x->a + next] : RULES_NONE;
    case EXPRESSION_SEQUENCE:
        if (next == 1 && expression_is(r, x->a, EXPRESSION_NULLABLE)) return x->b;
        return next == 0 ? x->a : RULES_NONE;
    case EXPRESSION_REPEAT:
        return next == 0 ? x->a : RULES_NONE;
    case EXPRESSION_CALL:
        return next == 0 ? r->rules[x->a].meaning : RULES_NONE;
    default:
        return RULES_NONE;
    }
}

/* All parts that may be anywhere: so that rules in the middle are looked at too. */
static rules_expression any_part(const struct rules *r, const struct expression *x, uint32_t next) {
    if (x->kind != EXPRESSION_SEQUENCE) return left_part(r, x, next);
    return next == 0 ? x->a : next == 1 ? x->b : RULES_NONE;
}

struct search {
    struct rules *r;
    uint8_t *state;
    rules_expression (*part)(const struct rules *, const struct expression *, uint32_t);
    bool found; /* an expression that leads to itself */
};

static void enter(struct search *s, rules_expression x) {
    s->state[x] = OPEN;
    if (scratch_push(s->r, x)) scratch_push(s->r, 0);
}

/* The name of the last call on the way. */
static void refuse(struct rules *r, size_t from) {
    const char *name = "grammar";
    for (size_t i = from; i + 1 < r->scratch_count; i += 2) {
        const struct expression *x = &r->expressions[r->scratch[i]];
        if (x->kind == EXPRESSION_CALL) name = rule_name(r, x->a);
    }
    rules_fail(
        r, STATUS_INVALID_ARGUMENT, name,
        "the rule calls itself before it takes a character (left recursion): write it as a repetition");
}

static void walk(struct search *s, rules_expression start, bool refuse_circles) {
    struct rules *r = s->r;
    size_t from = r->scratch_count;
    if (s->state[start] != UNSEEN) return;
    enter(s, start);
    while (!rules_failed(r) && r->scratch_count > from) {
        uint32_t *top = r->scratch + r->scratch_count - 2;
        const struct expression *x = &r->expressions[top[0]];
        rules_expression part = x->flags & EXPRESSION_REGULAR ? RULES_NONE : s->part(r, x, top[1]++);
        if (part == RULES_NONE) {
            s->state[top[0]] = DONE;
            r->scratch_count -= 2;
        } else if (s->state[part] == UNSEEN) {
            enter(s, part);
        } else if (s->state[part] == OPEN && refuse_circles) {
            refuse(r, from);
        }
        rules_tick(r);
    }
    r->scratch_count = from;
}

bool left_recursion_check(struct rules *r, rules_expression start) {
    size_t count = r->expression_count;
    uint8_t *used = calloc(count, 1), *state = calloc(count, 1);
    struct search reach = {.r = r, .state = used, .part = any_part};
    struct search circles = {.r = r, .state = state, .part = left_part};
    if (used && state) {
        walk(&reach, start, false);
        for (uint32_t i = 0; i < count && !rules_failed(r); i++)
            if (used[i] != UNSEEN && r->expressions[i].kind == EXPRESSION_CALL) walk(&circles, i, true);
    } else {
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate for %zu expressions", count);
    }
    free(used);
    free(state);
    return !rules_failed(r);
}
