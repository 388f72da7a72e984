/* What a request says that its answer must match: `response_format` of OpenAI, `structured_outputs` of vLLM and the
 * guided_* fields that it had before, `grammar` and `json_schema` of llama-server. Any thread. */
#pragma once

#include "engine/types/grammar.h"
#include "server/api/fields.h"

/* Start from zeros. */
struct api_structured {
    const char *field; /* the one that says it, static; NULL: none does, and any text will do */
    struct grammar_source source;
    char *schema; /* owned: source.text, where it is a JSON value of the body; else NULL */
};

/* Reads and checks the fields; what a schema or a grammar means is not looked at. Two that say something are refused. The
 * body must outlive *s; api_structured_deinit is needed either way. */
enum api_error_kind api_structured_read(struct api_structured *s, const json_t *body,
                                        const struct api_limits *limits, struct api_error *e);
void api_structured_deinit(struct api_structured *s);
