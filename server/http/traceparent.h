/* The header traceparent of W3C Trace Context, level 1: which trace a request belongs to. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TRACE_ID_BYTES 32 /* hexadecimal digits */

/* The trace's id from a value of the header without blanks around it, NUL-terminated. false: the value is none that the
 * specification allows (digits in capitals, ids of zeros alone, version ff, more in version 00), and says nothing. */
bool traceparent_read(const char *value, size_t length, char trace_id[TRACE_ID_BYTES + 1]);
