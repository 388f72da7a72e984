#include "engine/grammar/rules/fixpoint.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/rules/dfa.h"

/* Arrows from a part to what it is part of, [count] lists one behind the other. */
struct arrows {
    uint32_t *first; /* [count + 1] */
    uint32_t *to;
    uint32_t *needed; /* [count]: parts that must still be found to hold */
};

struct walk {
    struct rules *r;
    enum fixpoint_question question;
    struct fixpoint *fixpoint;
    struct arrows arrows;
};

static uint32_t part_count(const struct expression *x) {
    switch ((enum expression_kind)x->kind) {
    case EXPRESSION_CHOICE:
        return x->b;
    case EXPRESSION_SEQUENCE:
    case EXPRESSION_INTERSECTION:
    case EXPRESSION_DIFFERENCE:
        return 2;
    case EXPRESSION_REPEAT:
    case EXPRESSION_CALL:
        return 1;
    default:
        return 0;
    }
}

static rules_expression part_at(const struct rules *r, const struct expression *x, uint32_t i) {
    if (x->kind == EXPRESSION_CHOICE) return r->members[x->a + i];
    if (x->kind == EXPRESSION_CALL) return r->rules[x->a].meaning;
    return i == 0 ? x->a : x->b;
}

/* How many of its parts must hold. */
static uint32_t needed_of(enum fixpoint_question question, const struct expression *x) {
    if (question == FIXPOINT_REGULAR) return part_count(x);
    if (x->kind == EXPRESSION_CHOICE) return 1;
    if (x->kind == EXPRESSION_REPEAT) return x->b > 0;
    return part_count(x);
}

static bool holds_by_itself(struct walk *w, rules_expression x) {
    if (!expression_is(w->r, x, EXPRESSION_REGULAR)) return false;
    if (w->question == FIXPOINT_NULLABLE) return expression_is(w->r, x, EXPRESSION_NULLABLE);
    return w->question == FIXPOINT_REGULAR || expression_alive(w->r, x);
}

static void found(struct walk *w, rules_expression x) {
    if (w->fixpoint->holds[x]) return;
    w->fixpoint->holds[x] = true;
    w->fixpoint->order[w->fixpoint->order_count++] = x;
}

/* Counts the arrows of each part (put false), or writes them. */
static void each_arrow(struct walk *w, bool put) {
    const struct rules *r = w->r;
    for (uint32_t i = 0; i < w->fixpoint->count; i++) {
        const struct expression *x = &r->expressions[i];
        uint32_t parts = x->flags & EXPRESSION_REGULAR ? 0 : part_count(x);
        for (uint32_t k = 0; k < parts; k++) {
            rules_expression part = part_at(r, x, k);
            if (put)
                w->arrows.to[--w->arrows.first[part]] = i;
            else
                w->arrows.first[part]++;
        }
    }
}

static bool make_arrows(struct walk *w) {
    struct arrows *a = &w->arrows;
    size_t count = w->fixpoint->count, sum = 0;
    a->first = calloc(count + 1, sizeof *a->first);
    a->needed = calloc(count, sizeof *a->needed);
    if (!a->first || !a->needed) return false;
    each_arrow(w, false);
    for (size_t i = 0; i <= count; i++) {
        sum += a->first[i];
        a->first[i] = (uint32_t)sum;
    }
    a->to = calloc(sum + 1, sizeof *a->to);
    if (!a->to) return false;
    each_arrow(w, true);
    return true;
}

static void settle(struct walk *w) {
    struct fixpoint *f = w->fixpoint;
    const struct rules *r = w->r;
    for (uint32_t i = 0; i < f->count; i++) {
        w->arrows.needed[i] = needed_of(w->question, &r->expressions[i]);
        bool regular = (r->expressions[i].flags & EXPRESSION_REGULAR) != 0;
        if (!regular && w->arrows.needed[i] == 0) found(w, i);
    }
    /* The regular ones go through the same queue, and are taken off it at the end. */
    for (uint32_t i = 0; i < f->count && rules_tick(w->r); i++)
        if (holds_by_itself(w, i)) found(w, i);
    for (size_t at = 0; at < f->order_count; at++) {
        rules_expression x = f->order[at];
        for (uint32_t k = w->arrows.first[x]; k < w->arrows.first[x + 1]; k++) {
            rules_expression whole = w->arrows.to[k];
            if (w->arrows.needed[whole] > 0 && --w->arrows.needed[whole] == 0) found(w, whole);
        }
    }
    size_t kept = 0;
    for (size_t at = 0; at < f->order_count; at++)
        if (!(r->expressions[f->order[at]].flags & EXPRESSION_REGULAR)) f->order[kept++] = f->order[at];
    f->order_count = kept;
}

bool fixpoint_solve(struct rules *r, enum fixpoint_question question, struct fixpoint *out) {
    struct walk w = {.r = r, .question = question, .fixpoint = out};
    *out = (struct fixpoint){.count = r->expression_count};
    out->holds = calloc(out->count, sizeof *out->holds);
    out->order = calloc(out->count, sizeof *out->order);
    bool made = out->holds && out->order && make_arrows(&w);
    if (made)
        settle(&w);
    else
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate for %zu expressions", out->count);
    free(w.arrows.first);
    free(w.arrows.to);
    free(w.arrows.needed);
    if (!rules_failed(r)) return true;
    fixpoint_deinit(out);
    return false;
}

void fixpoint_deinit(struct fixpoint *f) {
    free(f->holds);
    free(f->order);
    *f = (struct fixpoint){0};
}
