#include "engine/grammar/rules/leaf.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/rules/linear_form.h"

/* Entries of a row that cost what a step does. */
#define ENTRIES_A_STEP 8

enum { ALIVE_UNKNOWN, ALIVE, ALIVE_NOT, ALIVE_LOOKED_AT };

/* ---- classes of bytes ------------------------------------------------------------------------------------ */

static uint32_t split_classes(uint8_t class_of[256], uint32_t count, const struct byte_set *set) {
    uint16_t inside[256];
    bool outside[256] = {false};
    memset(inside, 0xFF, sizeof inside);
    for (unsigned byte = 0; byte < 256; byte++)
        if (!byte_set_has(set, byte)) outside[class_of[byte]] = true;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t old = class_of[byte];
        if (!byte_set_has(set, byte) || !outside[old]) continue;
        if (inside[old] == UINT16_MAX) inside[old] = (uint16_t)count++;
        class_of[byte] = (uint8_t)inside[old];
    }
    return count;
}

/* Each byte of a text is a class. */
static void split_texts(struct rules *r) {
    bool is_there[256] = {false};
    for (size_t i = 0; i < r->text_count; i++) is_there[(unsigned char)r->texts[i]] = true;
    for (unsigned byte = 0; byte < 256; byte++) {
        struct byte_set one = {0};
        one.bits[byte >> 6] |= (uint64_t)1 << (byte & 63);
        if (is_there[byte]) r->class_count = split_classes(r->class_of, r->class_count, &one);
    }
}

void leaves_freeze(struct rules *r) {
    memset(r->class_of, 0, sizeof r->class_of);
    r->class_count = 1;
    for (size_t i = 0; i < r->set_count && r->class_count < 256; i++)
        r->class_count = split_classes(r->class_of, r->class_count, &r->sets[i]);
    split_texts(r);
    for (unsigned byte = 256; byte-- > 0;) r->class_byte[r->class_of[byte]] = (uint8_t)byte;
}

void leaves_deinit(struct rules *r) {
    free(r->leaves);
    free(r->leaf_of);
    free(r->rows);
    linear_form_destroy(r);
}

/* ---- states ---------------------------------------------------------------------------------------------- */

static bool add_leaf(struct rules *r, rules_expression x) {
    if (!rules_grow(r, &r->leaves, &r->leaf_capacity, r->leaf_count + 1, sizeof *r->leaves)) return false;
    r->leaves[r->leaf_count++] = (struct leaf){.expression = x, .row = RULES_NONE};
    return true;
}

/* The number of an expression's state, whether it matches any text or not. */
static leaf_state leaf_number(struct rules *r, rules_expression x) {
    if (x == RULES_NONE || rules_failed(r)) return RULES_NONE;
    if (x == RULES_NOTHING) return LEAF_DEAD;
    if (x >= r->leaf_of_count) {
        if (!rules_grow(r, &r->leaf_of, &r->leaf_of_capacity, x + 1, sizeof *r->leaf_of)) return RULES_NONE;
        memset(r->leaf_of + r->leaf_of_count, 0xFF,
               (r->leaf_of_capacity - r->leaf_of_count) * sizeof *r->leaf_of);
        r->leaf_of_count = r->leaf_of_capacity;
    }
    if (r->leaf_of[x] != RULES_NONE) return r->leaf_of[x];
    if (r->leaf_count == 0 && !add_leaf(r, RULES_NOTHING)) return RULES_NONE;
    if (!add_leaf(r, x)) return RULES_NONE;
    r->leaf_of[x] = (leaf_state)(r->leaf_count - 1);
    return r->leaf_of[x];
}

/* Its row, which has been made. */
static uint32_t *leaf_entries(const struct rules *r, leaf_state state) {
    return r->rows + (size_t)r->leaves[state].row * r->class_count;
}

