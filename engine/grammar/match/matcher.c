#include "engine/grammar/match/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/leading.h"
#include "engine/grammar/match/intern.h"

/* Members of a choice that are compared with each other. */
#define ALIKE_MAX 256

/* Members that are looked at for what a step costs. */
#define MEMBERS_A_STEP 16

/* ---- what is in the making --------------------------------------------------------------------------------- */

static bool add_found(struct matcher *m, dfa_state leaf, uint32_t cell) {
    struct rules *r = m->rules;
    if (leaf == RULES_NONE) return false;
    if (leaf == DFA_DEAD) return true;
    if (!rules_grow(r, &m->found, &m->found_capacity, m->found_count + 1, sizeof *m->found)) return false;
    m->found[m->found_count++] = (struct item){leaf, cell};
    return rules_spend(r, 1);
}

/* An expression and what comes behind it, once in each making. */
static bool add_open(struct matcher *m, rules_expression x, uint32_t cell) {
    struct rules *r = m->rules;
    bool fresh;
    if (x == RULES_NONE || cell == CELL_FAILED) return false;
    if (x == RULES_EMPTY || x == RULES_NOTHING) return true;
    if (!intern_pair(m, x, cell, &fresh)) return false;
    if (!fresh) return true;
    if (m->seen_count > MATCHER_EXPANSIONS_MAX) {
        rules_fail(r, STATUS_LIMIT, "grammar", "more than %d ways to go on from one place",
                   MATCHER_EXPANSIONS_MAX);
        return false;
    }
    if (!rules_grow(r, &m->open, &m->open_capacity, m->open_count + 1, sizeof *m->open)) return false;
    m->open[m->open_count++] = (struct item){x, cell};
    return true;
}

static rules_expression first_of(const struct rules *r, rules_expression x) {
    return r->expressions[x].kind == EXPRESSION_SEQUENCE ? r->expressions[x].a : x;
}

static rules_expression behind_first(const struct rules *r, rules_expression x) {
    return r->expressions[x].kind == EXPRESSION_SEQUENCE ? r->expressions[x].b : RULES_EMPTY;
}

static bool is_narrow(const struct rules *r, rules_expression x) {
    return expression_is(r, x, EXPRESSION_REGULAR) && !expression_is(r, x, EXPRESSION_WIDE);
}

/* Members that begin like the one at `at` are one together: what they begin with is looked into once. */
static bool open_alike(struct matcher *m, const struct expression *x, uint32_t at, uint32_t cell) {
    struct rules *r = m->rules;
    rules_expression member = r->members[x->a + at], first = first_of(r, member);
    size_t from = r->scratch_count;
    if (!rules_spend(r, x->b / MEMBERS_A_STEP)) return false;
    for (uint32_t i = 0; i < x->b; i++) {
        rules_expression other = r->members[x->a + i];
        if (is_narrow(r, other) || first_of(r, other) != first) continue;
        if (i < at) return true; /* that one has done it */
        if (!scratch_push(r, behind_first(r, other))) return false;
    }
    if (r->scratch_count == from + 1) {
        r->scratch_count = from;
        return add_open(m, member, cell);
    }
    rules_expression rest = expression_choice(r, from);
    return rest != RULES_NONE && add_open(m, expression_sequence(r, first, rest), cell);
}

/* Members that are leaves are one leaf together; the others are looked into. */
static bool open_choice(struct matcher *m, const struct expression *x, uint32_t cell) {
    struct rules *r = m->rules;
    size_t from = r->scratch_count;
    if (!rules_spend(r, x->b / MEMBERS_A_STEP)) return false;
    for (uint32_t i = 0; i < x->b; i++)
        if (is_narrow(r, r->members[x->a + i]) && !scratch_push(r, r->members[x->a + i])) return false;
    rules_expression narrow = expression_choice(r, from);
    if (narrow == RULES_NONE || !add_open(m, narrow, cell)) return false;
    bool few = x->b <= ALIKE_MAX;
    for (uint32_t i = 0; i < x->b; i++) {
        rules_expression member = r->members[x->a + i];
        if (is_narrow(r, member)) continue;
        if (!(few ? open_alike(m, x, i, cell) : add_open(m, member, cell))) return false;
    }
    return true;
}

