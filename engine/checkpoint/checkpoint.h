/* A checkpoint folder as named tensors: model.safetensors, or model.safetensors.index.json with its shards,
 * or pytorch_model.bin, or pytorch_model.bin.index.json. Files are mapped, not read; tensors are borrowed
 * views into the mapping. Everything a header claims (lengths, offsets, overlaps, types, shapes) is checked
 * before a view is handed out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/checkpoint/dtype.h"

#define TENSOR_RANK_MAX 8

struct tensor {
    const char *name;
    const char *file; /* base name of the file it lies in, for messages */
    bool has_copies;  /* other files hold it too, with the same bytes */
    enum dtype dtype; /* DTYPE_OTHER: integer or bool buffers; listed, but never read as weights */
    size_t rank;
    size_t shape[TENSOR_RANK_MAX];
    size_t stride[TENSOR_RANK_MAX]; /* in elements; row-major contiguous in safetensors, any in
                                       pytorch_model.bin */
    const void *data;               /* element [0, 0, ...]; may be unaligned. Of checkpoint_from_tensors: NULL
                                       where only the shape is known */
};

struct checkpoint;
struct tensor_list;

/* Opens every file of the model in folder. Shard names stay inside the folder. STATUS_NOT_FOUND when it has
 * no weights in any of the layouts; errors name the file, and the tensor where there is one. */
enum status checkpoint_open(const char *folder, struct checkpoint **out, struct error *e);

/* Whether the folder has weights in any of those layouts, by the names of its files. */
bool checkpoint_is_in(const char *folder);

/* The tensors of one file of the folder: a pickle where the name ends in ".bin", else safetensors. */
enum status checkpoint_open_file(const char *folder, const char *name, struct checkpoint **out,
                                 struct error *e);

/* The same from tensors whose files the caller keeps mapped. *take is empty afterwards, also after a failure.
 * STATUS_MALFORMED where a name occurs twice; where stands for the place in messages. */
enum status checkpoint_from_tensors(struct tensor_list *take, const char *where, struct checkpoint **out,
                                    struct error *e);

void checkpoint_close(struct checkpoint *c);

/* NULL when there is none of that name. Tensors are valid until the checkpoint is closed. */
const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name);

/* In the order of their names; NULL beyond the last. */
size_t checkpoint_count(const struct checkpoint *c);
const struct tensor *checkpoint_at(const struct checkpoint *c, size_t index);

/* Tells the kernel that the pages of t are not needed for now (they can be read again): keeps residency low
 * while tensor after tensor is packed. */
void checkpoint_release(const struct checkpoint *c, const struct tensor *t);
