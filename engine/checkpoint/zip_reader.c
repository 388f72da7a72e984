/* Sizes come from the central directory, for a writer that streams leaves them out of the local headers; the
 * start of the data comes from the local header, whose extra field (padding, in torch's files) may have a
 * length of its own. */
#include "engine/checkpoint/zip_reader.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    END_SIZE = 22,
    END_COMMENT_MAX = 0xffff,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
};

#define END_MARK     0x06054b50u
#define LOCATOR_MARK 0x07064b50u
#define END64_MARK   0x06064b50u
#define CENTRAL_MARK 0x02014b50u
#define LOCAL_MARK   0x04034b50u

/* These values say that the true one stands in a ZIP64 record. */
#define MOVED_16 0xffffu
#define MOVED_32 0xffffffffu

struct directory {
    uint64_t offset, size, count;
    size_t end; /* where the records after it begin: nothing of the directory lies beyond */
};

static uint16_t get16(const unsigned char *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t get32(const unsigned char *bytes) {
    return get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

static uint64_t get64(const unsigned char *bytes) {
    return get32(bytes) | (uint64_t)get32(bytes + 4) << 32;
}

/* The end record is the last whose comment reaches exactly to the end of the file. */
static bool find_end(const struct mapped_file *file, size_t *out) {
    if (file->size < END_SIZE) return false;
    size_t last = file->size - END_SIZE, first = last > END_COMMENT_MAX ? last - END_COMMENT_MAX : 0;
    for (size_t at = last + 1; at-- > first;) {
        const unsigned char *end = file->data + at;
        if (get32(end) != END_MARK || get16(end + 20) != last - at) continue;
        *out = at;
        return true;
    }
    return false;
}

static enum status read_end64(const struct mapped_file *file, size_t locator, struct directory *d,
                              struct error *e) {
    uint64_t at = get64(file->data + locator + 8);
    if (locator < END64_SIZE || at > locator - END64_SIZE || get32(file->data + at) != END64_MARK)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "the ZIP64 locator points to byte %llu, where no record is", (unsigned long long)at);
    const unsigned char *end64 = file->data + at;
    if (get32(end64 + 16) != 0 || get32(end64 + 20) != 0)
        return error_set(e, STATUS_UNSUPPORTED, file->path, "the ZIP archive is split over several files");
    *d = (struct directory){get64(end64 + 48), get64(end64 + 40), get64(end64 + 32), (size_t)at};
    return STATUS_OK;
}

static enum status read_end(const struct mapped_file *file, struct directory *d, struct error *e) {
    size_t at;
    if (!find_end(file, &at))
        return error_set(e, STATUS_MALFORMED, file->path, "no ZIP archive: the record at its end is missing");
    const unsigned char *end = file->data + at;
    if (at >= LOCATOR_SIZE && get32(end - LOCATOR_SIZE) == LOCATOR_MARK)
        return read_end64(file, at - LOCATOR_SIZE, d, e);
    if (get16(end + 4) != 0 || get16(end + 6) != 0)
        return error_set(e, STATUS_UNSUPPORTED, file->path, "the ZIP archive is split over several files");
    if (get16(end + 10) == MOVED_16 || get32(end + 12) == MOVED_32 || get32(end + 16) == MOVED_32)
        return error_set(e, STATUS_MALFORMED, file->path, "the ZIP64 records of the archive are missing");
    *d = (struct directory){get32(end + 16), get32(end + 12), get16(end + 10), at};
    return STATUS_OK;
}

static enum status check_directory(const struct mapped_file *file, const struct directory *d,
                                   struct error *e) {
    if (d->offset > d->end || d->size > d->end - d->offset)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "the ZIP directory is said to have %llu bytes at %llu; it must end before byte %zu",
                         (unsigned long long)d->size, (unsigned long long)d->offset, d->end);
    if (d->count > d->size / CENTRAL_SIZE)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "%llu entries do not fit in a ZIP directory of %llu bytes",
                         (unsigned long long)d->count, (unsigned long long)d->size);
    return STATUS_OK;
}

struct central {
    const unsigned char *bytes;
    size_t name_length, extra_length, comment_length;
    uint64_t packed_size, size, header_offset;
};

/* Takes from the ZIP64 extra field, in their fixed order, the values that the record itself says are
 * there. */
static bool read_zip64_values(struct central *c, const unsigned char *extra, size_t length) {
    uint64_t *values[] = {&c->size, &c->packed_size, &c->header_offset};
    for (size_t i = 0, at = 0; i < 3; i++) {
        if (*values[i] != MOVED_32) continue;
        if (length - at < 8) return false;
        *values[i] = get64(extra + at);
        at += 8;
    }
    return true;
}

static bool read_extra(struct central *c) {
    const unsigned char *extra = c->bytes + CENTRAL_SIZE + c->name_length;
    size_t left = c->extra_length;
    while (left >= 4) {
        size_t length = get16(extra + 2);
        if (length > left - 4) return false;
        if (get16(extra) == EXTRA_ZIP64) return read_zip64_values(c, extra + 4, length);
        extra += 4 + length;
        left -= 4 + length;
    }
    return c->size != MOVED_32 && c->packed_size != MOVED_32 && c->header_offset != MOVED_32;
}