static bool open_repeat(struct matcher *m, const struct expression *x, uint32_t cell) {
    uint32_t least = x->b > 0 ? x->b - 1 : 0, most = x->c == RULES_UNLIMITED ? x->c : x->c - 1;
    rules_expression part = x->a, again = rules_repeat(m->rules, part, least, most);
    return again != RULES_NONE && add_open(m, part, intern_cell(m, again, cell));
}

static bool look_into(struct matcher *m, rules_expression leading, uint32_t cell) {
    const struct expression x = m->rules->expressions[leading];
    switch ((enum expression_kind)x.kind) {
    case EXPRESSION_CHOICE:
        return open_choice(m, &x, cell);
    case EXPRESSION_REPEAT:
        return open_repeat(m, &x, cell);
    case EXPRESSION_CALL:
        return add_open(m, m->rules->rules[x.a].meaning, cell);
    default: /* a sequence */
        return add_open(m, leading, cell);
    }
}

/* The items of an expression before a cell that take a byte. */
static bool expand_one(struct matcher *m, rules_expression x, uint32_t cell) {
    struct rules *r = m->rules;
    rules_expression leading, rest;
    enum leading_kind kind = leading_split(r, x, &leading, &rest);
    if (kind == LEADING_FAILED) return false;
    uint32_t behind = intern_cell(m, rest, cell);
    if (behind == CELL_FAILED) return false;
    if (rest != RULES_EMPTY && expression_is(r, leading, EXPRESSION_NULLABLE) && !add_open(m, rest, cell))
        return false;
    return kind == LEADING_LEAF ? add_found(m, dfa_state_of(r, leading), behind)
                                : look_into(m, leading, behind);
}

static bool expand(struct matcher *m, rules_expression x, uint32_t cell) {
    if (!add_open(m, x, cell)) return false;
    while (m->open_count > 0) {
        struct item next = m->open[--m->open_count];
        if (!rules_tick(m->rules) || !expand_one(m, next.leaf, next.cell)) return false;
    }
    return true;
}

static bool add_all(struct matcher *m, configuration from) {
    struct configuration_data data = m->configurations[from];
    m->found_end |= data.may_end;
    for (uint32_t i = 0; i < data.count; i++) {
        struct item item = m->items[data.first + i];
        if (!add_found(m, item.leaf, item.cell)) return false;
    }
    return true;
}

static bool add_popping(struct matcher *m, uint32_t cell) {
    bool fresh;
    if (!intern_pair(m, RULES_NONE, cell, &fresh)) return false;
    if (!fresh) return true;
    if (!rules_grow(m->rules, &m->popping, &m->popping_capacity, m->popping_count + 1, sizeof *m->popping))
        return false;
    m->popping[m->popping_count++] = cell;
    return true;
}

static bool pop_one(struct matcher *m, uint32_t cell) {
    struct cell top = m->cells[cell];
    if (cell == CELL_END) {
        m->found_end = true;
        return true;
    }
    if (top.entry != CONFIGURATION_UNKNOWN) return add_all(m, top.entry);
    if (top.rest != RULES_NONE) {
        bool nullable = expression_is(m->rules, top.rest, EXPRESSION_NULLABLE);
        return expand(m, top.rest, top.next) && (!nullable || add_popping(m, top.next));
    }
    for (uint32_t i = 0; i < top.count; i++)
        if (!add_popping(m, m->others[top.next + i])) return false;
    return true;
}

/* All that may come from a cell on. */
static bool pop(struct matcher *m, uint32_t cell) {
    if (!add_popping(m, cell)) return false;
    while (m->popping_count > 0)
        if (!pop_one(m, m->popping[--m->popping_count])) return false;
    return true;
}

static void begin(struct matcher *m) {
    m->found_count = m->open_count = m->popping_count = m->seen_count = 0;
    m->found_end = false;
    m->making++;
}

