/* Weights that are not finite numbers, as a damaged file has them, or one whose training or change of type overflowed. A model
 * that computes with one answers every request with an error, so it is refused as it is loaded: by the tensor, and the place in
 * it. Linears are not read for this: packing tells that it has met one (engine/pack), and then it is looked for. */
#pragma once

#include "engine/model/tensor_views.h"

/* Of all vectors, and of the matrices that nothing packs: learned positions and the projection of the embedding. An embedding
 * that is not the head too is not read: rows of it may belong to no token, and requests that name one are answered with an error.
 * The head's bias may have -infinity: such a token never comes, and all is well defined. STATUS_MALFORMED: one is not finite, or
 * more than a float holds. */
enum status finite_check(const struct tensor_views *views, struct error *e);

/* The same of one matrix, with what an adapter adds. */
enum status finite_check_matrix(const struct matrix_view *m, struct error *e);
