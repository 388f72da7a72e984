#include "engine/modelfile/file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/modelfile/checksum.h"

#define BUFFER_BYTES (16 * CHECKSUM_BLOCK)
#define PARTS_MAX    1000 /* names to try */

enum { FD_PATH_BYTES = sizeof "/proc/self/fd/-2147483648" };

/* Errors name the file that was asked for; the one beside it is ours. */
static enum status fail(const struct file_writer *w, const char *what, struct error *e) {
    int cause = errno;
    return error_set(e, cause == ENOMEM ? STATUS_NO_MEMORY : STATUS_IO, w->path, "%s: %s", what,
                     strerror(cause));
}

static const char *fd_path(const struct file_writer *w, char *out) {
    snprintf(out, FD_PATH_BYTES, "/proc/self/fd/%d", w->fd);
    return out;
}

/* The first name that is free, taken by a new file, or given to the one that has none. */
static enum status take_name(struct file_writer *w, struct error *e) {
    char own[FD_PATH_BYTES];
    for (unsigned i = 0; i < PARTS_MAX; i++) {
        int length = snprintf(w->part, sizeof w->part, "%s.part-%u", w->path, i);
        if (length >= (int)sizeof w->part) {
            errno = ENAMETOOLONG;
            break;
        }
        if (w->fd >= 0) {
            w->named = linkat(AT_FDCWD, fd_path(w, own), AT_FDCWD, w->part, AT_SYMLINK_FOLLOW) == 0;
        } else {
            w->fd = open(w->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
            w->named = w->fd >= 0;
        }
        if (w->named) return STATUS_OK;
        if (errno != EEXIST) break;
    }
    return fail(w, "cannot create", e);
}

static bool open_unnamed(struct file_writer *w) {
    char path[PATH_MAX];
    memcpy(path, w->path, sizeof path);
    w->fd = open(dirname(path), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
    return w->fd >= 0;
}

/* A file without a name in the folder that path is in: whatever ends the process, Ctrl-C or SIGKILL, nothing
 * of it stays. Not every file system has such files, and without /proc none can be given a name: so another
 * one is first, lest that shows after hours of calibrating. */
static bool create_unnamed(struct file_writer *w) {
    struct error ignored;
    if (!open_unnamed(w)) return false;
    bool can = take_name(w, &ignored) == STATUS_OK;
    if (can) unlink(w->part);
    w->named = false;
    close(w->fd);
    w->fd = -1;
    return can && open_unnamed(w);
}

static void release(struct file_writer *w) {
    if (w->fd >= 0) close(w->fd);
    free(w->buffer);
    free(w->sums);
    w->fd = -1;
    w->buffer = NULL;
    w->sums = NULL;
}

enum status file_writer_open(struct file_writer *w, const char *path, struct error *e) {
    *w = (struct file_writer){.fd = -1};
    if (snprintf(w->path, sizeof w->path, "%s", path) >= (int)sizeof w->path)
        return error_set(e, STATUS_LIMIT, path, "the path is longer than %d bytes", PATH_MAX - 1);
    enum status status = create_unnamed(w) ? STATUS_OK : take_name(w, e);
    if (status != STATUS_OK) return status;
    w->buffer = malloc(BUFFER_BYTES);
    if (w->buffer) return STATUS_OK;
    status = fail(w, "buffer", e);
    file_writer_abort(w);
    return status;
}

enum status file_writer_reserve(struct file_writer *w, size_t bytes, struct error *e) {
    if (fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
        return STATUS_OK;
    int cause = errno;
    return error_set(e, STATUS_IO, w->path, "no room for its %zu bytes: %s", bytes, strerror(cause));
}

static enum status write_fully(struct file_writer *w, const unsigned char *bytes, size_t count,
                               struct error *e) {
    while (count) {
        ssize_t written = write(w->fd, bytes, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail(w, "cannot write", e);
        bytes += written;
        count -= (size_t)written;
    }
    return STATUS_OK;
}

static bool add_sum(struct file_writer *w, uint64_t sum) {
    if (w->sum_count == w->sum_capacity) {
        size_t capacity = w->sum_capacity ? 2 * w->sum_capacity : 1024;
        uint64_t *sums = reallocarray(w->sums, capacity, sizeof *sums);
        if (!sums) return false;
        w->sums = sums;
        w->sum_capacity = capacity;
    }
    w->sums[w->sum_count++] = sum;
    return true;
}

/* The buffer holds whole blocks, but for the last of the file. */
static enum status flush(struct file_writer *w, struct error *e) {
    for (size_t first = 0; first < w->buffered; first += CHECKSUM_BLOCK) {
        size_t left = w->buffered - first;
        if (!add_sum(w, checksum_of(w->buffer + first, left < CHECKSUM_BLOCK ? left : CHECKSUM_BLOCK)))
            return fail(w, "table of checksums", e);
    }
    enum status status = write_fully(w, w->buffer, w->buffered, e);
    w->buffered = 0;
    return status;
}

enum status file_writer_append(struct file_writer *w, const void *bytes, size_t count, struct error *e) {
    const unsigned char *from = bytes;
    w->bytes += count;
    while (count) {
        size_t room = BUFFER_BYTES - w->buffered, part = count < room ? count : room;
        memcpy(w->buffer + w->buffered, from, part);
        w->buffered += part;
        from += part;
        count -= part;
        enum status status = w->buffered == BUFFER_BYTES ? flush(w, e) : STATUS_OK;
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

enum status file_writer_append_sums(struct file_writer *w, struct error *e) {
    enum status status = flush(w, e);
    if (status != STATUS_OK) return status;
    size_t bytes = w->sum_count * sizeof *w->sums;
    if (!add_sum(w, checksum_of(w->sums, bytes))) return fail(w, "table of checksums", e);
    w->bytes += bytes + sizeof *w->sums;
    return write_fully(w, (const unsigned char *)w->sums, bytes + sizeof *w->sums, e);
}

/* So that the new name survives a loss of power too. Some file systems can't sync a folder; the file itself
 * is safe. */
static void sync_folder(const struct file_writer *w) {
    char path[PATH_MAX];
    memcpy(path, w->path, sizeof path);
    int folder = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    (void)fsync(folder);
    close(folder);
}

enum status file_writer_commit(struct file_writer *w, struct error *e) {
    enum status status = STATUS_OK;
    if (fsync(w->fd) != 0) status = fail(w, "cannot write to the disk", e);
    if (status == STATUS_OK && !w->named) status = take_name(w, e);
    if (close(w->fd) != 0 && status == STATUS_OK) status = fail(w, "cannot write to the disk", e);
    w->fd = -1;
    if (status == STATUS_OK && rename(w->part, w->path) != 0) status = fail(w, "cannot rename", e);
    if (status != STATUS_OK) {
        file_writer_abort(w);
        return status;
    }
    sync_folder(w);
    release(w);
    return STATUS_OK;
}

void file_writer_abort(struct file_writer *w) {
    release(w);
    if (w->named) unlink(w->part);
}
