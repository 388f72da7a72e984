/* The end of writing: calls of rules that are regular give way to what the rules mean, what matches nothing goes, and
 * what cannot be matched from left to right is refused. */
#include "engine/grammar/rules/expression.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/rules/fixpoint.h"
#include "engine/grammar/rules/left_recursion.h"
#include "engine/grammar/rules/dfa.h"

/* What each expression that was there at the start becomes. */
struct change {
    struct rules *r;
    rules_expression *becomes; /* RULES_NONE: not worked out yet */
    size_t count;
    const struct fixpoint *keep; /* others become nothing; NULL: all are kept */
};

static rules_expression change_choice(struct change *c, const struct expression *x) {
    size_t from = c->r->scratch_count;
    for (uint32_t i = 0; i < x->b; i++) {
        rules_expression member = c->becomes[c->r->members[x->a + i]];
        if (member == RULES_NONE || !scratch_push(c->r, member)) return RULES_NONE;
    }
    return expression_choice(c->r, from);
}

static rules_expression change_call(struct change *c, rules_expression self, const struct expression *x) {
    rules_expression meaning = c->becomes[c->r->rules[x->a].meaning];
    bool known = meaning != RULES_NONE && expression_is(c->r, meaning, EXPRESSION_REGULAR);
    return known ? meaning : self;
}

static rules_expression change_one(struct change *c, rules_expression self) {
    struct rules *r = c->r;
    const struct expression x = r->expressions[self];
    if (c->keep && !c->keep->holds[self]) return RULES_NOTHING;
    switch ((enum expression_kind)x.kind) {
    case EXPRESSION_CALL:
        return change_call(c, self, &x);
    case EXPRESSION_CHOICE:
        return change_choice(c, &x);
    case EXPRESSION_SEQUENCE:
        return expression_sequence(r, c->becomes[x.a], c->becomes[x.b]);
    case EXPRESSION_REPEAT:
        return rules_repeat(r, c->becomes[x.a], x.b, x.c);
    case EXPRESSION_INTERSECTION:
        return rules_intersection(r, c->becomes[x.a], c->becomes[x.b]);
    case EXPRESSION_DIFFERENCE:
        return rules_difference(r, c->becomes[x.a], c->becomes[x.b]);
    default:
        return self;
    }
}

static bool change_init(struct change *c, struct rules *r, const struct fixpoint *keep) {
    *c = (struct change){.r = r, .count = keep ? keep->count : r->expression_count, .keep = keep};
    c->becomes = calloc(c->count, sizeof *c->becomes);
    if (!c->becomes) {
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate for %zu expressions", c->count);
        return false;
    }
    memset(c->becomes, 0xFF, c->count * sizeof *c->becomes);
    return true;
}

static void change_rest(struct change *c) {
    for (uint32_t i = 0; i < c->count && rules_tick(c->r); i++)
        if (c->becomes[i] == RULES_NONE) c->becomes[i] = change_one(c, i);
}

static rules_expression change_finish(struct change *c, rules_expression start) {
    struct rules *r = c->r;
    rules_expression changed = RULES_NONE;
    if (!rules_failed(r)) {
        changed = c->becomes[start];
        for (size_t i = 0; i < r->rule_count; i++) r->rules[i].meaning = c->becomes[r->rules[i].meaning];
    }
    free(c->becomes);
    return changed;
}

/* What an intersection or a difference has become must be regular. */
static void check_boolean(const struct change *c) {
    for (size_t i = 0; i < c->count && !rules_failed(c->r); i++) {
        const struct expression *x = &c->r->expressions[c->becomes[i]];
        bool boolean = x->kind == EXPRESSION_INTERSECTION || x->kind == EXPRESSION_DIFFERENCE;
        if (boolean && !(x->flags & EXPRESSION_REGULAR))
            rules_fail(c->r, STATUS_INVALID_ARGUMENT, "grammar",
                       "an intersection or a difference of what leads to a call of itself");
    }
}

/* Regular rules in the place of their calls. */
static rules_expression put_rules_in(struct rules *r, rules_expression start) {
    struct fixpoint regular;
    struct change c;
    if (!fixpoint_solve(r, FIXPOINT_REGULAR, &regular)) return RULES_NONE;
    if (!change_init(&c, r, NULL)) {
        fixpoint_deinit(&regular);
        return RULES_NONE;
    }
    for (uint32_t i = 0; i < c.count; i++)
        if (expression_is(r, i, EXPRESSION_REGULAR)) c.becomes[i] = i;
    for (size_t i = 0; i < regular.order_count && rules_tick(r); i++)
        c.becomes[regular.order[i]] = change_one(&c, regular.order[i]);
    fixpoint_deinit(&regular);
    change_rest(&c);
    check_boolean(&c);
    return change_finish(&c, start);
}

/* What matches no text becomes nothing. */
static rules_expression drop_unproductive(struct rules *r, rules_expression start) {
    struct fixpoint productive;
    struct change c;
    if (!fixpoint_solve(r, FIXPOINT_PRODUCTIVE, &productive)) return RULES_NONE;
    if (!change_init(&c, r, &productive)) {
        fixpoint_deinit(&productive);
        return RULES_NONE;
    }
    change_rest(&c);
    rules_expression changed = change_finish(&c, start);
    fixpoint_deinit(&productive);
    return changed;
}

/* Rules know whether they are nullable now, and with them everything that calls them. */
static bool mark_nullable(struct rules *r) {
    struct fixpoint nullable;
    if (!fixpoint_solve(r, FIXPOINT_NULLABLE, &nullable)) return false;
    for (size_t i = 0; i < r->rule_count; i++) r->rules[i].nullable = nullable.holds[r->rules[i].meaning];
    for (size_t i = 0; i < r->expression_count; i++)
        r->expressions[i].flags = expression_flags(r, &r->expressions[i]);
    fixpoint_deinit(&nullable);
    return true;
}

static bool check_meanings(struct rules *r) {
    for (size_t i = 0; i < r->rule_count; i++)
        if (r->rules[i].meaning == RULES_NONE) {
            rules_fail(r, STATUS_INVALID_ARGUMENT, rule_name(r, (rules_name)i),
                       "the rule is used but not defined");
            return false;
        }
    return true;
}

static rules_expression prepare(struct rules *r, rules_expression start) {
    start = put_rules_in(r, start);
    if (start == RULES_NONE) return RULES_NONE;
    dfa_freeze(r);
    start = drop_unproductive(r, start);
    if (start == RULES_NONE) return RULES_NONE;
    if (start == RULES_NOTHING)
        return rules_fail(r, STATUS_INVALID_ARGUMENT, "grammar", "no text matches it");
    if (!mark_nullable(r) || !left_recursion_check(r, start)) return RULES_NONE;
    return start;
}

enum status rules_finish(struct rules *r, rules_expression start, struct error *e) {
    if (!rules_failed(r) && start == RULES_NONE)
        rules_fail(r, STATUS_INVALID_ARGUMENT, "grammar", "there is nothing to start from");
    if (!rules_failed(r) && check_meanings(r)) r->start = prepare(r, start);
    return rules_failed(r) ? rules_take_failure(r, e) : STATUS_OK;
}
