#include "engine/grammar/match/class_groups.h"

#include "engine/grammar/match/byte_groups.h"
#include "engine/grammar/match/state_list.h"

static rules_expression target(const struct rules *r, const dfa_state *row, unsigned byte) {
    return r->dfa_states[row[r->class_of[byte]]].expression;
}

static void look_at_ascii(const struct rules *r, const dfa_state *row, struct class_groups *out) {
    for (unsigned byte = 0; byte < 0x80; byte++) {
        rules_expression left = target(r, row, byte);
        if (left == RULES_EMPTY) continue;
        out->exact &= ~byte_group(byte);
        if (!expression_is(r, left, EXPRESSION_NULLABLE)) out->matching &= ~byte_group(byte);
    }
}

/* Where all bytes of a range lead, DFA_DEAD where they lead to different states. RULES_NONE: failed. */
static dfa_state common_target(struct rules *r, dfa_state state, unsigned first, unsigned last) {
    const dfa_state *row = dfa_row(r, state);
    if (!row) return RULES_NONE;
    dfa_state common = row[r->class_of[first]];
    for (unsigned byte = first + 1; byte <= last; byte++)
        if (row[r->class_of[byte]] != common) return DFA_DEAD;
    return common;
}

static bool is_state(dfa_state state) {
    return state != DFA_DEAD && state != RULES_NONE;
}

/* Where one byte leads. RULES_NONE: failed. */
static dfa_state step(struct rules *r, dfa_state state, unsigned byte) {
    return is_state(state) ? common_target(r, state, byte, byte) : state;
}

/* What is left behind a line end beyond ASCII, whichever it is; DFA_DEAD and RULES_NONE as below. */
static dfa_state behind_line_end(struct rules *r, dfa_state state) {
    dfa_state left = step(r, step(r, state, LINE_END_FIRST), LINE_END_SECOND);
    return is_state(left) ? common_target(r, left, LINE_END_LAST, LINE_END_LAST + 1) : left;
}

/* Of the characters whose first byte, which has been taken, is that of line ends: what is left behind all but these. */
static dfa_state beside_line_ends(struct rules *r, dfa_state state) {
    dfa_state others = common_target(r, state, LINE_END_SECOND + 1, 0xBF);
    dfa_state second = step(r, state, LINE_END_SECOND);
    if (!is_state(others) || !is_state(second))
        return others == RULES_NONE ? others : second == RULES_NONE ? second : DFA_DEAD;
    dfa_state left = common_target(r, others, 0x80, 0xBF);
    dfa_state before = common_target(r, second, 0x80, LINE_END_LAST - 1);
    dfa_state behind = common_target(r, second, LINE_END_LAST + 2, 0xBF);
    if (left == RULES_NONE || before == RULES_NONE || behind == RULES_NONE) return RULES_NONE;
    return left == before && left == behind ? left : DFA_DEAD;
}

/* What is left behind each character that begins with `lead` and is no line end, where it is the same; DFA_DEAD: it is not.
 * RULES_NONE: failed. */
static dfa_state behind_characters(struct rules *r, dfa_state state, unsigned lead) {
    enum utf8_state at = utf8_lead(lead);
    state = step(r, state, lead);
    if (lead == LINE_END_FIRST && is_state(state)) return beside_line_ends(r, state);
    while (at != UTF8_BOUNDARY && is_state(state)) {
        state = common_target(r, state, utf8_steps[at].first, utf8_steps[at].last);
        at = (enum utf8_state)utf8_steps[at].next;
    }
    return state;
}

static bool look_beyond_ascii(struct rules *r, dfa_state state, struct class_groups *out) {
    bool matching = true, exact = true;
    for (unsigned lead = 0xC2; lead <= 0xF4 && matching; lead++) {
        dfa_state left = behind_characters(r, state, lead);
        if (left == RULES_NONE) return false;
        matching = left != DFA_DEAD && dfa_nullable(r, left);
        exact &= matching && r->dfa_states[left].expression == RULES_EMPTY;
    }
    if (!matching) out->matching &= ~GROUPS_BEYOND_ASCII;
    if (!matching || !exact) out->exact &= ~GROUPS_BEYOND_ASCII;
    return true;
}

static bool look_at_line_ends(struct rules *r, dfa_state state, struct class_groups *out) {
    dfa_state left = behind_line_end(r, state);
    if (left == RULES_NONE) return false;
    bool matching = left != DFA_DEAD && dfa_nullable(r, left);
    if (!matching) out->matching &= ~GROUPS_LINE_ENDS;
    if (!matching || r->dfa_states[left].expression != RULES_EMPTY) out->exact &= ~GROUPS_LINE_ENDS;
    return true;
}

