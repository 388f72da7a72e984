/* Tensors gathered from the files of a checkpoint: a growing array that owns the names, then sorted for
 * look-up. */
#pragma once

#include <stddef.h>

#include "engine/checkpoint/checkpoint.h"

struct tensor_list {
    struct tensor *tensors;
    size_t count, capacity;
};

/* An empty list is all zeroes. */
void tensor_list_deinit(struct tensor_list *list);

/* Appends a copy of *t under a copy of name, which has length bytes and need not end in NUL (nor contain
 * one). */
enum status tensor_list_add(struct tensor_list *list, const struct tensor *t, const char *name, size_t length,
                            struct error *e);

/* Sorts by name, then by file. Of a tensor that several files hold with the same bytes the first stays
 * (has_copies); with others it is STATUS_MALFORMED, with two of its files in the message. */
enum status tensor_list_sort(struct tensor_list *list, const char *where, struct error *e);

/* Of a sorted list; NULL when there is none of that name. */
const struct tensor *tensor_list_find(const struct tensor_list *list, const char *name);

/* Row-major strides for the shape of t. */
void tensor_set_contiguous(struct tensor *t);
