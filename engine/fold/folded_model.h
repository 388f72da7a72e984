/* Pre-LN -> Pre-RMSNorm -> Pre-CRMSNorm (Jiang et al., NeurIPS 2023, arXiv 2305.14858), as a view: a folded
 * model says, for each linear of a block, which rows of the checkpoint it consists of and what is folded into
 * them. Rows are folded in double precision when they are asked for, block by block, so no second copy of the
 * weights exists.
 *
 * With C = I - 11'/d, the residual stream x is replaced by z = Cx (RMSNorm form), by the first d-1 entries of
 * z (CRMSNorm form), or by d-1 coordinates of z in an orthonormal basis Q (orthonormal form):
 *   embedding tables and output projections   W -> C W, b -> C b; then the last row is dropped (CRMSNorm), or
 *                                             the rows are those in the basis: Q C W, Q C b (orthonormal)
 *   input projections and the head            W -> W diag(gain), b -> b + W shift; then the last column is
 *                                             subtracted from the others and dropped (CRMSNorm), or W -> W Q'
 *                                             (orthonormal)
 * In the LayerNorm form nothing is folded, and the norms run as in the checkpoint.
 *
 * A rotated model (folded_model_rotate) is one of these forms with other coordinates, made for integer weights. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/fold/rotation.h"
#include "engine/model/tensor_views.h"

#define LOUD_CHANNELS_MAX 64

/* A norm as it runs. A folded norm is one scale for each row of the residual stream; any other writes
 * normalised rows. */
struct folded_norm {
    enum row_norm kind;
    bool folded;
    size_t width;   /* of its input rows; 0: there is no such norm */
    size_t divisor; /* width of the original model */
    double eps;
    double *gain, *shift; /* [width] or NULL; owned */
    /* Of a folded one whose stream has loud channels, or NULL: what it multiplies each entry of the stream by, as it was
     * before the rotation (quiet.h): 1 but for those; owned. */
    double *quiet; /* [stream_width], and behind them 1 over each */
};

/* One or more linears of the checkpoint that read the same input, stacked (q, k, v; gate, up). */
struct folded_linear {
    struct linear_view part[3];
    size_t part_count;
    size_t out, in;             /* after folding */
    const double *gain, *shift; /* folded at the input side; [in of the checkpoint] or NULL; borrowed */
    const double *quiet;        /* multiplies its columns, by the norm it reads; [in] or NULL; borrowed */
    const double *out_scale;    /* folded at the output side; [out of the checkpoint] or NULL; borrowed */
    bool compress_in, centre_out;
    double weight_scale, bias_scale;
    double last_share;   /* as in struct folded_model */
    double *column_mean; /* [in]: of output projections: subtracted from every row; owned */
    double *column_rms;  /* [in]: of output projections: root mean square of each column after that; owned */
    double bias_mean;    /* all three are set by folded_linear_prepare */
    /* Of its columns, as its input is rotated; and of its rows (those of the stacked parts). */
    struct rotation rotate_in, rotate_out;
    bool rotates_rows; /* its input is not rotated yet: each row is, before the GEMM */
    bool reads_stream; /* its input is the residual stream, rotated */
};

/* Attention or MLP. F is the sub-layer without the norms around it: input projection, heads or hidden layer,
 * output projection.
 *   x <- outer_norm(rescale * (residual_factor * residual_scale . x + post_norm(F(norm(x)))))
 * with what the layer's placement has of it. */
struct folded_sublayer {
    struct folded_norm norm;       /* width 0: F reads the stream as it is */
    struct folded_norm fold;       /* gain and shift that are folded into the linears that read the norm */
    struct folded_norm inner_norm; /* of the output projection's input */
    struct folded_linear output;
    double *output_scale; /* scales of heads that are folded into the output projection, at its input or its
                             output; owned */
    struct folded_norm post_norm, outer_norm;
    bool centre_post;                /* what post_norm gives is centred before it is added */
    bool massive;                    /* an MLP with massive activations (massive.h), if it was looked for */
    size_t stream_width;             /* of the rows it reads and adds to */
    double *residual_scale;          /* [width] or NULL; owned */
    double residual_factor, rescale; /* 1: no effect */
};

