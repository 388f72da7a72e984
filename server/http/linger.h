/* Sockets that the server has closed while their clients may still send. Closed at once, the kernel would
 * answer what comes with a reset, and the client could lose the answer it has not read yet. So the socket is
 * held a little longer, outside libmicrohttpd, and what comes is dropped (RFC 9112, 9.6). Loop thread. */
#pragma once

#include "server/service/service.h"

/* Takes a copy of the descriptor, sends the end of our side, and drops what comes until the client closes
 * too, LINGER_SECONDS have passed or LINGER_BYTES_MAX have come. With LINGER_SOCKETS_MAX held already, or
 * without memory, nothing happens: the socket ends as it would have. */
void linger_start(struct service *s, int fd);

/* Closes all. */
void linger_end_all(struct service *s);
