/* Which tensors of a checkpoint a converted file has: those whose values are read after packing; and of those
 * that are folded into the packed weights, the shape. */
#pragma once

#include "engine/model/tensor_views.h"

enum model_file_part {
    MODEL_FILE_PART_NONE,  /* a buffer, or a copy of a tied head */
    MODEL_FILE_PART_VALUE, /* vectors, and the tables and matrices of the embedding */
    MODEL_FILE_PART_SHAPE, /* matrices that are packed */
};

struct model_file_tensors {
    const struct tensor_views *views;
    const struct tensor **packed; /* sorted */
    size_t packed_count;
};

/* Borrows views. On failure *t holds nothing. */
enum status model_file_tensors_init(struct model_file_tensors *t, const struct tensor_views *views,
                                    struct error *e);
void model_file_tensors_deinit(struct model_file_tensors *t);

/* What an adapter adds to a matrix that is read at run time; NULL: nothing. */
const struct low_rank *model_file_tensors_low_rank(const struct model_file_tensors *t,
                                                   const struct tensor *tensor);

enum model_file_part model_file_tensors_part(const struct model_file_tensors *t, const struct tensor *tensor);
