/* Prometheus text, format 0.0.4. */
#pragma once

#include "engine/api/engine.h"
#include "server/json/bytes.h"

struct route_table;
struct service;
struct http_stats;

/* One sample per family, or the head of a family and then its samples. labels: as metrics_label writes them,
 * or "". */
void metrics_head(struct bytes *out, const char *kind, const char *name, const char *help);
void metrics_sample(struct bytes *out, const char *name, const char *labels, double value);
/* The series of one set of labels; the head comes first. */
void metrics_histogram(struct bytes *out, const char *name, const char *labels,
                       const struct engine_histogram *h);

/* Appends name="value" with what must be escaped; a comma first where out is not empty. */
void metrics_label(struct bytes *out, const char *name, const char *value);

/* All of the service's families. */
void metrics_write(struct bytes *out, struct service *s);

/* Answers by route and status, and refusals by reason. */
void metrics_write_answers(struct bytes *out, const struct http_stats *stats,
                           const struct route_table *routes);

/* process_* of this process (process.c). */
void metrics_write_process(struct bytes *out);
