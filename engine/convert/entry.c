/* The entry of the main branch: token and position rows, summed in double precision from the mapped checkpoint, then
 * centred and compressed. No second table is ever built: a tied embedding stays as the checkpoint has it. */
#include "engine/convert/converted.h"

static void centre(double *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += row[i];
    for (size_t i = 0; i < width; i++) row[i] -= sum / (double)width;
}

void converted_entry(const struct converted_model *c, size_t token, size_t position, double *row, double *scratch) {
    const struct model_description *d = c->description;
    double *sum = scratch, *other = scratch + d->width;
    matrix_read(&c->bound->embedding, token, 1, sum);
    for (size_t i = 0; i < d->width; i++) sum[i] *= d->embedding_scale;
    if (d->position == POSITION_LEARNED) {
        matrix_read(&c->bound->position, position, 1, other);
        for (size_t i = 0; i < d->width; i++) sum[i] += other[i];
    }
    if (c->form != NORM_FORM_LAYERNORM) centre(sum, d->width);
    for (size_t i = 0; i < c->branch_width; i++) row[i] = sum[i];
}