/* Where a state leads, those included from which nothing matches. Most states are never asked. */
static bool make_row(struct rules *r, leaf_state state) {
    uint32_t targets[256]; /* expressions, then their states */
    size_t classes = r->class_count;
    if (r->leaves[state].row != RULES_NONE) return true;
    if (!linear_form_targets(r, r->leaves[state].expression, targets)) return false;
    size_t row = r->row_count; /* those of parts may have been made */
    for (size_t c = 0; c < classes; c++)
        if ((targets[c] = leaf_number(r, targets[c])) == RULES_NONE) return false;
    if (!rules_spend(r, classes / ENTRIES_A_STEP) ||
        !rules_grow(r, &r->rows, &r->row_capacity, (row + 1) * classes, sizeof *r->rows))
        return false;
    memcpy(r->rows + row * classes, targets, classes * sizeof *targets);
    r->leaves[state].row = (uint32_t)row;
    r->row_count++;
    return true;
}

const uint32_t *leaf_any_row(struct rules *r, rules_expression x) {
    leaf_state state = leaf_number(r, x);
    return state != RULES_NONE && make_row(r, state) ? leaf_entries(r, state) : NULL;
}

/* ---- does anything match ----------------------------------------------------------------------------------- */

/* What shows without a search: so a search ends where an intersection has the empty text, whatever comes behind it.
 * levels: of expressions within each other that are looked at. */
static bool shows_alive(struct rules *r, rules_expression x, unsigned levels) {
    const struct expression *e = &r->expressions[x];
    if (expression_is(r, x, EXPRESSION_NULLABLE)) return true;
    if (!expression_is(r, x, EXPRESSION_BOOLEAN)) return x != RULES_NOTHING;
    if (levels == 0 || !rules_tick(r)) return false;
    if (e->kind == EXPRESSION_SEQUENCE)
        return shows_alive(r, e->a, levels - 1) && shows_alive(r, e->b, levels - 1);
    if (e->kind == EXPRESSION_REPEAT) return shows_alive(r, e->a, levels - 1);
    for (uint32_t i = 0; e->kind == EXPRESSION_CHOICE && i < e->b; i++)
        if (shows_alive(r, r->members[e->a + i], levels - 1)) return true;
    return false;
}

static bool is_known_alive(struct rules *r, leaf_state state) {
    enum { LEVELS = 6 };
    if (r->leaves[state].alive == ALIVE) return true;
    if (!shows_alive(r, r->leaves[state].expression, LEVELS)) return false;
    r->leaves[state].alive = ALIVE;
    return true;
}

/* The states that a search looks at, near ones first: a queue in scratch, of pairs of a state and the place of the pair
 * that led to it (RULES_NONE: none). */
static void look_at(struct rules *r, leaf_state state, uint32_t from) {
    if (!scratch_push(r, state)) return;
    r->leaves[state].alive = ALIVE_LOOKED_AT;
    scratch_push(r, from);
}

/* Looks at where the state at this place leads. Returns whether one that matches something is among that. */
static bool search_step(struct rules *r, size_t place) {
    leaf_state state = r->scratch[place];
    if (!make_row(r, state)) return false;
    for (uint32_t c = 0; c < r->class_count && !rules_failed(r); c++) {
        leaf_state next = leaf_entries(r, state)[c];
        if (next == LEAF_DEAD || r->leaves[next].alive >= ALIVE_NOT) continue;
        if (is_known_alive(r, next)) return true;
        look_at(r, next, (uint32_t)place);
    }
    return false;
}

/* Those on the way to the match are alive (it was reached from `place`); of the others nothing is known then, else they
 * are dead. */
static void settle_search(struct rules *r, size_t from, size_t place, bool found) {
    bool is_over = !found && !rules_failed(r);
    for (size_t at = place; found && at != RULES_NONE; at = r->scratch[at + 1])
        r->leaves[r->scratch[at]].alive = ALIVE;
    for (size_t at = from; at < r->scratch_count; at += 2)
        if (r->leaves[r->scratch[at]].alive == ALIVE_LOOKED_AT)
            r->leaves[r->scratch[at]].alive = is_over ? ALIVE_NOT : ALIVE_UNKNOWN;
    r->scratch_count = from;
}

