/* Life of a model: folder -> description -> tensors -> converted view -> packed weights. */
#pragma once

#include "engine/pack/packed_model.h"

struct loaded_model {
    struct model_description description;
    struct checkpoint *checkpoint;
    struct bound_model bound;
    struct converted_model converted;
    struct packed_model packed;
};

struct loader_options {
    const char *folder;
    enum norm_form form;
    enum matmul_kind matmul;
    enum weight_type weights; /* f32 when left out */
    size_t context; /* cut the model's context to this; 0: as it is. More than the model has is an error. */
    void (*progress)(void *context, const char *stage, double share); /* may be NULL */
    void *progress_context;
};

/* On failure *m holds nothing. The caller ends with loaded_model_deinit. Refuses before packing when the
 * weights would not fit into the memory that is left. */
enum status loaded_model_init(struct loaded_model *m, const struct loader_options *options,
                              struct workers *workers, struct error *e);
void loaded_model_deinit(struct loaded_model *m);
