#include "engine/grammar/match/runs.h"

#include "engine/grammar/match/byte_groups.h"

/* Expressions that are looked at, those within each other, members of a choice, and expressions that are measured. */
enum { LOOKS_MAX = 48, LEVELS_MAX = 8, MEMBERS_MAX = 8, LENGTHS_MAX = 500 };

struct search {
    struct rules *rules;
    struct class_groups_table *table;
    unsigned looks, lengths;
};

/* What is no UTF-8 has no characters that can be counted. */
#define ALL_GROUPS (~GROUPS_NO_UTF8)

static bool has_lengths(const struct run *run) {
    return run->least <= run->most;
}

static uint32_t bounded(uint64_t value) {
    return value < RULES_UNLIMITED ? (uint32_t)value : RULES_UNLIMITED;
}

static uint32_t sum(uint32_t a, uint32_t b) {
    return bounded((uint64_t)a + b);
}

static uint32_t product(uint32_t a, uint32_t b) {
    return bounded((uint64_t)a * b);
}

/* ---- lists ------------------------------------------------------------------------------------------------ */

/* Whether b says nothing that a does not say. */
static bool covers(const struct run *a, const struct run *b) {
    bool has_all = !has_lengths(b) || (has_lengths(a) && a->least <= b->least && a->most >= b->most);
    return (b->groups & ~a->groups) == 0 && a->length >= b->length && has_all;
}

/* Where there are too many, the shortest goes. */
static void add_run(struct runs *to, struct run run) {
    size_t kept = 0, shortest = 0;
    if (run.groups == 0) return;
    for (size_t i = 0; i < to->count; i++)
        if (covers(&to->list[i], &run)) return;
    for (size_t i = 0; i < to->count; i++)
        if (!covers(&run, &to->list[i])) to->list[kept++] = to->list[i];
    to->count = kept;
    if (kept < RUNS_MAX) {
        to->list[to->count++] = run;
        return;
    }
    for (size_t i = 1; i < kept; i++)
        if (to->list[i].length < to->list[shortest].length) shortest = i;
    if (run.length > to->list[shortest].length) to->list[shortest] = run;
}

static struct run run_behind(const struct run *a, const struct run *b) {
    struct run run = {.groups = a->groups & b->groups, .least = 1};
    uint32_t both = sum(a->most, b->length);
    run.length = both > a->length ? both : a->length;
    if (!has_lengths(b)) return run;
    run.least = sum(a->least, b->least);
    run.most = sum(a->most, b->most);
    return run;
}

static void add_behind(const struct runs *first, const struct runs *rest, struct runs *to) {
    for (size_t i = 0; i < first->count; i++) {
        struct run a = first->list[i];
        for (size_t k = 0; has_lengths(&a) && k < rest->count; k++)
            add_run(to, run_behind(&a, &rest->list[k]));
        a.least = 1, a.most = 0;
        add_run(to, a);
    }
}

/* Behind so many times there is no gap between the lengths of one number of times and the next. */
static uint32_t times_without_gap(const struct run *part, uint32_t least) {
    if (part->least <= 1) return least;
    if (part->least == part->most) return RULES_UNLIMITED;
    uint32_t times = (part->least - 2) / (part->most - part->least) + 1;
    return times > least ? times : least;
}

static struct run run_repeated(const struct run *part, uint32_t least, uint32_t most) {
    struct run run = *part;
    run.least = 1, run.most = 0;
    if (!has_lengths(part) || part->most == 0) return run;
    uint32_t times = times_without_gap(part, least);
    if (most == RULES_UNLIMITED) {
        run.length = RULES_UNLIMITED;
        if (times == RULES_UNLIMITED) return run;
        run.least = product(times, part->least);
        run.most = RULES_UNLIMITED;
        return run;
    }
    run.length = sum(product(most - 1, part->most), part->length > part->most ? part->length : part->most);
    run.least = product(times < most ? times : most, part->least);
    run.most = product(most, part->most);
    return run;
}

static void add_common(const struct runs *a, const struct runs *b, struct runs *to) {
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++) {
            const struct run *x = &a->list[i], *y = &b->list[k];
            struct run run = {.groups = x->groups & y->groups,
                              .least = x->least > y->least ? x->least : y->least,
                              .most = x->most < y->most ? x->most : y->most};
            run.length = run.most;
            if (has_lengths(x) && has_lengths(y) && has_lengths(&run)) add_run(to, run);
        }
}

/* Without texts of more than `longest` characters: what is longer is all there. */
static void add_longer(const struct runs *a, uint32_t longest, struct runs *to) {
    for (size_t i = 0; i < a->count && longest < RULES_UNLIMITED; i++) {
        struct run run = a->list[i];
        if (run.least <= longest) run.least = longest + 1;
        run.length = run.most;
        if (has_lengths(&run)) add_run(to, run);
    }
}

/* ---- expressions ------------------------------------------------------------------------------------------ */

static bool find(struct search *s, rules_expression x, unsigned levels, struct runs *out);

/* What is in it might match nothing: then it says nothing. */
static bool is_unsure(const struct search *s, rules_expression x) {
    return expression_is(s->rules, x, EXPRESSION_BOOLEAN);
}

static bool is_single_byte(const struct byte_set *set) {
    uint64_t bits = 0;
    bool others = false;
    for (int i = 0; i < 4; i++) {
        others |= bits != 0 && set->bits[i] != 0;
        bits |= set->bits[i];
    }
    return !others && (bits & (bits - 1)) == 0;
}

