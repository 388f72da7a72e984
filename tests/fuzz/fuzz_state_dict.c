/* The input is the pickle of a state dict; it is put in an archive with two storages of 64 bytes, for a
 * fuzzer would rarely keep the lengths of an archive right by itself. */
#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint/torch_bin.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/touch_tensors.h"

#define STORAGE_SIZE 64

struct archive {
    unsigned char *bytes;
    size_t length;
};

static void put(struct archive *a, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++, value >>= 8) a->bytes[a->length++] = (unsigned char)value;
}

static void put_bytes(struct archive *a, const void *bytes, size_t size) {
    memcpy(a->bytes + a->length, bytes, size);
    a->length += size;
}

struct entry {
    const char *name;
    const uint8_t *data;
    size_t size, offset;
};

/* The fields that local headers and directory share, from the version to the length of the name. */
static void put_common(struct archive *a, const struct entry *entry) {
    put(a, 20, 2);
    put(a, 0, 12); /* flags, method, time, checksum */
    put(a, entry->size, 4);
    put(a, entry->size, 4);
    put(a, strlen(entry->name), 2);
}

static void put_entry(struct archive *a, struct entry *entry) {
    entry->offset = a->length;
    put(a, 0x04034b50, 4);
    put_common(a, entry);
    put(a, 0, 2);
    put_bytes(a, entry->name, strlen(entry->name));
    put_bytes(a, entry->data, entry->size);
}

static void put_directory_entry(struct archive *a, const struct entry *entry) {
    put(a, 0x02014b50, 4);
    put(a, 20, 2);
    put_common(a, entry);
    put(a, 0, 8);
    put(a, 0, 4);
    put(a, entry->offset, 4);
    put_bytes(a, entry->name, strlen(entry->name));
}

static void put_archive(struct archive *a, struct entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) put_entry(a, &entries[i]);
    size_t start = a->length;
    for (size_t i = 0; i < count; i++) put_directory_entry(a, &entries[i]);
    size_t size = a->length - start;
    put(a, 0x06054b50, 4);
    put(a, 0, 4);
    put(a, count, 2);
    put(a, count, 2);
    put(a, size, 4);
    put(a, start, 4);
    put(a, 0, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t storage[STORAGE_SIZE];
    struct entry entries[] = {
        {"a/data.pkl", data, size, 0},
        {"a/data/0", storage, sizeof storage, 0},
        {"a/data/1", storage, sizeof storage, 0},
    };
    struct archive a = {.bytes = malloc(size + 1024)};
    if (!a.bytes) return 0;
    put_archive(&a, entries, 3);
    unsigned char *exact = realloc(a.bytes, a.length); /* so that reads beyond its end are seen */
    read_tensors(torch_bin_read, exact, a.length);
    free(exact);
    return 0;
}
