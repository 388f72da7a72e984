/* What stays is marked from the configurations down, in the arrays of the tables that are made anew anyway (they have
 * twice as many places as numbers are in them), then it moves together. Numbers change and their order does not, so what
 * is in ascending order (the members of a choice, cells of one of several stacks) stays so; parts have smaller numbers
 * than what is made of them. */
#include "engine/grammar/match/reset.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/intern.h"

/* Numbers that are looked at for what a step costs. */
#define NUMBERS_A_STEP 16

#define UNMARKED UINT32_MAX
#define MARKED   0 /* until it has its new number */

struct reset {
    struct matcher *m;
    struct rules *r;
    const struct matcher_mark *mark;
    uint32_t *expressions, *sets, *cells; /* new numbers, by old ones */
};

bool matcher_mark(struct matcher *m, struct matcher_mark *mark) {
    struct rules *r = m->rules;
    *mark = (struct matcher_mark){.expressions = (uint32_t)r->expression_count,
                                  .members = (uint32_t)r->member_count,
                                  .sets = (uint32_t)r->set_count,
                                  .dfa_states = (uint32_t)r->dfa_state_count,
                                  .dfa_rows = (uint32_t)r->row_count,
                                  .cells = (uint32_t)m->cell_count,
                                  .others = (uint32_t)m->other_count,
                                  .items = (uint32_t)m->item_count,
                                  .configurations = (uint32_t)m->configuration_count,
                                  .rows = (uint32_t)m->row_count};
    if (!rules_grow(r, &mark->dfa_flags, &mark->dfa_state_capacity, mark->dfa_states + 1, 1)) return false;
    for (uint32_t i = 0; i < mark->dfa_states; i++) mark->dfa_flags[i] = dfa_flags(r, i);
    return true;
}

void matcher_mark_deinit(struct matcher_mark *mark) {
    free(mark->dfa_flags);
}

size_t matcher_reset_steps(const struct matcher *m) {
    return 1 + (m->rules->expression_count + m->cell_count + m->configuration_count) / NUMBERS_A_STEP;
}

/* ---- what stays -------------------------------------------------------------------------------------------- */

static void unmark(uint32_t *numbers, size_t first, size_t count) {
    for (size_t i = 0; i < first; i++) numbers[i] = (uint32_t)i;
    for (size_t i = first; i < count; i++) numbers[i] = UNMARKED;
}

static void mark_one(uint32_t *numbers, uint32_t first, uint32_t number) {
    if (number >= first) numbers[number] = MARKED;
}

static void mark_parts(struct reset *s, const struct expression *x) {
    uint32_t first = s->mark->expressions;
    switch ((enum expression_kind)x->kind) {
    case EXPRESSION_BYTES:
        mark_one(s->sets, s->mark->sets, x->a);
        return;
    case EXPRESSION_CHOICE:
        for (uint32_t i = 0; i < x->b; i++) mark_one(s->expressions, first, s->r->members[x->a + i]);
        return;
    case EXPRESSION_SEQUENCE:
    case EXPRESSION_INTERSECTION:
    case EXPRESSION_DIFFERENCE:
        mark_one(s->expressions, first, x->b);
        mark_one(s->expressions, first, x->a);
        return;
    case EXPRESSION_REPEAT:
        mark_one(s->expressions, first, x->a);
        return;
    default:
        return;
    }
}

static void mark_cells(struct reset *s) {
    struct matcher *m = s->m;
    for (size_t i = m->cell_count; i-- > s->mark->cells;) {
        const struct cell *c = &m->cells[i];
        if (s->cells[i] == UNMARKED) continue;
        if (c->rest != RULES_NONE) {
            mark_one(s->expressions, s->mark->expressions, c->rest);
            mark_one(s->cells, s->mark->cells, c->next);
        } else {
            for (uint32_t k = 0; k < c->count; k++)
                mark_one(s->cells, s->mark->cells, m->others[c->next + k]);
        }
    }
}

static void mark_all(struct reset *s, configuration **kept, size_t count) {
    struct matcher *m = s->m;
    for (size_t k = 0; k < count; k++) {
        const struct configuration_data *c = &m->configurations[*kept[k]];
        for (uint32_t i = 0; i < c->count; i++) {
            mark_one(s->cells, s->mark->cells, m->items[c->first + i].cell);
            mark_one(s->expressions, s->mark->expressions,
                     s->r->dfa_states[m->items[c->first + i].leaf].expression);
        }
    }
    mark_cells(s);
    for (size_t i = s->r->expression_count; i-- > s->mark->expressions;)
        if (s->expressions[i] != UNMARKED) mark_parts(s, &s->r->expressions[i]);
}

/* ---- moving together ---------------------------------------------------------------------------------------- */

static void move_sets(struct reset *s) {
    struct rules *r = s->r;
    uint32_t next = s->mark->sets;
    for (size_t i = next; i < r->set_count; i++) {
        if (s->sets[i] == UNMARKED) continue;
        r->sets[next] = r->sets[i];
        s->sets[i] = next++;
    }
    r->set_count = next;
}

