/* Which blocks of the linears that read the residual stream are rounded with feedback: those of a rotation that mixes a loud
 * channel (engine/fold/loud.h) with others. */
#pragma once

#include "engine/fold/folded_model.h"
#include "engine/pack/panels/feedback.h"

/* For the linears with reads_stream: *out is a block for each FEEDBACK_COLUMNS of the stream's columns, of 2 KiB, to be freed by
 * the caller; NULL where no channel of the model is loud. STATUS_NO_MEMORY. */
enum status loud_feedback_create(const struct folded_model *c, struct feedback_block **out, struct error *e);
