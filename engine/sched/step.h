/* One step: rows of the running sequences through the model, log probabilities, sampling, events. Scheduler
 * thread; the rows with logits are spread over the workers. Everything it needs is allocated at start. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/sample/sampler.h"
#include "engine/sched/scheduler.h"
#include "engine/sched/sequence.h"

/* A row with logits: it scores the next token of a prompt, or the next token is sampled from it. */
struct step_row {
    struct sequence *sequence;
    float *logits;
    size_t position;
    bool samples;
    /* Results. */
    bool sound;
    bool has_logprob;
    int32_t id; /* scored or sampled */
    float logprob;
    size_t top_count;
    struct engine_top *top; /* [logprobs_max] */
    enum status status;
    struct error error;
};

struct step {
    struct step_entry *entries;  /* [limits.sequences] */
    struct sequence **sequences; /* of the entries */
    size_t entry_count;
    struct step_row *rows; /* [limits.logit_rows] */
    size_t row_count;
    struct engine_top *top;          /* of all rows */
    struct sampler_scratch *scratch; /* [workers] */
    size_t scratch_count;
};

enum status step_init(struct step *step, const struct scheduler_options *options, struct error *e);
void step_deinit(struct step *step);

/* false: there was nothing to compute. */
bool step_run(struct scheduler *s);
