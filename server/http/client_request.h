/* Which client a request is from, and whether that may have one more. Loop thread. */
#pragma once

#include "server/http/http_request.h"

/* From the header, once the key has been checked: sets r->client and counts the request until
 * client_request_leave. In r->error API_CLIENT_LIMIT: it has as many as it may; API_QUEUE_FULL: there are more clients
 * than are counted. */
enum api_error_kind client_request_enter(struct http_request *r);

/* Who asks, for the log: an address, "unix", or "" where nobody knows. */
const char *client_request_text(const struct http_request *r, char out[CLIENT_TEXT_BYTES]);

/* When the request ends; one that never entered too. */
void client_request_leave(struct http_request *r);
