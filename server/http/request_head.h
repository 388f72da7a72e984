/* What is decided of a request when its line and header are there, before any of its body: who asks, for
 * what, and whether it may. Loop thread. */
#pragma once

#include "server/http/http_request.h"

/* r->id: X-Request-Id as it came where it is sane, a number otherwise. */
void request_head_set_id(struct http_request *r);

/* Everything that is known from the line and the header. r->error says what is wrong. */
void request_head_check(struct http_request *r, const char *method, const char *target);

/* The header leaves open where the request ends, or may have left no memory for an answer's. */
bool request_head_is_unreadable(const struct http_request *r);

/* A client that waits for "100 Continue", or wants to send far too much, is answered at once; libmicrohttpd
 * then closes the connection. */
bool request_head_must_refuse_now(const struct http_request *r);

/* A client that asks for "100 Continue" and has no body: libmicrohttpd would send it, and then perhaps read
 * so much of what follows that no memory is left for the answer. */
bool request_head_waits_for_nothing(const struct http_request *r);
