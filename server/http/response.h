/* Answers on their way to libmicrohttpd, with their headers: whole ones, streams, preflights. Each is counted
 * when it is queued. MHD_NO: there is no memory for it, and the connection ends. Loop thread. */
#pragma once

#include "server/http/http_request.h"

/* r->answer, which is taken. */
enum MHD_Result response_queue_answer(struct http_request *r);

/* What comes in r->reply, until its end. */
enum MHD_Result response_queue_stream(struct http_request *r);

/* 204; it says what the page may send, whatever the path: the request itself is answered like any other. */
enum MHD_Result response_queue_preflight(struct http_request *r);
