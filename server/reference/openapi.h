/* The description of the API for programs, OpenAPI 3.1, from the tables that requests are checked by: routes, fields,
 * errors. What answers look like is answers.json, which lies in the program. */
#pragma once

#include "server/api/params.h"
#include "server/http/route.h"

/* The whole document as JSON. limits: the server's; what depends on the model is not in it. NULL: no memory. The caller
 * frees. */
char *openapi_document(const struct route_table *routes, const struct api_limits *limits,
                       const char *version);

/* One field of an endpoint, as documents say it. */
struct openapi_field {
    const char *name, *meaning;
    const char *type; /* in words */
    char range[64];   /* "0 to 2"; "": none */
    char initial[32]; /* the default as JSON; "": none */
};

/* Calls each for all fields of an endpoint, in the order of the table. */
void openapi_each_field(enum api_endpoint endpoint, const struct api_limits *limits,
                        void (*each)(void *context, const struct openapi_field *field), void *context);
