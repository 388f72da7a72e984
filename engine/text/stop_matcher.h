/* Finds stop strings in a stream of text that arrives in pieces. What is found does not depend on where
 * pieces end: it is the string that is complete first; of several that end at the same place the longest,
 * which begins first; of equal ones the one listed first. Held back is the longest end of the text that may
 * yet become a stop string, no more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

struct stop_matcher;

/* Copies the strings (none of them empty). count 0 is allowed: everything passes at once. */
enum status stop_matcher_create(const char *const *strings, const size_t *lengths, size_t count,
                                struct stop_matcher **out, struct error *e);
void stop_matcher_destroy(struct stop_matcher *m);

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
