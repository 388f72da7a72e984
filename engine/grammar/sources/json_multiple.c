/* A number whose only primes are 2 and 5 divides a power of ten, 10^tail as a whole number: whether it divides another is told
 * by the last `tail` digits of that. Of any other number the multiples are written out, where there are few. */
#include "engine/grammar/sources/json_multiple.h"

#include <stdio.h>
#include <string.h>

enum { TAIL_MAX = 18, DIGITS_MAX = 20 };

bool json_multiple_read(const struct json_decimal *d, struct json_multiple *out) {
    out->places = strlen(d->fraction);
    return json_decimal_scale(d, out->places, &out->factor) && out->factor > 0;
}

bool json_multiple_holds(const struct json_multiple *m, const struct json_decimal *d) {
    size_t places = strlen(d->fraction) > m->places ? strlen(d->fraction) : m->places;
    __int128 value, factor = m->factor;
    if (!json_decimal_scale(d, places, &value)) return false;
    for (size_t i = m->places; i < places && factor <= value; i++) factor *= 10;
    for (size_t i = m->places; i < places && factor < -value; i++) factor *= 10;
    return value == 0 || value % factor == 0;
}

/* ---- by the last digits ------------------------------------------------------------------------------------------------ */

/* Digits that tell; TAIL_MAX + 1: there is no such number of them. */
static size_t tail_of(const struct json_multiple *m, uint64_t *power) {
    size_t tail = 0;
    for (*power = 1; tail <= TAIL_MAX && *power % m->factor != 0; tail++) *power *= 10;
    return tail;
}

static rules_expression digits(struct json_schema_writer *w, size_t least, size_t most) {
    return rules_repeat(w->rules, json_schema_digit(w), (uint32_t)least, (uint32_t)most);
}

/* Whole numbers whose last digits are `tail`; that number itself without its leading zeros is one, too. */
static rules_expression wholes_ending(struct json_schema_writer *w, const char *tail) {
    const char *alone = tail + strspn(tail, "0");
    rules_expression lead =
        json_schema_seq(w, rules_points(w->rules, &(const struct rules_range){'1', '9'}, 1),
                        digits(w, 0, DIGITS_MAX - 1 - strlen(tail)));
    if (!*tail) return json_schema_or(w, json_schema_word(w, "0"), lead);
    return json_schema_or(w, json_schema_word(w, *alone ? alone : "0"),
                          json_schema_seq(w, lead, json_schema_word(w, tail)));
}

/* ".50", ".5": at the end zeros may be left out, and with them the point. */
static rules_expression fractions(struct json_schema_writer *w, rules_expression front, size_t front_digits,
                                  const char *tail) {
    rules_expression all = w->shared.nothing;
    size_t length = strlen(tail);
    while (true) {
        char kept[TAIL_MAX + 2];
        snprintf(kept, sizeof kept, "%.*s", (int)length, tail);
        if (front_digits + length > 0)
            all = json_schema_or(
                w, all, json_schema_seq(w, json_schema_word(w, "."), front, json_schema_word(w, kept)));
        if (length == 0 || tail[length - 1] != '0') break;
        length--;
    }
    if (length > 0) return all;
    if (front_digits > 1)
        all =
            json_schema_or(w, all, json_schema_seq(w, json_schema_word(w, "."), digits(w, 1, front_digits)));
    return json_schema_or(w, all, json_schema_word(w, ""));
}

/* Numbers whose last digits, seen from `places` digits behind the point, are `tail`. */
static rules_expression ending(struct json_schema_writer *w, const char *tail, size_t places) {
    size_t length = strlen(tail), front = places > length ? places - length : 0;
    char whole[TAIL_MAX + 2];
    snprintf(whole, sizeof whole, "%.*s", (int)(length > places ? length - places : 0), tail);
    rules_expression fraction = fractions(w, digits(w, front, front), front, tail + strlen(whole));
    return json_schema_seq(w, wholes_ending(w, whole), fraction);
}

static void write_digits(uint64_t value, size_t count, char out[TAIL_MAX + 2]) {
    out[count] = '\0';
    for (; count > 0; value /= 10) out[--count] = (char)('0' + value % 10);
}

static rules_expression by_last_digits(struct json_schema_writer *w, const struct json_multiple *m,
                                       size_t tail, uint64_t power) {
    rules_expression all = w->shared.nothing;
    for (uint64_t value = 0; value < power && !rules_failed(w->rules); value += (uint64_t)m->factor) {
        char last[TAIL_MAX + 2];
        write_digits(value, tail, last);
        all = json_schema_or(w, all, ending(w, last, m->places));
    }
    return json_schema_seq(w, json_schema_optional(w, json_schema_word(w, "-")), all);
}

/* ---- whole ones, digit by digit ------------------------------------------------------------------------------------------ */

/* Each digit with what comes behind it. Those before the same are one set. */
static rules_expression join_digits(struct json_schema_writer *w, rules_expression behind[10]) {
    rules_expression all = w->shared.nothing;
    for (uint32_t digit = 0; digit < 10; digit++) {
        struct rules_range ranges[10];
        size_t count = 0;
        rules_expression same = behind[digit];
        for (uint32_t other = digit; other < 10 && same != w->shared.nothing; other++) {
            if (behind[other] != same) continue;
            ranges[count++] = (struct rules_range){'0' + other, '0' + other};
            behind[other] = w->shared.nothing;
        }
        if (count > 0)
            all = json_schema_or(w, all, json_schema_seq(w, rules_points(w->rules, ranges, count), same));
    }
    return all;
}

