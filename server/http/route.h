/* Tables {method, path, handler}, and finding in them. Which routes there are is not known here. */
#pragma once

#include <stdbool.h>

struct http_request;

enum route_flags {
    ROUTE_OPEN = 1,    /* needs no key */
    ROUTE_METRICS = 2, /* needs no key where public-metrics is set */
    ROUTE_ALWAYS = 4,  /* answers while loading and while draining too */
    ROUTE_CLIENT = 16, /* counts for its client (client_request.h) */
    ROUTE_PREFIX = 8,  /* the path goes on after the prefix; the rest is the request's tail */
    ROUTE_ALIAS = 32,  /* another path of the route before it, and counted as that one */
};

struct route {
    const char *method; /* "GET" (then HEAD too) or "POST" */
    const char *path;
    unsigned flags;
    /* Called once when the request is complete. It answers, or starts work and lets the request wait. */
    void (*handle)(struct http_request *r);
    const char *label; /* in the metrics; NULL: the path */
    const char *summary;
};

/* A path that other servers have and this one has not. */
struct route_hint {
    const char *path;    /* with '*' at its end: all that begin so */
    const char *instead; /* what there is, as a sentence */
};

struct route_table {
    const struct route *routes;
    unsigned count; /* less than HTTP_STATS_ROUTES_MAX */
    const struct route_hint *hints;
    unsigned hint_count;
};

/* The route of a path and method. NULL when there is none; *allow then names the methods of the path for the
 * header Allow, or is NULL when the path is unknown. */
const struct route *route_find(const struct route_table *table, const char *method, const char *path,
                               const char **allow);

/* What there is in place of a path that has no route; NULL: nobody knows. */
const char *route_instead(const struct route_table *table, const char *path);

/* For the metrics: routes are numbered, and one number more stands for requests without a route. */
unsigned route_number(const struct route_table *table, const struct route *route);
const char *route_label(const struct route_table *table, unsigned number);
