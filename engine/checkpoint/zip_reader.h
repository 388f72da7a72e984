/* The directory of a ZIP archive in memory (PKWARE APPNOTE 6.3), with ZIP64: names, and where their bytes
 * lie. Stored entries only: nothing is unpacked, and checksums are not computed. */
#pragma once

#include "engine/files/mapped_file.h"

struct zip_entry {
    const char *name; /* in the mapping; not NUL-terminated */
    size_t name_length;
    const unsigned char *data; /* in the mapping */
    size_t size;
    size_t header_offset; /* of the local header, from the start of the file */
};

struct zip_reader {
    struct zip_entry *entries; /* sorted by name */
    size_t count;
};

/* Reads the directory of file, which must outlive *z. Every offset and size is checked against the file,
 * entries may neither overlap nor share a name, and split, encrypted or compressed archives are
 * STATUS_UNSUPPORTED. */
enum status zip_reader_open(const struct mapped_file *file, struct zip_reader *z, struct error *e);
void zip_reader_close(struct zip_reader *z);

/* NULL when there is none of that name. */
const struct zip_entry *zip_reader_find(const struct zip_reader *z, const char *name);
