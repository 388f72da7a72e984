/* Unicode normal forms (UAX #15) in linear time whatever the text: runs of combining marks are ordered by
 * counting. */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"

enum normal_form { NORMAL_FORM_C, NORMAL_FORM_D, NORMAL_FORM_KC, NORMAL_FORM_KD };

/* Appends the form of well-formed text to out (which must not hold the text). */
enum status normal_form_append(enum normal_form form, const char *text, size_t length,
                               struct text_buffer *out, struct error *e);
