/* The description of a model: every trait of its mathematics, whatever its family. A family adapter fills it
 * from config.json; all later stages (tensor views, folding, forward pass, reference) read this and never a
 * config. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/kernel/kernel.h"
#include "engine/model/weights.h"
#include "engine/types/generation.h"
#include "engine/types/limits.h"

/* Limits on what a config may claim; far beyond any model of these families. */
#define MODEL_LAYERS_MAX     1024
#define MODEL_WIDTH_MAX      65536
#define MODEL_MLP_WIDTH_MAX  1048576
#define MODEL_HEADS_MAX      1024
#define MODEL_HEAD_DIM_MAX   KERNEL_HEAD_DIM_MAX
#define MODEL_VOCABULARY_MAX 4194304
#define MODEL_CONTEXT_MAX    4194304

struct weight_names;

/* CRMSNORM: a model that was trained in the compressed form of Jiang et al. 2023. Its width w is the stored
 * one, and the norm is y / sqrt((|y|^2 + (sum y)^2) / (w + 1) + eps), with a gain where there is one. */
enum norm_type { NORM_TYPE_LAYERNORM, NORM_TYPE_RMSNORM, NORM_TYPE_CRMSNORM };

/* Where the norms of a block are; the names are those of the papers (docs/models.md, "Norm placements"). */
enum norm_placement {
    PLACEMENT_PRE,
    PLACEMENT_POST,
    PLACEMENT_DEEPNORM,
    PLACEMENT_SANDWICH,
    PLACEMENT_SUB_LN,
    PLACEMENT_NORMFORMER,
    PLACEMENT_RESIDUAL_DUAL,
    PLACEMENT_OUTPUT, /* x + norm(F(x)): F reads the stream as it is */
    PLACEMENT_KEEL,   /* norm(alpha x + F(norm(x))) */
    PLACEMENT_COUNT,
    PLACEMENT_MIXED = PLACEMENT_COUNT, /* of a model whose layers differ, never of a layer */
};

enum residual { RESIDUAL_SEQUENTIAL, RESIDUAL_PARALLEL_ONE_NORM, RESIDUAL_PARALLEL_TWO_NORMS };

enum position_kind {
    POSITION_NONE,
    POSITION_LEARNED,           /* a table, row position + position_offset */
    POSITION_SINUSOIDAL_HALVES, /* [sin | cos] of p 10000^(-i / (d/2 - 1)), p with the offset (XGLM) */
    POSITION_SINUSOIDAL_CTRL, /* sines of the even indices, then cosines of the odd, of p 10000^(-2 floor(i/2)
                                 / d) */
    POSITION_ROTARY,
    POSITION_ALIBI,
};

enum rotary_scaling {
    ROTARY_SCALING_NONE,
    ROTARY_SCALING_LINEAR,
    ROTARY_SCALING_DYNAMIC,
    ROTARY_SCALING_LLAMA3,
    ROTARY_SCALING_YARN,
    ROTARY_SCALING_LONGROPE,
};

struct rotary {
    size_t dimensions; /* rotated dimensions of a head, even; the others stay as they are */
    bool interleaved;  /* pairs (2i, 2i+1) as in GPT-J; else (i, i + dimensions/2) as in NeoX */
    double theta;
    enum rotary_scaling scaling;
    double factor;
    size_t scaling_context; /* positions of the training before scaling; of all but linear */
    double slow, fast;      /* llama3: low_freq_factor, high_freq_factor; yarn: beta_slow, beta_fast */
    bool truncate;          /* yarn: the bounds of the ramp are whole numbers */
    double *short_factor,
        *long_factor;        /* longrope: [dimensions / 2] up to scaling_context and beyond; owned */
    double attention_factor; /* cosines and sines are multiplied by it (yarn, longrope) */
};

enum alibi_kind {
    ALIBI_BLOOM,  /* slopes 2^(-8 i / n) for n a power of 2, the rest of the heads from the odd steps of 2n */
    ALIBI_FALCON, /* BLOOM's slopes; slope, position and product rounded to bfloat16; scaled by 1/sqrt(d) as
                     the scores */
    ALIBI_MPT, /* slopes 2^(-bias_max i / n') with n' the next power of 2: odd steps first, then even ones */
};

struct alibi {
    enum alibi_kind kind;
    double bias_max; /* MPT */
    double factor;   /* Falcon: how many times the bias is added (families/falcon.c says why) */
};

enum qk_norm {
    QK_NORM_NONE,
    QK_NORM_SHARED,   /* one gain (and bias) [head_dim] for all heads */
    QK_NORM_PER_HEAD, /* gain [heads, head_dim] */
    QK_NORM_WHOLE, /* of a row's whole projection, before it is split into heads: gain [heads * head_dim] */
};

