/* An expression's linear form is a list of pairs: behind a byte of this set, that is left (Antimirov's partial
 * derivatives). It is made in one pass for all bytes, so that a choice of a hundred thousand texts is gone through once
 * and not once for each byte. */
#include "engine/grammar/rules/linear_form.h"

#include <stdlib.h>
#include <string.h>

/* One class instead of a set. */
#define CLASS_BIT 0x80000000u
#define NO_LINK   UINT32_MAX
/* That a pair is sorted into, of what a step costs. */
#define CLASSES_A_STEP 16
/* Of choices whose rows are used: making one may make those of the choices in it, one call within the other. */
#define SHARED_DEPTH_MAX 40

struct pair {
    uint32_t set; /* or CLASS_BIT and a class */
    rules_expression target;
};

struct link {
    rules_expression target;
    uint32_t next;
};

/* Stacks: each use takes off what it has put on. */
struct linear_form {
    struct pair *pairs;
    size_t pair_count, pair_capacity;
    struct link *links;
    size_t link_count, link_capacity;
};

void linear_form_destroy(struct rules *r) {
    struct linear_form *f = r->form;
    if (!f) return;
    rules_shrink(r, &f->pairs, &f->pair_capacity, 0, sizeof *f->pairs);
    rules_shrink(r, &f->links, &f->link_capacity, 0, sizeof *f->links);
    rules_refund(r, sizeof *f);
    free(f);
    r->form = NULL;
}

static bool add_pair(struct rules *r, uint32_t set, rules_expression target) {
    struct linear_form *f = r->form;
    if (target == RULES_NONE) return false;
    if (target == RULES_NOTHING) return true;
    if (!rules_grow(r, &f->pairs, &f->pair_capacity, f->pair_count + 1, sizeof *f->pairs)) return false;
    f->pairs[f->pair_count++] = (struct pair){set, target};
    return true;
}

/* `tail` comes behind what is left in the pairs from `from` on. */
static bool append(struct rules *r, size_t from, rules_expression tail) {
    if (tail == RULES_NONE) return false;
    for (size_t i = from; i < r->form->pair_count; i++) {
        rules_expression target = expression_sequence(r, r->form->pairs[i].target, tail);
        if (target == RULES_NONE) return false;
        r->form->pairs[i].target = target;
    }
    return true;
}

static bool add_form(struct rules *r, rules_expression x);

static bool add_choice(struct rules *r, const struct expression *x) {
    uint32_t first = x->a, count = x->b;
    for (uint32_t i = 0; i < count; i++)
        if (!add_form(r, r->members[first + i])) return false;
    return true;
}

/* By its state's row, which is made once, whatever comes behind it: the characters of a string of bounded length are the
 * same at each place. What is left of a choice stays a choice before the tail, so that few expressions are made. */
static bool add_row_before(struct rules *r, rules_expression x, rules_expression tail) {
    rules_expression last = RULES_NOTHING, made = RULES_NOTHING;
    const uint32_t *row = dfa_any_row(r, x);
    if (!row || tail == RULES_NONE) return false;
    for (uint32_t c = 0; c < r->class_count; c++) {
        rules_expression left = r->dfa_states[row[c]].expression;
        if (left != last) made = expression_sequence(r, left, tail);
        last = left;
        if (!add_pair(r, CLASS_BIT | c, made)) return false;
    }
    return true;
}

static bool add_before(struct rules *r, rules_expression x, rules_expression tail) {
    size_t from = r->form->pair_count;
    const struct expression *e = &r->expressions[x];
    if (e->kind == EXPRESSION_CHOICE && e->depth <= SHARED_DEPTH_MAX) return add_row_before(r, x, tail);
    return add_form(r, x) && append(r, from, tail);
}

static bool add_repeat(struct rules *r, const struct expression *x) {
    rules_expression part = x->a;
    uint32_t least = x->b > 0 ? x->b - 1 : 0, most = x->c == RULES_UNLIMITED ? x->c : x->c - 1;
    return add_before(r, part, rules_repeat(r, part, least, most));
}