bool class_groups_staying(struct rules *r, dfa_state state, uint64_t *groups) {
    const dfa_state *row = dfa_row(r, state);
    if (!row) return false;
    *groups = ~(GROUPS_NO_UTF8 | GROUPS_BEYOND_ASCII | GROUPS_LINE_ENDS);
    for (unsigned byte = 0; byte < 0x80; byte++)
        if (row[r->class_of[byte]] != state) *groups &= ~byte_group(byte);
    bool stays = *groups != 0;
    for (unsigned lead = 0xC2; lead <= 0xF4 && stays; lead++) {
        dfa_state left = behind_characters(r, state, lead);
        if (left == RULES_NONE) return false;
        stays = left == state;
    }
    if (!stays) return true;
    *groups |= GROUPS_BEYOND_ASCII;
    dfa_state left = behind_line_end(r, state);
    if (left == state) *groups |= GROUPS_LINE_ENDS;
    return left != RULES_NONE;
}

bool class_groups_first(struct rules *r, dfa_state state, uint64_t *groups) {
    const dfa_state *row = dfa_row(r, state);
    if (!row) return false;
    *groups = 0;
    for (unsigned byte = 0; byte < 256; byte++)
        if (row[r->class_of[byte]] != DFA_DEAD)
            *groups |= byte < 0x80 ? byte_group(byte) : GROUPS_BEYOND_ASCII | GROUPS_LINE_ENDS;
    return true;
}

/* A set of bytes needs no state. */
static void look_at_set(const struct byte_set *set, struct class_groups *out) {
    for (unsigned byte = 0; byte < 0x80; byte++)
        if (!byte_set_has(set, byte)) out->exact &= ~byte_group(byte);
    out->exact &= ~(GROUPS_BEYOND_ASCII | GROUPS_LINE_ENDS);
    out->matching = out->exact;
}

static bool look(struct rules *r, rules_expression x, struct class_groups *out) {
    *out = (struct class_groups){.expression = x, .matching = ~GROUPS_NO_UTF8, .exact = ~GROUPS_NO_UTF8};
    if (r->expressions[x].kind == EXPRESSION_BYTES) {
        look_at_set(&r->sets[r->expressions[x].a], out);
        return true;
    }
    dfa_state state = dfa_state_of(r, x);
    const dfa_state *row = state == RULES_NONE ? NULL : dfa_row(r, state);
    if (!row) return false;
    look_at_ascii(r, row, out);
    return look_beyond_ascii(r, state, out) && look_at_line_ends(r, state, out);
}

void class_groups_clear(struct class_groups_table *t) {
    for (size_t i = 0; i < CLASS_GROUPS_KEPT; i++) t->kept[i].expression = RULES_NONE;
    for (size_t i = 0; i < CLASS_CODES_KEPT; i++) t->codes[i].expression = RULES_NONE;
}

bool class_groups_find(struct rules *r, struct class_groups_table *t, rules_expression x,
                       struct class_groups *out) {
    struct class_groups *kept = &t->kept[x % CLASS_GROUPS_KEPT];
    if (kept->expression != x) {
        kept->expression = RULES_NONE;
        if (!look(r, x, out)) return false;
        *kept = *out;
    }
    *out = *kept;
    return true;
}

/* ---- how texts are divided ---------------------------------------------------------------------------------------- */

/* Whether nothing goes on behind a text that matches. *out false also where there are too many states. False: failed. */
static bool find_code(struct rules *r, dfa_state state, bool *out) {
    struct state_list met = {.count = 0};
    *out = !dfa_nullable(r, state) && state_list_add(&met, state, STATE_LIST_MAX);
    for (size_t i = 0; i < met.count && *out; i++) {
        const dfa_state *row = dfa_row(r, met.states[i]);
        if (!row) return false;
        for (uint32_t class = 0; class < r->class_count && *out; class ++) {
            dfa_state next = row[class];
            if (next == DFA_DEAD) continue;
            *out = !dfa_nullable(r, met.states[i]) && state_list_add(&met, next, STATE_LIST_MAX);
        }
    }
    return rules_spend(r, met.count);
}

bool class_code_find(struct rules *r, struct class_groups_table *t, rules_expression x,
                     struct class_code *out) {
    struct class_code *kept = &t->codes[x % CLASS_CODES_KEPT];
    if (kept->expression != x) {
        dfa_state state = dfa_state_of(r, x);
        kept->expression = RULES_NONE;
        if (state == RULES_NONE || !class_groups_first(r, state, &kept->first)) return false;
        if (!find_code(r, state, &kept->is_code)) return false;
        kept->expression = x;
    }
    *out = *kept;
    return true;
}
