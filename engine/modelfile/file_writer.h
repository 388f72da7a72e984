/* A file that appears under its name only when it is complete: written without a name, or where the file
 * system can't do that to a temporary one beside it, with the checksum of each block, synced to the disk and
 * then renamed. One thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

struct file_writer {
    char path[PATH_MAX], part[PATH_MAX]; /* the name it will have, and the one it has until then */
    bool named;                          /* part is there */
    int fd;
    unsigned char *buffer; /* what is not written yet */
    size_t buffered;
    uint64_t *sums; /* of the blocks so far (checksum.h) */
    size_t sum_count, sum_capacity;
    size_t bytes; /* appended so far */
};

/* Creates the file; the name that it may have until it is complete is "path.part-N" with the first N that is
 * free. On failure *w holds nothing. */
enum status file_writer_open(struct file_writer *w, const char *path, struct error *e);

/* Claims the disk's space for `bytes` in all, so that a full disk is known at once. Where the file system
 * can't, it shows while writing. */
enum status file_writer_reserve(struct file_writer *w, size_t bytes, struct error *e);

enum status file_writer_append(struct file_writer *w, const void *bytes, size_t count, struct error *e);

/* Appends the table of checksums of all bytes so far: one a block, then that of these. Nothing may follow. */
enum status file_writer_append_sums(struct file_writer *w, struct error *e);

/* Gives the file its name, in place of one that has it. Ends the writer, also on failure. */
enum status file_writer_commit(struct file_writer *w, struct error *e);

/* Removes what was written. Ends the writer. */
void file_writer_abort(struct file_writer *w);
