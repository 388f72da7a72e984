/* Tokens and positions: the embedding rows of a step, and the angles of the rotary embedding (Su et al.
 * 2021). */
#include <math.h>

#include "engine/forward/state.h"

static void embed_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context;
    const struct folded_model *c = f->model->folded;
    size_t width = f->description->width;
    double *row = f->embedding_scratch + worker * f->embedding_stride, *dual = row + width,
           *scratch = dual + width;
    for (size_t r = first; r < first + count; r++) {
        size_t to = r * f->stream_stride;
        folded_embedding(c, f->rows[r].token, f->rows[r].position, row, scratch);
        for (size_t i = 0; i < folded_stream_width(c, 0); i++) f->stream[to + i] = (float)row[i];
        if (!f->dual) continue;
        folded_dual_embedding(c, row, dual);
        for (size_t i = 0; i < width; i++) f->dual[to + i] = (float)dual[i];
    }
}

void embedding_run(struct forward *f) {
    forward_each_block(f, f->row_count, embed_block, NULL);
}

static void set_frequencies(struct forward *f) {
    const struct rotary *rotary = &f->description->rotary;
    double divisor = rotary->scaling == ROTARY_SCALING_LINEAR ? rotary->factor : 1;
    for (size_t e = 0; e < f->entry_count; e++)
        for (size_t i = 0; i < rotary->dimensions / 2; i++)
            f->frequencies[e * f->angle_stride + i] =
                pow(f->entries[e].rope_theta, -2.0 * (double)i / (double)rotary->dimensions) / divisor;
}

/* In double precision: a float of some thousand radians is too coarse for an angle. */
static void angle_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    size_t pairs = f->description->rotary.dimensions / 2;
    for (size_t r = first; r < first + count; r++) {
        const double *frequencies = f->frequencies + f->rows[r].entry * f->angle_stride;
        for (size_t i = 0; i < pairs; i++) {
            double sine, cosine;
            sincos((double)f->rows[r].position * frequencies[i], &sine, &cosine);
            f->cosine[r * f->angle_stride + i] = (float)cosine;
            f->sine[r * f->angle_stride + i] = (float)sine;
        }
    }
}

void rotary_prepare(struct forward *f) {
    set_frequencies(f);
    forward_each_block(f, f->row_count, angle_block, NULL);
}
