/* What a request's line and header may have, and what a connection takes for it. The checks themselves are in
 * http_check.h. */
#pragma once

enum {
    /* Past it 414. Our longest path is /v1/models/ and a name of at most 255 bytes, three for one when they
     * are escaped; what follows a '?' is ignored. */
    HTTP_TARGET_BYTES_MAX = 4096,
    /* Line and header together, past it 431: what nginx and HAProxy pass on by default. */
    HTTP_HEADER_BYTES_MAX = 16384,
    /* Lines of a header, and cookies; past either 431. Each costs libmicrohttpd 64 bytes beside its text. */
    HTTP_HEADER_LINES_MAX = 100,
    HTTP_COOKIES_MAX = 100,
    /* So much memory takes a header that is allowed: its text, that of the cookies once more, the lists. */
    HTTP_HEADER_MEMORY_BYTES = 2 * HTTP_HEADER_BYTES_MAX + 64 * (HTTP_HEADER_LINES_MAX + HTTP_COOKIES_MAX),
};

/* Of a connection, for the header of a request and then of its answer. */
enum { CONNECTION_MEMORY_BYTES = HTTP_HEADER_MEMORY_BYTES + 4096 };

/* Of a stream, handed to libmicrohttpd at once. An answer up to this size is part of its connection's memory. */
enum { STREAM_BLOCK_BYTES = 16384 };
