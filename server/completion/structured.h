/* What the text of a completion must match. Not on the loop. */
#pragma once

#include "server/api/json_body.h"
#include "server/completion/completion.h"

/* What the body says of it, compiled: c->grammar. */
enum api_error_kind structured_read(struct completion *c, const struct json_body *body,
                                    const struct api_limits *limits, struct api_error *e);
