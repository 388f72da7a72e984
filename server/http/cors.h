/* What browsers are told about requests from pages of other origins. Headers only: which requests are
 * preflights is for request_head.c to say. */
#pragma once

#include <microhttpd.h>

#include "engine/base/error.h"
#include "server/json/bytes.h"

struct config;

/* Of what a preflight asks for so much is looked at; the rest counts as not asked for. A browser lists the
 * headers that a page sets: some hundred bytes at most. */
enum { CORS_ASKED_BYTES_MAX = 2048 };

/* Whether cors-origin can be one: '*', 'null', or one origin as browsers write it. They compare it letter by letter, so
 * what they never write would keep every page out. NULL: not set. */
enum status cors_check_origin(const char *origin, struct error *e);

/* The value of Access-Control-Allow-Headers: the headers that the API knows, then the others of `asked` (the value
 * of Access-Control-Request-Headers; NULL: absent) that are names by RFC 9110 (tokens). Twice where they are asked for
 * twice, as browsers do not: to look for each among all would keep the loop for a millisecond. */
void cors_write_allowed(struct bytes *out, const char *asked);

/* Adds what every answer carries when cors-origin is set, and nothing when it is not. */
void cors_add_headers(struct MHD_Response *response, const struct config *config, bool is_preflight);

/* Adds what a preflight asks about. asked as above. */
void cors_add_preflight_headers(struct MHD_Response *response, const char *asked);
