#include "engine/checkpoint/shard_index.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/mapped_file.h"
#include "engine/files/regular_file.h"

/* An index must not reach other files of the machine. */
static bool is_plain_name(const char *name) {
    return name && name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The shard of each tensor into index->shards, which has room for them. */
static enum status list_shards(struct shard_index *index, struct error *e) {
    const char *tensor;
    json_t *shard;
    json_object_foreach(index->map, tensor, shard) {
        const char *name = json_string_value(shard);
        if (!is_plain_name(name))
            return error_set(e, STATUS_MALFORMED, index->path,
                             "'weight_map' sends tensor '%.200s' to '%.200s'; expected the plain name of a "
                             "file in this folder",
                             tensor, name ? name : "(no string)");
        index->shards[index->shard_count++] = name;
    }
    return STATUS_OK;
}

static int compare_texts(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static enum status drop_duplicates(struct shard_index *index, struct error *e) {
    size_t kept = 0;
    qsort(index->shards, index->shard_count, sizeof *index->shards, compare_texts);
    for (size_t i = 0; i < index->shard_count; i++)
        if (i == 0 || strcmp(index->shards[i], index->shards[kept - 1]) != 0)
            index->shards[kept++] = index->shards[i];
    index->shard_count = kept;
    if (kept <= MAPPED_FILES_MAX) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, index->path, "%zu shards; the limit is %d", kept, MAPPED_FILES_MAX);
}

static enum status read_map(struct shard_index *index, struct error *e) {
    index->map = json_object_get(index->root, "weight_map");
    size_t count = json_object_size(index->map);
    if (count == 0)
        return error_set(e, STATUS_MALFORMED, index->path,
                         "'weight_map' is %s; expected an object {tensor: shard}",
                         index->map ? "empty or not an object" : "missing");
    index->shards = calloc(count, sizeof *index->shards);
    if (!index->shards)
        return error_set(e, STATUS_NO_MEMORY, index->path, "cannot allocate a list of %zu shards", count);
    enum status status = list_shards(index, e);
    return status == STATUS_OK ? drop_duplicates(index, e) : status;
}

enum status shard_index_open(const char *folder, const char *name, struct shard_index *index,
                             struct error *e) {
    *index = (struct shard_index){0};
    enum status status = regular_file_path(folder, name, index->path, e);
    if (status == STATUS_OK)
        status = json_file_load(NULL, index->path, SHARD_INDEX_BYTES_MAX, &index->root, e);
    if (status == STATUS_OK) status = read_map(index, e);
    if (status != STATUS_OK) shard_index_close(index);
    return status;
}

void shard_index_close(struct shard_index *index) {
    free(index->shards);
    json_decref(index->root);
}

enum status shard_index_check(const struct shard_index *index, const struct tensor_list *list,
                              struct error *e) {
    const char *name;
    json_t *shard;
    json_object_foreach(index->map, name, shard) {
        const struct tensor *t = tensor_list_find(list, name);
        if (t && !t->has_copies && strcmp(t->file, json_string_value(shard)) != 0)
            return error_set(e, STATUS_MALFORMED, index->path,
                             "'weight_map' says that tensor '%.200s' is in %.200s; it is in %.200s", name,
                             json_string_value(shard), t->file);
    }
    return STATUS_OK;
}
