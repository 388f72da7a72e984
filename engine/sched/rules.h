/* What the model and the options impose on every request. Immutable while the scheduler lives. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/sample/sampler.h"
#include "engine/sched/backend.h"
#include "engine/text/tokenizer.h"

/* What the heap adds to a block, at most, where the memory of a request is added up. */
#define HEAP_BLOCK_BYTES 32

struct request_rules {
    size_t context;            /* tokens of a sequence */
    size_t rows;               /* of the head: ids are below */
    size_t page_tokens;        /* of the cache */
    size_t max_pending_events; /* undelivered events a choice may have */
    size_t token_bytes_max;    /* of the text of a token; 0: every text is empty */
    size_t logprobs_max;
    size_t choices_max;                          /* of one request */
    const struct sampler_vocabulary *vocabulary; /* NULL: every row may be sampled */
    const struct tokenizer *tokenizer;           /* NULL: every text is empty */
    const int32_t *end_tokens;
    size_t end_count;
    struct backend backend;
};
