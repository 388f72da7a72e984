/* libmicrohttpd: the daemon with its limits, and what it calls us for. */
#pragma once

#include "server/service/service.h"

/* Starts to accept on s->listener, driven by s->loop. */
enum status http_start(struct service *s, struct error *e);

/* Cuts every connection and stops the daemon. All requests end before it returns, but for work in the uv
 * pool. */
void http_stop(struct service *s);
