/* GET /: the page for people who look. It needs no key: what it asks the API for does. */
#include <string.h>

#include "server/endpoints/endpoints.h"
#include "server/http/http_request.h"

void endpoint_page(struct http_request *r) {
    const struct service *s = r->service;
    if (strcmp(s->config->page, "off") == 0) {
        api_error_set(&r->error, API_NOT_FOUND, NULL,
                      "There is nothing at / (the page is switched off: --page). The API is below /v1.");
        http_request_fail(r);
        return;
    }
    bytes_append(&r->answer, s->page.html, s->page.length);
    r->content_policy = s->page.policy;
    http_request_answer(r, 200, "text/html; charset=utf-8");
}
