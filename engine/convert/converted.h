/* Pre-LN -> Pre-RMSNorm -> Pre-CRMSNorm (Jiang et al., NeurIPS 2023, arXiv 2305.14858), as a view: a converted model says,
 * for each linear of the block, which checkpoint rows it is read from and what is folded into them. Rows are folded in
 * double precision when they are asked for, block by block, so that no second copy of a weight ever exists.
 *
 * With C = I - 11'/d and the main branch x replaced by z = Cx (RMSNorm form) or its first d-1 entries y (CRMSNorm form):
 *   exits of a branch (and the entry tables):  W -> C W, b -> C b; in CRMSNorm without the last row
 *   entries of a branch and the head:          W -> W diag(gain), b -> b + W shift; in CRMSNorm the last column is
 *                                              subtracted from all others and dropped
 * In the LayerNorm form nothing is folded and the norms run as they stand. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/model/bind.h"

enum norm_form { NORM_FORM_LAYERNORM, NORM_FORM_RMSNORM, NORM_FORM_CRMSNORM, NORM_FORM_COUNT };

const char *norm_form_name(enum norm_form form);
bool norm_form_from_name(const char *name, enum norm_form *form);

/* A norm that runs. A folded one (ROW_NORM_RMS, ROW_NORM_CRMS without gain) is one scale per row. */
struct converted_norm {
    enum row_norm kind;
    size_t width;   /* of the rows it sees */
    size_t divisor; /* width of the original model */
    double eps;
    double *gain, *shift; /* [width] or NULL; owned */
};

/* One or more linears of the checkpoint that read the same input, stacked (q, k, v; gate, up). */
struct converted_linear {
    struct bound_linear part[3];
    size_t part_count;
    size_t out, in;             /* after the conversion */
    const double *gain, *shift; /* folded at the input side; [in of the checkpoint] or NULL; borrowed from a norm */
    bool compress_in, centre_out;
    double weight_scale, bias_scale;
    double *column_mean; /* [in]: exits only; filled by converted_linear_prepare; owned */
    double bias_mean;
};

struct converted_layer {
    struct converted_norm attention_norm, mlp_norm;
    struct converted_norm query_norm, key_norm; /* of a head's vector; gain [head_dim] or [heads, head_dim]; width 0: none */
    /* What is folded away: gain and shift of the checkpoint's norms. */
    struct converted_norm attention_fold, mlp_fold;
    struct converted_linear qkv, attention_out, up, down;
};

struct converted_model {
    const struct bound_model *bound;
    const struct model_description *description;
    enum norm_form form;
    size_t branch_width; /* d, or d - 1 in the CRMSNorm form */
    struct converted_layer *layers;
    struct converted_norm final_norm, final_fold;
    struct converted_linear project_out; /* between the final norm and the head; part_count 0: none */
    struct converted_linear head;
    /* Of the entry: */
    double *project_in;                   /* [width, embedding_width] or NULL */
    struct converted_norm embedding_norm; /* width 0: none */
};

/* Borrows bound until converted_model_deinit. A form that the model does not have is STATUS_UNSUPPORTED. */
enum status converted_model_init(struct converted_model *c, const struct bound_model *bound, enum norm_form form,
                                 struct error *e);
void converted_model_deinit(struct converted_model *c);

/* Column means of an exit, which its rows need (a no-op for others): one pass over the checkpoint's rows, in their order.
 * scratch: converted_scratch() doubles. Different linears may be prepared by different threads. */
void converted_linear_prepare(struct converted_linear *l, double *scratch);

/* Rows [first, +count) after the fold: weights [count, in] and bias [count] (zeros where there is none). weights has
 * room for count * (in + 1) doubles. */
void converted_linear_rows(const struct converted_linear *l, size_t first, size_t count, double *weights, double *bias);

/* Whether any part has a bias or a shift gives it one. */
bool converted_linear_has_bias(const struct converted_linear *l);

/* Doubles that the widest linear needs as scratch for `rows` rows at a time. */
size_t converted_scratch(const struct converted_model *c, size_t rows);

/* The entry of the main branch for a token at a position: table rows summed, scaled, centred and compressed as the form
 * demands. row: [branch_width]; scratch: converted_entry_scratch() doubles. Any thread. */
void converted_entry(const struct converted_model *c, size_t token, size_t position, double *row, double *scratch);
size_t converted_entry_scratch(const struct converted_model *c);

/* One row, in double: the entry's norm, and the reference pass. out may be x. */
void converted_norm_apply(const struct converted_norm *norm, const double *x, double *out);
