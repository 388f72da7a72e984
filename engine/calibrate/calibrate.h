/* int8 and int4 weights chosen by what a text makes of the model: each linear of a packed model is rounded again with
 * error feedback (factor.h) over the inputs that it has on that text, in a forward pass whose linears in front of it have
 * been rounded so already; the head comes last, and one in int4 once more, by the probabilities that it then gives
 * (refine_row.h). What is packed in other types (values in bf16) stays as it is.
 *
 * The inputs are the floats that the forward pass hands to a linear, times the norm's scale and the smoothing scales:
 * what is quantized to int8 then. All of that pass is the one that serving runs, int8 activations and f16 cache
 * included, so what they have added up to by a layer is made good there as far as its weights can.
 *
 * The result depends on the model, the ids and the window alone: not on threads, nor on the instruction set. */
#pragma once

#include <stdint.h>

#include "engine/pack/packed_model.h"
#include "engine/types/limits.h"

/* Tokens that see each other. */
#define CALIBRATE_WINDOW_MAX 512
struct calibrate_text {
    const int32_t *ids;   /* each below the vocabulary; borrowed */
    size_t count, window; /* count: a multiple of window */
};

/* Tokens that see each other in a model of this context. */
size_t calibrate_window(const struct model_description *d);

/* Chooses windows that are spread evenly over `count` ids, for at most tokens_max tokens, and moves them to the front
 * of ids. STATUS_OPTION ("calibrate"): there are fewer than CALIBRATE_TOKENS_MIN. */
enum status calibrate_choose(const struct model_description *d, int32_t *ids, size_t count, size_t tokens_max,
                             struct calibrate_text *out, struct error *e);

/* Memory that calibrate_model takes, beside the model. */
size_t calibrate_bytes(const struct packed_model *model, const struct workers *workers,
                       const struct calibrate_text *text);

/* Whether weights of this type can be calibrated, and this model: STATUS_OPTION ("calibrate") says why not, by name. */
enum status calibrate_weights_check(enum weight_type weights, struct error *e);
enum status calibrate_check(const struct packed_model *model, struct error *e);

/* folded: what model was packed from. model: of int8 or int4, by calibrate_check; its panels are rewritten, each by one thread.
 * STATUS_OPTION ("calibrate-tokens") where the memory that is left is less than calibrate_bytes; STATUS_MALFORMED where
 * the model computes values that are not finite on this text. */
enum status calibrate_model(struct packed_model *model, const struct folded_model *folded,
                            const struct calibrate_text *text, const struct kernel_table *kernels,
                            struct workers *workers, pack_progress_fn progress, void *context,
                            struct error *e);
