#include "server/http/request_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/client_request.h"
#include "server/http/connection.h"
#include "server/http/request_body.h"

/* No route is longer. */
enum { REQUEST_PATH_HINT_BYTES = 64 };

/* A blank at the end of a header's value does not count. */
static struct http_text header(const struct http_request *r, const char *name) {
    return http_header(r->mhd, name);
}

/* As it came, for those who trim it themselves; NULL: absent. */
static const char *raw_header(const struct http_request *r, const char *name) {
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

static bool is_sane_id(struct http_text id) {
    if (!id.length || id.length > API_REQUEST_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:", id.data[i]))
            return false;
    return true;
}

void request_head_set_id(struct http_request *r) {
    static uint64_t number;
    struct http_text given = header(r, "X-Request-Id");
    if (is_sane_id(given))
        snprintf(r->id, sizeof r->id, "%.*s", (int)given.length, given.data);
    else
        snprintf(r->id, sizeof r->id, "req-%llx-%llu", (unsigned long long)r->service->started,
                 (unsigned long long)++number);
}

static bool has_key(struct http_request *r) {
    const struct service *s = r->service;
    const struct keys_given given = {raw_header(r, "Authorization"), raw_header(r, "X-Api-Key"),
                                     raw_header(r, "api-key")};
    unsigned flags = r->route ? r->route->flags : 0;
    if (flags & ROUTE_OPEN || (flags & ROUTE_METRICS && s->config->public_metrics)) return true;
    return keys_allow(&s->keys, &given, &r->key);
}

static bool is_json(struct http_text type) {
    if (!type.data) return true; /* nothing wrong was said */
    const char *semicolon = memchr(type.data, ';', type.length);
    size_t length = semicolon ? (size_t)(semicolon - type.data) : type.length;
    return http_text_is(http_text_trim(type.data, length), "application/json");
}

/* libmicrohttpd has refused what is not a number. */
static unsigned long long content_length(const struct http_request *r) {
    const char *length = raw_header(r, "Content-Length");
    return length ? strtoull(length, NULL, 10) : 0;
}

/* Holds for every request: a body that nobody wants is read away, but not without end. */
static enum api_error_kind check_length(struct http_request *r) {
    size_t most = r->service->config->body_bytes_max;
    unsigned long long length = content_length(r);
    if (length <= most) return API_OK;
    return api_error_set(&r->error, API_BODY_TOO_LARGE, NULL,
                         "The body has %llu bytes; at most %zu are allowed.", length, most);
}

/* What can be said of a body before it comes. */
static enum api_error_kind check_body_header(struct http_request *r) {
    struct http_text encoding = header(r, "Content-Encoding"), type = header(r, "Content-Type");
    if (!is_json(type))
        return api_error_set(&r->error, API_CONTENT_TYPE, NULL,
                             "The content type is '%.*s'; application/json was expected.",
                             (int)(type.length < 100 ? type.length : 100), type.data);
    if (encoding.data && !http_text_is(encoding, "identity"))
        return api_error_set(&r->error, API_CONTENT_TYPE, NULL,
                             "The content encoding '%.*s' is not supported.",
                             (int)(encoding.length < 100 ? encoding.length : 100), encoding.data);
    return API_OK;
}

static enum api_error_kind check_phase(struct http_request *r) {
    if (r->route->flags & ROUTE_ALWAYS) return API_OK;
    if (r->service->phase == SERVICE_LOADING)
        return api_error_set(&r->error, API_LOADING, NULL, "The model is still loading.");
    if (r->service->phase != SERVICE_SERVING)
        return api_error_set(&r->error, API_DRAINING, NULL, "The server is shutting down.");
    return API_OK;
}

/* Paths of other servers are answered with what there is instead, mistakes with the base address with what is wrong. */
static enum api_error_kind refuse_path(struct http_request *r, const char *path) {
    const struct route_table *routes = r->service->routes;
    const char *instead = route_instead(routes, path), *allow;
    char shorter[REQUEST_PATH_HINT_BYTES];
    if (instead)
        return api_error_set(&r->error, API_NOT_FOUND, NULL, "There is no %.200s here. %s", path, instead);
    size_t length = strlen(path);
    if (length > 2 && length < sizeof shorter && path[length - 1] == '/') {
        snprintf(shorter, sizeof shorter, "%.*s", (int)(length - 1), path);
        if (route_find(routes, "GET", shorter, &allow) || allow)
            return api_error_set(&r->error, API_NOT_FOUND, NULL, "There is no %.200s here, but %s.", path,
                                 shorter);
    }
    return api_error_set(&r->error, API_NOT_FOUND, NULL, "There is no %.200s here.", path);
}

/* Everything that is known from the header alone; the refusal goes out when the body has been read away. */
static enum api_error_kind check_header(struct http_request *r, const char *method, const char *path) {
    r->route = route_find(r->service->routes, method, path, &r->allow);
    if (!has_key(r))
        return api_error_set(&r->error, API_UNAUTHORIZED, NULL,
                             "A valid API key is needed: 'Authorization: Bearer KEY', or 'X-Api-Key: KEY'.");
    if (!r->route && r->allow)
        return api_error_set(&r->error, API_METHOD, NULL,
                             "The method %.20s is not allowed for %.200s; allowed: %s.", method, path,
                             r->allow);
    if (!r->route) return refuse_path(r, path);
    if (check_phase(r) != API_OK) return r->error.kind;
    if (check_length(r) != API_OK) return r->error.kind;
    if (request_body_is_wanted(r) && check_body_header(r) != API_OK) return r->error.kind;
    if (r->route->flags & ROUTE_CLIENT) return client_request_enter(r);
    if (r->route->flags & ROUTE_PREFIX && !(r->tail = strdup(path + strlen(r->route->path))))
        return api_error_set(&r->error, API_INTERNAL, NULL, "There is not enough memory.");
    return API_OK;
}

bool request_head_is_unreadable(const struct http_request *r) {
    switch (r->error.kind) {
    case API_MALFORMED:
    case API_CODING:
    case API_TARGET_TOO_LONG:
    case API_HEADER_TOO_LARGE:
        return true;
    default:
        return false;
    }
}

bool request_head_must_refuse_now(const struct http_request *r) {
    if (r->error.kind == API_OK) return false;
    return request_head_is_unreadable(r) || raw_header(r, "Expect") ||
           content_length(r) > REQUEST_BODY_DISCARD_BYTES_MAX;
}

bool request_head_waits_for_nothing(const struct http_request *r) {
    return raw_header(r, "Expect") && !content_length(r) && !raw_header(r, "Transfer-Encoding");
}

void request_head_check(struct http_request *r, const char *method, const char *target) {
    if (http_check(r->mhd, &r->connection->line, &r->error) != API_OK) return;
    const char *path = http_target_path(method, target);
    if (!path)
        api_error_set(&r->error, API_MALFORMED, NULL,
                      "The request's target '%.200s' is neither a path nor a URL of HTTP.", target);
    else if (r->service->config->cors_origin && strcmp(method, "OPTIONS") == 0) {
        r->is_preflight = true;
        check_length(r);
    } else
        check_header(r, method, path);
}
