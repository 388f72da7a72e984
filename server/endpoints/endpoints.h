/* The endpoints: one file each, all called on the loop thread with a complete request. */
#pragma once

#include "server/http/route.h"

/* All of them, for struct service. */
extern const struct route_table endpoints;

void endpoint_completions(struct request *r);
void endpoint_health(struct request *r);
void endpoint_ready(struct request *r);
void endpoint_metrics(struct request *r);
void endpoint_models(struct request *r);
void endpoint_model(struct request *r);
void endpoint_version(struct request *r);
void endpoint_tokenize(struct request *r);
void endpoint_detokenize(struct request *r);
void endpoint_tokenizer_info(struct request *r);
