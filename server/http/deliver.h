/* Events of the engine on their way to the answers. Loop thread. */
#pragma once

#include "server/http/http_request.h"

/* Takes what is ready of all requests. To be called after each wake-up by the engine. */
void deliver_all(struct service *s);

/* Goes on with a request whose reply was full. */
void deliver_resume(struct http_request *r);

/* The server stops: what the request has not got yet it does not get, but an error that says so. */
void deliver_cut(struct http_request *r);
