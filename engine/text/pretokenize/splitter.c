#include "engine/text/pretokenize/splitter.h"

#include <stdlib.h>

#include "engine/text/containers/text_buffer.h"
#include "engine/text/unicode/unicode.h"

void span_list_deinit(struct span_list *spans) {
    free(spans->items);
    *spans = (struct span_list){0};
}

static bool add_span(struct span_list *spans, size_t start, size_t end, bool matched) {
    if (!array_reserve(&spans->items, &spans->capacity, spans->count + 1)) return false;
    spans->items[spans->count++] = (struct span){start, end, matched};
    return true;
}

/* A match, and before it what lies between it and the span before. */
static bool add_match(struct span_list *spans, size_t start, size_t end) {
    size_t rest = spans->count ? spans->items[spans->count - 1].end : 0;
    return (rest == start || add_span(spans, rest, start, false)) && add_span(spans, start, end, true);
}

static enum status add_rest(struct span_list *spans, size_t length, struct error *e) {
    size_t rest = spans->count ? spans->items[spans->count - 1].end : 0;
    return rest == length || add_span(spans, rest, length, false) ? STATUS_OK : text_no_memory(e);
}

enum status splitter_find_regex(struct span_list *spans, const struct regex *r, struct regex_run *run,
                                const char *text, size_t length, struct error *e) {
    struct regex_scan scan;
    bool found;
    spans->count = 0;
    regex_scan_init(&scan, r, run, text, length);
    for (;;) {
        enum status status = regex_scan_next(&scan, &found, e);
        if (status != STATUS_OK) return status;
        if (!found) return add_rest(spans, length, e);
        if (!add_match(spans, scan.start, scan.end)) return text_no_memory(e);
    }
}

enum status splitter_find_class(struct span_list *spans, character_class *is, int32_t argument,
                                const char *text, size_t length, struct error *e) {
    spans->count = 0;
    for (size_t at = 0, start = 0; at < length; start = at)
        if (is(utf8_next(text, length, &at), argument) && !add_match(spans, start, at))
            return text_no_memory(e);
    return add_rest(spans, length, e);
}

void splitter_invert(struct span_list *spans) {
    for (size_t i = 0; i < spans->count; i++) spans->items[i].matched = !spans->items[i].matched;
}

/* Runs of matches become one span, and so do runs of the rest. */
static void merge_runs(struct span_list *spans) {
    size_t kept = 0;
    for (size_t i = 0; i < spans->count; i++) {
        if (kept > 0 && spans->items[kept - 1].matched == spans->items[i].matched)
            spans->items[kept - 1].end = spans->items[i].end;
        else
            spans->items[kept++] = spans->items[i];
    }
    spans->count = kept;
}

/* The first of several matches in a row joins the span before it. */
static void merge_with_previous(struct span_list *spans) {
    size_t kept = 0;
    bool matched_before = false;
    for (size_t i = 0; i < spans->count; i++) {
        struct span span = spans->items[i];
        if (span.matched && !matched_before && kept > 0)
            spans->items[kept - 1].end = span.end;
        else
            spans->items[kept++] = span;
        matched_before = span.matched;
    }
    spans->count = kept;
}

/* The last of several matches in a row joins the span behind it. Goes from the end; what is kept gathers
 * there. */
static void merge_with_next(struct span_list *spans) {
    size_t kept = spans->count;
    bool matched_behind = false;
    for (size_t i = spans->count; i-- > 0;) {
        struct span span = spans->items[i];
        if (span.matched && !matched_behind && kept < spans->count)
            spans->items[kept].start = span.start;
        else
            spans->items[--kept] = span;
        matched_behind = span.matched;
    }
    for (size_t i = kept; i < spans->count; i++) spans->items[i - kept] = spans->items[i];
    spans->count -= kept;
}

void splitter_cut(struct span_list *spans, enum split_behavior behavior, const char *text, bool first,
                  struct piece_list *out) {
    if (behavior == SPLIT_CONTIGUOUS) merge_runs(spans);
    if (behavior == SPLIT_MERGED_WITH_PREVIOUS) merge_with_previous(spans);
    if (behavior == SPLIT_MERGED_WITH_NEXT) merge_with_next(spans);
    for (size_t i = 0; i < spans->count; i++) {
        const struct span *span = &spans->items[i];
        if (behavior == SPLIT_REMOVED && span->matched) continue;
        piece_list_add(out, text + span->start, span->end - span->start, -1, first && span->start == 0);
    }
}
