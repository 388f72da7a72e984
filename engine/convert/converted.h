/* Pre-LN -> Pre-RMSNorm -> Pre-CRMSNorm (Jiang et al., NeurIPS 2023, arXiv 2305.14858), as a view: a
 * converted model says, for each linear of the block, which checkpoint rows it is read from and what is
 * folded into them. Rows are folded in double precision when they are asked for, block by block, so that no
 * second copy of a weight ever exists.
 *
 * With C = I - 11'/d, the main branch x is replaced by z = Cx (RMSNorm form), by the first d-1 entries of z
 * (CRMSNorm form), or by d-1 coordinates of z in an orthonormal basis (orthonormal form):
 *   exits of a branch (and the entry tables)   W -> C W, b -> C b; in the CRMSNorm forms one row less: without
 *                                              the last one, or in the orthonormal basis
 *   entries of a branch and the head           W -> W diag(gain), b -> b + W shift; in CRMSNorm the last column
 *                                              is subtracted from all others and dropped, in the orthonormal
 *                                              form the columns are those of the basis
 * In the LayerNorm form nothing is folded and the norms run as they stand. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/model/bind.h"

enum norm_form {
    NORM_FORM_LAYERNORM,
    NORM_FORM_RMSNORM,
    NORM_FORM_CRMSNORM, /* the paper's basis */
    /* CRMSNorm in another basis: y = Qz with the orthonormal rows of a Householder reflection that maps 1 to
     * the last unit vector, so y_i = z_i + z_d / (sqrt(d) - 1) for a centred z. Its norm is that of z, and no
     * column of a weight is spread over all others, which low-precision weights bear far better. */
    NORM_FORM_ORTHONORMAL,
    NORM_FORM_COUNT
};

const char *norm_form_name(enum norm_form form);
bool norm_form_from_name(const char *name, enum norm_form *form);

/* A norm that runs. A folded one is a scale per row of the raw main branch; the others write normalised
 * rows. */
struct folded_norm {
    enum row_norm kind;
    bool folded;
    size_t width;   /* of the rows it sees; 0: there is no such norm */
    size_t divisor; /* width of the original model */
    double eps;
    double *gain, *shift; /* [width] or NULL; owned */
};

/* One or more linears of the checkpoint that read the same input, stacked (q, k, v; gate, up). */
struct folded_linear {
    struct linear_view part[3];
    size_t part_count;
    size_t out, in;             /* after the conversion */
    const double *gain, *shift; /* folded at the input side; [in of the checkpoint] or NULL; borrowed */
    const double *out_scale;    /* folded at the output side; [out of the checkpoint] or NULL; borrowed */
    bool compress_in, centre_out;
    double weight_scale, bias_scale;
    double last_share;   /* as in struct folded_model */
    double *column_mean; /* [in]: exits only: what is taken from every row; filled by
                            folded_linear_prepare; owned */
    double *column_rms;  /* [in]: likewise: root mean square of what is left in a column */
    double bias_mean;
};

/* Attention or MLP, between its entry and its exit. F is what the entry's linear, the heads or the hidden
 * layer and the exit compute.
 *   pre-like    x <- rescale * (residual_scale . x + post_norm(F(norm(x))))
 *   post-like   x <- norm(residual_factor * x + F(x)) */
struct folded_sublayer {
    struct folded_norm norm;       /* as above */
    struct folded_norm fold;       /* gain and shift that were folded into the linears behind the norm */
    struct folded_norm inner_norm; /* of what the exit reads */
    struct folded_linear output;
    double *output_scale; /* folded scales of heads: of exit's input or output; owned */
    struct folded_norm post_norm;
    double *residual_scale;          /* [width] or NULL; owned */
    double residual_factor, rescale; /* 1: nothing to do */
};

struct folded_layer {
    struct folded_sublayer attention, mlp;
    struct folded_norm query_norm, key_norm; /* of a head's vector; gain [head_dim] or [heads, head_dim] */
    struct folded_linear qkv, up;            /* up: gate, up when gated */
};

struct folded_model {
    const struct tensor_views *views;
    const struct model_description *description;
    enum norm_form form; /* that runs: the one asked for, or the nearest that the model has */
    size_t stream_width; /* d, or d - 1 in the CRMSNorm forms */
    double
        last_share; /* orthonormal basis: 1 / (sqrt(d) - 1), what each entry takes of the last one; else 0 */
    struct folded_layer *layers;
    /* Of what the head reads. width 0: the branch as it is. residual_dual: of the dual branch, with gain and
     * shift; when it is CRMS the dual branch is carried without its last entry, which is minus the sum of the
     * others. */
    struct folded_norm final_norm, final_fold;
    struct folded_linear project_out; /* between the final norm and the head; part_count 0: none */
    struct folded_linear head;
    /* Of the entry: */
    double *project_in;                   /* [width, embedding_width] or NULL */
    struct folded_norm embedding_norm;    /* width 0: none */
};

/* The form that a model runs in when `wanted` is asked for: models of RMSNorm have no mean to take out, so
 * crmsnorm is rmsnorm for them; where a norm stands on the main branch itself (post, deepnorm, residual
 * scales) all are layernorm. */
enum norm_form norm_form_for(const struct model_description *d, enum norm_form wanted);

/* Borrows bound until folded_model_deinit. The form that runs is norm_form_for(form). */
enum status folded_model_init(struct folded_model *c, const struct tensor_views *views, enum norm_form form,
                              struct error *e);
void folded_model_deinit(struct folded_model *c);

/* Column means of an exit, which its rows need (a no-op for others): one pass over the checkpoint's rows, in
 * their order, `rows` at a time. scratch: folded_scratch(c, rows) doubles. Different linears may be
 * prepared by different threads. */
void folded_linear_prepare(struct folded_linear *l, double *scratch, size_t rows);

/* Rows [first, +count) after the fold: weights [count, in] and bias [count] (zeros where there is none).
 * weights has room for count * (in + 1) doubles. */
void folded_linear_rows(const struct folded_linear *l, size_t first, size_t count, double *weights,
                        double *bias);

/* Whether any part has a bias or a shift gives it one. */
bool folded_linear_has_bias(const struct folded_linear *l);

/* Doubles that the widest linear needs as scratch for `rows` rows at a time. */
size_t folded_scratch(const struct folded_model *c, size_t rows);

/* The entry of the main branch for a token at a position: table rows summed, scaled, centred and compressed
 * as the form demands. row: [branch_width]; scratch: folded_embedding_scratch() doubles. Any thread. */
void folded_embedding(const struct folded_model *c, size_t token, size_t position, double *row,
                      double *scratch);
/* residual_dual: where the dual branch starts, dual_scale times the entry row [width], centred where it may
 * be. */
void folded_dual_embedding(const struct folded_model *c, const double *row, double *dual);

size_t folded_embedding_scratch(const struct folded_model *c);

/* One row, in double: the entry's norm, and the reference pass. out may be x. */
void folded_norm_apply(const struct folded_norm *norm, const double *x, double *out);
