/* The table {method, path, handler}. */
#pragma once

#include <stdbool.h>

struct request;

enum route_flags {
    ROUTE_OPEN = 1,    /* needs no key */
    ROUTE_METRICS = 2, /* needs no key where public-metrics is set */
    ROUTE_ALWAYS = 4,  /* answers while loading and while draining too */
    ROUTE_CLIENT = 16, /* counts for its client (client_request.h) */
    ROUTE_PREFIX = 8,  /* the path goes on after the prefix; the rest is the request's tail */
};

struct route {
    const char *method; /* "GET" (then HEAD too) or "POST" */
    const char *path;
    unsigned flags;
    /* Called once when the request is complete. It answers, or starts work and lets the request wait. */
    void (*handle)(struct request *r);
};

/* The route of a path and method. NULL when there is none; *allow then names the methods of the path for the
 * header Allow, or is NULL when the path is unknown. */
const struct route *route_find(const char *method, const char *path, const char **allow);

/* For the metrics: routes are numbered, and one number more stands for requests without a route. */
unsigned route_count(void);
unsigned route_number(const struct route *route);
const char *route_label(unsigned number);