configuration matcher_enter(struct matcher *m, uint32_t cell) {
    if (m->cells[cell].entry != CONFIGURATION_UNKNOWN) return m->cells[cell].entry;
    begin(m);
    if (!pop(m, cell)) return CONFIGURATION_FAILED;
    configuration made = intern_configuration(m);
    if (made != CONFIGURATION_FAILED) m->cells[cell].entry = made;
    return made;
}

/* ---- steps ------------------------------------------------------------------------------------------------- */

static bool step_item(struct matcher *m, struct item item, uint32_t class) {
    struct rules *r = m->rules;
    const dfa_state *row = dfa_row(r, item.leaf);
    if (!row) return false;
    dfa_state next = row[class];
    if (next == DFA_DEAD) return true;
    if (r->dfa_states[next].expression != RULES_EMPTY && !add_found(m, next, item.cell)) return false;
    if (!dfa_nullable(r, next)) return true;
    return add_all(m, m->cells[item.cell].entry);
}

/* What begins behind the leaf of an item that may end with this byte: each cell's is worked out once. */
static bool enter_behind(struct matcher *m, struct item item, uint32_t class) {
    const dfa_state *row = dfa_row(m->rules, item.leaf);
    if (!row) return false;
    return row[class] == DFA_DEAD || !dfa_nullable(m->rules, row[class]) ||
           matcher_enter(m, item.cell) != CONFIGURATION_FAILED;
}

static bool has_row(struct matcher *m, configuration from) {
    struct rules *r = m->rules;
    size_t classes = r->class_count, row = m->row_count;
    if (m->configurations[from].row != UINT32_MAX) return true;
    if (!rules_grow(r, &m->rows, &m->row_capacity, (row + 1) * classes, sizeof *m->rows)) return false;
    for (size_t i = 0; i < classes; i++) m->rows[row * classes + i] = CONFIGURATION_UNKNOWN;
    m->configurations[from].row = (uint32_t)row;
    m->row_count++;
    return true;
}

configuration matcher_find_step(struct matcher *m, configuration from, uint32_t class) {
    struct configuration_data data = m->configurations[from];
    if (!has_row(m, from) || !rules_spend(m->rules, 1 + data.count)) return CONFIGURATION_FAILED;
    for (uint32_t i = 0; i < data.count; i++)
        if (!enter_behind(m, m->items[data.first + i], class)) return CONFIGURATION_FAILED;
    begin(m);
    for (uint32_t i = 0; i < data.count; i++)
        if (!step_item(m, m->items[data.first + i], class)) return CONFIGURATION_FAILED;
    configuration to = m->found_count == 0 && !m->found_end ? CONFIGURATION_DEAD : intern_configuration(m);
    if (to != CONFIGURATION_FAILED)
        m->rows[(size_t)m->configurations[from].row * m->rules->class_count + class] = to;
    return to;
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

static bool start(struct matcher *m) {
    uint32_t cell;
    if (!intern_init(m)) return false;
    begin(m);
    cell = intern_cell(m, m->rules->start, CELL_END);
    if (cell == CELL_FAILED || !pop(m, cell)) return false;
    return intern_configuration(m) != CONFIGURATION_FAILED;
}

enum status matcher_create(struct rules *r, struct matcher **out, struct error *e) {
    struct matcher *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!m) {
        rules_destroy(r);
        return error_set(e, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", sizeof *m);
    }
    m->rules = r;
    if (!start(m)) {
        enum status status = rules_take_failure(r, e);
        matcher_destroy(m);
        return status;
    }
    *out = m;
    return STATUS_OK;
}

void matcher_destroy(struct matcher *m) {
    if (!m) return;
    rules_destroy(m->rules);
    free(m->cells);
    free(m->cell_table.slots);
    free(m->others);
    free(m->items);
    free(m->configurations);
    free(m->configuration_table.slots);
    free(m->rows);
    free(m->found);
    free(m->open);
    free(m->popping);
    free(m->seen);
    free(m->seen_in);
    free(m);
}
