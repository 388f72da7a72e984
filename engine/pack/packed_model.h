/* A model in the layout that kernels read: every linear is folded, rounded once to its type and packed in
 * panels, one block of rows at a time on each compute thread. The peak of memory is the packed model plus one
 * block for each thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/workers.h"
#include "engine/fold/folded_model.h"
#include "engine/kernel/kernel.h"
#include "engine/pack/quiet_directions.h"

/* Version of the layout of packed_model.memory for MATMUL_OWN, which is the same on every machine and for
 * every instruction set. Change it whenever reserve_all() in packed_model.c or the panels (engine/kernel/kernel.h) change, so
 * that a file with another layout is refused. */
#define PACKED_LAYOUT "panels48-5"
/* The same of a rotated model (folded_model_rotate); change it whenever rotations change. */
#define PACKED_LAYOUT_ROTATED "panels48-5-hadamard64"
/* Behind either of them, where an int4 model's head is in int4 too. */
#define PACKED_LAYOUT_HEAD4 "-head4"

/* Types of a model's linears, but for those that are finer (packed_values_type, packed_mlp_type, packed_mlp_output_type),
 * and of its head, but for its first rows (packed_common_rows). */
struct packed_types {
    enum weight_type linears, head;
};

/* asked: int8 for AUTO; means nothing beside other weights than int4. */
struct packed_types packed_types_of(enum weight_type weights, enum head_weights asked);

struct packed_linear {
    size_t out, in;
    enum matmul_kind matmul;
    enum weight_type type;
    void *weights;     /* panels of the type, or rows of floats when MATMUL_OPENBLAS */
    float *bias;       /* [out] or NULL */
    bool rotates_rows; /* activations are rotated (hadamard_rows) before they are quantized */
    float *smoothing; /* [in]: smoothing scales: activations are multiplied by them before they are quantized;
                         or NULL */
};

/* A norm as it runs. A folded norm is one scale for each row. */
struct packed_norm {
    enum row_norm kind;
    bool folded;
    size_t width; /* 0: there is no such norm */
    float divisor, eps;
    float *gain, *bias; /* [width] or NULL; of a head's norm [head_dim] or [heads, head_dim] */
    float *quiet; /* [quiet channels] or NULL: what it multiplies them by, less 1 (engine/fold/quiet.h) */
    size_t gain_stride; /* of a head's norm: from one head's gain to the next; 0 when all share it */
};

/* See struct folded_sublayer. */
struct packed_sublayer {
    struct packed_norm norm, inner_norm, post_norm, outer_norm;
    bool centre_post;
    size_t stream_width;
    struct packed_linear output;
    float *residual_scale; /* [width] or NULL */
    float residual_factor, rescale;
};

struct packed_layer {
    struct packed_sublayer attention, mlp;
    struct packed_norm query_norm, key_norm;
    struct packed_linear qkv, up;
    /* The values' rows of qkv, which then ends before them, in the finer type (packed_values_type); out 0: they are
     * in qkv. */
    struct packed_linear values;
};

struct packed_model {
    const struct folded_model *folded; /* for the embedding rows */
    const struct model_description *description;
    enum matmul_kind matmul;
    enum weight_type
        weights; /* of all linears but the finer ones and the head, which have types of their own */
    struct packed_layer *layers;
    struct packed_norm final_norm;
    struct packed_linear project_out; /* out 0: none */
    /* The head's first rows in bf16 (packed_common_rows): head then begins behind them. out 0: they are in head. */
    struct packed_linear common;
    struct packed_linear head;
    struct quiet_directions quiet; /* of the channels that norms of the stream quieten */
    float *memory;                 /* of everything above but the directions */
    size_t memory_floats;
    bool borrowed; /* memory belongs to the caller and is only read */
};

/* Called on the loading thread from time to time with the share that is done, 0..1. */
typedef void (*pack_progress_fn)(void *context, double share);

/* The type of the values' projection in a model of such weights. Where several query heads share a value head its errors
 * count once for each, and most of all; and it is the smallest of the projections. So there it is of a finer type. */
enum weight_type packed_values_type(const struct model_description *d, enum weight_type weights);

/* The type of a layer's MLP. What the last layer's gets wrong goes into the logits as it is, and is several times what
 * another's costs. So beside int8 it is bf16, where there are so many layers that it is a small part of all. */
enum weight_type packed_mlp_type(const struct model_description *d, enum weight_type weights, size_t layer);

/* The type of an MLP's output projection: beside int8 it is bf16 too where the input has massive activations
 * (engine/fold/massive.h). */
enum weight_type packed_mlp_output_type(const struct folded_model *c, enum weight_type weights, size_t layer);

/* How many of the head's first rows are packed apart, in bf16. Tokenizers number tokens by how often they are, or by
 * merges, which comes to the same: so these few are most of what is ever likely, and an error of a logit counts as its
 * token is likely. 0 beside other weights than int8. */
size_t packed_common_rows(const struct model_description *d, struct packed_types types);

/* Bytes that packed_model_init will allocate, to plan memory before anything is packed. */
size_t packed_model_bytes(const struct folded_model *c, enum matmul_kind matmul, struct packed_types types);

/* Borrows c (and the checkpoint under it) until packed_model_deinit, also after a failure. STATUS_OPTION: MATMUL_OPENBLAS with
 * other weights than f32, or a linear too wide for integer sums (KERNEL_INT4_K_MAX). STATUS_MALFORMED: a weight is no finite
 * number, or is none once it is packed; the first such tensor is named, whatever the threads. */
enum status packed_model_init(struct packed_model *p, struct folded_model *c, enum matmul_kind matmul,
                              struct packed_types types, struct workers *workers, pack_progress_fn progress,
                              void *context, struct error *e);

/* The same over memory that already holds a packed model of this folded model and these types, in PACKED_LAYOUT;
 * only pointers are set. Borrows c and memory (aligned to KERNEL_ALIGN) until packed_model_deinit.
 * STATUS_MALFORMED when bytes is not the size of such a model. */
enum status packed_model_map(struct packed_model *p, const struct folded_model *c, struct packed_types types,
                             const void *memory, size_t bytes, struct error *e);
void packed_model_deinit(struct packed_model *p);

/* Bytes of a linear's packed weights, as a GEMM reads them. */
size_t packed_linear_bytes(const struct packed_linear *l);

/* Calls each for every linear of the model: of the layers, of the projection if there is one, of the head in
 * one or two parts. */
void packed_model_each_linear(const struct packed_model *p,
                              void (*each)(void *context, const struct packed_linear *linear), void *context);

/* Turns the folded norms on or off. Without them the results are wrong; it is for measuring what they
 * cost. */
void packed_model_run_norms(struct packed_model *p, bool run);
