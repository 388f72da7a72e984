/* Reads what a connection has answered, strictly, by RFC 9112. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_answers {
    size_t count;      /* ours, which have an X-Request-Id */
    bool by_library;   /* the last one is libmicrohttpd's own: its body is not looked at */
    const char *fault; /* what is wrong; NULL: nothing */
    size_t at;         /* offset of the answer that is */
};

/* All bytes up to the end of a connection. Answers follow each other without gaps; none follows one that said
 * "Connection: close"; bodies of type application/json, and the events of a text/event-stream, are JSON. An
 * answer without the body that its length promises is one to HEAD, where has_heads says that such requests
 * were sent. The last answer may be cut where is_cut says that the client left. */
struct http_answers http_answers_read(const char *data, size_t length, bool has_heads, bool is_cut);