static rules_expression combine(struct rules *r, const struct expression *x, uint32_t class) {
    const uint32_t *a = dfa_any_row(r, x->a);
    if (!a) return RULES_NONE;
    rules_expression left = r->dfa_states[a[class]].expression;
    if (left == RULES_NOTHING) return RULES_NOTHING;
    const uint32_t *b = dfa_any_row(r, x->b);
    if (!b) return RULES_NONE;
    rules_expression right = r->dfa_states[b[class]].expression;
    return x->kind == EXPRESSION_INTERSECTION ? expression_intersection(r, left, right)
                                              : expression_difference(r, left, right);
}

static bool add_combined(struct rules *r, const struct expression *x) {
    for (uint32_t c = 0; c < r->class_count; c++)
        if (!add_pair(r, CLASS_BIT | c, combine(r, x, c))) return false;
    return true;
}

/* The depth of an expression is limited, and with it that of these calls. */
static bool add_form(struct rules *r, rules_expression x) {
    for (;;) {
        struct expression now = r->expressions[x];
        if (!rules_tick(r)) return false;
        switch ((enum expression_kind)now.kind) {
        case EXPRESSION_BYTES:
            return add_pair(r, now.a, RULES_EMPTY);
        case EXPRESSION_TEXT:
            return add_pair(r, CLASS_BIT | r->class_of[(unsigned char)r->texts[now.a]],
                            expression_text(r, now.a + 1, now.b - 1));
        case EXPRESSION_CHOICE:
            return add_choice(r, &now);
        case EXPRESSION_REPEAT:
            return add_repeat(r, &now);
        case EXPRESSION_INTERSECTION:
        case EXPRESSION_DIFFERENCE:
            return add_combined(r, &now);
        case EXPRESSION_SEQUENCE:
            if (!add_before(r, now.a, now.b)) return false;
            if (!expression_is(r, now.a, EXPRESSION_NULLABLE)) return true;
            x = now.b;
            break;
        default:
            return true;
        }
    }
}

static bool add_link(struct rules *r, uint32_t *head, rules_expression target) {
    struct linear_form *f = r->form;
    if (!rules_grow(r, &f->links, &f->link_capacity, f->link_count + 1, sizeof *f->links)) return false;
    f->links[f->link_count] = (struct link){target, *head};
    *head = (uint32_t)f->link_count++;
    return true;
}

static bool sort_pairs(struct rules *r, size_t from, uint32_t heads[256]) {
    for (size_t i = from; i < r->form->pair_count; i++) {
        struct pair pair = r->form->pairs[i];
        if (pair.set & CLASS_BIT) {
            if (!add_link(r, &heads[pair.set & ~CLASS_BIT], pair.target)) return false;
            continue;
        }
        struct byte_set set = r->sets[pair.set];
        if (!rules_spend(r, r->class_count / CLASSES_A_STEP)) return false;
        for (uint32_t c = 0; c < r->class_count; c++)
            if (byte_set_has(&set, r->class_byte[c]) && !add_link(r, &heads[c], pair.target)) return false;
    }
    return true;
}

static rules_expression join_links(struct rules *r, uint32_t link) {
    const struct linear_form *f = r->form;
    size_t from = r->scratch_count;
    if (link == NO_LINK) return RULES_NOTHING;
    if (f->links[link].next == NO_LINK) return f->links[link].target;
    for (; link != NO_LINK; link = f->links[link].next)
        if (!scratch_push(r, f->links[link].target)) return RULES_NONE;
    return expression_choice(r, from);
}

static bool find_targets(struct rules *r, rules_expression x, rules_expression targets[256]) {
    uint32_t heads[256];
    size_t from = r->form->pair_count;
    memset(heads, 0xFF, sizeof heads);
    if (!add_form(r, x) || !sort_pairs(r, from, heads)) return false;
    for (uint32_t c = 0; c < r->class_count; c++) {
        targets[c] = join_links(r, heads[c]);
        if (targets[c] == RULES_NONE) return false;
    }
    return true;
}

bool linear_form_targets(struct rules *r, rules_expression x, rules_expression targets[256]) {
    if (!r->form && rules_charge(r, sizeof *r->form) && !(r->form = calloc(1, sizeof *r->form)))
        rules_refund(r, sizeof *r->form);
    if (!r->form) {
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", sizeof *r->form);
        return false;
    }
    size_t pairs = r->form->pair_count, links = r->form->link_count;
    bool done = find_targets(r, x, targets);
    r->form->pair_count = pairs;
    r->form->link_count = links;
    return done;
}
