/* Views of a checkpoint's tensors as the matrices and vectors of the description: each has its shape checked
 * and is [out, in], whatever the layout on disk. Nothing is copied: views borrow the checkpoint. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/checkpoint/checkpoint.h"
#include "engine/model/family.h"
#include "engine/model/low_rank.h"

/* Row r of the logical matrix is row `rows ? rows[r] : first_row + r` of the tensor (column, when
 * transposed). */
struct matrix_view {
    const struct tensor *tensor; /* NULL: absent */
    bool transposed;
    const uint32_t *rows;
    size_t first_row;
    size_t out, in;
    const struct low_rank *low_rank; /* of an adapter: added to the tensor's rows (columns, when transposed);
                                        NULL: nothing is */
};

struct vector_view {
    const struct tensor *tensor; /* NULL: absent */
    const uint32_t *rows;
    size_t first_row;
    size_t count;
};

struct linear_view {
    struct matrix_view weight;
    struct vector_view bias;
};

struct norm_view {
    struct vector_view gain, bias;
};

/* Norm of a head's vector: one view for all heads, or (one tensor a head on disk) a view for each. The views
 * together have head_dim or heads * head_dim entries. */
struct head_norm_view {
    struct vector_view *gain, *bias; /* NULL: no such norm */
    size_t views;
};

/* A norm whose gain.count is 0, and a vector without a tensor, are absent. */
struct sublayer_views {
    struct norm_view norm, inner_norm, post_norm;
    struct norm_view outer_norm; /* of the sum */
    struct linear_view output;
    struct vector_view residual_scale;
};

struct layer_views {
    struct sublayer_views attention, mlp;
    struct head_norm_view query_norm, key_norm;
    struct linear_view query, key, value;
    struct linear_view gate, up;
    struct vector_view head_scale, gpas_gate;
};

struct tensor_views {
    const struct model_description *description;
    const struct checkpoint *checkpoint;
    struct matrix_view embedding, position; /* position: rows from position_offset on */
    struct norm_view embedding_norm, final_norm;
    struct linear_view project_in, project_out, head;
    struct layer_views *layers;
    uint32_t *row_maps; /* of q, k and v in a fused tensor, one after the other; NULL when they need none */
    struct vector_view *head_views; /* storage for the views of head norms */
    uint64_t parameters;
};

/* Errors name the tensor: missing, of another shape than expected, of an unreadable type, or not known to the
 * family (its buffers apart). Borrows description and checkpoint until tensor_views_deinit, also after a failure. */
enum status tensor_views_init(struct tensor_views *b, const struct model_description *description,
                              const struct family *family, const struct checkpoint *checkpoint,
                              struct error *e);
void tensor_views_deinit(struct tensor_views *b);

/* Calls each for every matrix that is there: tables, projections and head, then those of the layers. Of a fused
 * tensor there are several views. */
void tensor_views_each_matrix(struct tensor_views *b, void (*each)(void *context, struct matrix_view *view),
                              void *context);

/* Rows [first, +count) into out [count, in], widened exactly; what an adapter adds is added in double
 * precision. */
void matrix_read(const struct matrix_view *m, size_t first, size_t count, double *out);

/* Of those rows columns [column, +columns) alone, `stride` doubles from one row to the next. */
struct matrix_part {
    size_t first, count, column, columns;
};
void matrix_read_part(const struct matrix_view *m, const struct matrix_part *part, double *out,
                      size_t stride);

/* Entries [first, +count); zeros when the vector is absent. */
void vector_read_part(const struct vector_view *v, size_t first, size_t count, double *out);

/* All of a vector; `fallback` everywhere when it is absent. */
void vector_read(const struct vector_view *v, size_t count, double fallback, double *out);
