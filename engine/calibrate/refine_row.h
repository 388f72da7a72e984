/* A row of the head in int4 that was rounded with error feedback (round_panel.h), rounded again for where it matters: a
 * head's outputs are no activations, and an error of a token's logit counts where that token may come (head_uses.h).
 * So each row has sums of products of inputs of its own, over its uses with their weights, shrunk towards those of the
 * whole text as far as its uses are few. Group by group its scale, offset and levels are chosen again, as in
 * round_int4.c, against what all other groups leave; what is not better stays. */
#pragma once

#include "engine/calibrate/head_uses.h"
#include "engine/calibrate/hessian.h"

/* As many equal uses count as much as the whole text. */
#define REFINE_SHRINKING 100

struct refining {
    size_t in, stretch, stretches, positions;
    float *moments; /* [stretches][stretch][stretch]: means of products of inputs on the text, and a ridge */
    float *inputs;  /* [positions][refine_padded(in)]: that the head reads; zeros beyond `in` */
};

size_t refine_padded(size_t in); /* in, up to a whole group */
size_t refine_bytes(size_t in, size_t positions);
enum status refining_init(struct refining *r, size_t in, size_t positions, struct error *e);
void refining_deinit(struct refining *r);

/* Takes the sums of h, which stay. */
void refining_take(struct refining *r, const struct hessian *h);

/* Floats of scratch. */
size_t refine_row_scratch(size_t in, size_t positions);

/* last: index of the row's last use. row [in]: row n of the panel as it should be, divided by the smoothing scales.
 * panel: of int4, where it is refined in place. Returns how many groups have changed. Any thread, with its own scratch. */
size_t refine_row(const struct refining *r, const struct head_uses *uses, uint32_t last, const double *row,
                  void *panel, size_t n, float *scratch);
