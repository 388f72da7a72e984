/* The check of the folded and packed model: its logits against those of the original LayerNorm form in double
 * precision (the reference pass), on the same tokens. Differences are relative to the standard deviation of
 * the reference's logits. */
#pragma once

#include "engine/forward/forward.h"
#include "engine/forward/reference.h"
#include "engine/types/limits.h"

/* Bounds of f32, bf16, int8 and int4 are the defaults of options: engine/types/limits.h. f32 is held to the
 * largest difference of a logit, in standard deviations: sums of some thousand f32 terms have errors of about
 * 1e-6; the smallest mistake in a trait moves logits by 1e-3. Low-precision weights move every logit, so single
 * differences say little: they are held to the rise of the perplexity. In double precision folding changes the
 * results by rounding errors only. */
#define VERIFY_BOUND_DOUBLE 1e-9

/* Where the model is right about the text, rise and divergence (nats a token) are about equal. */
#define VERIFY_KL_SHARE 10
/* Standard errors that are taken off a rise before it is judged. */
#define VERIFY_ERRORS_ALLOWED 3

struct verify_figures {
    double largest, mean; /* |difference of a logit| / deviation */
    double kl;         /* mean Kullback-Leibler divergence from the reference's distribution, nats a token */
    double agreement;  /* share of positions where the largest logit is the same */
    double perplexity; /* of the tokens themselves */
    double rise;       /* of the perplexity over the reference's, as a share of that */
    double rise_error; /* standard error of the rise: few tokens say little; infinite below two */
};

/* Whether the figures of this weight type are within the bound: of the largest difference for f32, else of
 * the rise. A rise counts only as far as it is certain, VERIFY_ERRORS_ALLOWED standard errors below the one
 * that was seen; the divergence, which is certain after a few tokens, may not be out of all proportion to the
 * bound either. */
bool verify_is_within(enum weight_type type, const struct verify_figures *figures, double bound);

/* The weight type whose bound applies to a model: its own, or the one of the same precision as the cache, if
 * that is lower. */
enum weight_type verify_judged_as(enum weight_type weights, enum kv_type cache);

/* The bound of a type when none is given. */
double verify_default_bound(enum weight_type type);

/* Tokens in independent windows of `window` tokens, and the reference's logits for all of them. */
struct verify_reference {
    const int32_t *ids; /* borrowed */
    size_t count, window, vocabulary;
    double *logits;   /* [count, vocabulary] */
    double deviation; /* of the logits */
    double perplexity;
};

/* Bytes that verify_reference_init will need. */
size_t verify_reference_bytes(const struct model_description *d, size_t count);

/* The reference pass over ids in windows of `window`, which r borrows; long. STATUS_NO_MEMORY; deinit also after a failure. */
enum status verify_reference_init(struct verify_reference *r, const struct tensor_views *views,
                                  const int32_t *ids, size_t count, size_t window, struct error *e);
void verify_reference_deinit(struct verify_reference *r);

/* Folding alone: the reference pass in another form, as long as that. STATUS_NO_MEMORY. */
enum status verify_folded(const struct verify_reference *r, const struct tensor_views *views,
                          enum norm_form form, struct verify_figures *out, struct error *e);

/* What serving runs: packed weights, kernels, cache pages of a type. STATUS_NO_MEMORY, or as kv_pool_init. */
enum status verify_packed(const struct verify_reference *r, const struct packed_model *model,
                          enum kv_type cache, const struct kernel_table *kernels, struct workers *workers,
                          struct verify_figures *out, struct error *e);

/* A short text to verify with when none is given: prose, dialogue, numbers, code and a few scripts. */
extern const char verify_sample_text[];

/* The ids to verify a model with that has no tokenizer, by their places: spread over the vocabulary. */
int32_t verify_sample_id(size_t index, size_t vocabulary);
