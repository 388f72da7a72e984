/* The field `prediction` of a completion. Any thread. */
#pragma once

#include "server/completion/completion.h"

/* The prediction of the body in ids: c->prediction. */
enum api_error_kind prediction_read(struct completion *c, const json_t *body, const struct api_limits *limits,
                                    struct api_error *e);
