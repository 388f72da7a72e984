/* A model's weights once more, in another type, beside those that it runs in: what drafts are made with
 * (engine/sched/self_drafts.h). Keys and values are those of the model, within the type's precision: both are in the
 * coordinates of the checkpoint's heads. */
#pragma once

#include "engine/loaded/loaded_model.h"

struct second_weights {
    struct folded_model folded;
    struct packed_model packed;
};

/* STATUS_OPTION for "speculate" where that cannot be, or brings nothing: a converted file has one type alone, and integer
 * weights are read about as fast (and those in int8 are rotated, so that keys are others). */
enum status second_weights_check(bool is_file, enum weight_type weights, struct error *e);

/* Packs them, in the form that suits the type. Borrows m until second_weights_deinit. On failure *s holds nothing.
 * STATUS_NO_MEMORY before packing where they would not fit into the memory that is left. */
enum status second_weights_init(struct second_weights *s, const struct loaded_model *m,
                                enum weight_type weights, struct workers *workers, pack_progress_fn progress,
                                void *context, struct error *e);
void second_weights_deinit(struct second_weights *s);
