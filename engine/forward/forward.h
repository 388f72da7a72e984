/* One forward step for one batch: prefill chunks and decode rows of several sequences together. Called on the
 * scheduler thread; the compute threads share the work. A step neither allocates nor locks. The logits of a
 * row do not depend on what else is in the batch, nor on how a prompt was split into chunks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/workers.h"
#include "engine/kv/kv_pool.h"
#include "engine/pack/packed_model.h"

/* Rows of one sequence in a step: prefill, decode and speculation are all of this kind. */
struct step_entry {
    const struct kv_table *table; /* covers first_position + count positions */
    const int32_t *tokens;        /* [count], each below the vocabulary */
    size_t first_position;
    size_t count;
    size_t logit_rows;    /* number of rows at the end that need logits; 0 .. count */
    bool wants_hidden;    /* forward_hidden() is going to be asked for some of its rows */
    size_t rotary_length; /* forward_rotary_length() of the sequence, fixed at its admission */
};

struct forward_limits {
    size_t rows_max;       /* rows of a step */
    size_t logit_rows_max; /* of these, rows that need logits */
    size_t entries_max;
};

struct forward;

/* Memory that forward_create takes. */
size_t forward_memory_bytes(const struct packed_model *model, const struct workers *workers,
                            const struct forward_limits *limits);

/* Borrows model, pool, kernels and workers until forward_destroy. */
enum status forward_create(const struct packed_model *model, const struct kv_pool *pool,
                           const struct kernel_table *kernels, struct workers *workers,
                           const struct forward_limits *limits, struct forward **out, struct error *e);
void forward_destroy(struct forward *f);
const struct packed_model *forward_model(const struct forward *f);

/* Writes keys and values of all rows into their pages, and computes the logits that were asked for. The sums
 * over the entries must be within the limits. */
void forward_step(struct forward *f, const struct step_entry *entries, size_t count);

/* Logits [head rows of the model] of the i-th row that needed them, in the order of the entries; valid until
 * the next step. Writable: the sampler may work in place. */
float *forward_logits(struct forward *f, size_t i);

/* Rows of the head: the length of a row of logits (padding of the vocabulary included). */
size_t forward_vocabulary(const struct forward *f);

/* Length of a hidden state of a model, and doubles that forward_hidden needs for one. */
size_t forward_hidden_width(const struct packed_model *model);
size_t forward_hidden_scratch(const struct packed_model *model);

/* The hidden state of a row of an entry of the last step that wants_hidden, as the transformers library has it: what the
 * model's head reads, in the model's own basis, whatever form runs. out: forward_hidden_scratch() doubles, of which the
 * first forward_hidden_width() are the result. Between two steps any thread, and several at once. */
void forward_hidden(const struct forward *f, size_t entry, size_t row, double *out);

/* What a step is at: for who observes its workers. Conversions and norms in front of a linear are its inputs. */
enum forward_stage {
    FORWARD_STAGE_BEGIN, /* embeddings and angles */
    FORWARD_STAGE_INPUTS,
    FORWARD_STAGE_QKV,
    FORWARD_STAGE_ATTENTION,
    FORWARD_STAGE_ATTENTION_OUTPUT,
    FORWARD_STAGE_MLP_INPUT,
    FORWARD_STAGE_MLP_OUTPUT,
    FORWARD_STAGE_HEAD,
    FORWARD_STAGE_COUNT
};
enum forward_stage forward_stage(const struct forward *f);

/* What the rotary frequencies of a sequence depend on that may grow to `length` positions (rotary_length() of
 * engine/model/rotary.h): equal values, equal keys in the cache. */
size_t forward_rotary_length(const struct forward *f, size_t length);

/* ---- for calibration: a layer at a time, and what its linears read ---- */

/* What a linear is about to read: rows [rows, in], times row_scale [rows] where that is not NULL. */
struct forward_input {
    const struct packed_linear *linear;
    const float *x;
    size_t stride, rows;
    const float *row_scale;
};

/* Whether the step is to go on. */
typedef bool (*forward_observe_fn)(void *context, const struct forward_input *input);

/* From now on observe is called, on the calling thread, before each linear of a layer or of the head runs; NULL: no
 * more. It may not change what it sees. Once it has said no, nothing large is computed any more in this step, and what
 * the step gives is of no use. */
void forward_observe(struct forward *f, forward_observe_fn observe, void *context);

/* Floats from one row of the residual stream to the next. */
size_t forward_stream_stride(const struct forward *f);

/* stream [entry->count, forward_stream_stride()]: the embedding rows of an entry. */
void forward_embed(struct forward *f, const struct step_entry *entry, float *stream);

/* One layer alone: rows of the stream become what the next layer reads, in place. Keys and values go into the entry's
 * pages. Not for models with a dual stream, which is no part of `stream`. */
void forward_layer(struct forward *f, const struct step_entry *entry, size_t layer, float *stream);

/* The head alone, for an entry's rows of the stream behind the last layer that need logits. */
void forward_head(struct forward *f, const struct step_entry *entry, const float *stream);
