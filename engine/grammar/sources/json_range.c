#include "engine/grammar/sources/json_range.h"

#include <string.h>

enum { SIGNIFICANT_DIGITS = 15 };

/* ---- whole numbers --------------------------------------------------------------------------------------------------- */

static rules_expression digit_range(struct json_schema_writer *w, char first, char last) {
    if (first > last) return w->shared.nothing;
    return rules_points(w->rules, &(const struct rules_range){(uint32_t)first, (uint32_t)last}, 1);
}

static rules_expression digits(struct json_schema_writer *w, size_t least, size_t most) {
    return rules_repeat(w->rules, json_schema_digit(w), (uint32_t)least, (uint32_t)most);
}

/* As many digits as `low`, from it on (or, from `high` down). */
static rules_expression digits_from(struct json_schema_writer *w, const char *low) {
    if (!*low) return json_schema_word(w, "");
    return json_schema_or(w, json_schema_seq(w, digit_range(w, *low, *low), digits_from(w, low + 1)),
                          json_schema_seq(w, digit_range(w, (char)(*low + 1), '9'),
                                          digits(w, strlen(low + 1), strlen(low + 1))));
}

static rules_expression digits_to(struct json_schema_writer *w, const char *high) {
    if (!*high) return json_schema_word(w, "");
    return json_schema_or(w, json_schema_seq(w, digit_range(w, *high, *high), digits_to(w, high + 1)),
                          json_schema_seq(w, digit_range(w, '0', (char)(*high - 1)),
                                          digits(w, strlen(high + 1), strlen(high + 1))));
}

/* Both of one length. */
static rules_expression digits_between(struct json_schema_writer *w, const char *low, const char *high) {
    size_t rest = strlen(low) - 1;
    if (!*low) return json_schema_word(w, "");
    if (*low == *high)
        return json_schema_seq(w, digit_range(w, *low, *low), digits_between(w, low + 1, high + 1));
    return json_schema_or(
        w, json_schema_seq(w, digit_range(w, *low, *low), digits_from(w, low + 1)),
        json_schema_seq(w, digit_range(w, (char)(*low + 1), (char)(*high - 1)), digits(w, rest, rest)),
        json_schema_seq(w, digit_range(w, *high, *high), digits_to(w, high + 1)));
}

rules_expression json_range_digits(struct json_schema_writer *w, const char *low, const char *high) {
    static const char nines[] = "999999999999999999999", ones[] = "100000000000000000000";
    size_t shortest = strlen(low), longest = strlen(high);
    char end[JSON_DECIMAL_WHOLE_MAX + 1] = "", begin[JSON_DECIMAL_WHOLE_MAX + 1] = "";
    if (json_decimal_compare_digits(low, high) > 0) return w->shared.nothing;
    if (shortest == longest) return digits_between(w, low, high);
    memcpy(end, nines, shortest);
    memcpy(begin, ones, longest);
    rules_expression middle = w->shared.nothing;
    if (longest - shortest > 1)
        middle = json_schema_seq(w, digit_range(w, '1', '9'), digits(w, shortest, longest - 2));
    return json_schema_or(w, digits_between(w, low, end), middle, digits_between(w, begin, high));
}

/* ---- fractions: digits behind the point, of which any number of zeros may be left out or added at the end -------------- */

/* At most `room` digits that are not all 0. */
static rules_expression some_fraction(struct json_schema_writer *w, size_t room) {
    if (room == 0) return w->shared.nothing;
    return json_schema_or(w, json_schema_seq(w, digit_range(w, '1', '9'), digits(w, 0, room - 1)),
                          json_schema_seq(w, digit_range(w, '0', '0'), some_fraction(w, room - 1)));
}

static rules_expression fraction_from(struct json_schema_writer *w, const char *low, bool is_open,
                                      size_t room) {
    if (!*low) return is_open ? some_fraction(w, room) : digits(w, 0, room);
    return json_schema_or(
        w, json_schema_seq(w, digit_range(w, (char)(*low + 1), '9'), digits(w, 0, room - 1)),
        json_schema_seq(w, digit_range(w, *low, *low), fraction_from(w, low + 1, is_open, room - 1)));
}

static rules_expression fraction_to(struct json_schema_writer *w, const char *high, bool is_open,
                                    size_t room) {
    if (!*high)
        return is_open ? w->shared.nothing
                       : rules_repeat(w->rules, digit_range(w, '0', '0'), 0, (uint32_t)room);
    return json_schema_or(
        w, json_schema_word(w, ""),
        json_schema_seq(w, digit_range(w, '0', (char)(*high - 1)), digits(w, 0, room - 1)),
        json_schema_seq(w, digit_range(w, *high, *high), fraction_to(w, high + 1, is_open, room - 1)));
}

static rules_expression fraction_between(struct json_schema_writer *w, const struct json_range *range,
                                         size_t at, size_t room) {
    const char *low = range->low.fraction + at, *high = range->high.fraction + at;
    if (!*low && !range->low_is_open) return fraction_to(w, high, range->high_is_open, room);
    if (!*high || !*low)
        return rules_intersection(w->rules, fraction_from(w, low, range->low_is_open, room),
                                  fraction_to(w, high, range->high_is_open, room));
    if (*low == *high)
        return json_schema_seq(w, digit_range(w, *low, *low), fraction_between(w, range, at + 1, room - 1));
    return json_schema_or(
        w,
        json_schema_seq(w, digit_range(w, *low, *low),
                        fraction_from(w, low + 1, range->low_is_open, room - 1)),
        json_schema_seq(w, digit_range(w, (char)(*low + 1), (char)(*high - 1)), digits(w, 0, room - 1)),
        json_schema_seq(w, digit_range(w, *high, *high),
                        fraction_to(w, high + 1, range->high_is_open, room - 1)));
}

