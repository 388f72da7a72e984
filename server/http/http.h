/* libmicrohttpd: the daemon with its limits, the request line and header that come in, the answers that go
 * out. */
#pragma once

#include "server/service/service.h"

/* Starts to accept on s->listener, driven by s->loop. */
enum status http_start(struct service *s, struct error *e);

/* Cuts every connection and stops the daemon. All requests end before it returns, but for work in the uv
 * pool. */
void http_stop(struct service *s);
