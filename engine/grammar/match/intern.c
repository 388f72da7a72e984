#include "engine/grammar/match/intern.h"

#include <stdlib.h>
#include <string.h>

bool intern_init(struct matcher *m) {
    if (!rules_grow(m->rules, &m->cells, &m->cell_capacity, 1, sizeof *m->cells)) return false;
    m->cells[0] = (struct cell){.rest = RULES_EMPTY, .entry = CONFIGURATION_UNKNOWN};
    m->cell_count = 1;
    return true;
}

static uint32_t hash_stack(const struct matcher *m, rules_expression rest, uint32_t next) {
    return hash_mix(hash_mix(m->rules->hash_seed, rest), next);
}

static uint32_t hash_either(const struct matcher *m, const uint32_t *cells, uint32_t count) {
    uint32_t hash = hash_mix(~m->rules->hash_seed, count);
    for (uint32_t i = 0; i < count; i++) hash = hash_mix(hash, cells[i]);
    return hash;
}

uint32_t intern_cell_hash(const struct matcher *m, const struct cell *c) {
    return c->rest == RULES_NONE ? hash_either(m, m->others + c->next, c->count)
                                 : hash_stack(m, c->rest, c->next);
}

uint32_t intern_cell(struct matcher *m, rules_expression rest, uint32_t next) {
    struct rules *r = m->rules;
    if (rest == RULES_NONE || next == CELL_FAILED) return CELL_FAILED;
    if (rest == RULES_EMPTY) return next;
    if (!table_grow(r, &m->cell_table, m->cells ? &m->cells->hash : NULL, sizeof *m->cells))
        return CELL_FAILED;
    uint32_t hash = hash_stack(m, rest, next);
    size_t mask = m->cell_table.capacity - 1, at = hash & mask;
    for (; m->cell_table.slots[at] != RULES_NONE; at = (at + 1) & mask) {
        const struct cell *c = &m->cells[m->cell_table.slots[at]];
        if (c->rest == rest && c->next == next) return m->cell_table.slots[at];
    }
    uint32_t depth = m->cells[next].depth + 1;
    if (depth > MATCHER_STACK_MAX) {
        rules_fail(r, STATUS_LIMIT, "grammar", "rules within each other deeper than %d", MATCHER_STACK_MAX);
        return CELL_FAILED;
    }
    if (!rules_grow(r, &m->cells, &m->cell_capacity, m->cell_count + 1, sizeof *m->cells)) return CELL_FAILED;
    m->cells[m->cell_count] = (struct cell){
        .rest = rest, .next = next, .depth = depth, .hash = hash, .entry = CONFIGURATION_UNKNOWN};
    m->cell_table.slots[at] = (uint32_t)m->cell_count;
    m->cell_table.count++;
    return (uint32_t)m->cell_count++;
}

