/* The field `prediction` of OpenAI's API: a text that the answer is expected to be, for the most part. It changes
 * nothing of the answer but how soon it comes. Any thread. */
#pragma once

#include "server/api/fields.h"

/* Of an array of content. */
#define PREDICTION_PARTS_MAX 64

/* Borrowed from the body. */
struct api_prediction {
    const json_t *content; /* a string, or an array of parts that are text; NULL: there is no prediction */
};

/* Reads and checks the field. */
enum api_error_kind api_prediction_read(struct api_prediction *p, const json_t *body,
                                        const struct api_limits *limits, struct api_error *e);

size_t api_prediction_parts(const struct api_prediction *p);
const char *api_prediction_part(const struct api_prediction *p, size_t i, size_t *length);