static bool add_class(struct search *s, rules_expression x, struct runs *out) {
    struct class_groups class;
    if (!class_groups_find(s->rules, s->table, x, &class)) return false;
    add_run(out, (struct run){class.matching, 1, 1, 1});
    return true;
}

/* Members that are sets of bytes or texts, or begin with one, say no more by themselves than the whole does. */
static bool add_members(struct search *s, struct expression x, unsigned levels, struct runs *out) {
    struct rules *r = s->rules;
    size_t looked_at = 0;
    for (uint32_t i = 0; i < x.b && looked_at < MEMBERS_MAX; i++) {
        struct runs member;
        rules_expression m = r->members[x.a + i];
        const struct expression *e = &r->expressions[m];
        rules_expression first = e->kind == EXPRESSION_SEQUENCE ? e->a : m;
        uint8_t kind = r->expressions[first].kind;
        if (kind == EXPRESSION_BYTES || kind == EXPRESSION_TEXT || is_unsure(s, m)) continue;
        looked_at++;
        if (!find(s, m, levels, &member)) return false;
        for (size_t k = 0; k < member.count; k++) add_run(out, member.list[k]);
    }
    return true;
}

static bool find_repeat(struct search *s, struct expression x, unsigned levels, struct runs *out) {
    struct runs part;
    if (is_unsure(s, x.a)) return true;
    if (!find(s, x.a, levels, &part)) return false;
    for (size_t i = 0; i < part.count; i++) add_run(out, run_repeated(&part.list[i], x.b, x.c));
    return true;
}

/* Characters of the longest text that matches, at most; RULES_UNLIMITED: not known. */
static uint32_t longest(struct search *s, rules_expression x, unsigned levels) {
    const struct rules *r = s->rules;
    const struct expression *e = &r->expressions[x];
    uint32_t most = 0;
    if (levels == 0 || s->lengths == 0) return RULES_UNLIMITED;
    s->lengths--;
    switch ((enum expression_kind)e->kind) {
    case EXPRESSION_NOTHING:
    case EXPRESSION_EMPTY:
        return 0;
    case EXPRESSION_BYTES:
        return 1;
    case EXPRESSION_TEXT: /* bytes, of which a character has one or more */
        return e->b;
    case EXPRESSION_REPEAT:
        return product(e->c, longest(s, e->a, levels - 1));
    case EXPRESSION_SEQUENCE:
        for (; r->expressions[x].kind == EXPRESSION_SEQUENCE; x = r->expressions[x].b)
            most = sum(most, longest(s, r->expressions[x].a, levels - 1));
        return sum(most, longest(s, x, levels - 1));
    case EXPRESSION_CHOICE:
        for (uint32_t i = 0; i < e->b && most < RULES_UNLIMITED; i++) {
            uint32_t member = longest(s, r->members[e->a + i], levels - 1);
            if (member > most) most = member;
        }
        return most;
    default:
        return RULES_UNLIMITED;
    }
}

static bool find_difference(struct search *s, struct expression x, unsigned levels, struct runs *out) {
    struct runs a;
    if (!find(s, x.a, levels, &a)) return false;
    add_longer(&a, longest(s, x.b, LEVELS_MAX), out);
    return true;
}

/* Elements from the first on, as long as what was seen of them may be followed by more. */
static bool find_pair(struct search *s, struct expression x, unsigned levels, struct runs *out) {
    struct runs a, b = {0};
    bool goes_on = false;
    if (!find(s, x.a, levels, &a)) return false;
    for (size_t i = 0; i < a.count; i++) goes_on |= has_lengths(&a.list[i]);
    if (!goes_on && x.kind == EXPRESSION_INTERSECTION) return true;
    if (goes_on && !find(s, x.b, levels, &b)) return false;
    if (x.kind == EXPRESSION_SEQUENCE)
        add_behind(&a, &b, out);
    else
        add_common(&a, &b, out);
    return true;
}

static bool find(struct search *s, rules_expression x, unsigned levels, struct runs *out) {
    const struct expression e = s->rules->expressions[x];
    *out = (struct runs){0};
    if (levels == 0 || s->looks == 0) return true;
    s->looks--;
    if (expression_is(s->rules, x, EXPRESSION_NULLABLE)) add_run(out, (struct run){ALL_GROUPS, 0, 0, 0});
    switch ((enum expression_kind)e.kind) {
    case EXPRESSION_BYTES: /* texts that are given say nothing */
        return is_single_byte(&s->rules->sets[e.a]) || add_class(s, x, out);
    case EXPRESSION_CHOICE:
        return (is_unsure(s, x) || add_class(s, x, out)) && add_members(s, e, levels - 1, out);
    case EXPRESSION_REPEAT:
        return find_repeat(s, e, levels - 1, out);
    case EXPRESSION_SEQUENCE:
    case EXPRESSION_INTERSECTION:
        return find_pair(s, e, levels - 1, out);
    case EXPRESSION_DIFFERENCE:
        return find_difference(s, e, levels - 1, out);
    default:
        return true;
    }
}

bool runs_find(struct rules *r, struct class_groups_table *t, rules_expression x, struct runs *out) {
    struct search s = {.rules = r, .table = t, .looks = LOOKS_MAX, .lengths = LENGTHS_MAX};
    return find(&s, x, LEVELS_MAX, out);
}
