#include "server/endpoints/endpoints.h"

#include <assert.h>

#include "server/service/http_stats.h"

static const struct route routes[] = {
    {"POST", "/v1/completions", ROUTE_CLIENT, endpoint_completions, NULL},
    {"GET", "/v1/models", 0, endpoint_models, NULL},
    {"GET", "/v1/models/", ROUTE_PREFIX, endpoint_model, "/v1/models/{id}"},
    {"POST", "/tokenize", 0, endpoint_tokenize, NULL},
    {"POST", "/detokenize", 0, endpoint_detokenize, NULL},
    {"GET", "/tokenizer_info", 0, endpoint_tokenizer_info, NULL},
    {"GET", "/", ROUTE_OPEN | ROUTE_ALWAYS, endpoint_page, NULL},
    {"GET", "/health", ROUTE_OPEN | ROUTE_ALWAYS, endpoint_health, NULL},
    {"GET", "/ready", ROUTE_OPEN | ROUTE_ALWAYS, endpoint_ready, NULL},
    {"GET", "/metrics", ROUTE_METRICS | ROUTE_ALWAYS, endpoint_metrics, NULL},
    {"GET", "/version", ROUTE_ALWAYS, endpoint_version, NULL},
};

static_assert(sizeof routes / sizeof *routes < HTTP_STATS_ROUTES_MAX,
              "each route is counted, and requests without one");

const struct route_table endpoints = {routes, sizeof routes / sizeof *routes};
