/* What a linear's inputs say of its weights: H = X'X over the rows that it reads, as its integers see them: times
 * the row's scale (that of a folded norm) and the smoothing scales. An error E of the weights makes the error E H E'
 * of the outputs. Products of a block of rows in float, by the kernels, so with the same bits everywhere; their sums
 * in double precision. */
#pragma once

#include <stddef.h>

#include "engine/base/workers.h"
#include "engine/kernel/kernel.h"

/* Inputs of a linear that are seen together: a wider one is cut into stretches of about the same width, and what one
 * of them has to do with another is left out. So memory has a limit (124 MiB for each 4,032 inputs) and time is
 * linear in the number of weights. A multiple of HESSIAN_STRETCH_STEP. */
#define HESSIAN_STRETCH_MAX 4032
/* Stretches begin at whole panels and at whole groups of int4. */
#define HESSIAN_STRETCH_STEP (2 * KERNEL_PANEL)
_Static_assert(HESSIAN_STRETCH_STEP % KERNEL_INT4_GROUP == 0, "of whole groups");
_Static_assert(HESSIAN_STRETCH_MAX % HESSIAN_STRETCH_STEP == 0, "of whole steps");

struct hessian {
    size_t in, rows_max, stretch_max;
    size_t stretch, stretches; /* inputs of a stretch (the last may have fewer), and how many there are */
    double *sums;              /* [stretches][stretch][stretch], by rows: the lower triangle */
    float *panels;             /* a block of rows as panels, [panels][rows][KERNEL_PANEL] */
    float *columns;            /* and transposed, [padded in][rows] */
};

/* Rows that a linear reads: [rows, in], times row_scale [rows] and smoothing [in] where they are not NULL. */
struct hessian_rows {
    const float *x;
    size_t stride, rows;
    const float *row_scale, *smoothing;
};

/* For linears of up to in_max inputs, and blocks of up to rows_max rows. stretch_max: HESSIAN_STRETCH_MAX, or for tests
 * another multiple of HESSIAN_STRETCH_STEP. */
enum status hessian_init(struct hessian *h, size_t in_max, size_t stretch_max, size_t rows_max,
                         struct error *e);
void hessian_deinit(struct hessian *h);
size_t hessian_bytes(size_t in_max, size_t stretch_max, size_t rows_max);

/* The most stretches that a linear of up to in_max inputs has, and the widest. */
size_t hessian_stretches_max(size_t in_max, size_t stretch_max);
size_t hessian_width_max(size_t in_max, size_t stretch_max);

/* Starts with zeros for a linear of `in` inputs. */
void hessian_begin(struct hessian *h, size_t in);

/* The order of the calls decides the bits of the sums, the number of threads does not. */
void hessian_add(struct hessian *h, const struct hessian_rows *rows, const struct kernel_table *kernels,
                 struct workers *workers);

/* Inputs [*first, + what is returned) of a stretch, and where its sums are: their rows are that many doubles apart. */
size_t hessian_stretch(const struct hessian *h, size_t stretch, size_t *first, double **sums);
