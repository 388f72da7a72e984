/* Texts that an expression takes whatever they are: how many characters of some groups (byte_groups.h) are sure to leave
 * something that matches. What is said is so; there may be more of it that is not found. */
#pragma once

#include "engine/grammar/match/class_groups.h"

/* Any text of at most `length` characters of these groups begins a text that matches, and any of `least` to `most`
 * characters matches; most < least: not known of any. RULES_UNLIMITED: of any length. */
struct run {
    uint64_t groups;
    uint32_t length, least, most;
};

enum { RUNS_MAX = 3 };
struct runs {
    struct run list[RUNS_MAX];
    size_t count;
};

/* x matches some text. False: failed. */
bool runs_find(struct rules *r, struct class_groups_table *t, rules_expression x, struct runs *out);
