/* Loud channels of the residual stream: a few that are many times the others at every token (outlier dimensions: Kovaleva et al.
 * 2021, arXiv 2105.06990; Dettmers et al. 2022, arXiv 2208.07339). What a linear's weights get wrong along them counts at every
 * token too, so it is avoided when they are rounded (engine/pack/loud_feedback.h). */
#pragma once

#include "engine/base/workers.h"
#include "engine/fold/folded_model.h"

/* Sets c->loud of a model whose stream is rotated, and leaves it empty in any other, whose linears have nothing to win by it.
 * Only the weights are read, a quarter of the output projections: a channel is loud by what writes it. Its size is the root mean
 * square, over all of these, of its row's square; loud are those that are beyond the median channel's by a tenth, of the
 * stream's channels one of 64 at most, rounded up, the largest. The same on any machine and for any number of workers.
 * Allocates two rows of the stream in double meanwhile: STATUS_NO_MEMORY. */
enum status folded_model_find_loud(struct folded_model *c, struct workers *workers, struct error *e);

/* How many it finds at most, of a model whose stream is rotated. */
size_t folded_loud_most(const struct folded_model *c);

/* The direction of a channel in the stream as linears read it: of a unit that is added to the channel, as the form and the
 * rotation make it. channel: an entry of a row of the published model. direction: [width of the model], of which the first
 * stream_width are the result. */
void folded_stream_direction(const struct folded_model *c, size_t channel, double *direction);
