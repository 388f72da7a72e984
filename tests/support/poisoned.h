/* A model or adapter of which one weight is another number, such as none: a folder with a copy of its safetensors file. */
#pragma once

#include <math.h>
#include <unistd.h>

#include "engine/checkpoint/checkpoint.h"
#include "tests/support/test_support.h"

/* A folder of which one file can be written anew, with another value in one place. */
struct poisoned {
    char *folder, *bytes;
    const char *name;
    size_t length;
    struct checkpoint *checkpoint; /* of the file as it was */
};

static inline bool poisoned_has_file(const char *folder, const char *name) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

static inline void poisoned_link(const char *from_folder, const char *name, const char *folder) {
    char from[2048], to[2048];
    snprintf(from, sizeof from, "%s/%s", from_folder, name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    assert_int_equal(symlink(from, to), 0);
}

static inline void poisoned_create(struct poisoned *p, const char *folder, const char *name,
                                   const char *config) {
    struct error e = {0};
    *p = (struct poisoned){.folder = test_folder_create(), .name = name};
    p->bytes = test_file_read(folder, name, &p->length);
    poisoned_link(folder, config, p->folder);
    assert_ok(checkpoint_open_file(folder, name, &p->checkpoint, &e));
}

static inline void poisoned_destroy(struct poisoned *p) {
    checkpoint_close(p->checkpoint);
    test_folder_remove(p->folder);
    free(p->bytes);
}

static inline size_t poisoned_elements(const struct tensor *t) {
    size_t count = 1;
    for (size_t i = 0; i < t->rank; i++) count *= t->shape[i];
    return count;
}

/* Tensors of a safetensors file follow each other behind its header, without holes. */
static inline char *poisoned_data(const struct poisoned *p, const struct tensor *t) {
    const char *first = t->data;
    uint64_t header;
    memcpy(&header, p->bytes, sizeof header);
    for (size_t i = 0; i < checkpoint_count(p->checkpoint); i++) {
        const char *data = checkpoint_at(p->checkpoint, i)->data;
        if (data < first) first = data;
    }
    return p->bytes + 8 + header + ((const char *)t->data - first);
}

/* Any float, or of half as many bits what is not finite. */
static inline void poisoned_put(enum dtype dtype, float value, char *at) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t upper = (uint16_t)(bits >> 16);
    const uint16_t half = isnan(value) ? 0x7e00 : value > 0 ? 0x7c00 : 0xfc00;
    if (dtype == DTYPE_F32)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, dtype == DTYPE_BF16 ? &upper : &half, sizeof half);
}

/* The file with this value in one place; p keeps it as it was. */
static inline void poisoned_write(const struct poisoned *p, const struct tensor *t, size_t element,
                                  float value) {
    char *at = poisoned_data(p, t) + element * dtype_size(t->dtype), before[8];
    memcpy(before, at, dtype_size(t->dtype));
    poisoned_put(t->dtype, value, at);
    test_file_write(p->folder, p->name, p->bytes, p->length);
    memcpy(at, before, dtype_size(t->dtype));
}
