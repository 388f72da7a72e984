/* What stands within the tags of a template: names, numbers, strings, operators. For the lexer alone. */
#pragma once

#include "engine/text/template/lexer.h"

/* A name, number or string at l->at: fills kind and value; *end is behind it, or l->at where there is none. */
enum status lexer_word(struct lexer *l, struct token *out, size_t *end);

/* Bytes of the operator that text (which ends in NUL) begins with; 0: none. */
size_t lexer_operator(const char *text);

/* str.isspace of one character, and \s. */
bool unicode_is_blank(int32_t point);
