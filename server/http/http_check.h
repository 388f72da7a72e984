/* What RFC 9110 and 9112 demand of a request's line and header before its body may be trusted. libmicrohttpd
 * reads leniently; where two readers could see two requests (a proxy before us and we), it is refused here:
 * answer and close. docs/http.md lists what cannot be checked. Pure functions of the loop
 * thread. */
#pragma once

#include <microhttpd.h>

#include "server/api/api_error.h"
#include "server/memory/connection_memory.h"

/* A text without terminator, borrowed. */
struct http_text {
    const char *data; /* NULL: absent */
    size_t length;
};

/* Without blanks and tabs at both ends. */
struct http_text http_text_trim(const char *text, size_t length);

/* A header's value, trimmed; the first one where a name comes twice. Absent: NULL. */
struct http_text http_header(struct MHD_Connection *mhd, const char *name);

/* The same, of a header that may come only once: absent where it comes twice. */
struct http_text http_header_once(struct MHD_Connection *mhd, const char *name);

/* The same without regard to case. */
bool http_text_is(struct http_text text, const char *other);

/* A name by RFC 9110: at least one byte, letters, digits and !#$%&'*+-.^_`|~. */
bool http_is_token(const char *text, size_t length);

struct http_line {
    const char *method, *version;
    size_t target_bytes;    /* as it came, before anything was unescaped */
    bool target_is_printed; /* it had neither blanks nor control characters */
};

/* Notes what the target was as it came; target may be NULL. */
void http_line_set_target(struct http_line *line, const char *target);

/* API_OK, or why the connection must end with this answer. */
enum api_error_kind http_check(struct MHD_Connection *mhd, const struct http_line *line, struct api_error *e);

/* The path of a request's target, which may be in absolute form ("http://host/path"). The asterisk "*" counts
 * as a path when the method is OPTIONS. NULL: it is not a target. Borrowed. */
const char *http_target_path(const char *method, const char *target);

/* For MHD_OPTION_STRICT_FOR_CLIENT: releases after 0.9.75 check most of this themselves. */
int http_strictness(void);
