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
    const struct step_row *leader; /* of a fork: the row that it shares; evaluated before */
    size_t position;
    bool samples;
    size_t drafts; /* rows behind it that hold only if it samples the draft that they begin with */
    bool is_last;  /* what it samples is said in any case, and there is no row behind it */
    /* Results. */
    bool unsound; /* the logits are not numbers */
    bool has_logprob;
    double normaliser;
    int32_t id;        /* scored or sampled */
    bool complete;     /* with a grammar: behind a sampled id the text cannot go on, */
    bool is_unsettled; /* or whether it can is not known yet; */
    uint64_t mask_ns;  /* and the time that mask and that took */
    size_t mask_steps;
    float logprob;
    uint32_t rank; /* of a scored id */
    size_t top_count;
    struct engine_top *top; /* [logprobs_max] */
    enum status status;
};

struct step {
    struct step_entry *entries;  /* [limits.sequences] */
    struct sequence **sequences; /* of the entries */
    size_t entry_count;
    struct sequence **asked; /* [limits.sequences]: that want a mask now */
    size_t asked_count;
    uint64_t asking, wait_order; /* turns with a grammar; sequences that began to sit out */
    bool goes_on;           /* whatever is computed now: somebody sits out, or has made room for others */
    size_t decode_rows;     /* of all rows, those that decode */
    size_t draft_rows;      /* and those behind them for drafts */
    bool is_burst;          /* batch_burst_rows beside them, not the prefill budget's */
    struct step_row *rows;  /* [limits.logit_rows], and one for each sequence that may be forked */
    size_t row_count;       /* without forks */
    size_t fork_count;      /* rows behind those */
    struct engine_top *top; /* [limits.logit_rows][tops] */
    size_t tops;
    double *hidden;                  /* [workers][hidden_scratch of the backend] */
    bool pools;                      /* some entries need hidden states */
    struct sampler_scratch *scratch; /* [workers] */
    size_t scratch_count;
};

enum status step_init(struct step *step, const struct scheduler_options *options, struct error *e);
void step_deinit(struct step *step);

/* Memory that step_init takes, on so many workers, with a head of so many rows and a backend with this hidden_scratch. */
size_t step_memory_bytes(const struct batch_limits *limits, size_t logprobs_max, size_t workers, size_t rows,
                         size_t hidden_scratch);

/* Samples the row's next token into it, from logits that are sound and masked. Any worker, with its scratch. */
void step_sample(const struct scheduler *s, struct step_row *row, struct sampler_scratch *scratch);

/* Runs fn with the scheduler for each tile, on the workers where there are any. */
void step_spread(struct scheduler *s, workers_fn fn, size_t count);

/* false: there was nothing to compute. */
bool step_run(struct scheduler *s);