struct folded_layer {
    struct folded_sublayer attention, mlp;
    /* Of a head's vector: gain [head_dim] or [heads, head_dim]; or of the whole projection (QK_NORM_WHOLE). */
    struct folded_norm query_norm, key_norm;
    struct folded_linear qkv, up; /* up: gate, up when gated */
};

struct folded_model {
    const struct tensor_views *views;
    const struct model_description *description;
    enum norm_form form; /* the one asked for, or the nearest that the model has */
    /* Layers before this one run as published, on rows of the model's width: a norm that is applied to the
     * stream itself is among them or right behind them. In front of it the stream is centred and compressed at
     * run time, where the form says so (folded_stream_convert). 0: all layers are folded. */
    size_t folded_from;
    size_t stream_width; /* from there on: d, or d - 1 in the CRMSNorm forms */
    /* Orthonormal basis: 1 / (sqrt(d) - 1), the part of the last entry that is added to each other one;
     * else 0. */
    double last_share;
    bool rotated;           /* by folded_model_rotate */
    struct rotation stream; /* of the residual stream; order 0: none */
    /* Loud channels of a stream that is rotated (loud.h), if they were looked for: entries of a row of the published
     * model, the loudest first. */
    size_t loud[LOUD_CHANNELS_MAX], loud_count;
    /* Those of them that norms of the stream quieten (quiet.h), if they were looked for. */
    size_t quiet[LOUD_CHANNELS_MAX], quiet_count;
    struct folded_layer *layers;
    /* The norm in front of the head. width 0: there is none. residual_dual: the norm of the dual stream, with
     * gain and shift; where it is CRMS the dual stream is stored without its last entry, which is minus the
     * sum of the others. */
    struct folded_norm final_norm, final_fold;
    /* What the head reads is the stream times this: gates, or their sign in front of a norm. */
    double final_factor;
    struct folded_linear project_out; /* between the final norm and the head; part_count 0: none */
    struct folded_linear head;
    /* Of the embedding: */
    double *project_in;                /* [width, embedding_width] or NULL */
    struct folded_norm embedding_norm; /* width 0: none */
};

/* The form that a model runs in when `wanted` is asked for: layernorm, the model as published, is always one.
 * Models of RMSNorm do not subtract the mean, so crmsnorm is rmsnorm for them. Where a norm is applied to the
 * residual stream itself in the last layer (post, deepnorm), or a residual scale, only layernorm is exact.
 * Models of placement output, and those trained as CRMSNorm, have a form of their own, and no other has it. */
enum norm_form norm_form_for(const struct model_description *d, enum norm_form wanted);

/* Borrows views until folded_model_deinit. The form that runs is norm_form_for(form). STATUS_NO_MEMORY; deinit also after a
 * failure. */
enum status folded_model_init(struct folded_model *c, const struct tensor_views *views, enum norm_form form,
                              struct error *e);
void folded_model_deinit(struct folded_model *c);

/* To be called at most once, before anything is prepared or read: changes coordinates, by orthonormal maps
 * (rotation.h), wherever that is exact:
 *   the residual stream              where only plain RMS norms read it, and every output projection adds to it
 *                                    directly; in the RMSNorm and orthonormal forms
 *   values and attention's output    within each head, where nothing but the attention is between them
 *   the input of MLPs' outputs       at run time, over items of KERNEL_LANES entries (rotates_rows) */
void folded_model_rotate(struct folded_model *c);

/* Whether models with such weights are to be rotated: int8. Floating point holds outliers well; and int4 loses more than
 * it wins, as its groups have scales of their own, which fit weights as they are better than weights that all groups
 * are a mixture of (docs/decisions.md has figures); unless it is calibrated, which wins that back. */
