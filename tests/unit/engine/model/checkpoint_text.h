/* Safetensors files from lists of "name dtype rows columns;", for tests; an F32 element is its index in the
 * tensor. */
#pragma once

#include "tests/support/test_support.h"

struct checkpoint_writer {
    char header[16384];
    size_t header_length, data_length;
    float data[65536];
};

static inline void checkpoint_add_tensor(struct checkpoint_writer *w, const char *name, const char *dtype,
                                         size_t rows, size_t columns) {
    bool single = strcmp(dtype, "F32") == 0;
    size_t count = rows * (columns ? columns : 1), begin = w->data_length * sizeof *w->data;
    if (!single) count = (count + 3) / 4 * 4; /* I8, one byte each, in whole floats */
    size_t bytes = single ? count * 4 : count;
    char shape[64];
    snprintf(shape, sizeof shape, columns ? "[%zu,%zu]" : "[%zu]",
             single ? rows : count / (columns ? columns : 1), columns);
    w->header_length +=
        (size_t)snprintf(w->header + w->header_length, sizeof w->header - w->header_length,
                         "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                         w->header_length > 1 ? "," : "", name, dtype, shape, begin, begin + bytes);
    for (size_t i = 0; i < bytes / 4; i++) w->data[w->data_length++] = single ? (float)i : 0;
    assert_true(w->header_length < sizeof w->header && w->data_length < 60000);
}

static inline void write_tensors(const char *folder, const char *file, const char *list) {
    struct checkpoint_writer *w = calloc(1, sizeof *w);
    char *copy = strdup(list), *rest = copy;
    w->header[w->header_length++] = '{';
    for (char *item; (item = strsep(&rest, ";"));) {
        char name[128], dtype[8];
        size_t rows = 1, columns = 0;
        if (sscanf(item, " %127s %7s %zu %zu", name, dtype, &rows, &columns) >= 3)
            checkpoint_add_tensor(w, name, dtype, rows, columns);
    }
    w->header[w->header_length++] = '}';
    uint64_t length = w->header_length;
    size_t size = 8 + w->header_length + w->data_length * 4;
    unsigned char *bytes = malloc(size);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, w->header, w->header_length);
    memcpy(bytes + 8 + w->header_length, w->data, w->data_length * 4);
    test_file_write(folder, file, bytes, size);
    free(bytes);
    free(copy);
    free(w);
}

static inline void write_checkpoint(const char *folder, const char *list) {
    write_tensors(folder, "model.safetensors", list);
}
