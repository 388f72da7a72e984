/* The body of a request while it comes: kept against a ticket of the admission, or read away. Loop thread. */
#pragma once

#include "server/http/http_request.h"

/* Of a refused body so much is read and dropped, so that the client gets to see the answer; a client that
 * sends more is cut off. */
enum { REQUEST_BODY_DISCARD_BYTES_MAX = 16 << 20 };

/* Only where it is wanted is a body kept and counted against the admission; any other is read away. */
bool request_body_is_wanted(const struct http_request *r);

/* The next bytes of it. false: the client sends more than is worth reading; it has been answered, and the
 * connection must end. */
bool request_body_receive(struct http_request *r, const char *data, size_t length);