bool weight_type_is_rotated(enum weight_type weights);

/* Computes the column means of an output projection, which folded_linear_rows needs (nothing to do for other linears). */
void folded_linear_prepare(struct folded_linear *l);
/* The same of columns [column, +columns) alone, those of the bias with the first; each may be done by another thread. */
void folded_linear_prepare_columns(struct folded_linear *l, size_t column, size_t columns);

/* Rows that are folded together, a stretch of columns at a time, so that they stay in a near cache; and what is known of
 * whole rows. */
struct folded_block {
    const struct folded_linear *linear;
    size_t first, count; /* those asked for */
    size_t from, end;    /* with those that their rotation needs: count + ROTATION_COVER_MAX at most */
    double *bias;        /* [end - from], folded; of the rows asked for from bias[first - from] on */
    double *dropped;     /* [end - from]: what is subtracted from all columns as the last one is dropped */
};

/* Rows [first, +count): b->bias and b->dropped are the caller's. */
void folded_block_begin(struct folded_block *b, const struct folded_linear *l, size_t first, size_t count);

/* Columns [column, +columns) of the block, folded, its row `from` first, `stride` doubles apart. Both ends are where the
 * rotation of the columns may be cut (folded_columns_end), or ends of the row. */
void folded_block_columns(const struct folded_block *b, size_t column, size_t columns, double *weights,
                          size_t stride);

/* The end of a stretch of about `wanted` columns from `column` on. */
size_t folded_columns_end(const struct folded_linear *l, size_t column, size_t wanted);

/* Rows [first, +count), folded: weights [count, in] and bias [count] (zeros where there is none). weights has
 * room for folded_scratch(), and bias for count; where the rows are rotated (rotate_out.order), for
 * ROTATION_COVER_MAX rows more: rows of a block are read together. Cheapest by whole blocks. */
void folded_linear_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                        double *bias);

/* Whether it has a bias: one of any part, or one that a folded shift makes. */
bool folded_linear_has_bias(const struct folded_linear *l);

/* Doubles of scratch for `rows` rows of the widest linear, as folded_linear_rows needs them. */
size_t folded_scratch(const struct folded_model *c, size_t rows);

/* Whether the stream has no mean from layer folded_from on: a LayerNorm's that its writers subtract. */
bool folded_model_is_centred(const struct folded_model *c);

/* Width of the residual stream as a layer reads it; of what the head reads for layer = layers. */
size_t folded_stream_width(const struct folded_model *c, size_t layer);

/* Centres a row [width of the model] and compresses it to [stream_width], in place: what layer folded_from
 * reads. */
void folded_stream_convert(const struct folded_model *c, double *row);

/* The row of the residual stream for a token at a position, in the form that the first layer reads: the rows
 * of the tables, scaled, added up, and, where that layer is folded, centred and compressed. row: [width];
 * scratch: folded_embedding_scratch() doubles. Any thread. */
void folded_embedding(const struct folded_model *c, size_t token, size_t position, double *row,
                      double *scratch);
/* residual_dual: the first value of the dual stream: dual_scale times the embedding row [width], centred in
 * the forms that are. */
void folded_dual_embedding(const struct folded_model *c, const double *row, double *dual);

size_t folded_embedding_scratch(const struct folded_model *c);

/* The hidden state of a row as other implementations have it, in the model's own basis: what the final norm gives, with
 * its gain and shift; the stream itself where there is none. (Where there is a projection behind it, that is not run.)
 * row [width of the model]: the stream behind the last layer, in its first folded_stream_width() entries; the result is
 * written there. dual [width of the model]: of residual_dual, the dual stream, which is destroyed; else NULL. */
void folded_hidden(const struct folded_model *c, double *row, double *dual);

/* One row in double precision: for the embedding norm and the reference pass. out may be x. */
void folded_norm_apply(const struct folded_norm *norm, const double *x, double *out);
