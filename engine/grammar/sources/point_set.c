#include "engine/grammar/sources/point_set.h"

#include <stdlib.h>

/* A set that is added to others again and again has most of its ranges many times: with so many they are merged, before the
 * memory grows. */
#define MERGE_FROM 4096

void point_set_deinit(struct point_set *s) {
    free(s->ranges);
    *s = (struct point_set){0};
}

static bool grow(struct point_set *s) {
    size_t capacity = s->capacity ? s->capacity * 2 : 8;
    struct rules_range *ranges = s->failed ? NULL : reallocarray(s->ranges, capacity, sizeof *ranges);
    if (!ranges) {
        s->failed = true;
        return false;
    }
    s->ranges = ranges;
    s->capacity = capacity;
    return true;
}

void point_set_add(struct point_set *s, uint32_t first, uint32_t last) {
    if (first > last || (s->count == s->capacity && !grow(s))) return;
    s->ranges[s->count++] = (struct rules_range){first, last};
}

void point_set_add_all(struct point_set *s, const struct point_set *other) {
    s->failed |= other->failed;
    if (s->count >= MERGE_FROM && other->count > s->capacity - s->count) point_set_sort(s);
    for (size_t i = 0; i < other->count; i++) point_set_add(s, other->ranges[i].first, other->ranges[i].last);
}

static int by_first(const void *a, const void *b) {
    const struct rules_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void point_set_sort(struct point_set *s) {
    size_t kept = 0;
    if (s->count > 1) qsort(s->ranges, s->count, sizeof *s->ranges, by_first);
    for (size_t i = 0; i < s->count; i++) {
        struct rules_range next = s->ranges[i], *last = kept > 0 ? &s->ranges[kept - 1] : NULL;
        if (!last || next.first > last->last + 1)
            s->ranges[kept++] = next;
        else if (next.last > last->last)
            last->last = next.last;
    }
    s->count = kept;
}

void point_set_invert(struct point_set *s) {
    struct point_set rest = {.failed = s->failed};
    uint32_t from = 0;
    point_set_sort(s);
    for (size_t i = 0; i < s->count; i++) {
        if (s->ranges[i].first > from) point_set_add(&rest, from, s->ranges[i].first - 1);
        from = s->ranges[i].last + 1;
    }
    point_set_add(&rest, from, RULES_POINT_MAX);
    point_set_deinit(s);
    *s = rest;
}

void point_set_intersect(struct point_set *s, struct point_set *other) {
    point_set_invert(s);
    point_set_invert(other);
    point_set_add_all(s, other);
    point_set_invert(s);
    point_set_invert(other);
}
