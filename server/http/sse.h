/* Framing of server-sent events. The JSON that goes in has no line breaks, so one data line carries it. */
#pragma once

#include "server/json/bytes.h"

void sse_write_begin(struct bytes *out); /* "data: ", to be followed by one JSON value */
void sse_write_end(struct bytes *out);
void sse_write_done(struct bytes *out); /* "data: [DONE]" */
void sse_write_ping(struct bytes *out); /* a comment, which readers skip */
