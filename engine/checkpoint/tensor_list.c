#include "engine/checkpoint/tensor_list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 64

void tensor_list_deinit(struct tensor_list *list) {
    for (size_t i = 0; i < list->count; i++) free((char *)(uintptr_t)list->tensors[i].name);
    free(list->tensors);
    *list = (struct tensor_list){0};
}

static bool grow(struct tensor_list *list) {
    size_t capacity = list->capacity ? list->capacity * 2 : CAPACITY_FIRST;
    struct tensor *tensors = reallocarray(list->tensors, capacity, sizeof *tensors);
    if (!tensors) return false;
    list->tensors = tensors;
    list->capacity = capacity;
    return true;
}

enum status tensor_list_add(struct tensor_list *list, const struct tensor *t, const char *name, size_t length,
                            struct error *e) {
    bool has_room = list->count < list->capacity || grow(list);
    char *copy = has_room ? strndup(name, length) : NULL;
    if (!copy)
        return error_set(e, STATUS_NO_MEMORY, t->file, "cannot allocate the list of %zu tensors",
                         list->count + 1);
    list->tensors[list->count] = *t;
    list->tensors[list->count++].name = copy;
    return STATUS_OK;
}

static int compare_names(const void *left, const void *right) {
    return strcmp(((const struct tensor *)left)->name, ((const struct tensor *)right)->name);
}

static int compare_places(const void *left, const void *right) {
    int by_name = compare_names(left, right);
    return by_name ? by_name
                   : strcmp(((const struct tensor *)left)->file, ((const struct tensor *)right)->file);
}

/* The bytes of integer and bool buffers do not count: nothing reads them. */
static bool is_copy(const struct tensor *a, const struct tensor *b) {
    size_t last = 0;
    if (a->dtype != b->dtype || a->rank != b->rank || !a->data || !b->data) return false;
    if (strcmp(a->file, b->file) == 0) return false; /* no format has a name twice in one file */
    for (size_t axis = 0; axis < a->rank; axis++) {
        if (a->shape[axis] != b->shape[axis] || a->stride[axis] != b->stride[axis]) return false;
        if (a->shape[axis] == 0) return true;
        last += (a->shape[axis] - 1) * a->stride[axis];
    }
    return memcmp(a->data, b->data, (last + 1) * dtype_size(a->dtype)) == 0;
}

enum status tensor_list_sort(struct tensor_list *list, const char *where, struct error *e) {
    size_t kept = 0, i = 0;
    if (list->count) qsort(list->tensors, list->count, sizeof *list->tensors, compare_places);
    for (; i < list->count; i++) {
        struct tensor *t = &list->tensors[i], *before = kept ? &list->tensors[kept - 1] : NULL;
        if (!before || compare_names(before, t) != 0) {
            list->tensors[kept++] = *t;
        } else if (is_copy(before, t)) {
            before->has_copies = true;
            free((char *)(uintptr_t)t->name);
        } else {
            error_set(e, STATUS_MALFORMED, where,
                      "tensor '%.200s' occurs twice with different contents: in %.200s and in %.200s",
                      t->name, before->file, t->file);
            break;
        }
    }
    bool failed = i < list->count;
    memmove(list->tensors + kept, list->tensors + i, (list->count - i) * sizeof *list->tensors);
    list->count = kept + list->count - i;
    return failed ? STATUS_MALFORMED : STATUS_OK;
}

const struct tensor *tensor_list_find(const struct tensor_list *list, const char *name) {
    struct tensor key = {.name = name};
    if (!list->count) return NULL;
    return bsearch(&key, list->tensors, list->count, sizeof key, compare_names);
}

void tensor_set_contiguous(struct tensor *t) {
    size_t stride = 1;
    for (size_t axis = t->rank; axis-- > 0;) {
        t->stride[axis] = stride;
        stride *= t->shape[axis];
    }
}