/* `count` digits, the first one from `least` on, that make a multiple behind others that leave `rest`; `nothing` where there are
 * none. There are about as many expressions as remainders, and not one for each ending. As deep as TAIL_MAX. */
static rules_expression last_digits(struct json_schema_writer *w, uint64_t factor, size_t count,
                                    uint64_t rest, uint32_t least) {
    rules_expression behind[10];
    uint64_t power = 1;
    if (count == 0) return rest == 0 ? json_schema_word(w, "") : w->shared.nothing;
    for (size_t i = 1; i < count; i++) power *= 10;
    for (uint32_t digit = 0; digit < 10; digit++) {
        uint64_t left = (rest + digit * power) % factor;
        /* The least that may be missing to a multiple has to fit into the digits that are to come. */
        bool leads_on = digit >= least && (factor - left) % factor < power && rules_spend(w->rules, 1);
        behind[digit] = leads_on ? last_digits(w, factor, count - 1, left, 0) : w->shared.nothing;
    }
    return join_digits(w, behind);
}

static rules_expression wholes(struct json_schema_writer *w, uint64_t factor, size_t tail) {
    const struct rules_range not_zero = {'1', '9'};
    rules_expression lead = json_schema_seq(w, rules_points(w->rules, &not_zero, 1),
                                            digits(w, 0, DIGITS_MAX - 1 - tail)),
                     all = json_schema_or(w, json_schema_word(w, "0"),
                                          json_schema_seq(w, lead, last_digits(w, factor, tail, 0, 0)));
    for (size_t count = 1; count <= tail; count++)
        all = json_schema_or(w, all, last_digits(w, factor, count, 0, 1));
    return json_schema_seq(w, json_schema_optional(w, json_schema_word(w, "-")), all);
}

/* ---- one by one ---------------------------------------------------------------------------------------------------------- */

static __int128 floor_divide(__int128 a, __int128 b) {
    return a / b - (a % b < 0);
}

/* Numbers of the first and the last multiple within the range; false: it has no ends, or too many digits. */
static bool find_ends(const struct json_multiple *m, const struct json_range *range, __int128 *first,
                      __int128 *last) {
    size_t places = m->places, low_places = strlen(range->low.fraction),
           high_places = strlen(range->high.fraction);
    __int128 low, high, factor = m->factor;
    if (!range->has_low || !range->has_high) return false;
    if (low_places > places) places = low_places;
    if (high_places > places) places = high_places;
    for (size_t i = m->places; i < places; i++)
        if (__builtin_mul_overflow(factor, 10, &factor)) return false;
    if (!json_decimal_scale(&range->low, places, &low) || !json_decimal_scale(&range->high, places, &high))
        return false;
    *first = floor_divide(low + factor - (range->low_is_open ? 0 : 1), factor);
    *last = floor_divide(high - (range->high_is_open ? 1 : 0), factor);
    return true;
}

/* factor * number, with its point. */
static rules_expression write_one(struct json_schema_writer *w, const struct json_multiple *m,
                                  __int128 number, bool only_whole) {
    char text[64];
    size_t at = sizeof text - 1, places = m->places;
    __int128 value = number < 0 ? -number * m->factor : number * m->factor;
    text[at] = '\0';
    for (; places > 0 && value % 10 == 0; places--) value /= 10;
    if (only_whole && places > 0) return w->shared.nothing;
    for (size_t i = 0; value > 0 || i <= places; i++) {
        if (i == places && i > 0) text[--at] = '.';
        text[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    }
    if (number < 0) text[--at] = '-';
    return json_schema_word(w, text + at);
}

static rules_expression one_by_one(struct json_schema_writer *w, const struct json_multiple *m,
                                   __int128 first, __int128 last, bool only_whole) {
    rules_expression all[JSON_SCHEMA_MULTIPLES_MAX];
    size_t count = 0;
    for (__int128 number = first; number <= last; number++)
        all[count++] = write_one(w, m, number, only_whole);
    return count > 0 ? rules_choice(w->rules, all, count) : w->shared.nothing;
}

rules_expression json_multiple_write(struct json_schema_writer *w, const struct json_multiple *m,
                                     const struct json_range *range, bool only_whole, bool *found) {
    __int128 first, last;
    uint64_t power;
    size_t tail = tail_of(m, &power);
    bool has_bounds = range->has_low || range->has_high;
    *found = true;
    if (find_ends(m, range, &first, &last) && last - first < JSON_SCHEMA_MULTIPLES_MAX)
        return one_by_one(w, m, first, last, only_whole);
    *found = tail <= TAIL_MAX && power / (uint64_t)m->factor <= JSON_SCHEMA_MULTIPLES_MAX;
    if (!*found) return RULES_NONE;
    rules_expression all =
        m->places == 0 ? wholes(w, (uint64_t)m->factor, tail) : by_last_digits(w, m, tail, power);
    if (only_whole && m->places > 0) all = rules_intersection(w->rules, all, json_schema_any_integer(w));
    return has_bounds ? rules_intersection(w->rules, all, json_range_write(w, range, only_whole, m->places))
                      : all;
}
