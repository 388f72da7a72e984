#include "server/http/route.h"

#include <string.h>

static bool has_path(const struct route *route, const char *path) {
    size_t length = strlen(route->path);
    if (!(route->flags & ROUTE_PREFIX)) return strcmp(route->path, path) == 0;
    return strncmp(route->path, path, length) == 0 && path[length];
}

const struct route *route_find(const struct route_table *table, const char *method, const char *path,
                               const char **allow) {
    /* OPTIONS of the whole server. */
    *allow = strcmp(path, "*") == 0 ? "GET, HEAD, POST" : NULL;
    for (unsigned i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        if (!has_path(route, path)) continue;
        bool is_get = route->method[0] == 'G';
        if (strcmp(method, route->method) == 0 || (is_get && strcmp(method, "HEAD") == 0)) return route;
        *allow = is_get ? "GET, HEAD" : "POST";
    }
    return NULL;
}

static bool is_like(const char *pattern, const char *path) {
    size_t length = strlen(pattern);
    if (length && pattern[length - 1] == '*') return strncmp(pattern, path, length - 1) == 0;
    return strcmp(pattern, path) == 0;
}

const char *route_instead(const struct route_table *table, const char *path) {
    for (unsigned i = 0; i < table->hint_count; i++)
        if (is_like(table->hints[i].path, path)) return table->hints[i].instead;
    return NULL;
}

unsigned route_number(const struct route_table *table, const struct route *route) {
    while (route && route->flags & ROUTE_ALIAS) route--;
    return route ? (unsigned)(route - table->routes) : table->count;
}

const char *route_label(const struct route_table *table, unsigned number) {
    if (number >= table->count) return "none";
    const struct route *route = &table->routes[number];
    return route->label ? route->label : route->path;
}
