/* Finds out how a folder holds its weights, maps the files, and lets the reader of their format list the
 * tensors. The lookup is a sorted array; a checkpoint is immutable once open, so any thread may read it. */
#include "engine/checkpoint/checkpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/mapped_file.h"
#include "engine/files/regular_file.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/shard_index.h"
#include "engine/checkpoint/tensor_list.h"
#include "engine/checkpoint/torch_bin.h"

typedef enum status (*read_fn)(const struct mapped_file *file, struct tensor_list *list, struct error *e);

/* In the order of preference, which is that of the transformers library. */
static const struct layout {
    const char *file, *index; /* the weights in one file, or the index of their shards */
    read_fn read;
} layouts[] = {
    {"model.safetensors", "model.safetensors.index.json", safetensors_read},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", torch_bin_read},
};

struct checkpoint {
    struct mapped_file *files;
    size_t file_count;
    struct tensor_list list;
};

static enum status open_file(struct checkpoint *c, const char *folder, const char *name, read_fn read,
                             struct error *e) {
    struct mapped_file *file = &c->files[c->file_count];
    enum status status = mapped_file_open(folder, name, file, e);
    if (status != STATUS_OK) return status;
    c->file_count++;
    if (regular_file_is_lfs_pointer(file->data, file->size, file->path, e)) return STATUS_MALFORMED;
    return read(file, &c->list, e);
}

/* On failure some may be open; checkpoint_close closes them. */
static enum status open_files(struct checkpoint *c, const char *folder, const char *const *names,
                              size_t count, read_fn read, struct error *e) {
    c->files = calloc(count, sizeof *c->files);
    if (!c->files)
        return error_set(e, STATUS_NO_MEMORY, folder, "cannot allocate a list of %zu files", count);
    for (size_t i = 0; i < count; i++) {
        enum status status = open_file(c, folder, names[i], read, e);
        if (status != STATUS_OK) return status;
    }
    return tensor_list_sort(&c->list, folder, e);
}

static enum status open_sharded(struct checkpoint *c, const char *folder, const struct layout *layout,
                                struct error *e) {
    struct shard_index index;
    enum status status = shard_index_open(folder, layout->index, &index, e);
    if (status != STATUS_OK) return status;
    status = open_files(c, folder, index.shards, index.shard_count, layout->read, e);
    if (status == STATUS_OK) status = shard_index_check(&index, &c->list, e);
    shard_index_close(&index);
    /* A shard that is missing is not a reason to look for other layouts. */
    if (status == STATUS_NOT_FOUND) {
        status = STATUS_IO;
        if (e) e->code = status;
    }
    return status;
}

static enum status open_layouts(struct checkpoint *c, const char *folder, struct error *e) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        enum status status = open_files(c, folder, &layouts[i].file, 1, layouts[i].read, e);
        if (status != STATUS_NOT_FOUND) return status;
        free(c->files);
        c->files = NULL;
        status = open_sharded(c, folder, &layouts[i], e);
        if (status != STATUS_NOT_FOUND) return status;
    }
    return error_set(e, STATUS_NOT_FOUND, folder,
                     "there are no weights: looked for model.safetensors, model.safetensors.index.json, "
                     "pytorch_model.bin and pytorch_model.bin.index.json");
}

enum status checkpoint_open(const char *folder, struct checkpoint **out, struct error *e) {
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c) return error_set(e, STATUS_NO_MEMORY, folder, "cannot allocate the checkpoint");
    enum status status = open_layouts(c, folder, e);
    if (status != STATUS_OK) {
        checkpoint_close(c);
        return status;
    }
    *out = c;
    return STATUS_OK;
}

bool checkpoint_is_in(const char *folder) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (regular_file_is_in(folder, layouts[i].file) || regular_file_is_in(folder, layouts[i].index))
            return true;
    return false;
}

enum status checkpoint_open_file(const char *folder, const char *name, struct checkpoint **out,
                                 struct error *e) {
    const char *end = strrchr(name, '.');
    read_fn read = end && strcmp(end, ".bin") == 0 ? torch_bin_read : safetensors_read;
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c) return error_set(e, STATUS_NO_MEMORY, folder, "cannot allocate the checkpoint");
    enum status status = open_files(c, folder, &name, 1, read, e);
    if (status != STATUS_OK) {
        checkpoint_close(c);
        return status;
    }
    *out = c;
    return STATUS_OK;
}

enum status checkpoint_from_tensors(struct tensor_list *take, const char *where, struct checkpoint **out,
                                    struct error *e) {
    struct checkpoint *c = calloc(1, sizeof *c);
    enum status status = c ? tensor_list_sort(take, where, e)
                           : error_set(e, STATUS_NO_MEMORY, where, "cannot allocate the checkpoint");
    if (status != STATUS_OK) {
        tensor_list_deinit(take);
        free(c);
        return status;
    }
    c->list = *take;
    *take = (struct tensor_list){0};
    *out = c;
    return STATUS_OK;
}

void checkpoint_close(struct checkpoint *c) {
    if (!c) return;
    for (size_t i = 0; i < c->file_count; i++) mapped_file_close(&c->files[i]);
    free(c->files);
    tensor_list_deinit(&c->list);
    free(c);
}

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name) {
    return tensor_list_find(&c->list, name);
}

size_t checkpoint_count(const struct checkpoint *c) {
    return c->list.count;
}

const struct tensor *checkpoint_at(const struct checkpoint *c, size_t index) {
    return index < c->list.count ? &c->list.tensors[index] : NULL;
}

void checkpoint_release(const struct checkpoint *c, const struct tensor *t) {
    (void)c; /* the mapping is found by its address */
    size_t last = 0;
    for (size_t axis = 0; axis < t->rank; axis++) {
        if (t->shape[axis] == 0) return;
        last += (t->shape[axis] - 1) * t->stride[axis];
    }
    mapped_file_release(t->data, (last + 1) * dtype_size(t->dtype));
}
