/* The index of a checkpoint that is split into several files: a JSON object whose "weight_map" says for each
 * tensor in which file (shard) it lies. */
#pragma once

#include <limits.h>

#include "engine/files/json_file.h"
#include "engine/checkpoint/tensor_list.h"

#define SHARD_INDEX_BYTES_MAX (64u << 20)

struct shard_index {
    json_t *root;
    json_t *map;         /* borrowed from root: tensor -> shard */
    const char **shards; /* the distinct names of shards, sorted; borrowed from root */
    size_t shard_count;
    char path[PATH_MAX]; /* for messages */
};

/* Reads folder/name. Shards are plain names of files in the same folder, at most MAPPED_FILES_MAX.
 * STATUS_NOT_FOUND where there is no such index. */
enum status shard_index_open(const char *folder, const char *name, struct shard_index *index,
                             struct error *e);
void shard_index_close(struct shard_index *index);

/* Whether the tensors of the index lie in the files that it names. list is sorted. An index may name tensors that
 * no file holds, as converters that drop tied heads and buffers leave it: what the model needs of them will be
 * missed by its name. */
enum status shard_index_check(const struct shard_index *index, const struct tensor_list *list,
                              struct error *e);
