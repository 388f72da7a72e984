/* Quieter loud channels (loud.h): a rotation spreads a channel over its block, and one that is many times the others takes most
 * of the levels that its columns of the activations have. So what reads the stream through a norm reads it times a factor below
 * 1, and its weights of this channel are divided by that, as smoothing scales do where nothing is rotated (Xiao et al. 2023,
 * arXiv 2211.10438). No result changes but by what is rounded, and the stream stays as it is. */
#pragma once

#include "engine/base/workers.h"
#include "engine/fold/folded_model.h"

/* Sets c->quiet, of the loud channels those that a token's row has too, and much the same for any token: the square of their
 * mean over some tokens is more than half of their mean square. Only the table is read, by one thread. STATUS_NO_MEMORY. */
enum status folded_model_find_quiet(struct folded_model *c, struct error *e);

/* As many as may be found, without a weight being read: to plan memory at most. */
void folded_model_assume_quiet(struct folded_model *c);

/* Sets the factors of the stream's norms for c->quiet, and of the linears that read them. To be called at most once. Of the
 * matrices that read the stream some rows are read: a factor goes by the size of the channel's columns. The same on any machine
 * and for any number of workers. STATUS_NO_MEMORY. */
enum status folded_model_quieten(struct folded_model *c, struct workers *workers, struct error *e);

/* A row of the stream as the linears behind a norm read it, in place. */
void folded_norm_quieten(const struct folded_model *c, const struct folded_norm *norm, double *row);

/* The unit vector of a channel below stream_width, in the rotated stream. direction: [stream_width]. */
void folded_quiet_direction(const struct folded_model *c, size_t channel, double *direction);
