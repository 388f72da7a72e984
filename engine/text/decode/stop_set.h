/* The stop strings of a request as one automaton of Aho and Corasick (Efficient string matching, 1975): a
 * state is the longest end of a text that one of the strings begins with. Immutable once made: all choices of
 * all prompts of a request walk through the same one, each with a state of its own (stop_matcher.h). It takes
 * about 20 bytes a byte of the strings. Any thread. */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"

struct stop_set;

enum { STOP_SET_START = 0 }; /* the state of an empty text */

/* Copies the strings (none of them empty). count 0 is allowed: nothing is ever found. Errors:
 * STATUS_NO_MEMORY; STATUS_LIMIT when the strings have 2^31 bytes or more. */
enum status stop_set_create(const char *const *strings, const size_t *lengths, size_t count,
                            struct stop_set **out, struct error *e);
/* Memory that stop_set_create takes for so many strings of so many bytes together, at most; nearly a third of
 * it only while the set is made. */
size_t stop_set_bytes(size_t count, size_t bytes);
void stop_set_destroy(struct stop_set *set);

/* The state after one byte more. Over a text the cost of a byte does not depend on the lengths of the
 * strings. */
uint32_t stop_set_next(const struct stop_set *set, uint32_t state, char byte);

/* The string that ends with this state: of several the longest, of equal ones the one listed first; -1: none. */
int stop_set_found(const struct stop_set *set, uint32_t state);

/* The state where the strings that end with this one do not count: the same, unless no string goes on from
 * it; then its longest end that one goes on from. */
uint32_t stop_set_pass(const struct stop_set *set, uint32_t state);

/* Bytes of the end of the text that may be the beginning of a string. */
size_t stop_set_depth(const struct stop_set *set, uint32_t state);

/* One of the strings, borrowed. */
const char *stop_set_string(const struct stop_set *set, size_t index, size_t *length);
