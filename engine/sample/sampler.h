/* One token from one row of logits. The result is a function of the row, the request's parameters, its tokens
 * so far and (seed, choice, position): of nothing else. Any thread, with scratch of its own; nothing here
 * allocates after sampler_scratch_init.
 *
 * Order of operations (that of transformers' processors and warpers):
 *   1. ids beyond the tokenizer's and ids without a token are out; with `allowed` or a mask, all others too
 *   2. logit_bias
 *   3. end and stop tokens are out while min_tokens is not reached, and so are the ends of bans (bad words)
 *      that the generated tokens have begun
 *   4. repetition penalty over prompt and generated tokens; frequency and presence penalties over generated
 *      tokens: of the biased logits, as vLLM has it and transformers with its sequence_bias
 *   5. temperature 0 (below 1e-5): the largest, ties to the lowest id. Otherwise logits / temperature, and
 *   6. top_k, then top_p of what is left (renormalised), then min_p (relative to the most probable), then
 *      typical_p of what is left; each keeps at least one
 *   7. a draw from what is left, renormalised: in the order of ids; with top_k or typical_p in that of what
 *      is left (sampler.c). It may take several random numbers, which attempt of generator.h keeps apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/types/request.h"
#include "engine/kernel/kernel.h"
#include "engine/sample/selection.h"

/* Which rows of the head stand for tokens. Borrowed and immutable. */
struct sampler_vocabulary {
    size_t rows;               /* of the head; ids of biases, allowed and tokens are below it */
    size_t sampleable;         /* at least 1 and at most rows; ids from here on are padding */
    const int32_t *unused_ids; /* ids below sampleable without a token, ascending */
    size_t unused_id_count;
};

struct sampler_scratch {
    float *row;                   /* [rows]: the row as penalties and masks change it */
    float *keys;                  /* [rows]: what typical_p selects by; or a block of the row */
    uint32_t *counts;             /* [rows]: tokens counted; all zero between calls */
    struct candidate *candidates; /* [rows] */
    struct candidate *nearest;    /* [rows]: what typical_p selected */
    double *weights;              /* [rows]: of the candidates; or of blocks of the row */
    uint32_t *mask;               /* [sampler_mask_words]: for sampler_input.mask, the caller's */
};

static inline size_t sampler_mask_words(size_t rows) {
    return (rows + 31) / 32;
}

enum status sampler_scratch_init(struct sampler_scratch *scratch, size_t rows, struct error *e);
void sampler_scratch_deinit(struct sampler_scratch *scratch);
/* Memory of one. */
size_t sampler_scratch_bytes(size_t rows);

struct sampler_input {
    const struct engine_sampling *sampling;
    const int32_t *tokens; /* prompt, then generated */
    size_t prompt_count, count;
    const uint32_t *mask;  /* ids that may be sampled here: bit id % 32 of mask[id / 32]; NULL: all */
    const int32_t *banned; /* not now: end and stop tokens before min_tokens */
    size_t banned_count;
    int64_t seed;
    uint32_t choice;
};

/* Marks ids without a token as impossible, in the row itself. After logprobs_normaliser, before
 * logprobs_best. */
void sampler_mask_unused_ids(const struct sampler_vocabulary *vocabulary, float *row);

/* Whether masks can come to leave nothing: false where each id that there is may be out at some time, by
 * `allowed`, as one of banned[], or as the last of a ban. Then sampler_pick would fail in the midst of an
 * answer. marks has room for `rows` bytes. */
bool sampler_leaves_token(const struct sampler_vocabulary *vocabulary, const struct engine_sampling *sampling,
                          const int32_t *banned, size_t banned_count, unsigned char *marks);

/* What sampler_pick says when it fails. Returns its status. */
enum status sampler_refuse(struct error *e);

/* row: sound (logprobs_row_is_sound), unused ids masked; it is not changed. STATUS_INVALID_ARGUMENT when nothing
 * may be sampled: masks, biases and the model left no token of more than probability 0. */
enum status sampler_pick(const struct kernel_table *kernels, const struct sampler_vocabulary *vocabulary,
                         struct sampler_scratch *scratch, const struct sampler_input *input, const float *row,
                         int32_t *id, struct error *e);
