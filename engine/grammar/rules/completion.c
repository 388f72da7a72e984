#include "engine/grammar/rules/completion.h"

#include <stdlib.h>
#include <string.h>

/* Of a search: patterns of schemas have few states; what counts has many, and is not looked at for ever. */
enum { PAIRS_MAX = 450, EDGES_MAX = 4000, SLOTS = 1024, SEARCHES_MAX = 4, LEVELS_MAX = 3 };

/* Edges that are gone along for what a step costs. */
#define EDGES_A_STEP 16

/* What was found, by state of the automaton. */
struct completions {
    rules_expression part; /* that the texts are divided into */
    uint32_t *known;       /* [count]: as completion_find says, and 1 more; 0: not known yet */
    size_t count, capacity;
    unsigned searches; /* that have not come to an end */
    unsigned levels;   /* of searches within each other */
};

/* Pairs of a state of x and one of the repeated part, each of which is reached by the same text. */
struct search {
    struct rules *rules;
    dfa_state parts; /* of the part, any number of times: none of them has begun */
    struct item {
        dfa_state x, part;
    } pairs[PAIRS_MAX];
    uint16_t first_edges[PAIRS_MAX + 1];
    uint16_t edges[EDGES_MAX];  /* to which pair */
    uint32_t needed[PAIRS_MAX]; /* parts that have not begun yet, to the nearest end */
    uint16_t slots[SLOTS];      /* by pair; PAIRS_MAX: free */
    size_t pair_count, edge_count;
    bool is_over; /* there are too many, or a text is none of parts */
};

void completion_forget(struct rules *r) {
    struct completions *c = r->completions;
    if (!c) return;
    rules_shrink(r, &c->known, &c->capacity, 0, sizeof *c->known);
    rules_refund(r, sizeof *c);
    free(c);
    r->completions = NULL;
}

/* Its number, which is new where it has not been met. PAIRS_MAX: there are too many. */
static size_t number_of(struct search *s, struct item pair) {
    size_t at = hash_mix(hash_mix(0, pair.x), pair.part) % SLOTS;
    for (; s->slots[at] != PAIRS_MAX; at = (at + 1) % SLOTS) {
        const struct item *other = &s->pairs[s->slots[at]];
        if (other->x == pair.x && other->part == pair.part) return s->slots[at];
    }
    if (s->pair_count == PAIRS_MAX) return PAIRS_MAX;
    s->slots[at] = (uint16_t)s->pair_count;
    s->pairs[s->pair_count] = pair;
    return s->pair_count++;
}

static void add_edge(struct search *s, size_t from, struct item pair) {
    size_t number = pair.part == DFA_DEAD ? PAIRS_MAX : number_of(s, pair);
    size_t first = s->first_edges[from];
    for (size_t i = s->edge_count; i-- > first;)
        if (s->edges[i] == number) return;
    s->is_over |= number == PAIRS_MAX || s->edge_count == EDGES_MAX;
    if (!s->is_over) s->edges[s->edge_count++] = (uint16_t)number;
}

/* Where a pair leads. False: failed. */
static bool look_at(struct search *s, size_t number) {
    struct rules *r = s->rules;
    struct item from = s->pairs[number], last = {DFA_DEAD, DFA_DEAD};
    dfa_state row[256];
    const dfa_state *entries = dfa_row(r, from.x);
    if (!entries) return false;
    memcpy(row, entries, r->class_count * sizeof *row);
    if (!(entries = dfa_row(r, from.part))) return false;
    s->first_edges[number] = (uint16_t)s->edge_count;
    for (uint32_t class = 0; class < r->class_count && !s->is_over; class ++) {
        struct item to = {row[class], entries[class]};
        if (to.x == DFA_DEAD || (to.x == last.x && to.part == last.part)) continue;
        add_edge(s, number, to);
        last = to;
    }
    return rules_spend(r, r->class_count / EDGES_A_STEP);
}

static bool is_end(const struct search *s, size_t number) {
    return s->pairs[number].part == s->parts && dfa_nullable(s->rules, s->pairs[number].x);
}

/* From what it leads to. Whether that has changed. */
static bool lower(struct search *s, size_t number) {
    uint32_t begins = s->pairs[number].part == s->parts, before = s->needed[number];
    for (size_t i = s->first_edges[number]; i < s->first_edges[number + 1]; i++) {
        uint32_t behind = s->needed[s->edges[i]];
        if (behind != RULES_UNLIMITED && behind + begins < s->needed[number])
            s->needed[number] = behind + begins;
    }
    return s->needed[number] != before;
}