static void renumber(struct reset *s, struct expression *x) {
    switch ((enum expression_kind)x->kind) {
    case EXPRESSION_BYTES:
        x->a = s->sets[x->a];
        return;
    case EXPRESSION_SEQUENCE:
    case EXPRESSION_INTERSECTION:
    case EXPRESSION_DIFFERENCE:
        x->b = s->expressions[x->b];
        x->a = s->expressions[x->a];
        return;
    case EXPRESSION_REPEAT:
        x->a = s->expressions[x->a];
        return;
    default:
        return;
    }
}

/* Members stand in the order of the choices that they belong to. */
static void move_members(struct reset *s, struct expression *x, uint32_t *next) {
    struct rules *r = s->r;
    if (x->kind != EXPRESSION_CHOICE) return;
    for (uint32_t i = 0; i < x->b; i++) r->members[*next + i] = s->expressions[r->members[x->a + i]];
    x->a = *next;
    *next += x->b;
}

static void move_expressions(struct reset *s) {
    struct rules *r = s->r;
    uint32_t next = s->mark->expressions, member = s->mark->members;
    for (size_t i = next; i < r->expression_count; i++) {
        if (s->expressions[i] == UNMARKED) continue;
        struct expression x = r->expressions[i];
        renumber(s, &x);
        move_members(s, &x, &member);
        x.hash = expression_hash(r, &x);
        r->expressions[next] = x;
        s->expressions[i] = next++;
    }
    r->expression_count = next;
    r->member_count = member;
}

static void move_cells(struct reset *s) {
    struct matcher *m = s->m;
    uint32_t next = s->mark->cells, other = s->mark->others;
    for (size_t i = next; i < m->cell_count; i++) {
        if (s->cells[i] == UNMARKED) continue;
        struct cell c = m->cells[i];
        c.entry = CONFIGURATION_UNKNOWN;
        if (c.rest != RULES_NONE) {
            c.rest = s->expressions[c.rest];
            c.next = s->cells[c.next];
        } else {
            for (uint32_t k = 0; k < c.count; k++) m->others[other + k] = s->cells[m->others[c.next + k]];
            c.next = other;
            other += c.count;
        }
        c.hash = intern_cell_hash(m, &c);
        m->cells[next] = c;
        s->cells[i] = next++;
    }
    m->cell_count = next;
    m->other_count = other;
}

/* ---- what was compiled --------------------------------------------------------------------------------------- */

/* Where rows and entries lead to states that are gone nothing is known. */
static void forget_steps(struct reset *s) {
    struct matcher *m = s->m;
    uint32_t first = s->mark->configurations;
    size_t row_entries = (size_t)s->mark->rows * s->r->class_count;
    for (uint32_t i = 0; i < s->mark->cells; i++)
        if (m->cells[i].entry >= first) m->cells[i].entry = CONFIGURATION_UNKNOWN;
    for (size_t i = 0; i < row_entries; i++)
        if (m->rows[i] >= first && m->rows[i] < CONFIGURATION_FAILED) m->rows[i] = CONFIGURATION_UNKNOWN;
    for (uint32_t i = 0; i < first; i++) {
        struct configuration_data *c = &m->configurations[i];
        if (c->row != UINT32_MAX && c->row >= s->mark->rows) c->row = UINT32_MAX;
        c->mask = UINT32_MAX;
    }
    m->row_count = s->mark->rows;
    rules_shrink(s->r, &m->rows, &m->row_capacity, row_entries, sizeof *m->rows);
}

static void forget_scratch(struct matcher *m) {
    struct rules *r = m->rules;
    size_t seen = m->seen_capacity;
    rules_shrink(r, &m->found, &m->found_capacity, 0, sizeof *m->found);
    rules_shrink(r, &m->open, &m->open_capacity, 0, sizeof *m->open);
    rules_shrink(r, &m->popping, &m->popping_capacity, 0, sizeof *m->popping);
    rules_shrink(r, &m->seen, &m->seen_capacity, 0, sizeof *m->seen);
    rules_shrink(r, &m->seen_in, &seen, 0, sizeof *m->seen_in);
    rules_shrink(r, &r->scratch, &r->scratch_capacity, r->scratch_count, sizeof *r->scratch);
    m->found_count = m->open_count = m->popping_count = m->seen_count = 0;
}

