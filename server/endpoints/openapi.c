/* GET /openapi.json: the description of the API, which was written at the start. */
#include <string.h>

#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"

void endpoint_openapi(struct http_request *r) {
    bytes_append(&r->answer, r->service->openapi, strlen(r->service->openapi));
    http_request_answer(r, 200, "application/json");
}
