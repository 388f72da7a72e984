/* The endpoints: one file each, all called on the loop thread with a complete request. */
#pragma once

struct request;

void api_completions(struct request *r);
void api_health(struct request *r);
void api_ready(struct request *r);
void api_metrics(struct request *r);
void api_models(struct request *r);
void api_model(struct request *r);
void api_version(struct request *r);
void api_tokenize(struct request *r);
void api_detokenize(struct request *r);
void api_tokenizer_info(struct request *r);
