/* Makes safetensors files in memory for the tests of this folder. */
#pragma once

#include "tests/support/test_support.h"

/* The length, the header as it is, and data_size bytes 0, 1, 2, ... The caller frees. */
static inline unsigned char *build_safetensors(const char *header, size_t data_size, size_t *length) {
    uint64_t header_length = strlen(header);
    *length = 8 + (size_t)header_length + data_size;
    unsigned char *bytes = malloc(*length);
    assert_non_null(bytes);
    memcpy(bytes, &header_length, 8);
    memcpy(bytes + 8, header, (size_t)header_length);
    for (size_t i = 0; i < data_size; i++) bytes[8 + header_length + i] = (unsigned char)i;
    return bytes;
}

static inline void build_file(const char *folder, const char *name, const char *header, size_t data_size) {
    size_t length;
    unsigned char *bytes = build_safetensors(header, data_size, &length);
    test_file_write(folder, name, bytes, length);
    free(bytes);
}