/* How the rows of q, k and v lie in the checkpoint. */
enum qkv_packing {
    QKV_SEPARATE,
    QKV_CONCATENATED, /* all q, all k, all v */
    QKV_PER_HEAD,     /* for each head: q, k, v */
    QKV_GROUPED,      /* for each key/value head: its query heads, then k, then v (Falcon) */
    QKV_CODEGEN,      /* 4 blocks, each q, v, k of a quarter of the heads */
};

enum head_scale { HEAD_SCALE_NONE, HEAD_SCALE_PAPER, HEAD_SCALE_OUTPUT };

/* What may differ from layer to layer. */
struct layer_traits {
    enum norm_placement placement;
    size_t window; /* keys a token sees, itself included; 0: all */
    bool rotary;   /* position kind ROTARY is applied here */
    bool local;    /* by d->local_rotary */
    double attention_scale;
};

struct model_description {
    char family[32];
    const struct weight_names *names; /* of the tensors, as family.h says; the adapter's */
    size_t vocabulary;                /* rows of the embedding table and of the head */
    size_t width, layers, heads, kv_heads, head_dim, mlp_width, context;

    enum norm_type norm_type;
    enum norm_placement placement; /* of every layer, or MIXED */
    uint32_t norms_left_out;       /* WEIGHT_BITs of inner and post norms that the placement would have */
    bool final_norm;
    enum residual residual;
    double norm_eps, final_norm_eps;
    double norm_gain_offset; /* added to every stored gain (1 for LayerNorm1P) */
    bool norm_plain;         /* the norms of the residual stream have neither gain nor bias */

    enum position_kind position;
    size_t position_offset;
    struct rotary rotary;
    struct rotary local_rotary; /* of layers that are local; dimensions 0: there are none */
    struct alibi alibi;

    enum qkv_packing qkv_packing;
    bool transposed; /* block matrices are stored [in, out] (GPT-2's Conv1D) */
    double clip_qkv; /* clamp of q, k, v to [-clip, clip]; 0: none */
    enum qk_norm qk_norm;
    double qk_norm_eps;
    double score_cap; /* scores are score_cap * tanh(score / score_cap); 0: as they are */

    enum activation activation;
    bool gated;                 /* act(gate) * up */
    bool gate_up_stacked;       /* in one tensor: all rows of gate, then all of up */
    double residual_multiplier; /* of a sub-layer's output, before it is added */

    size_t embedding_width; /* of the table; other than width: projected in and out */
    double embedding_scale;
    bool embedding_norm;
    double embedding_norm_eps;

    bool tied;
    double logit_scale;
    double logit_cap; /* logits are logit_cap * tanh(logit / logit_cap); 0: as they are */

    /* Placements beyond pre (see shared names in families/prenorm.c). */
    bool
        output_is_rmsnorm; /* placement output, of a family that counts as Pre-RMSNorm (OLMo 2): only the form's name */
    bool gpas;
    double residual_alpha; /* alpha x + ... wherever no norm follows the addition, and in keel */
    double deepnorm_alpha;
    enum head_scale head_scale;
    bool residual_scale;
    double dual_scale, dual_alpha, dual_norm_eps;

    enum weight_bias bias[WEIGHT_COUNT]; /* of linears and norms */

    struct layer_traits *layer; /* [layers] */

    int32_t bos, pad; /* -1: none */
    int32_t end_tokens[END_TOKENS_MAX];
    size_t end_count;

    struct generation_defaults generation;

    char unknown_keys
        [CONFIG_UNKNOWN_BYTES_MAX]; /* of config.json, passed over because an option allowed it; "" */
};

/* Sets the defaults: pre-LN, sequential, multi-head attention, no positions. */
void description_init(struct model_description *d);
void description_deinit(struct model_description *d);

/* Allocates d->layer with d->placement, attention_scale 1/sqrt(head_dim), rotary where the position kind says,
 * no window. */
enum status description_layers_init(struct model_description *d, struct error *e);

/* post, deepnorm, residual_dual, keel: a norm follows the addition and is applied to the stream itself. */
bool placement_is_post_like(enum norm_placement placement);

/* WEIGHT_BITs of the norms of a block: ATTENTION_NORM, MLP_NORM, and the inner and post norms. */
uint32_t placement_norms(enum norm_placement placement);

/* Whether a layer has this norm (WEIGHT_ATTENTION_NORM, WEIGHT_MLP_NORM, and the inner and post norms), as its
 * placement and norms_left_out say. */
bool description_has_norm(const struct model_description *d, size_t layer, enum weight norm);

/* The first layer behind all whose norm is applied to the stream itself; 0 where there is none, d->layers
 * where the last layer is one. In residual_dual 0: only its dual stream is converted. */
size_t description_converts_from(const struct model_description *d);

/* Whether only norms read the residual stream, from that layer on, so that the RMSNorm and CRMSNorm forms are
 * exact. */
bool description_converts(const struct model_description *d);

/* "mixed" where layers differ. */
const char *placement_name(enum norm_placement placement);
