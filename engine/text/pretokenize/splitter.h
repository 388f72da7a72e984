/* Cuts a text at the matches of a pattern. First the whole text is told as spans, each a match or the run
 * between two; then a behaviour says how spans join and which are dropped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/containers/piece_list.h"
#include "engine/text/regex/regex.h"

enum split_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};

struct span {
    size_t start, end;
    bool matched;
};

struct span_list {
    struct span *items;
    size_t count, capacity;
};

void span_list_deinit(struct span_list *spans);

/* Matches and what is between them; empty matches are spans too. */
enum status splitter_find_regex(struct span_list *spans, const struct regex *r, struct regex_run *run,
                                const char *text, size_t length, struct error *e);
/* Each character of the class is a match of its own. argument is for the class's use. */
typedef bool character_class(int32_t point, int32_t argument);
enum status splitter_find_class(struct span_list *spans, character_class *is, int32_t argument,
                                const char *text, size_t length, struct error *e);
/* Matches become the rest, and the rest matches. */
void splitter_invert(struct span_list *spans);
/* Adds what is left to out; the spans are used up. first: the text begins the whole text. */
void splitter_cut(struct span_list *spans, enum split_behavior behavior, const char *text, bool first,
                  struct piece_list *out);
