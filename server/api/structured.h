/* What a request says that its answer must match: `response_format` of OpenAI, `structured_outputs` of vLLM and the
 * guided_* fields that it had before, `grammar` and `json_schema` of llama-server. Any thread. */
#pragma once

#include "engine/types/grammar.h"
#include "server/api/fields.h"
#include "server/json/bytes.h"

/* Start from zeros. */
struct api_structured {
    const char *field; /* the one that says it, static; NULL: none does, and any text will do */
    struct grammar_source source;
    struct bytes json; /* source.text, where it is a JSON value of the body */
};

/* Of one field as it stands in the body; keys count as values do. With these, parsing it and giving it back leave time to compile
 * it. Of 575 schemas of SchemaStore the largest that is within the limits of schemas has 40,119 values and keys. */
enum { API_STRUCTURED_BYTES_MAX = 2 << 20, API_STRUCTURED_VALUES_MAX = 65536 };

/* Refuses by its bytes a body in which one of the fields has more, before it is parsed. What is not well-formed is left to that. */
enum api_error_kind api_structured_check(const char *body, size_t length, struct api_error *e);

/* Reads and checks the fields; what a schema or a grammar means is not looked at. Two that say something are refused. The
 * body must outlive *s; api_structured_deinit is needed either way. */
enum api_error_kind api_structured_read(struct api_structured *s, const json_t *body,
                                        const struct api_limits *limits, struct api_error *e);
void api_structured_deinit(struct api_structured *s);
