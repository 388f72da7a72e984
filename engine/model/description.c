#include "engine/model/description.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/memory.h"
#include "engine/model/rotary.h"

void description_init(struct model_description *d) {
    *d = (struct model_description){
        .final_norm = true,
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
        .residual_alpha = 1,
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
            .placement = d->placement,
            .rotary = d->position == POSITION_ROTARY,
            .attention_scale = 1 / sqrt((double)d->head_dim),
        };
    return STATUS_OK;
}

bool placement_is_post_like(enum norm_placement placement) {
    return placement == PLACEMENT_POST || placement == PLACEMENT_DEEPNORM ||
           placement == PLACEMENT_RESIDUAL_DUAL || placement == PLACEMENT_KEEL;
}

#define INPUT_NORMS (WEIGHT_BIT(ATTENTION_NORM) | WEIGHT_BIT(MLP_NORM))
#define INNER_NORMS (WEIGHT_BIT(ATTENTION_INNER_NORM) | WEIGHT_BIT(MLP_INNER_NORM))
#define POST_NORMS  (WEIGHT_BIT(ATTENTION_POST_NORM) | WEIGHT_BIT(MLP_POST_NORM))

/* In post, deepnorm and residual_dual the two norms of a block are behind the addition. */
static const uint32_t norms_of_placement[PLACEMENT_COUNT] = {
    [PLACEMENT_PRE] = INPUT_NORMS,
    [PLACEMENT_POST] = INPUT_NORMS,
    [PLACEMENT_DEEPNORM] = INPUT_NORMS,
    [PLACEMENT_SANDWICH] = INPUT_NORMS | POST_NORMS,
    [PLACEMENT_SUB_LN] = INPUT_NORMS | INNER_NORMS,
    [PLACEMENT_NORMFORMER] = INPUT_NORMS | WEIGHT_BIT(MLP_INNER_NORM) | WEIGHT_BIT(ATTENTION_POST_NORM),
    [PLACEMENT_RESIDUAL_DUAL] = INPUT_NORMS,
    [PLACEMENT_OUTPUT] = POST_NORMS,
    [PLACEMENT_KEEL] = INPUT_NORMS | POST_NORMS, /* the post norms are those of the sum */
};

uint32_t placement_norms(enum norm_placement placement) {
    return norms_of_placement[placement];
}

bool description_has_norm(const struct model_description *d, size_t layer, enum weight norm) {
    uint32_t norms = placement_norms(d->layer[layer].placement) & ~d->norms_left_out;
    if (norm == WEIGHT_MLP_NORM && d->residual == RESIDUAL_PARALLEL_ONE_NORM) return false;
    return norms >> norm & 1;
}

size_t description_converts_from(const struct model_description *d) {
    size_t from = d->placement == PLACEMENT_RESIDUAL_DUAL ? 0 : d->layers;
    while (from > 0 && !placement_is_post_like(d->layer[from - 1].placement)) from--;
    return from;
}

bool description_converts(const struct model_description *d) {
    if (d->placement == PLACEMENT_OUTPUT || d->norm_type == NORM_TYPE_CRMSNORM) return false;
    if (d->residual_scale) return false; /* a diagonal matrix on the stream does not commute with C */
    if (!d->final_norm && d->norm_type == NORM_TYPE_LAYERNORM) return false; /* the head reads the mean */
    return description_converts_from(d) < d->layers;
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
        [PLACEMENT_OUTPUT] = "output",
        [PLACEMENT_KEEL] = "keel",
    };
    return (unsigned)placement < PLACEMENT_COUNT ? names[placement] : "mixed";
}
