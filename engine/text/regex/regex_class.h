/* Sets of characters in regular expressions: "[...]" and the escapes that stand for one. */
#pragma once

#include "engine/text/regex/regex_parser.h"

/* What \w and \b take for a word outside of sets: writes it as a PCRE2 set. */
void regex_class_emit_word(struct regex_parser *p, bool negated);

/* Behind a '[': the whole set. What is written matches exactly one character. */
void regex_class_set(struct regex_parser *p);
/* At a '\' outside of a set: one character, or one of a class. */
void regex_class_escape(struct regex_parser *p);