static void shrink(struct reset *s) {
    struct matcher *m = s->m;
    struct rules *r = s->r;
    rules_shrink(r, &r->expressions, &r->expression_capacity, r->expression_count, sizeof *r->expressions);
    rules_shrink(r, &r->members, &r->member_capacity, r->member_count, sizeof *r->members);
    rules_shrink(r, &r->sets, &r->set_capacity, r->set_count, sizeof *r->sets);
    rules_shrink(r, &m->cells, &m->cell_capacity, m->cell_count, sizeof *m->cells);
    rules_shrink(r, &m->others, &m->other_capacity, m->other_count, sizeof *m->others);
    table_rebuild(r, &r->expression_table, &r->expressions->hash, sizeof *r->expressions, 0,
                  (uint32_t)r->expression_count);
    table_rebuild(r, &r->set_table, r->sets ? &r->sets->hash : NULL, sizeof *r->sets, 0,
                  (uint32_t)r->set_count);
    table_rebuild(r, &m->cell_table, &m->cells->hash, sizeof *m->cells, 1, (uint32_t)m->cell_count);
}

/* ---- configurations ------------------------------------------------------------------------------------------- */

static int compare_kept(const void *a, const void *b) {
    configuration x = **(configuration *const *)a, y = **(configuration *const *)b;
    return (x > y) - (x < y);
}

/* Of an old one, whose items' leaves are expressions by their old numbers. */
static configuration restore(struct reset *s, const struct configuration_data *old) {
    struct matcher *m = s->m;
    m->found_count = 0;
    m->found_end = old->may_end;
    if (!rules_grow(s->r, &m->found, &m->found_capacity, old->count + 1, sizeof *m->found))
        return CONFIGURATION_FAILED;
    for (uint32_t i = 0; i < old->count; i++) {
        struct item item = m->items[old->first + i];
        dfa_state leaf = dfa_restore(s->r, s->expressions[item.leaf]);
        if (leaf == RULES_NONE) return CONFIGURATION_FAILED;
        m->found[m->found_count++] = (struct item){leaf, s->cells[item.cell]};
    }
    return intern_configuration(m);
}

/* Leaves get new numbers, so for the time being items have their expressions' instead. */
static void name_leaves(struct reset *s, configuration **kept, size_t count) {
    struct matcher *m = s->m;
    for (size_t k = 0; k < count; k++) {
        const struct configuration_data *c = &m->configurations[*kept[k]];
        if (k > 0 && *kept[k] == *kept[k - 1]) continue;
        for (uint32_t i = 0; i < c->count; i++) {
            struct item *item = &m->items[c->first + i];
            item->leaf = s->r->dfa_states[item->leaf].expression;
        }
    }
}

static void restore_all(struct reset *s, configuration **kept, size_t count) {
    struct matcher *m = s->m;
    configuration before = CONFIGURATION_UNKNOWN, becomes = CONFIGURATION_UNKNOWN;
    m->configuration_count = s->mark->configurations;
    m->item_count = s->mark->items;
    table_rebuild(s->r, &m->configuration_table, &m->configurations->hash, sizeof *m->configurations, 0,
                  s->mark->configurations);
    for (size_t k = 0; k < count; k++) {
        const struct configuration_data old = m->configurations[*kept[k]];
        if (*kept[k] != before) becomes = restore(s, &old);
        if (becomes == CONFIGURATION_FAILED) becomes = CONFIGURATION_UNKNOWN;
        before = *kept[k];
        *kept[k] = becomes;
    }
    rules_shrink(s->r, &m->items, &m->item_capacity, m->item_count, sizeof *m->items);
    rules_shrink(s->r, &m->configurations, &m->configuration_capacity, m->configuration_count,
                 sizeof *m->configurations);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* Those that are to move, in ascending order in front of the others; returns how many. */
static size_t choose_kept(const struct matcher_mark *mark, configuration **kept, size_t count) {
    size_t moving = 0;
    for (size_t k = 0; k < count; k++) {
        configuration *one = kept[k];
        if (*one < mark->configurations || *one >= CONFIGURATION_FAILED) continue;
        kept[k] = kept[moving];
        kept[moving++] = one;
    }
    if (moving > 1) qsort(kept, moving, sizeof(configuration *), compare_kept);
    return moving;
}

void matcher_reset(struct matcher *m, const struct matcher_mark *mark, configuration **kept, size_t count) {
    struct rules *r = m->rules;
    size_t steps_end = r->steps_end;
    r->steps_end = 0; /* no pause */
    uint32_t only_end[1] = {CELL_END};
    struct reset s = {.m = m,
                      .r = r,
                      .mark = mark,
                      .expressions = r->expression_table.slots,
                      .sets = r->set_table.slots,
                      .cells = m->cell_table.slots ? m->cell_table.slots : only_end};
    count = choose_kept(mark, kept, count);
    unmark(s.expressions, mark->expressions, r->expression_count);
    if (s.sets) unmark(s.sets, mark->sets, r->set_count);
    unmark(s.cells, mark->cells, m->cell_count);
    mark_all(&s, kept, count);
    name_leaves(&s, kept, count);
    move_sets(&s);
    move_expressions(&s);
    move_cells(&s);
    dfa_forget(r, mark->dfa_states, mark->dfa_rows, mark->dfa_flags);
    forget_steps(&s);
    forget_scratch(m);
    restore_all(&s, kept, count);
    shrink(&s);
    r->steps_end = steps_end;
}
