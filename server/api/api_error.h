/* Errors as clients see them: one table of kinds, one shape of the body. */
#pragma once

#include "server/json/bytes.h"

/* kind, HTTP status, type, code (NULL: null), reason in the metrics */
#define API_ERROR_LIST(X)                                                                                    \
    X(INVALID, 400, "invalid_request_error", NULL, "invalid")                                                \
    X(MALFORMED, 400, "invalid_request_error", "malformed_request", "malformed")                             \
    X(CONTEXT_LENGTH, 400, "invalid_request_error", "context_length_exceeded", "context_length")             \
    X(UNAUTHORIZED, 401, "authentication_error", "invalid_api_key", "unauthorized")                          \
    X(NOT_FOUND, 404, "invalid_request_error", "not_found", "not_found")                                     \
    X(MODEL_NOT_FOUND, 404, "invalid_request_error", "model_not_found", "model_not_found")                   \
    X(METHOD, 405, "invalid_request_error", "method_not_allowed", "method")                                  \
    X(TIMEOUT, 408, "timeout_error", "timeout", "timeout")                                                   \
    X(BODY_TOO_LARGE, 413, "invalid_request_error", "body_too_large", "body_too_large")                      \
    X(TARGET_TOO_LONG, 414, "invalid_request_error", "uri_too_long", "target_too_long")                      \
    X(CONTENT_TYPE, 415, "invalid_request_error", "unsupported_media_type", "content_type")                  \
    X(QUEUE_FULL, 429, "rate_limit_error", "queue_full", "queue_full")                                       \
    X(CLIENT_LIMIT, 429, "rate_limit_error", "client_limit", "client_limit")                                 \
    X(HEADER_TOO_LARGE, 431, "invalid_request_error", "header_too_large", "header_too_large")                \
    X(INTERNAL, 500, "server_error", "internal_error", "internal")                                           \
    X(CODING, 501, "invalid_request_error", "unsupported_transfer_coding", "transfer_coding")                \
    X(LOADING, 503, "service_unavailable_error", "loading", "loading")                                       \
    X(DRAINING, 503, "service_unavailable_error", "draining", "draining")                                    \
    X(STUCK, 503, "service_unavailable_error", "stuck", "stuck")

enum api_error_kind {
    API_OK,
#define X(kind, ...) API_##kind,
    API_ERROR_LIST(X)
#undef X
        API_ERROR_COUNT
};

struct api_error {
    enum api_error_kind kind;
    char param[64]; /* the field; "" for null */
    char message[1024];
};

/* Fills *e and returns the kind, for `return api_error_set(...)`. param may be NULL. Texts that do not fit
 * are cut, never inside a character; bytes that are not UTF-8 are left out. */
enum api_error_kind api_error_set(struct api_error *e, enum api_error_kind kind, const char *param,
                                  const char *format, ...) __attribute__((format(printf, 4, 5)));

unsigned api_error_status(enum api_error_kind kind);

/* Whether a client that repeats the request by itself, as many libraries do, would only cause the same work
 * for the same end: its time was not enough, or it cannot be generated. "x-should-retry: false" says so. (429
 * and 503 it should repeat: Retry-After says when.) */
bool api_error_is_final(unsigned status);
const char *api_error_reason(enum api_error_kind kind);
/* When it is answered, as a sentence for a reference; NULL: nobody has said. */
const char *api_error_meaning(enum api_error_kind kind);

/* {"error": {"message", "type", "param", "code"}}, and the same without the outer braces. */
void api_error_write(struct bytes *out, const struct api_error *e);
void api_error_write_member(struct bytes *out, const struct api_error *e);
