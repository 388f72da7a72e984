/* What the readers of the parts of a regular expression share: the place in it, and how to refuse it. After a
 * failure, which the rules keep, nothing is left to read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/grammar/rules/rules.h"
#include "engine/grammar/sources/point_set.h"
#include "engine/grammar/sources/regex_source.h"
#include "engine/text/containers/text_buffer.h"

struct regex_expressions {
    rules_expression *items;
    size_t count, capacity;
};

struct regex_reader {
    struct rules *rules;
    const struct regex_style *style;
    const char *text; /* well-formed UTF-8 */
    size_t length, at, depth;
    bool ignores_case, dot_is_all;
    rules_expression last_character; /* that was read, of a set */
    struct regex_expressions parts,
        choices[4]; /* of all sequences and alternatives that are not complete yet */
};

bool regex_reader_ended(const struct regex_reader *p);
/* The byte `ahead` of the place, or -1. */
int regex_reader_peek(const struct regex_reader *p, size_t ahead);
/* Takes the text if it stands here. */
bool regex_reader_take(struct regex_reader *p, const char *text);
/* The next character, which must be there. */
uint32_t regex_reader_point(struct regex_reader *p);
/* A decimal number, if there is one; a too large one is UINT32_MAX. */
bool regex_reader_number(struct regex_reader *p, uint32_t *out);
/* INVALID_ARGUMENT with the offset. */
void regex_reader_refuse(struct regex_reader *p, size_t offset, const char *what);
void regex_reader_no_memory(struct regex_reader *p);

/* regex_sets.c. What they read is one character of `set`, which is empty before. */
/* Behind a '['. */
void regex_sets_bracket(struct regex_reader *p, struct point_set *set);
/* Behind a '\' that begins a character or a class. */
void regex_sets_escape(struct regex_reader *p, struct point_set *set);
/* Adds what differs in case alone, where that is asked for. */
void regex_sets_fold(struct regex_reader *p, struct point_set *set, bool is_kept_out);
