/* The way back from the stream of a folded model to the hidden states of the model as it was published. */
#include "engine/fold/folded_model.h"

#include <math.h>

/* The entry of a centred row that is stored without it (CRMSNorm). */
static void restore_last(double *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i + 1 < width; i++) sum += row[i];
    row[width - 1] = -sum;
}

/* z of y = Q z, where Q1 = 0: with y_i = z_i + last_share z_d the entries of y add up to sqrt(d) z_d. */
static void restore_orthonormal(double last_share, double *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i + 1 < width; i++) sum += row[i];
    const double last = sum / sqrt((double)width);
    for (size_t i = 0; i + 1 < width; i++) row[i] -= last_share * last;
    row[width - 1] = last;
}

/* Every form holds a centred row, or the row as it is: none has lost anything that the norm would not take away. */
static void restore_basis(const struct folded_model *c, double *row) {
    rotation_undo(&c->stream, row);
    if (c->stream_width == c->description->width) return;
    if (c->last_share != 0)
        restore_orthonormal(c->last_share, row, c->description->width);
    else
        restore_last(row, c->description->width);
}

/* The final norm as the model has it, of a row in the model's own basis. */
static struct folded_norm whole_norm(const struct folded_model *c) {
    struct folded_norm norm = c->final_norm;
    if (!norm.folded) return norm;
    norm.gain = c->final_fold.gain;
    norm.shift = c->final_fold.shift;
    if (norm.width < c->description->width) norm.kind = ROW_NORM_RMS; /* what CRMS is of a whole row */
    norm.width = c->description->width;
    return norm;
}

/* ResiDual: dual_alpha * p + norm(q). */
static void join_dual(const struct folded_model *c, double *row, double *dual) {
    struct folded_norm norm = c->final_norm;
    if (norm.kind == ROW_NORM_CRMS) {
        restore_last(dual, c->description->width);
        norm.kind = ROW_NORM_RMS;
    }
    folded_norm_apply(&norm, dual, dual);
    for (size_t i = 0; i < c->description->width; i++) row[i] = c->description->dual_alpha * row[i] + dual[i];
}

void folded_hidden(const struct folded_model *c, double *row, double *dual) {
    if (dual) {
        join_dual(c, row, dual);
        return;
    }
    restore_basis(c, row);
    for (size_t i = 0; c->final_factor != 1 && i < c->description->width; i++) row[i] *= c->final_factor;
    const struct folded_norm norm = whole_norm(c);
    if (norm.width) folded_norm_apply(&norm, row, row);
}
