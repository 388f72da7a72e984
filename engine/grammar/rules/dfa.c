#include "engine/grammar/rules/dfa.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/rules/completion.h"
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

void dfa_freeze(struct rules *r) {
    memset(r->class_of, 0, sizeof r->class_of);
    r->class_count = 1;
    for (size_t i = 0; i < r->set_count && r->class_count < 256; i++)
        r->class_count = split_classes(r->class_of, r->class_count, &r->sets[i]);
    split_texts(r);
    for (unsigned byte = 256; byte-- > 0;) r->class_byte[r->class_of[byte]] = (uint8_t)byte;
}

void dfa_deinit(struct rules *r) {
    free(r->dfa_states);
    free(r->dfa_state_of);
    free(r->rows);
    linear_form_destroy(r);
    completion_forget(r);
}

/* ---- states ---------------------------------------------------------------------------------------------- */

static bool add_state(struct rules *r, rules_expression x) {
    if (!rules_grow(r, &r->dfa_states, &r->dfa_state_capacity, r->dfa_state_count + 1, sizeof *r->dfa_states))
        return false;
    r->dfa_states[r->dfa_state_count++] = (struct dfa_state_data){.expression = x, .row = RULES_NONE};
    return true;
}

/* The number of an expression's state, whether it matches any text or not. */
static dfa_state dfa_number(struct rules *r, rules_expression x) {
    if (x == RULES_NONE || rules_failed(r)) return RULES_NONE;
    if (x == RULES_NOTHING) return DFA_DEAD;
    if (x >= r->dfa_state_of_count) {
        if (!rules_grow(r, &r->dfa_state_of, &r->dfa_state_of_capacity, x + 1, sizeof *r->dfa_state_of))
            return RULES_NONE;
        memset(r->dfa_state_of + r->dfa_state_of_count, 0xFF,
               (r->dfa_state_of_capacity - r->dfa_state_of_count) * sizeof *r->dfa_state_of);
        r->dfa_state_of_count = r->dfa_state_of_capacity;
    }
    if (r->dfa_state_of[x] != RULES_NONE) return r->dfa_state_of[x];
    if (r->dfa_state_count == 0 && !add_state(r, RULES_NOTHING)) return RULES_NONE;
    if (!add_state(r, x)) return RULES_NONE;
    r->dfa_state_of[x] = (dfa_state)(r->dfa_state_count - 1);
    return r->dfa_state_of[x];
}

/* Its row, which has been made. */
static uint32_t *dfa_entries(const struct rules *r, dfa_state state) {
    return r->rows + (size_t)r->dfa_states[state].row * r->class_count;
}

/* Where a state leads, those included from which nothing matches. Most states are never asked. */
static bool make_row(struct rules *r, dfa_state state) {
    uint32_t targets[256]; /* expressions, then their states */
    size_t classes = r->class_count;
    if (r->dfa_states[state].row != RULES_NONE) return true;
    if (!linear_form_targets(r, r->dfa_states[state].expression, targets)) return false;
    size_t row = r->row_count; /* those of parts may have been made */
    for (size_t c = 0; c < classes; c++)
        if ((targets[c] = dfa_number(r, targets[c])) == RULES_NONE) return false;
    if (!rules_spend(r, classes / ENTRIES_A_STEP) ||
        !rules_grow(r, &r->rows, &r->row_capacity, (row + 1) * classes, sizeof *r->rows))
        return false;
    memcpy(r->rows + row * classes, targets, classes * sizeof *targets);
    r->dfa_states[state].row = (uint32_t)row;
    r->row_count++;
    return true;
}

const uint32_t *dfa_any_row(struct rules *r, rules_expression x) {
    dfa_state state = dfa_number(r, x);
    return state != RULES_NONE && make_row(r, state) ? dfa_entries(r, state) : NULL;
}

/* ---- does anything match ----------------------------------------------------------------------------------- */

/* Whether more parts are left than x needs to its end, as far as that has been found. */
static bool is_long_enough(const struct rules *r, rules_expression both) {
    struct limited limited;
    for (unsigned i = 0; i < 2; i++)
        if (completion_limited(r, both, i, &limited) &&
            completion_known(r, limited.x, limited.part) <= limited.most)
            return true;
    return false;
}

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
    if (e->kind == EXPRESSION_INTERSECTION) return is_long_enough(r, x);
    for (uint32_t i = 0; e->kind == EXPRESSION_CHOICE && i < e->b; i++)
        if (shows_alive(r, r->members[e->a + i], levels - 1)) return true;
    return false;
}

static bool is_known_alive(struct rules *r, dfa_state state) {
    enum { LEVELS = 6 };
    if (r->dfa_states[state].alive == ALIVE) return true;
    if (!shows_alive(r, r->dfa_states[state].expression, LEVELS)) return false;
    r->dfa_states[state].alive = ALIVE;
    return true;
}

/* The states that a search looks at, near ones first: a queue in scratch, of pairs of a state and the place of the pair
 * that led to it (RULES_NONE: none). */