/* The point in front, and none where there are no digits. */
static rules_expression with_point(struct json_schema_writer *w, rules_expression fraction, bool has_empty,
                                   size_t room) {
    rules_expression some = w->shared.nothing, none = has_empty ? json_schema_word(w, "") : w->shared.nothing;
    if (room > 0)
        some = json_schema_seq(w, json_schema_word(w, "."),
                               rules_intersection(w->rules, fraction, digits(w, 1, room)));
    return json_schema_or(w, none, some);
}

/* ---- magnitudes -------------------------------------------------------------------------------------------------------- */

static rules_expression whole_numbers(struct json_schema_writer *w, const struct json_range *range) {
    char low[JSON_DECIMAL_WHOLE_MAX + 1], high[JSON_DECIMAL_WHOLE_MAX + 1];
    memcpy(low, range->low.whole, sizeof low);
    memcpy(high, range->high.whole, sizeof high);
    if (range->low.fraction[0] || range->low_is_open) json_decimal_whole_up(low);
    if (!range->high.fraction[0] && range->high_is_open) {
        if (strcmp(high, "0") == 0) return w->shared.nothing;
        json_decimal_whole_down(high);
    }
    return json_range_digits(w, low, high);
}

static rules_expression decimals(struct json_schema_writer *w, const struct json_range *range, size_t room) {
    const struct json_decimal *low = &range->low, *high = &range->high;
    rules_expression at_low = json_schema_word(w, low->whole), at_high = json_schema_word(w, high->whole);
    bool low_has_empty = !low->fraction[0] && !range->low_is_open;
    bool high_has_empty = high->fraction[0] || !range->high_is_open;
    if (strcmp(low->whole, high->whole) == 0)
        return json_schema_seq(
            w, at_low,
            with_point(w, fraction_between(w, range, 0, room), low_has_empty && high_has_empty, room));
    char first[JSON_DECIMAL_WHOLE_MAX + 1], last[JSON_DECIMAL_WHOLE_MAX + 1];
    memcpy(first, low->whole, sizeof first);
    memcpy(last, high->whole, sizeof last);
    json_decimal_whole_up(first);
    json_decimal_whole_down(last);
    return json_schema_or(
        w,
        json_schema_seq(
            w, at_low,
            with_point(w, fraction_from(w, low->fraction, range->low_is_open, room), low_has_empty, room)),
        json_schema_seq(w, json_range_digits(w, first, last), with_point(w, digits(w, 0, room), true, room)),
        json_schema_seq(
            w, at_high,
            with_point(w, fraction_to(w, high->fraction, range->high_is_open, room), high_has_empty, room)));
}

static size_t digits_of_bound(const struct json_decimal *d) {
    return json_decimal_compare_digits(d->whole, json_decimal_huge.whole) >= 0 ? 0 : strlen(d->whole);
}

/* Digits that may stand behind the point. */
static size_t room_of(const struct json_range *range, size_t least) {
    size_t low = digits_of_bound(&range->low), high = digits_of_bound(&range->high),
           whole = low > high ? low : high;
    size_t room = whole < SIGNIFICANT_DIGITS ? SIGNIFICANT_DIGITS - whole : 0;
    if (strlen(range->low.fraction) > room) room = strlen(range->low.fraction);
    if (strlen(range->high.fraction) > room) room = strlen(range->high.fraction);
    return least > room ? least : room;
}

/* From low to high, both there and not negative. */
static rules_expression magnitudes(struct json_schema_writer *w, const struct json_range *range,
                                   bool only_whole, size_t fraction_least) {
    int order = json_decimal_compare(&range->low, &range->high);
    if (order > 0 || (order == 0 && (range->low_is_open || range->high_is_open))) return w->shared.nothing;
    return only_whole ? whole_numbers(w, range) : decimals(w, range, room_of(range, fraction_least));
}

rules_expression json_range_write(struct json_schema_writer *w, const struct json_range *range,
                                  bool only_whole, size_t fraction_least) {
    struct json_range above = *range, below = {.low = json_decimal_zero, .low_is_open = true};
    rules_expression positive = w->shared.nothing, negative = w->shared.nothing;
    if (!range->has_low || range->low.negative) {
        above.low = json_decimal_zero;
        above.low_is_open = false;
        below.high = range->has_low ? range->low : json_decimal_huge;
        below.high_is_open = !range->has_low || range->low_is_open;
        below.high.negative = false;
        if (range->has_high && range->high.negative) {
            below.low = range->high;
            below.low.negative = false;
            below.low_is_open = range->high_is_open;
        }
        negative = magnitudes(w, &below, only_whole, fraction_least);
    }
    if (!range->has_high) above.high = json_decimal_huge, above.high_is_open = true;
    if (!above.high.negative) positive = magnitudes(w, &above, only_whole, fraction_least);
    if (negative != w->shared.nothing) negative = json_schema_seq(w, json_schema_word(w, "-"), negative);
    return json_schema_or(w, positive, negative);
}
