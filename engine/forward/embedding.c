/* Tokens and positions: the embedding rows of a step, and the angles of the rotary embedding (Su et al.
 * 2021). */
#include <math.h>
#include <string.h>

#include "engine/forward/state.h"
#include "engine/model/rotary.h"

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

/* Entries of a step have the same frequencies as a rule. */
static void set_frequencies(struct forward *f) {
    const struct model_description *d = f->description;
    for (size_t e = 0; e < f->entry_count; e++) {
        double *frequencies = f->frequencies + e * f->angle_stride;
        size_t length = f->entries[e].rotary_length;
        if (e > 0 && length == f->entries[e - 1].rotary_length) {
            memcpy(frequencies, frequencies - f->angle_stride, f->angle_stride * sizeof *frequencies);
            continue;
        }
        rotary_frequencies(&d->rotary, length, frequencies);
        rotary_frequencies(&d->local_rotary, length, frequencies + f->local_angles);
    }
}

/* In double precision: a float of some thousand radians is too coarse for an angle. */
static void set_angles(struct forward *f, size_t row, const struct rotary *rotary, size_t first) {
    const double *frequencies = f->frequencies + f->rows[row].entry * f->angle_stride + first;
    float *cosines = f->cosine + row * f->angle_stride + first,
          *sines = f->sine + row * f->angle_stride + first;
    for (size_t i = 0; i < rotary->dimensions / 2; i++) {
        double sine, cosine;
        sincos((double)f->rows[row].position * frequencies[i], &sine, &cosine);
        cosines[i] = (float)(rotary->attention_factor * cosine);
        sines[i] = (float)(rotary->attention_factor * sine);
    }
}

static void angle_block(struct forward *f, size_t first, size_t count, const void *context, size_t worker) {
    (void)context, (void)worker;
    for (size_t r = first; r < first + count; r++) {
        set_angles(f, r, &f->description->rotary, 0);
        set_angles(f, r, &f->description->local_rotary, f->local_angles);
    }
}

void rotary_prepare(struct forward *f) {
    set_frequencies(f);
    forward_each_block(f, f->row_count, angle_block, NULL);
}
