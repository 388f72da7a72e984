/* The endpoints: one file each, all called on the loop thread with a complete request. */
#pragma once

#include "server/http/route.h"

/* All of them, for struct service. */
extern const struct route_table endpoints;

void endpoint_completions(struct http_request *r);
void endpoint_openapi(struct http_request *r);
void endpoint_page(struct http_request *r);
void endpoint_infill(struct http_request *r);
void endpoint_chat(struct http_request *r);
void endpoint_embeddings(struct http_request *r);
void endpoint_score(struct http_request *r);
void endpoint_apply_template(struct http_request *r);
void endpoint_health(struct http_request *r);
void endpoint_ready(struct http_request *r);
void endpoint_metrics(struct http_request *r);
void endpoint_models(struct http_request *r);
void endpoint_model(struct http_request *r);
void endpoint_version(struct http_request *r);
void endpoint_tokenize(struct http_request *r);
void endpoint_detokenize(struct http_request *r);
void endpoint_tokenizer_info(struct http_request *r);
