/* The figures that the scheduler counts and the door shows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_HISTOGRAM_BUCKETS 24

struct engine_histogram {
    const double *bounds; /* upper bounds, static storage */
    size_t bound_count;
    uint64_t counts[ENGINE_HISTOGRAM_BUCKETS + 1]; /* per bucket, not cumulative; the last is +Inf */
    double sum;
};

/* Whether the engine gets on. progress changes with every turn of the scheduler and every tile of a step that a
 * compute thread begins, so that a step may take as long as it likes. */
struct engine_pulse {
    uint64_t progress;
    bool has_work; /* there is something to do: requests that run or have arrived, or ends that are due */
};

/* Of what answers must match: zeros where the model has no structured output. */
struct grammar_stats {
    size_t kept, in_use; /* now: compiled ones; of these, those that requests hold */
    /* since the start */
    uint64_t compiled, found; /* requests whose grammar was made for them, or was there */
    uint64_t refused, busy;   /* those that could not be compiled; those that no place was left for */
    struct engine_histogram compile_time; /* seconds, also of what was refused */
};

struct engine_stats {
    /* now */
    size_t running, waiting, backpressured;
    size_t queued_tokens;
    size_t kv_pages_used, kv_pages_total;
    /* since the start */
    uint64_t prompt_tokens; /* of each choice that has had its first token, however they came to be there */
    uint64_t prompt_tokens_computed; /* rows of prompts in steps; what is computed again counts again */
    uint64_t generated_tokens, steps;
    uint64_t finished_stop, finished_length, finished_cancelled, finished_timeout, finished_failed;
    uint64_t refused_queue;
    uint64_t prefix_queries_tokens, prefix_hit_tokens, preemptions;
    uint64_t embeddings; /* prompts that became one */
    /* Speculation: steps that had drafts, drafts (of a sequence in a step), their tokens, of which were right. */
    uint64_t spec_steps, spec_drafts, spec_draft_tokens, spec_accepted_tokens;
    uint64_t masks, mask_ns; /* of grammars, one a row; their time on all workers, */
    uint64_t mask_steps;     /* and what was worked for them */
    uint64_t mask_waits;     /* turns that sequences sat out until theirs was made */
    double busy_seconds;     /* time spent in steps */
    /* seconds */
    struct engine_histogram time_to_first_token, inter_token, end_to_end, queue_time, prefill_time,
        decode_time;
    struct engine_histogram inference_time; /* from the first step to the end */
    struct engine_histogram token_time;     /* of a choice: its time after the first token, a token */
    struct engine_histogram step_time_decode, step_time_prefill,
        step_time_mixed; /* by what a step computed */
    /* counts */
    struct engine_histogram request_prompt_tokens, request_generated_tokens, step_tokens, step_sequences;
    struct engine_histogram request_computed_tokens; /* of its prompt, those that the cache had not */
    struct engine_histogram request_max_tokens, request_choices;
    struct engine_histogram request_longest_tokens; /* of the choices of a request, the longest */
    struct engine_histogram step_budget;            /* tokens of a step over options.step_tokens */
    struct grammar_stats grammars;
};