/* Goes through the states behind one of which nothing is known. */
static bool search(struct rules *r, leaf_state state) {
    size_t from = r->scratch_count, place = from, steps = 0;
    bool found = false;
    look_at(r, state, RULES_NONE);
    for (; !rules_failed(r) && place + 1 < r->scratch_count; place += 2) {
        found = search_step(r, place);
        if (found) break;
        if (++steps > RULES_SEARCH_MAX)
            rules_fail(
                r, STATUS_LIMIT, "grammar",
                "whether an intersection or a difference matches anything takes more than %d steps to find",
                RULES_SEARCH_MAX);
        rules_tick(r);
    }
    settle_search(r, from, place, found);
    return found;
}

static bool leaf_alive(struct rules *r, leaf_state state) {
    if (state == LEAF_DEAD || r->leaves[state].alive == ALIVE_NOT) return false;
    return is_known_alive(r, state) || search(r, state);
}

bool expression_alive(struct rules *r, rules_expression x) {
    leaf_state state;
    if (!expression_is(r, x, EXPRESSION_BOOLEAN)) return x != RULES_NOTHING;
    state = leaf_number(r, x);
    return state != RULES_NONE && leaf_alive(r, state);
}

leaf_state leaf_of(struct rules *r, rules_expression x) {
    leaf_state state = leaf_number(r, x);
    if (state == RULES_NONE || leaf_alive(r, state)) return state;
    return rules_failed(r) ? RULES_NONE : LEAF_DEAD;
}

/* ---- forgetting ------------------------------------------------------------------------------------------- */

uint8_t leaf_flags(const struct rules *r, leaf_state state) {
    return (uint8_t)(r->leaves[state].pruned << 4 | r->leaves[state].alive);
}

void leaves_forget(struct rules *r, size_t count, size_t row_count, const uint8_t *flags) {
    linear_form_destroy(r);
    r->leaf_count = count;
    r->row_count = row_count;
    rules_shrink(r, &r->leaves, &r->leaf_capacity, count, sizeof *r->leaves);
    rules_shrink(r, &r->rows, &r->row_capacity, row_count * r->class_count, sizeof *r->rows);
    if (r->expression_count < r->leaf_of_count) r->leaf_of_count = r->expression_count;
    rules_shrink(r, &r->leaf_of, &r->leaf_of_capacity, r->leaf_of_count, sizeof *r->leaf_of);
    r->leaf_of_count = r->leaf_of_capacity;
    if (r->leaf_of_count > 0) memset(r->leaf_of, 0xFF, r->leaf_of_count * sizeof *r->leaf_of);
    for (size_t i = 0; i < count; i++) {
        struct leaf *leaf = &r->leaves[i];
        leaf->pruned = flags[i] >> 4;
        leaf->alive = flags[i] & 15;
        if (leaf->row != RULES_NONE && leaf->row >= row_count) leaf->row = RULES_NONE;
        if (i != LEAF_DEAD) r->leaf_of[leaf->expression] = (leaf_state)i;
    }
}

leaf_state leaf_restore(struct rules *r, rules_expression x) {
    leaf_state state = leaf_number(r, x);
    if (state != RULES_NONE && state != LEAF_DEAD) r->leaves[state].alive = ALIVE;
    return state;
}

bool leaf_expand(struct rules *r, leaf_state state) {
    if (!make_row(r, state)) return false;
    for (uint32_t c = 0; c < r->class_count; c++) {
        bool alive = leaf_alive(r, leaf_entries(r, state)[c]);
        if (rules_failed(r)) return false;
        if (!alive) leaf_entries(r, state)[c] = LEAF_DEAD;
    }
    r->leaves[state].pruned = true;
    return true;
}