static int compare_items(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    if (x->leaf != y->leaf) return x->leaf < y->leaf ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

/* ---- one of several stacks --------------------------------------------------------------------------------- */

static int compare_cells(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The members of one that is itself one of several take its place. */
static bool push_flat(struct matcher *m, uint32_t cell) {
    struct cell c = m->cells[cell];
    if (c.rest != RULES_NONE) return scratch_push(m->rules, cell);
    for (uint32_t i = 0; i < c.count; i++)
        if (!scratch_push(m->rules, m->others[c.next + i])) return false;
    return true;
}

static uint32_t add_either(struct matcher *m, const uint32_t *cells, uint32_t count, uint32_t hash,
                           size_t at) {
    struct rules *r = m->rules;
    uint32_t depth = 0;
    if (!rules_grow(r, &m->others, &m->other_capacity, m->other_count + count, sizeof *m->others) ||
        !rules_grow(r, &m->cells, &m->cell_capacity, m->cell_count + 1, sizeof *m->cells))
        return CELL_FAILED;
    for (uint32_t i = 0; i < count; i++)
        if (m->cells[cells[i]].depth > depth) depth = m->cells[cells[i]].depth;
    memcpy(m->others + m->other_count, cells, count * sizeof *cells);
    m->cells[m->cell_count] = (struct cell){.rest = RULES_NONE,
                                            .next = (uint32_t)m->other_count,
                                            .count = count,
                                            .depth = depth,
                                            .hash = hash,
                                            .entry = CONFIGURATION_UNKNOWN};
    m->other_count += count;
    m->cell_table.slots[at] = (uint32_t)m->cell_count;
    m->cell_table.count++;
    return (uint32_t)m->cell_count++;
}

static uint32_t find_either(struct matcher *m, const uint32_t *cells, uint32_t count) {
    uint32_t hash = hash_either(m, cells, count);
    if (!table_grow(m->rules, &m->cell_table, m->cells ? &m->cells->hash : NULL, sizeof *m->cells))
        return CELL_FAILED;
    size_t mask = m->cell_table.capacity - 1, at = hash & mask;
    for (; m->cell_table.slots[at] != RULES_NONE; at = (at + 1) & mask) {
        const struct cell *c = &m->cells[m->cell_table.slots[at]];
        if (c->rest == RULES_NONE && c->count == count &&
            memcmp(m->others + c->next, cells, count * sizeof *cells) == 0)
            return m->cell_table.slots[at];
    }
    return add_either(m, cells, count, hash, at);
}

/* Any of the stacks of items that have the same leaf. */
static uint32_t either_of(struct matcher *m, const struct item *items, size_t count) {
    struct rules *r = m->rules;
    size_t from = r->scratch_count, kept = from;
    for (size_t i = 0; i < count; i++)
        if (!push_flat(m, items[i].cell)) return CELL_FAILED;
    if (!rules_sort(r, r->scratch + from, r->scratch_count - from, sizeof *r->scratch, compare_cells))
        return CELL_FAILED;
    for (size_t i = from; i < r->scratch_count; i++)
        if (kept == from || r->scratch[kept - 1] != r->scratch[i]) r->scratch[kept++] = r->scratch[i];
    r->scratch_count = from;
    if (kept - from == 1) return r->scratch[from];
    if (kept - from <= MATCHER_ITEMS_MAX) return find_either(m, r->scratch + from, (uint32_t)(kept - from));
    rules_fail(r, STATUS_LIMIT, "grammar", "more than %d ways to read the text so far", MATCHER_ITEMS_MAX);
    return CELL_FAILED;
}

/* By leaf, each leaf once. */
static bool order_found(struct matcher *m) {
    size_t kept = 0;
    if (!rules_sort(m->rules, m->found, m->found_count, sizeof *m->found, compare_items)) return false;
    for (size_t i = 0, end; i < m->found_count; i = end) {
        struct item item = m->found[i];
        for (end = i + 1; end < m->found_count && m->found[end].leaf == item.leaf;) end++;
        if (end > i + 1) item.cell = either_of(m, m->found + i, end - i);
        if (item.cell == CELL_FAILED) return false;
        m->found[kept++] = item;
    }
    m->found_count = kept;
    return true;
}

/* ---- configurations -------------------------------------------------------------------------------------------- */

static uint32_t hash_found(const struct matcher *m) {
    uint32_t hash = hash_mix(m->rules->hash_seed, m->found_end);
    for (size_t i = 0; i < m->found_count; i++)
        hash = hash_mix(hash_mix(hash, m->found[i].leaf), m->found[i].cell);
    return hash;
}

static bool is_found(const struct matcher *m, configuration c, uint32_t hash) {
    const struct configuration_data *d = &m->configurations[c];
    return d->hash == hash && d->count == m->found_count && d->may_end == m->found_end &&
           (d->count == 0 || memcmp(m->items + d->first, m->found, d->count * sizeof *m->items) == 0);
}

static configuration add_configuration(struct matcher *m, uint32_t hash, size_t at) {
    struct rules *r = m->rules;
    if (!rules_grow(r, &m->items, &m->item_capacity, m->item_count + m->found_count, sizeof *m->items) ||
        !rules_grow(r, &m->configurations, &m->configuration_capacity, m->configuration_count + 1,
                    sizeof *m->configurations))
        return CONFIGURATION_FAILED;
    if (m->found_count > 0) memcpy(m->items + m->item_count, m->found, m->found_count * sizeof *m->items);
    m->configurations[m->configuration_count] = (struct configuration_data){.first = m->item_count,
                                                                            .count = (uint32_t)m->found_count,
                                                                            .hash = hash,
                                                                            .row = UINT32_MAX,
                                                                            .mask = UINT32_MAX,
                                                                            .may_end = m->found_end};
    m->item_count += m->found_count;
    m->configuration_table.slots[at] = (uint32_t)m->configuration_count;
    m->configuration_table.count++;
    return (configuration)m->configuration_count++;
}

configuration intern_configuration(struct matcher *m) {
    struct rules *r = m->rules;
    struct intern_table *t = &m->configuration_table;
    if (!order_found(m)) return CONFIGURATION_FAILED;
    if (m->found_count > MATCHER_ITEMS_MAX) {
        rules_fail(r, STATUS_LIMIT, "grammar", "more than %d ways to read the text so far",
                   MATCHER_ITEMS_MAX);
        return CONFIGURATION_FAILED;
    }
    if (!table_grow(r, t, m->configurations ? &m->configurations->hash : NULL, sizeof *m->configurations))
        return CONFIGURATION_FAILED;
    uint32_t hash = hash_found(m);
    size_t mask = t->capacity - 1, at = hash & mask;
    for (; t->slots[at] != RULES_NONE; at = (at + 1) & mask)
        if (is_found(m, t->slots[at], hash)) return t->slots[at];
    return add_configuration(m, hash, at);
}

static size_t seen_place(const struct matcher *m, rules_expression x, uint32_t cell) {
    size_t mask = m->seen_capacity - 1, at = hash_mix(hash_mix(m->rules->hash_seed, x), cell) & mask;
    while (m->seen_in[at] == m->making && (m->seen[at].leaf != x || m->seen[at].cell != cell))
        at = (at + 1) & mask;
    return at;
}

static bool grow_seen(struct matcher *m) {
    struct rules *r = m->rules;
    size_t old_capacity = m->seen_capacity, capacity = old_capacity ? old_capacity * 2 : 64;
    struct item *old = m->seen;
    uint32_t *old_in = m->seen_in;
    if (!rules_charge(r, (capacity - old_capacity) * (sizeof *old + sizeof *old_in))) return false;
    struct item *seen = calloc(capacity, sizeof *seen);
    uint32_t *seen_in = calloc(capacity, sizeof *seen_in);
    if (!seen || !seen_in) {
        free(seen);
        free(seen_in);
        rules_refund(r, (capacity - old_capacity) * (sizeof *old + sizeof *old_in));
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu places", capacity);
        return false;
    }
    m->seen = seen;
    m->seen_in = seen_in;
    m->seen_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old_in[i] != m->making) continue;
        size_t at = seen_place(m, old[i].leaf, old[i].cell);
        seen[at] = old[i];
        seen_in[at] = m->making;
    }
    free(old);
    free(old_in);
    return true;
}

bool intern_pair(struct matcher *m, rules_expression x, uint32_t cell, bool *fresh) {
    if (m->seen_count * 2 >= m->seen_capacity && !grow_seen(m)) return false;
    size_t at = seen_place(m, x, cell);
    *fresh = m->seen_in[at] != m->making;
    if (!*fresh) return true;
    m->seen[at] = (struct item){x, cell};
    m->seen_in[at] = m->making;
    m->seen_count++;
    return true;
}
