/* Where a translated pattern calls back while it matches, so that regex.c can count what it does: JIT takes a repeat of one
 * character for no step, neither on its way forward nor where it gives one back, and counts anew from each place of a text.
 * "(?C)" is called behind whatever can be gone through in many ways or over many characters, so that between two calls a
 * match does no more than a constant amount of work, beside a walk of which the second place tells the length, and what a
 * callout with a number tells before it. The end of a pattern needs none: what comes to it has matched. That leaves a word or a
 * number of the patterns in use without a call. */
#pragma once

#include "engine/text/regex/regex_parser.h"

/* An alternative at hand, from its last callout on. */
struct regex_sequence {
    struct regex_paths paths;
    bool is_due, has_called; /* a callout goes before what comes next; one went before */
    uint32_t tried;          /* up to the first callout */
};

void regex_sequence_init(struct regex_sequence *s);
/* Something follows; or the sequence ends, and something behind it may fail. */
void regex_sequence_go_on(struct regex_sequence *s, struct regex_parser *p);
void regex_sequence_add(struct regex_sequence *s, const struct regex_paths *item);

/* Another alternative of a group, or of the whole pattern. */
void regex_paths_add(struct regex_paths *all, const struct regex_sequence *alternative);
/* The next alternative begins: behind many that may have failed without a callout it begins with one. */
void regex_paths_go_on(struct regex_paths *all, struct regex_parser *p);

/* The atom written from `atom` on is a set: how much it takes to try a character. */
void regex_paths_weigh(struct regex_paths *item, struct regex_parser *p, size_t atom);
/* It stands as it is. What takes much is told before it. */
void regex_paths_announce(struct regex_paths *item, struct regex_parser *p, size_t atom);

/* The atom written from `atom` on is going to be repeated, or (most <= 1) may be absent. most: UINT32_MAX without a limit. A
 * group calls back in each turn, and behind the last, and many characters that must all be there are told before the first. */
void regex_paths_repeat(struct regex_paths *item, struct regex_parser *p, size_t atom, bool is_group,
                        uint32_t least, uint32_t most);
