#include "engine/text/guard.h"

#include <stdlib.h>
#include <string.h>

/* The first range that ends behind a place. */
static size_t first_behind(const struct guard *g, size_t place) {
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->ranges[middle].end <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool guard_touches(const struct guard *g, size_t start, size_t end, size_t *at) {
    size_t index = first_behind(g, start + g->offset);
    if (index == g->count || g->ranges[index].start >= end + g->offset) return false;
    size_t from = g->ranges[index].start;
    *at = from > start + g->offset ? from - g->offset : start;
    return true;
}

/* A part of the text that is guarded as a whole, or not at all, and its place in the form. */
struct part {
    size_t start, end;
    size_t length; /* of its own form */
    char *form;
    bool guarded;
};

struct parts {
    struct part *items;
    size_t count, capacity;
};

static bool add_part(struct parts *p, size_t start, size_t end, bool guarded) {
    if (start == end) return true;
    if (!array_reserve(&p->items, &p->capacity, p->count + 1)) return false;
    p->items[p->count++] = (struct part){.start = start, .end = end, .guarded = guarded};
    return true;
}

static bool cut(const struct guard *g, size_t length, struct parts *p) {
    size_t at = 0;
    for (size_t i = first_behind(g, g->offset); i < g->count && g->ranges[i].start < length + g->offset;
         i++) {
        size_t start = g->ranges[i].start > g->offset ? g->ranges[i].start - g->offset : 0;
        size_t end = g->ranges[i].end - g->offset < length ? g->ranges[i].end - g->offset : length;
        if (!add_part(p, at, start, false) || !add_part(p, start, end, true)) return false;
        at = end;
    }
    return add_part(p, at, length, false);
}

static enum status normalize_parts(struct parts *p, const struct normalizer *n, struct regex_run *run,
                                   const char *text, bool first, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < p->count; i++) {
        struct part *part = &p->items[i];
        struct text_buffer form = {0};
        bool starts_there = first && i == 0;
        text_buffer_append(&form, text + part->start, part->end - part->start);
        status = normalizer_run(n, run, &form, &starts_there, e);
        if (status == STATUS_OK) status = text_buffer_status(&form, e);
        part->form = form.bytes;
        part->length = form.length;
    }
    return status;
}

static bool is_at(const struct part *part, const struct text_buffer *form, size_t at) {
    if (form->length - at < part->length) return false;
    return part->length == 0 || memcmp(form->bytes + at, part->form, part->length) == 0;
}

static void add_range(struct text_range *ranges, size_t *count, size_t start, size_t end) {
    if (start == end) return;
    if (*count > 0 && ranges[*count - 1].end >= start)
        ranges[*count - 1].end = end;
    else
        ranges[(*count)++] = (struct text_range){start, end};
}

/* Bytes, whole characters of them, that a part which is not there as a whole has in common with the form at its front, or
 * at its back. */
static size_t common(const struct part *part, const struct text_buffer *form, size_t start, size_t end,
                     bool front) {
    size_t count = 0, most = part->length < end - start ? part->length : end - start;
    if (part->guarded) return 0;
    while (count < most && (front ? part->form[count] == form->bytes[start + count]
                                  : part->form[part->length - 1 - count] == form->bytes[end - 1 - count]))
        count++;
    /* Back to where a character begins. */
    while (count > 0 && front && start + count < form->length && (form->bytes[start + count] & 0xC0) == 0x80)
        count--;
    while (count > 0 && !front && (form->bytes[end - count] & 0xC0) == 0x80) count--;
    return count;
}

/* From the front as far as the parts' forms go, then from the back; what is between is in doubt. ranges: room for one
 * more than there are parts. */
static void place_parts(const struct parts *p, const struct text_buffer *form, struct text_range *ranges,
                        size_t *count) {
    size_t front = 0, back = p->count, start = 0, end = form->length;
    for (; front < p->count && is_at(&p->items[front], form, start); front++) {
        const struct part *part = &p->items[front];
        if (part->guarded) add_range(ranges, count, start, start + part->length);
        start += part->length;
    }
    while (back > front && end - start >= p->items[back - 1].length &&
           is_at(&p->items[back - 1], form, end - p->items[back - 1].length))
        end -= p->items[--back].length;
    size_t tail = end;
    if (front < back) {
        start += common(&p->items[front], form, start, end, true);
        tail -= common(&p->items[back - 1], form, start, end, false);
    }
    add_range(ranges, count, start, tail);
    for (size_t at = end; back < p->count; at += p->items[back++].length)
        if (p->items[back].guarded) add_range(ranges, count, at, at + p->items[back].length);
}

enum status guard_normalized(const struct guard *g, const struct normalizer *n, struct regex_run *run,
                             const char *text, size_t length, bool first, const struct text_buffer *form,
                             struct text_range **ranges, size_t *count, struct error *e) {
    struct parts parts = {0};
    *ranges = NULL;
    *count = 0;
    enum status status = cut(g, length, &parts) ? STATUS_OK : text_no_memory(e);
    if (status == STATUS_OK) status = normalize_parts(&parts, n, run, text, first, e);
    if (status == STATUS_OK) {
        *ranges = calloc(parts.count + 1, sizeof **ranges);
        if (!*ranges) status = text_no_memory(e);
    }
    if (status == STATUS_OK) place_parts(&parts, form, *ranges, count);
    for (size_t i = 0; i < parts.count; i++) free(parts.items[i].form);
    free(parts.items);
    return status;
}
