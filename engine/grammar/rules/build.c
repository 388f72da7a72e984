/* Expressions out of expressions. What is simplified here is what makes equal texts equal numbers often enough that the
 * states of a leaf stay few: a choice is a set, a sequence is a list, what matches nothing disappears. */
#include "engine/grammar/rules/expression.h"

#include <stdlib.h>
#include <string.h>

/* Members of a choice that are put in order for what a step costs. */
#define MEMBERS_A_STEP 4

/* ---- choices --------------------------------------------------------------------------------------------- */

/* Whether x matches every text there is. */
static bool is_all(const struct rules *r, rules_expression x) {
    const struct expression *repeat = &r->expressions[x];
    if (repeat->kind != EXPRESSION_REPEAT || repeat->b != 0 || repeat->c != RULES_UNLIMITED) return false;
    const struct expression *part = &r->expressions[repeat->a];
    return part->kind == EXPRESSION_BYTES && byte_set_size(&r->sets[part->a]) == 256;
}

/* Members of members take their place. */
static bool flatten_choice(struct rules *r, size_t from) {
    size_t end = r->scratch_count, kept = from;
    for (size_t i = from; i < end; i++) {
        rules_expression member = r->scratch[i];
        const struct expression *x = &r->expressions[member];
        if (x->kind == EXPRESSION_CHOICE) {
            uint32_t first = x->a, count = x->b;
            for (uint32_t k = 0; k < count; k++)
                if (!scratch_push(r, r->members[first + k])) return false;
        } else if (member != RULES_NOTHING) {
            r->scratch[kept++] = member;
        }
    }
    size_t added = r->scratch_count - end;
    if (kept == end) return true;
    memmove(r->scratch + kept, r->scratch + end, added * sizeof *r->scratch);
    r->scratch_count = kept + added;
    return true;
}

/* Sets of bytes among the members become one. */
static bool join_bytes(struct rules *r, size_t from) {
    struct byte_set set = {0};
    size_t kept = from, joined = 0;
    uint32_t last = RULES_NONE;
    for (size_t i = from; i < r->scratch_count; i++) {
        const struct expression *x = &r->expressions[r->scratch[i]];
        if (x->kind != EXPRESSION_BYTES) {
            r->scratch[kept++] = r->scratch[i];
            continue;
        }
        for (int k = 0; k < 4; k++) set.bits[k] |= r->sets[x->a].bits[k];
        last = r->scratch[i];
        joined++;
    }
    r->scratch_count = kept;
    if (joined == 0) return true;
    if (joined > 1) last = expression_bytes(r, &set);
    return last != RULES_NONE && scratch_push(r, last);
}

