/* An answer that cannot go through libmicrohttpd: in the middle of a body, where it takes none, and to a
 * header that may have left no memory for one. It has nothing of its own under way then, so the answer goes
 * to the socket, or to the TLS session, directly. Loop thread. */
#pragma once

#include "server/http/http_request.h"

/* Sends the error with "Connection: close", once in a request; the caller ends the connection afterwards. It
 * is lost where the socket does not take it whole at once: then the client sees the end alone. */
void late_answer_send(struct http_request *r, const struct api_error *e);
