/* How JSON spells characters between quotes. Of the many spellings of a text one is canonical, which whatever has a pattern, a
 * length or a fixed value is written in: a character stands for itself, but for '"', '\' and the controls U+0000 to
 * U+001F, which are \" \\ \b \f \n \r \t, and \u00xx in lower case. So each text has one spelling, as Python's
 * json.dumps(ensure_ascii=False) writes it. */
#pragma once

#include <stddef.h>

#include "engine/grammar/rules/rules.h"
#include "engine/text/containers/text_buffer.h"

/* One character of these. */
rules_expression json_spelling_points(struct rules *r, const struct rules_range *ranges, size_t count);
/* Any one character. */
rules_expression json_spelling_any(struct rules *r);
/* The spelling of this text, which is UTF-8; without quotes. */
void json_spelling_append(struct text_buffer *out, const char *text, size_t length);
