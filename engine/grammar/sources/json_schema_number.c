#include <string.h>

#include "engine/grammar/sources/json_multiple.h"
#include "engine/grammar/sources/json_range.h"
#include "engine/grammar/sources/json_schema_writer.h"

static const struct number_format {
    const char *name;
    bool is_whole;
    struct json_decimal low, high;
} formats[] = {
#define FORMAT(name, note, expression)
#define NUMBER_FORMAT(name, note, is_whole, is_signed, low, high)                                            \
    {name, is_whole, {is_signed, low, ""}, {false, high, ""}},
#include "engine/grammar/sources/json_schema_formats.def"
#undef FORMAT
#undef NUMBER_FORMAT
};

static const struct number_format *find_format(const char *name) {
    for (size_t i = 0; name && i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

bool json_schema_number_has_format(const char *name) {
    return find_format(name) != NULL;
}

/* The format of whole numbers that a branch asks for; NULL: none. */
static const struct number_format *whole_format(const json_t *branch) {
    const struct number_format *format = find_format(json_string_value(json_object_get(branch, "format")));
    return format && format->is_whole ? format : NULL;
}

static bool has_whole_format(const struct json_schema_list *branches) {
    bool found = false;
    for (size_t i = 0; i < branches->count; i++) found |= whole_format(branches->items[i]) != NULL;
    return found;
}

static bool read(struct json_schema_writer *w, const json_t *branch, const char *keyword,
                 struct json_decimal *out) {
    const json_t *value = json_object_get(branch, keyword);
    if (!value) return false;
    if (json_decimal_read(value, out)) return true;
    json_schema_refuse(w, STATUS_LIMIT, branch, "'%s': more than %d digits behind the point", keyword,
                       JSON_DECIMAL_FRACTION_MAX);
    return false;
}

static void raise_low(struct json_range *range, const struct json_decimal *low, bool is_open) {
    int order = range->has_low ? json_decimal_compare(low, &range->low) : 1;
    if (order > 0) range->low = *low;
    if (order >= 0) range->low_is_open = is_open || (order == 0 && range->low_is_open);
    range->has_low = true;
}

static void lower_high(struct json_range *range, const struct json_decimal *high, bool is_open) {
    int order = range->has_high ? json_decimal_compare(high, &range->high) : -1;
    if (order < 0) range->high = *high;
    if (order <= 0) range->high_is_open = is_open || (order == 0 && range->high_is_open);
    range->has_high = true;
}

static struct json_range range_of(struct json_schema_writer *w, const struct json_schema_list *branches) {
    struct json_range range = {.has_low = false};
    struct json_decimal d;
    for (size_t i = 0; i < branches->count; i++) {
        const json_t *branch = branches->items[i];
        const struct number_format *format = whole_format(branch);
        if (format) raise_low(&range, &format->low, false);
        if (format) lower_high(&range, &format->high, false);
        if (read(w, branch, "minimum", &d)) raise_low(&range, &d, false);
        if (read(w, branch, "exclusiveMinimum", &d)) raise_low(&range, &d, true);
        if (read(w, branch, "maximum", &d)) lower_high(&range, &d, false);
        if (read(w, branch, "exclusiveMaximum", &d)) lower_high(&range, &d, true);
    }
    return range;
}

static bool read_multiple(struct json_schema_writer *w, const json_t *branch, struct json_multiple *out) {
    struct json_decimal d;
    if (!read(w, branch, "multipleOf", &d)) return false;
    if (json_multiple_read(&d, out)) return true;
    json_schema_refuse(w, STATUS_INVALID_ARGUMENT, branch,
                       "'multipleOf': expected a number above 0, of at most %d digits",
                       JSON_DECIMAL_SCALED_MAX);
    return false;
}

static rules_expression write_multiples(struct json_schema_writer *w, const json_t *branch,
                                        const struct json_multiple *m, const struct json_range *range,
                                        bool only_whole) {
    bool found;
    rules_expression all = json_multiple_write(w, m, range, only_whole, &found);
    if (found) return all;
    return json_schema_refuse(
        w, STATUS_INVALID_ARGUMENT, branch,
        "'multipleOf' is supported of what divides a power of ten, with at most %d different endings, and "
        "where a minimum and a maximum leave at most %d multiples",
        JSON_SCHEMA_MULTIPLES_MAX, JSON_SCHEMA_MULTIPLES_MAX);
}

rules_expression json_schema_number(struct json_schema_writer *w, const struct json_schema_list *branches,
                                    unsigned types) {
    bool only_whole = !(types & JSON_SCHEMA_FRACTION) || has_whole_format(branches);
    struct json_multiple m;
    rules_expression all = RULES_NONE;
    struct json_range range = range_of(w, branches);
    for (size_t i = 0; i < branches->count; i++) {
        if (!read_multiple(w, branches->items[i], &m)) continue;
        rules_expression one = write_multiples(w, branches->items[i], &m, &range, only_whole);
        all = all == RULES_NONE ? one : rules_intersection(w->rules, all, one);
    }
    if (rules_failed(w->rules) || all != RULES_NONE) return all;
    if (range.has_low || range.has_high) return json_range_write(w, &range, only_whole, 0);
    return only_whole ? json_schema_any_integer(w) : json_schema_any_number(w);
}

bool json_schema_number_allows(struct json_schema_writer *w, const struct json_schema_list *branches,
                               const json_t *value) {
    struct json_decimal d;
    struct json_multiple m;
    struct json_range range = range_of(w, branches);
    bool is_whole = has_whole_format(branches);
    if (!is_whole && !json_schema_has_kind(branches, JSON_SCHEMA_OF_NUMBER)) return true;
    if (!json_decimal_read(value, &d) || (is_whole && d.fraction[0])) return false;
    int low = range.has_low ? json_decimal_compare(&d, &range.low) : 1;
    int high = range.has_high ? json_decimal_compare(&d, &range.high) : -1;
    bool holds = low >= (range.low_is_open ? 1 : 0) && high <= (range.high_is_open ? -1 : 0);
    for (size_t i = 0; i < branches->count; i++)
        if (read_multiple(w, branches->items[i], &m)) holds = holds && json_multiple_holds(&m, &d);
    return holds;
}