static int compare_numbers(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Ascending, each once; the empty text goes where another member has it. */
static bool order_choice(struct rules *r, size_t from) {
    size_t kept = from;
    bool nullable = false;
    if (!rules_sort(r, r->scratch + from, r->scratch_count - from, sizeof *r->scratch, compare_numbers))
        return false;
    for (size_t i = from; i < r->scratch_count; i++) {
        if (r->scratch[i] != RULES_EMPTY) nullable |= expression_is(r, r->scratch[i], EXPRESSION_NULLABLE);
        if (kept == from || r->scratch[kept - 1] != r->scratch[i]) r->scratch[kept++] = r->scratch[i];
    }
    if (nullable && r->scratch[from] == RULES_EMPTY) {
        kept--;
        memmove(r->scratch + from, r->scratch + from + 1, (kept - from) * sizeof *r->scratch);
    }
    r->scratch_count = kept;
    return true;
}

static rules_expression intern_choice(struct rules *r, size_t from) {
    size_t count = r->scratch_count - from;
    if (!rules_grow(r, &r->members, &r->member_capacity, r->member_count + count, sizeof *r->members))
        return RULES_NONE;
    memcpy(r->members + r->member_count, r->scratch + from, count * sizeof *r->members);
    r->member_count += count;
    rules_expression made =
        expression_intern(r, EXPRESSION_CHOICE, (uint32_t)(r->member_count - count), (uint32_t)count, 0);
    if (made == RULES_NONE) r->member_count -= count;
    return made;
}

static rules_expression make_choice(struct rules *r, size_t from) {
    if (r->scratch_count - from == 1) return r->scratch[from];
    if (!flatten_choice(r, from) || !join_bytes(r, from)) return RULES_NONE;
    if (!rules_spend(r, (r->scratch_count - from) / MEMBERS_A_STEP)) return RULES_NONE;
    if (r->scratch_count == from) return RULES_NOTHING;
    if (!order_choice(r, from)) return RULES_NONE;
    for (size_t i = from; i < r->scratch_count; i++)
        if (is_all(r, r->scratch[i])) return r->scratch[i];
    return r->scratch_count - from == 1 ? r->scratch[from] : intern_choice(r, from);
}

rules_expression expression_choice(struct rules *r, size_t from) {
    if (r->scratch_count == from) return RULES_NOTHING;
    rules_expression made = make_choice(r, from);
    r->scratch_count = from;
    return made;
}

/* ---- sequences ------------------------------------------------------------------------------------------- */

/* x as so many times a part; of what is no repeat, once. */
static struct expression as_repeat(const struct rules *r, rules_expression x) {
    const struct expression *e = &r->expressions[x];
    return e->kind == EXPRESSION_REPEAT ? *e : (struct expression){.a = x, .b = 1, .c = 1};
}

static bool count_sum(uint32_t a, uint32_t b, uint32_t *out) {
    uint64_t sum = (uint64_t)a + b;
    bool unlimited = a == RULES_UNLIMITED || b == RULES_UNLIMITED;
    *out = unlimited ? RULES_UNLIMITED : (uint32_t)sum;
    return unlimited || sum < RULES_UNLIMITED;
}

/* Repeats of the same part one behind the other are one, so that it is no matter which of them took what was read.
 * RULES_NOTHING: they are not. */
static rules_expression join_neighbours(struct rules *r, rules_expression a, rules_expression b) {
    struct expression x = as_repeat(r, a), y = as_repeat(r, b);
    bool is_one = r->expressions[a].kind == EXPRESSION_REPEAT || r->expressions[b].kind == EXPRESSION_REPEAT;
    uint32_t least, most;
    if (!is_one || x.a != y.a || !count_sum(x.b, y.b, &least) || !count_sum(x.c, y.c, &most))
        return RULES_NOTHING;
    return rules_repeat(r, x.a, least, most);
}

static rules_expression put_before(struct rules *r, rules_expression a, rules_expression b) {
    if (a == RULES_NOTHING || b == RULES_NOTHING) return RULES_NOTHING;
    if (a == RULES_EMPTY) return b;
    if (b == RULES_EMPTY) return a;
    bool sequence = r->expressions[b].kind == EXPRESSION_SEQUENCE;
    rules_expression behind = sequence ? r->expressions[b].b : RULES_EMPTY;
    rules_expression joined = join_neighbours(r, a, sequence ? r->expressions[b].a : b);
    if (joined == RULES_NOTHING) return expression_intern(r, EXPRESSION_SEQUENCE, a, b, 0);
    if (joined == RULES_NONE || !sequence) return joined;
    return expression_intern(r, EXPRESSION_SEQUENCE, joined, behind, 0);
}

rules_expression expression_sequence(struct rules *r, rules_expression a, rules_expression b) {
    if (a == RULES_NONE || b == RULES_NONE) return RULES_NONE;
    if (r->expressions[a].kind != EXPRESSION_SEQUENCE) return put_before(r, a, b);
    if (b == RULES_EMPTY) return a;
    size_t from = r->scratch_count;
    for (; r->expressions[a].kind == EXPRESSION_SEQUENCE; a = r->expressions[a].b)
        if (!rules_tick(r) || !scratch_push(r, r->expressions[a].a)) return RULES_NONE;
    b = put_before(r, a, b);
    while (r->scratch_count > from && b != RULES_NONE) b = put_before(r, r->scratch[--r->scratch_count], b);
    r->scratch_count = from;
    return b;
}

rules_expression rules_sequence(struct rules *r, const rules_expression *parts, size_t count) {
    rules_expression made = RULES_EMPTY;
    if (rules_failed(r)) return RULES_NONE;
    for (size_t i = count; i-- > 0;) made = expression_sequence(r, parts[i], made);
    return made;
}

rules_expression rules_choice(struct rules *r, const rules_expression *parts, size_t count) {
    size_t from = r->scratch_count;
    if (rules_failed(r)) return RULES_NONE;
    for (size_t i = 0; i < count; i++)
        if (parts[i] == RULES_NONE || !scratch_push(r, parts[i])) return RULES_NONE;
    return expression_choice(r, from);
}

/* ---- repeats --------------------------------------------------------------------------------------------- */

/* Whether the lengths of least and more times a part of x{inner_least, inner_most} leave no gap between one number of
 * times and the next. */
static bool has_no_gap(const struct expression *inner, uint32_t least, uint32_t most) {
    if (least == most || inner->c == RULES_UNLIMITED) return least > 0 || inner->b <= 1;
    return ((uint64_t)least + 1) * inner->b <= (uint64_t)least * inner->c + 1;
}

static bool count_product(uint32_t a, uint32_t b, uint32_t *out) {
    uint64_t product = (uint64_t)a * b;
    bool unlimited = a == RULES_UNLIMITED || b == RULES_UNLIMITED;
    *out = unlimited ? RULES_UNLIMITED : (uint32_t)product;
    return unlimited || product < RULES_UNLIMITED;
}

/* A repeat of a repeat that is one repeat. */
static bool join_repeats(const struct rules *r, rules_expression *part, uint32_t *least, uint32_t *most) {
    const struct expression *inner = &r->expressions[*part];
    uint32_t joined_least, joined_most;
    if (inner->kind != EXPRESSION_REPEAT || !has_no_gap(inner, *least, *most)) return false;
    if (!count_product(*least, inner->b, &joined_least) || !count_product(*most, inner->c, &joined_most))
        return false;
    *part = inner->a;
    *least = joined_least;
    *most = joined_most;
    return true;
}

/* A choice that has the empty text, without it; else as it is. */
static rules_expression without_empty(struct rules *r, rules_expression x) {
    const struct expression *e = &r->expressions[x];
    size_t from = r->scratch_count;
    uint32_t first = e->a, count = e->b;
    if (e->kind != EXPRESSION_CHOICE || r->members[first] != RULES_EMPTY) return x;
    for (uint32_t i = 1; i < count; i++)
        if (!scratch_push(r, r->members[first + i])) return RULES_NONE;
    return expression_choice(r, from);
}

/* x{0,n} where x{1,n} is one repeat and x{0,n} is not: that one, or nothing. */
static bool is_optional(const struct rules *r, rules_expression part, uint32_t least, uint32_t most) {
    uint32_t once = 1;
    return least == 0 && most > 1 && join_repeats(r, &part, &once, &most);
}

rules_expression rules_repeat(struct rules *r, rules_expression part, uint32_t least, uint32_t most) {
    if (rules_failed(r) || part == RULES_NONE) return RULES_NONE;
    if (least > most) return RULES_NOTHING;
    if (most == 0 || part == RULES_EMPTY) return RULES_EMPTY;
    if (part == RULES_NOTHING) return least == 0 ? RULES_EMPTY : RULES_NOTHING;
    if (expression_is(r, part, EXPRESSION_NULLABLE)) {
        least = 0;
        part = without_empty(r, part);
        if (part == RULES_NONE) return RULES_NONE;
    }
    while (join_repeats(r, &part, &least, &most)) continue;
    if (least == 1 && most == 1) return part;
    if (is_optional(r, part, least, most)) {
        part = rules_repeat(r, part, 1, most);
        if (part == RULES_NONE) return RULES_NONE;
        most = 1;
    }
    return expression_intern(r, EXPRESSION_REPEAT, part, least, most);
}

/* ---- both and without ------------------------------------------------------------------------------------ */

static rules_expression combine_sets(struct rules *r, rules_expression a, rules_expression b, bool without) {
    const struct byte_set *x = &r->sets[r->expressions[a].a], *y = &r->sets[r->expressions[b].a];
    struct byte_set set = {0};
    for (int i = 0; i < 4; i++) set.bits[i] = x->bits[i] & (without ? ~y->bits[i] : y->bits[i]);
    return expression_bytes(r, &set);
}

static bool are_sets(const struct rules *r, rules_expression a, rules_expression b) {
    return r->expressions[a].kind == EXPRESSION_BYTES && r->expressions[b].kind == EXPRESSION_BYTES;
}

rules_expression expression_intersection(struct rules *r, rules_expression a, rules_expression b) {
    if (rules_failed(r) || a == RULES_NONE || b == RULES_NONE) return RULES_NONE;
    if (a == RULES_NOTHING || b == RULES_NOTHING) return RULES_NOTHING;
    if (a == b || is_all(r, b)) return a;
    if (is_all(r, a)) return b;
    if (are_sets(r, a, b)) return combine_sets(r, a, b, false);
    return a < b ? expression_intern(r, EXPRESSION_INTERSECTION, a, b, 0)
                 : expression_intern(r, EXPRESSION_INTERSECTION, b, a, 0);
}

rules_expression expression_difference(struct rules *r, rules_expression a, rules_expression b) {
    if (rules_failed(r) || a == RULES_NONE || b == RULES_NONE) return RULES_NONE;
    if (a == RULES_NOTHING || a == b || is_all(r, b)) return RULES_NOTHING;
    if (b == RULES_NOTHING) return a;
    if (are_sets(r, a, b)) return combine_sets(r, a, b, true);
    return expression_intern(r, EXPRESSION_DIFFERENCE, a, b, 0);
}

/* The first and the last element of a sequence where these are sets of bytes, and what is between them. */
struct ends {
    rules_expression first, last, between;
};

/* How many elements such a sequence has at most. */
enum { ENDED_MAX = 16 };

static bool find_ends(struct rules *r, rules_expression x, struct ends *out) {
    size_t from = r->scratch_count, count = 0;
    for (; r->expressions[x].kind == EXPRESSION_SEQUENCE && count < ENDED_MAX;
         x = r->expressions[x].b, count++)
        if (!scratch_push(r, r->expressions[x].a)) return false;
    *out = (struct ends){.first = count > 0 ? r->scratch[from] : x, .last = x, .between = RULES_EMPTY};
    bool found = count > 0 && r->expressions[out->first].kind == EXPRESSION_BYTES &&
                 r->expressions[x].kind == EXPRESSION_BYTES;
    for (; found && count > 1; count--)
        out->between = expression_sequence(r, r->scratch[from + count - 1], out->between);
    r->scratch_count = from;
    return found;
}

/* Texts that begin and end alike differ between these ends: so that of keys in quotes the quote is no part of what is to be
 * looked at as a whole, nor is what comes behind them. */
static rules_expression combine(struct rules *r, rules_expression a, rules_expression b,
                                rules_expression (*make)(struct rules *, rules_expression,
                                                         rules_expression)) {
    struct ends x, y;
    if (rules_failed(r) || a == RULES_NONE || b == RULES_NONE) return RULES_NONE;
    if (!find_ends(r, a, &x) || !find_ends(r, b, &y) || x.first != y.first || x.last != y.last)
        return make(r, a, b);
    const rules_expression parts[] = {x.first, make(r, x.between, y.between), x.last};
    return rules_sequence(r, parts, 3);
}

rules_expression rules_intersection(struct rules *r, rules_expression a, rules_expression b) {
    return combine(r, a, b, expression_intersection);
}

rules_expression rules_difference(struct rules *r, rules_expression a, rules_expression b) {
    return combine(r, a, b, expression_difference);
}

rules_expression rules_call(struct rules *r, rules_name rule) {
    if (rules_failed(r) || rule == RULES_NONE) return RULES_NONE;
    return expression_intern(r, EXPRESSION_CALL, rule, 0, 0);
}
