/* Finds stop strings in a stream of text that arrives in pieces. What is found does not depend on where
 * pieces end: it is the string that is complete first; of several that end at the same place the longest,
 * which begins first; of equal ones the one listed first. Held back is the longest end of the text that may
 * yet become a stop string, no more.
 *
 * A matcher is the state of one text, and small; the strings are in a stop_set, which matchers share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/text/decode/stop_set.h"
#include "engine/text/containers/text_buffer.h"

struct stop_matcher {
    const struct stop_set *set; /* borrowed */
    uint32_t state;
    struct text_buffer held; /* text that may be the start of a stop string, then what is being looked at */
    size_t given;            /* bytes of held that the last call gave out */
};

/* Allocates nothing. */
void stop_matcher_init(struct stop_matcher *m, const struct stop_set *set);
void stop_matcher_deinit(struct stop_matcher *m);

/* What stop_matcher_push returns when it has no memory; the sequence cannot go on. */
enum { STOP_MATCHER_NO_MEMORY = -2 };

/* Takes a piece. *text, *length (borrowed until the next call): what can be given out now. Returns the index
 * of the stop string that was found (the text then ends before it), -1, or STOP_MATCHER_NO_MEMORY. Text and
 * stop strings that are UTF-8 give UTF-8. After a match push nothing more. */
int stop_matcher_push(struct stop_matcher *m, const char *piece, size_t piece_length, const char **text,
                      size_t *length);

/* The same for text in which no stop string counts as found: one that ends in it is passed over, but one that
 * begins in it and ends in what is pushed later is found. Returns -1 or STOP_MATCHER_NO_MEMORY. */
int stop_matcher_pass(struct stop_matcher *m, const char *piece, size_t piece_length, const char **text,
                      size_t *length);

/* At the end of the sequence: what was held back. */
void stop_matcher_finish(struct stop_matcher *m, const char **text, size_t *length);
