#include "engine/model/description.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/model/rotary.h"

void description_init(struct model_description *d) {
    *d = (struct model_description){
        .norm_eps = 1e-5,
        .final_norm_eps = 1e-5,
        .qk_norm_eps = 1e-5,
        .embedding_norm_eps = 1e-5,
        .embedding_scale = 1,
        .logit_scale = 1,
        .residual_multiplier = 1,
        .rotary = {.theta = 10000, .factor = 1, .attention_factor = 1},
        .local_rotary = {.theta = 10000, .factor = 1, .attention_factor = 1},
        .alibi = {.bias_max = 8, .factor = 1},
        .deepnorm_alpha = 1,
        .dual_scale = 1,
        .dual_alpha = 1,
        .dual_norm_eps = 1e-7,
        .bos = -1,
        .pad = -1,
    };
}

void description_deinit(struct model_description *d) {
    free(d->layer);
    d->layer = NULL;
    rotary_deinit(&d->rotary);
    rotary_deinit(&d->local_rotary);
}

enum status description_layers_init(struct model_description *d, struct error *e) {
    d->layer = memory_aligned(d->layers, sizeof *d->layer, "layer traits", e);
    if (!d->layer) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < d->layers; i++)
        d->layer[i] = (struct layer_traits){
            .rotary = d->position == POSITION_ROTARY,
            .attention_scale = 1 / sqrt((double)d->head_dim),
        };
    return STATUS_OK;
}

bool description_converts(const struct model_description *d) {
    switch (d->placement) {
    case PLACEMENT_PRE:
    case PLACEMENT_SANDWICH:
    case PLACEMENT_SUB_LN:
        return true;
    case PLACEMENT_NORMFORMER:
        return !d->residual_scale; /* a diagonal matrix on the stream does not commute with C */
    case PLACEMENT_RESIDUAL_DUAL:
        return true; /* for the dual stream; the post-LN stream is left as it is */
    default:
        return false;
    }
}

bool description_is_post_like(const struct model_description *d) {
    return d->placement == PLACEMENT_POST || d->placement == PLACEMENT_DEEPNORM ||
           d->placement == PLACEMENT_RESIDUAL_DUAL;
}

const char *placement_name(enum norm_placement placement) {
    static const char *const names[PLACEMENT_COUNT] = {
        [PLACEMENT_PRE] = "pre",
        [PLACEMENT_POST] = "post",
        [PLACEMENT_DEEPNORM] = "deepnorm",
        [PLACEMENT_SANDWICH] = "sandwich",
        [PLACEMENT_SUB_LN] = "sub_ln",
        [PLACEMENT_NORMFORMER] = "normformer",
        [PLACEMENT_RESIDUAL_DUAL] = "residual_dual",
    };
    return (unsigned)placement < PLACEMENT_COUNT ? names[placement] : "unknown";
}
