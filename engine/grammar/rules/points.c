/* Characters: ranges of code points as sequences of sets of bytes. */
#include "engine/grammar/rules/expression.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/unicode/unicode.h"

#define SURROGATES_FIRST 0xD800u
#define SURROGATES_LAST  0xDFFFu

/* Points of one length, whose bytes vary each for itself. */
static void add_block(struct rules *r, uint32_t first, uint32_t last) {
    char low[UTF8_BYTES_MAX], high[UTF8_BYTES_MAX];
    size_t length = utf8_encode((int32_t)first, low);
    utf8_encode((int32_t)last, high);
    rules_expression made = RULES_EMPTY;
    for (size_t i = length; i-- > 0;) {
        struct byte_set set = {0};
        for (unsigned byte = (unsigned char)low[i]; byte <= (unsigned char)high[i]; byte++)
            set.bits[byte >> 6] |= (uint64_t)1 << (byte & 63);
        made = expression_sequence(r, expression_bytes(r, &set), made);
    }
    if (made != RULES_NONE) scratch_push(r, made);
}

/* Where the block that begins at `first` ends at the latest: it grows by whole bytes only. */
static uint32_t block_end(uint32_t first, uint32_t last) {
    static const uint32_t length_ends[] = {0x7F, 0x7FF, 0xFFFF, RULES_POINT_MAX};
    for (int i = 0; i < 4; i++)
        if (first <= length_ends[i] && last > length_ends[i]) last = length_ends[i];
    if (first < 0x80) return last;
    for (int bits = 6; bits <= 18; bits += 6) {
        uint32_t low = (1u << bits) - 1;
        if ((first & ~low) == (last & ~low)) continue;
        if (first & low) return first | low;
        if ((last & low) != low) last = (last & ~low) - 1;
    }
    return last;
}

static void add_range(struct rules *r, uint32_t first, uint32_t last) {
    while (first <= last && rules_tick(r)) {
        uint32_t end = block_end(first, last);
        add_block(r, first, end);
        if (end == last) return;
        first = end + 1;
    }
}

static void add_without_surrogates(struct rules *r, uint32_t first, uint32_t last) {
    if (last > RULES_POINT_MAX) last = RULES_POINT_MAX;
    if (first > last) return;
    if (first < SURROGATES_FIRST) add_range(r, first, last < SURROGATES_FIRST ? last : SURROGATES_FIRST - 1);
    if (last > SURROGATES_LAST) add_range(r, first > SURROGATES_LAST ? first : SURROGATES_LAST + 1, last);
}

static int compare_ranges(const void *a, const void *b) {
    const struct rules_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Ascending and apart from each other. *out is the caller's, NULL where it failed; returns how many. */
static size_t order_ranges(struct rules *r, const struct rules_range *ranges, size_t count,
                           struct rules_range **out) {
    struct rules_range *ordered = calloc(count + 1, sizeof *ordered);
    size_t kept = 0;
    *out = ordered;
    if (!ordered) {
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu ranges", count);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        if (ranges[i].first <= ranges[i].last) ordered[kept++] = ranges[i];
    count = kept;
    qsort(ordered, count, sizeof *ordered, compare_ranges);
    kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct rules_range *last = kept > 0 ? &ordered[kept - 1] : NULL;
        if (last && (ordered[i].first <= last->last || ordered[i].first == last->last + 1)) {
            if (ordered[i].last > last->last) last->last = ordered[i].last;
        } else {
            ordered[kept++] = ordered[i];
        }
    }
    return kept;
}

static rules_expression finish_points(struct rules *r, size_t from, struct rules_range *ordered) {
    free(ordered);
    if (!rules_failed(r)) return expression_choice(r, from);
    r->scratch_count = from;
    return RULES_NONE;
}

rules_expression rules_points(struct rules *r, const struct rules_range *ranges, size_t count) {
    struct rules_range *ordered;
    size_t from = r->scratch_count, kept;
    if (rules_failed(r)) return RULES_NONE;
    kept = order_ranges(r, ranges, count, &ordered);
    if (!ordered) return RULES_NONE;
    for (size_t i = 0; i < kept; i++) add_without_surrogates(r, ordered[i].first, ordered[i].last);
    return finish_points(r, from, ordered);
}

rules_expression rules_other_points(struct rules *r, const struct rules_range *ranges, size_t count) {
    struct rules_range *ordered;
    size_t from = r->scratch_count, kept;
    uint32_t next = 0;
    if (rules_failed(r)) return RULES_NONE;
    kept = order_ranges(r, ranges, count, &ordered);
    if (!ordered) return RULES_NONE;
    for (size_t i = 0; i < kept; i++) {
        if (ordered[i].first > next) add_without_surrogates(r, next, ordered[i].first - 1);
        if (ordered[i].last > RULES_POINT_MAX)
            next = RULES_POINT_MAX + 1;
        else
            next = ordered[i].last + 1;
    }
    if (next <= RULES_POINT_MAX) add_without_surrogates(r, next, RULES_POINT_MAX);
    return finish_points(r, from, ordered);
}
