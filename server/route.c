#include "server/route.h"

#include <assert.h>
#include <string.h>

#include "server/api.h"
#include "server/stats.h"

static const struct route routes[] = {
    {"POST", "/v1/completions", ROUTE_CLIENT, api_completions},
    {"GET", "/v1/models", 0, api_models},
    {"GET", "/v1/models/", ROUTE_PREFIX, api_model},
    {"POST", "/tokenize", 0, api_tokenize},
    {"POST", "/detokenize", 0, api_detokenize},
    {"GET", "/tokenizer_info", 0, api_tokenizer_info},
    {"GET", "/health", ROUTE_OPEN | ROUTE_ALWAYS, api_health},
    {"GET", "/ready", ROUTE_OPEN | ROUTE_ALWAYS, api_ready},
    {"GET", "/metrics", ROUTE_METRICS | ROUTE_ALWAYS, api_metrics},
    {"GET", "/version", ROUTE_ALWAYS, api_version},
};

enum { ROUTE_COUNT = sizeof routes / sizeof *routes };

static_assert(sizeof routes / sizeof *routes < STATS_ROUTES_MAX,
              "each route is counted, and requests without one");

static bool has_path(const struct route *route, const char *path) {
    size_t length = strlen(route->path);
    if (!(route->flags & ROUTE_PREFIX)) return strcmp(route->path, path) == 0;
    return strncmp(route->path, path, length) == 0 && path[length];
}

const struct route *route_find(const char *method, const char *path, const char **allow) {
    /* OPTIONS of the whole server. */
    *allow = strcmp(path, "*") == 0 ? "GET, HEAD, POST" : NULL;
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        if (!has_path(&routes[i], path)) continue;
        bool is_get = routes[i].method[0] == 'G';
        if (strcmp(method, routes[i].method) == 0 || (is_get && strcmp(method, "HEAD") == 0))
            return &routes[i];
        *allow = is_get ? "GET, HEAD" : "POST";
    }
    return NULL;
}

unsigned route_count(void) {
    return ROUTE_COUNT;
}

unsigned route_number(const struct route *route) {
    return route ? (unsigned)(route - routes) : ROUTE_COUNT;
}

const char *route_label(unsigned number) {
    if (number >= ROUTE_COUNT) return "none";
    return routes[number].flags & ROUTE_PREFIX ? "/v1/models/{id}" : routes[number].path;
}
