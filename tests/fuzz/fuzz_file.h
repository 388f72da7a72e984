/* A folder of its own for the files of one input, in memory where the system has that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FUZZ_FOLDER "/dev/shm/prenorm-fuzz-XXXXXX"

/* folder/name into path, which has room for 64 bytes. */
static inline void fuzz_write(const char *folder, const char *name, const void *bytes, size_t size,
                              char *path) {
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) abort();
}

/* Bytes of data behind a header, at most. */
#define FUZZ_DATA_MAX (1u << 20)

static inline size_t fuzz_largest_number(const uint8_t *text, size_t size) {
    size_t largest = 0, number = 0;
    for (size_t i = 0; i < size; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        number = digit && number <= FUZZ_DATA_MAX ? number * 10 + (size_t)(text[i] - '0') : 0;
        if (number > largest && number <= FUZZ_DATA_MAX) largest = number;
    }
    return largest;
}

/* A safetensors file with this header: the right length in front, and as much data (zeros) as the largest
 * number in it says. */
static inline void fuzz_write_tensors(const char *folder, const char *name, const uint8_t *header,
                                      size_t size, char *path) {
    uint64_t length = size;
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(&length, sizeof length, 1, file) != 1 || fwrite(header, 1, size, file) != size)
        abort();
    if (fflush(file) != 0) abort();
    if (ftruncate(fileno(file), (off_t)(sizeof length + size + fuzz_largest_number(header, size))) != 0)
        abort();
    fclose(file);
}