/* One record of the directory, of which left bytes remain. */
static enum status read_central(const struct mapped_file *file, const unsigned char *bytes, size_t left,
                                struct central *c, struct error *e) {
    size_t offset = (size_t)(bytes - file->data);
    if (left < CENTRAL_SIZE || get32(bytes) != CENTRAL_MARK)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "byte %zu: expected another entry of the ZIP directory", offset);
    *c = (struct central){bytes,
                          get16(bytes + 28),
                          get16(bytes + 30),
                          get16(bytes + 32),
                          get32(bytes + 20),
                          get32(bytes + 24),
                          get32(bytes + 42)};
    if (c->name_length + c->extra_length + c->comment_length > left - CENTRAL_SIZE || !read_extra(c))
        return error_set(e, STATUS_MALFORMED, file->path,
                         "byte %zu: the entry of the ZIP directory is cut short", offset);
    const char *name = (const char *)bytes + CENTRAL_SIZE;
    int shown = (int)(c->name_length < 200 ? c->name_length : 200);
    if (get16(bytes + 8) & FLAG_ENCRYPTED || get16(bytes + 10) != 0)
        return error_set(e, STATUS_UNSUPPORTED, file->path,
                         "ZIP entry '%.*s' is compressed or encrypted; expected it stored", shown, name);
    if (c->packed_size != c->size)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "ZIP entry '%.*s' is stored, but its two sizes differ: %llu and %llu", shown, name,
                         (unsigned long long)c->packed_size, (unsigned long long)c->size);
    return STATUS_OK;
}

/* Finds the data behind the local header, all before byte limit. */
static enum status locate(const struct mapped_file *file, const struct central *c, size_t limit,
                          struct zip_entry *entry, struct error *e) {
    const char *name = (const char *)c->bytes + CENTRAL_SIZE;
    int shown = (int)(c->name_length < 200 ? c->name_length : 200);
    size_t room = c->header_offset < limit ? limit - (size_t)c->header_offset : 0;
    const unsigned char *local = room ? file->data + c->header_offset : NULL;
    bool is_header = room >= LOCAL_SIZE + c->name_length && get32(local) == LOCAL_MARK &&
                     get16(local + 26) == c->name_length &&
                     memcmp(local + LOCAL_SIZE, name, c->name_length) == 0;
    if (!is_header)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "ZIP entry '%.*s': byte %llu is not its local header", shown, name,
                         (unsigned long long)c->header_offset);
    size_t start = LOCAL_SIZE + c->name_length + get16(local + 28);
    if (start > room || c->size > room - start)
        return error_set(e, STATUS_MALFORMED, file->path,
                         "ZIP entry '%.*s' is said to have %llu bytes; only %zu follow it", shown, name,
                         (unsigned long long)c->size, start > room ? 0 : room - start);
    *entry =
        (struct zip_entry){name, c->name_length, local + start, (size_t)c->size, (size_t)c->header_offset};
    return STATUS_OK;
}

static enum status read_entries(const struct mapped_file *file, const struct directory *d,
                                struct zip_reader *z, struct error *e) {
    const unsigned char *at = file->data + d->offset;
    size_t left = (size_t)d->size;
    for (; z->count < d->count; z->count++) {
        struct central c = {0};
        enum status status = read_central(file, at, left, &c, e);
        if (status == STATUS_OK) status = locate(file, &c, (size_t)d->offset, &z->entries[z->count], e);
        if (status != STATUS_OK) return status;
        size_t length = CENTRAL_SIZE + c.name_length + c.extra_length + c.comment_length;
        at += length;
        left -= length;
    }
    return STATUS_OK;
}

static int compare_offsets(const void *left, const void *right) {
    const struct zip_entry *a = left, *b = right;
    return a->header_offset < b->header_offset ? -1 : a->header_offset > b->header_offset;
}

static int compare_names(const void *left, const void *right) {
    const struct zip_entry *a = left, *b = right;
    int order = memcmp(a->name, b->name, a->name_length < b->name_length ? a->name_length : b->name_length);
    if (order != 0) return order;
    return a->name_length < b->name_length ? -1 : a->name_length > b->name_length;
}

/* Leaves the entries sorted by name. */
static enum status check_entries(const struct mapped_file *file, struct zip_reader *z, struct error *e) {
    qsort(z->entries, z->count, sizeof *z->entries, compare_offsets);
    for (size_t i = 1; i < z->count; i++) {
        const struct zip_entry *before = &z->entries[i - 1];
        if (before->data + before->size > file->data + z->entries[i].header_offset)
            return error_set(e, STATUS_MALFORMED, file->path, "ZIP entries overlap at byte %zu",
                             z->entries[i].header_offset);
    }
    qsort(z->entries, z->count, sizeof *z->entries, compare_names);
    for (size_t i = 1; i < z->count; i++)
        if (compare_names(&z->entries[i - 1], &z->entries[i]) == 0)
            return error_set(e, STATUS_MALFORMED, file->path, "two ZIP entries have the name '%.*s'",
                             (int)(z->entries[i].name_length < 200 ? z->entries[i].name_length : 200),
                             z->entries[i].name);
    return STATUS_OK;
}

enum status zip_reader_open(const struct mapped_file *file, struct zip_reader *z, struct error *e) {
    struct directory d = {0};
    enum status status = read_end(file, &d, e);
    if (status == STATUS_OK) status = check_directory(file, &d, e);
    if (status != STATUS_OK) return status;
    *z = (struct zip_reader){.entries = calloc((size_t)d.count + 1, sizeof *z->entries)};
    if (!z->entries)
        return error_set(e, STATUS_NO_MEMORY, file->path, "cannot allocate a list of %llu ZIP entries",
                         (unsigned long long)d.count);
    status = read_entries(file, &d, z, e);
    if (status == STATUS_OK) status = check_entries(file, z, e);
    if (status != STATUS_OK) zip_reader_close(z);
    return status;
}

void zip_reader_close(struct zip_reader *z) {
    free(z->entries);
}

const struct zip_entry *zip_reader_find(const struct zip_reader *z, const char *name) {
    struct zip_entry key = {.name = name, .name_length = strlen(name)};
    return bsearch(&key, z->entries, z->count, sizeof key, compare_names);
}
