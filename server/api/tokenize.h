/* What POST /tokenize and POST /detokenize do with their bodies, without a connection. Long: not on the loop. */
#pragma once

#include "server/api/params.h"
#include "server/json/bytes.h"

/* The answer's JSON into *out, or *e. limits->tokenize_bytes_max bounds the text, tokenize_ids_max the ids;
 * the context does not: this is what one measures a long text with. */
enum api_error_kind api_tokenize_body(const struct engine *engine, const struct api_limits *limits,
                                      const char *body, size_t length, struct bytes *out,
                                      struct api_error *e);
enum api_error_kind api_detokenize_body(const struct engine *engine, const struct api_limits *limits,
                                        const char *body, size_t length, struct bytes *out,
                                        struct api_error *e);
