/* The embedding of a sequence: the hidden state of its last token, or the mean of all. Hidden states are added up in the
 * order of their positions, in double precision, so the sum depends neither on how the prompt was cut into chunks nor on
 * what else a step computed; positions that are computed again, after their pages were lost, do not count again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/sched/backend.h"
#include "engine/types/request.h"

struct pooling {
    double *sum;      /* [width]; NULL: nothing is pooled */
    float *embedding; /* [width]: the result */
    size_t width;
    size_t positions; /* of the sequence that have been seen */
};

/* Allocates, for rows of so many entries. */
enum status pooling_init(struct pooling *p, size_t width, struct error *e);
void pooling_deinit(struct pooling *p);
/* Memory that pooling_init takes. */
size_t pooling_bytes(size_t width);

/* Adds the rows of an entry of the last step, its entry number `index`; the sequence has `length` positions in all.
 * scratch: backend->hidden_scratch doubles. Any worker. */
void pooling_add(struct pooling *p, enum engine_pooling kind, const struct backend *backend,
                 const struct step_entry *entry, size_t index, size_t length, double *scratch);

/* After the last position: the result. false: it is not made of numbers. */
bool pooling_finish(struct pooling *p, enum engine_pooling kind);
