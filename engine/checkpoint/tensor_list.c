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

enum status tensor_list_sort(struct tensor_list *list, const char *where, struct error *e) {
    if (list->count) qsort(list->tensors, list->count, sizeof *list->tensors, compare_names);
    for (size_t i = 1; i < list->count; i++) {
        const struct tensor *left = &list->tensors[i - 1], *right = &list->tensors[i];
        if (compare_names(left, right) == 0)
            return error_set(e, STATUS_MALFORMED, where,
                             "tensor '%.200s' occurs twice: in %.200s and in %.200s", left->name, left->file,
                             right->file);
    }
    return STATUS_OK;
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
