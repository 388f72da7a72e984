/* libmicrohttpd: the daemon with its limits, and what it calls us for. */
#pragma once

#include "server/service/service.h"

/* Starts to accept on s->listener, driven by s->loop. */
enum status http_start(struct service *s, struct error *e);

/* Gives the listening socket up. What has been accepted already goes on; of a socket of our own what waits to be
 * accepted is taken in first, of an inherited one it is left to who comes next. */
void http_stop_listening(struct service *s);

/* Cuts every connection and stops the daemon. All requests end before it returns, but for work in the uv
 * pool. */
void http_stop(struct service *s);
