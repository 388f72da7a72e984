/* Events of the engine on their way to the answers. Loop thread. */
#pragma once

#include "server/http/request.h"

/* Takes what is ready of all requests. To be called after each wake-up by the engine. */
void deliver_all(struct service *s);

/* Goes on with a request whose reply was full. */
void deliver_resume(struct request *r);

/* The server stops: what the request has not got yet it does not get, but an error that says so. */
void deliver_cut(struct request *r);