/* The most of all pairs. */
static uint32_t measure(struct search *s) {
    uint32_t most = 0;
    bool changed = true;
    for (size_t i = 0; i < s->pair_count; i++) s->needed[i] = is_end(s, i) ? 0 : RULES_UNLIMITED;
    while (changed && rules_spend(s->rules, 1 + s->edge_count / EDGES_A_STEP)) {
        changed = false;
        for (size_t i = s->pair_count; i-- > 0;) changed |= lower(s, i);
    }
    for (size_t i = 0; i < s->pair_count; i++)
        if (s->needed[i] > most) most = s->needed[i];
    return most;
}

static bool run(struct search *s, dfa_state x) {
    for (size_t i = 0; i < SLOTS; i++) s->slots[i] = PAIRS_MAX;
    number_of(s, (struct item){x, s->parts});
    for (size_t i = 0; i < s->pair_count && !s->is_over; i++)
        if (!look_at(s, i)) return false;
    s->first_edges[s->pair_count] = (uint16_t)s->edge_count;
    return true;
}

/* It holds for whatever was reached, too, for from there no more is reached. */
static bool remember(struct completions *c, const struct search *s, uint32_t most) {
    struct rules *r = s->rules;
    size_t count = s->is_over ? 1 : s->pair_count;
    if (!rules_grow(r, &c->known, &c->capacity, r->dfa_state_count, sizeof *c->known)) return false;
    memset(c->known + c->count, 0, (c->capacity - c->count) * sizeof *c->known);
    c->count = c->capacity;
    for (size_t i = 0; i < count; i++)
        if (s->pairs[i].part == s->parts) c->known[s->pairs[i].x] = most < RULES_UNLIMITED ? most + 1 : most;
    c->searches += s->is_over;
    return true;
}

static bool measure_new(struct rules *r, dfa_state state, dfa_state parts, uint32_t *out) {
    struct search s = {.rules = r, .parts = parts};
    if (!run(&s, state)) return false;
    if (!s.is_over) *out = measure(&s);
    return remember(r->completions, &s, *out);
}

/* Of texts that are divided into these parts. NULL: failed. */
static struct completions *completions_of(struct rules *r, rules_expression part) {
    struct completions *c = r->completions;
    if (!c) {
        if (!rules_charge(r, sizeof *c)) return NULL;
        c = r->completions = calloc(1, sizeof *c);
        if (!c) {
            rules_refund(r, sizeof *c);
            rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", sizeof *c);
            return NULL;
        }
    }
    if (c->part != part && c->count > 0) memset(c->known, 0, c->count * sizeof *c->known);
    c->part = part;
    return c;
}

/* As completion_find says, and 1 more; 0: not known. */
static uint32_t known_of(const struct completions *c, dfa_state state) {
    return state < c->count ? c->known[state] : 0;
}

uint32_t completion_known(const struct rules *r, rules_expression x, rules_expression part) {
    const struct completions *c = r->completions;
    bool has_state = c && c->part == part && x < r->dfa_state_of_count && r->dfa_state_of[x] != RULES_NONE;
    uint32_t known = has_state ? known_of(c, r->dfa_state_of[x]) : 0;
    return known == 0 || known == RULES_UNLIMITED ? RULES_UNLIMITED : known - 1;
}

bool completion_find(struct rules *r, rules_expression x, rules_expression part, uint32_t *out) {
    struct completions *c = completions_of(r, part);
    dfa_state state = dfa_state_of(r, x);
    dfa_state parts = dfa_state_of(r, rules_repeat(r, part, 0, RULES_UNLIMITED));
    *out = completion_known(r, x, part);
    if (!c || state == RULES_NONE || parts == RULES_NONE) return false;
    if (state == DFA_DEAD || known_of(c, state) > 0) return true;
    if (c->searches >= SEARCHES_MAX || c->levels >= LEVELS_MAX) return true;
    c->levels++;
    bool done = measure_new(r, state, parts, out);
    c->levels--;
    return done;
}

bool completion_limited(const struct rules *r, rules_expression both, unsigned i, struct limited *out) {
    const struct expression *e = &r->expressions[both];
    if (e->kind != EXPRESSION_INTERSECTION) return false;
    const struct expression *limit = &r->expressions[i == 0 ? e->b : e->a];
    *out = (struct limited){.x = i == 0 ? e->a : e->b, .part = limit->a, .most = limit->c};
    return limit->kind == EXPRESSION_REPEAT && limit->b == 0 && limit->c != RULES_UNLIMITED &&
           !expression_is(r, limit->a, EXPRESSION_NULLABLE);
}