static void look_at(struct rules *r, dfa_state state, uint32_t from) {
    if (!scratch_push(r, state)) return;
    r->dfa_states[state].alive = ALIVE_LOOKED_AT;
    scratch_push(r, from);
}

/* Looks at where the state at this place leads. Returns whether one that matches something is among that. */
static bool search_step(struct rules *r, size_t place) {
    dfa_state state = r->scratch[place];
    if (!make_row(r, state)) return false;
    for (uint32_t c = 0; c < r->class_count && !rules_failed(r); c++) {
        dfa_state next = dfa_entries(r, state)[c];
        if (next == DFA_DEAD || r->dfa_states[next].alive >= ALIVE_NOT) continue;
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
        r->dfa_states[r->scratch[at]].alive = ALIVE;
    for (size_t at = from; at < r->scratch_count; at += 2)
        if (r->dfa_states[r->scratch[at]].alive == ALIVE_LOOKED_AT)
            r->dfa_states[r->scratch[at]].alive = is_over ? ALIVE_NOT : ALIVE_UNKNOWN;
    r->scratch_count = from;
}

/* Goes through the states behind one of which nothing is known. */
static bool search(struct rules *r, dfa_state state) {
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

/* Finds out what shows afterwards of an intersection with a limit; not within a search, for there are searches in it. */
static bool measure_limited(struct rules *r, dfa_state state) {
    rules_expression x = r->dfa_states[state].expression;
    struct limited limited;
    uint32_t needed;
    if (r->expressions[x].kind == EXPRESSION_SEQUENCE) x = r->expressions[x].a;
    for (unsigned i = 0; i < 2; i++)
        if (completion_limited(r, x, i, &limited) && !completion_find(r, limited.x, limited.part, &needed))
            return false;
    return is_known_alive(r, state);
}

static bool dfa_alive(struct rules *r, dfa_state state) {
    if (state == DFA_DEAD || r->dfa_states[state].alive == ALIVE_NOT) return false;
    return is_known_alive(r, state) || measure_limited(r, state) || search(r, state);
}

bool expression_alive(struct rules *r, rules_expression x) {
    dfa_state state;
    if (!expression_is(r, x, EXPRESSION_BOOLEAN)) return x != RULES_NOTHING;
    state = dfa_number(r, x);
    return state != RULES_NONE && dfa_alive(r, state);
}

dfa_state dfa_state_of(struct rules *r, rules_expression x) {
    dfa_state state = dfa_number(r, x);
    if (state == RULES_NONE || dfa_alive(r, state)) return state;
    return rules_failed(r) ? RULES_NONE : DFA_DEAD;
}

/* ---- forgetting ------------------------------------------------------------------------------------------- */

uint8_t dfa_flags(const struct rules *r, dfa_state state) {
    return (uint8_t)(r->dfa_states[state].pruned << 4 | r->dfa_states[state].alive);
}

void dfa_forget(struct rules *r, size_t count, size_t row_count, const uint8_t *flags) {
    linear_form_destroy(r);
    completion_forget(r);
    r->dfa_state_count = count;
    r->row_count = row_count;
    rules_shrink(r, &r->dfa_states, &r->dfa_state_capacity, count, sizeof *r->dfa_states);
    rules_shrink(r, &r->rows, &r->row_capacity, row_count * r->class_count, sizeof *r->rows);
    if (r->expression_count < r->dfa_state_of_count) r->dfa_state_of_count = r->expression_count;
    rules_shrink(r, &r->dfa_state_of, &r->dfa_state_of_capacity, r->dfa_state_of_count,
                 sizeof *r->dfa_state_of);
    r->dfa_state_of_count = r->dfa_state_of_capacity;
    if (r->dfa_state_of_count > 0)
        memset(r->dfa_state_of, 0xFF, r->dfa_state_of_count * sizeof *r->dfa_state_of);
    for (size_t i = 0; i < count; i++) {
        struct dfa_state_data *state = &r->dfa_states[i];
        state->pruned = flags[i] >> 4;
        state->alive = flags[i] & 15;
        if (state->row != RULES_NONE && state->row >= row_count) state->row = RULES_NONE;
        if (i != DFA_DEAD) r->dfa_state_of[state->expression] = (dfa_state)i;
    }
}

dfa_state dfa_restore(struct rules *r, rules_expression x) {
    dfa_state state = dfa_number(r, x);
    if (state != RULES_NONE && state != DFA_DEAD) r->dfa_states[state].alive = ALIVE;
    return state;
}

bool dfa_expand(struct rules *r, dfa_state state) {
    if (!make_row(r, state)) return false;
    for (uint32_t c = 0; c < r->class_count; c++) {
        bool alive = dfa_alive(r, dfa_entries(r, state)[c]);
        if (rules_failed(r)) return false;
        if (!alive) dfa_entries(r, state)[c] = DFA_DEAD;
    }
    r->dfa_states[state].pruned = true;
    return true;
}
