#include "engine/files/regular_file.h"

#include <errno.h>
#include <stdbool.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status regular_file_path(const char *folder, const char *name, char out[PATH_MAX], struct error *e) {
    int length =
        folder ? snprintf(out, PATH_MAX, "%s/%s", folder, name) : snprintf(out, PATH_MAX, "%s", name);
    if (length >= 0 && length < PATH_MAX) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, name, "the path has %d bytes; the limit is %d", length, PATH_MAX - 1);
}

/* A link that leads nowhere is not an absent file: something was there once, and nobody should look elsewhere for
 * it. */
static enum status open_error(const char *path, int cause, struct error *e) {
    struct stat info;
    if (cause != ENOENT && cause != ENOTDIR)
        return error_set(e, STATUS_IO, path, "cannot open: %s", strerror(cause));
    if (lstat(path, &info) == 0)
        return error_set(e, STATUS_IO, path, "a symbolic link to a file that does not exist");
    return error_set(e, STATUS_NOT_FOUND, path, "there is no such file");
}

bool regular_file_is_in(const char *folder, const char *name) {
    char path[PATH_MAX];
    struct stat info;
    return regular_file_path(folder, name, path, NULL) == STATUS_OK && lstat(path, &info) == 0;
}

enum status regular_file_open(const char *path, int *fd, size_t *size, struct error *e) {
    struct stat info;
    /* O_NONBLOCK: opening a FIFO would wait for a writer; it means nothing for regular files. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0) return open_error(path, errno, e);
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) {
        *size = (size_t)info.st_size;
        return STATUS_OK;
    }
    close(*fd);
    *fd = -1;
    return error_set(e, STATUS_IO, path, "not a regular file");
}

/* Reads until length bytes are there; false with errno set, or 0 where the file ended early. */
static bool read_fully(int fd, char *bytes, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, bytes + done, length - done);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = 0;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

static enum status read_open_file(int fd, const char *path, size_t size, size_t bytes_max, char **bytes,
                                  struct error *e) {
    if (size > bytes_max)
        return error_set(e, STATUS_LIMIT, path, "the file has %zu bytes; the limit is %zu", size, bytes_max);
    char *buffer = malloc(size + 1);
    if (!buffer) return error_set(e, STATUS_NO_MEMORY, path, "cannot allocate %zu bytes", size + 1);
    if (!read_fully(fd, buffer, size)) {
        int cause = errno;
        free(buffer);
        return error_set(e, STATUS_IO, path, "cannot read: %s",
                         cause ? strerror(cause) : "the file got shorter meanwhile");
    }
    buffer[size] = '\0';
    *bytes = buffer;
    return STATUS_OK;
}

bool regular_file_is_lfs_pointer(const void *bytes, size_t size, const char *path, struct error *e) {
    static const char start[] = "version https://git-lfs";
    if (size < sizeof start - 1 || memcmp(bytes, start, sizeof start - 1) != 0) return false;
    error_set(e, STATUS_MALFORMED, path,
              "is a Git LFS pointer, which stands for the file itself: run 'git lfs pull' in its folder");
    return true;
}

enum status regular_file_read(const char *path, size_t bytes_max, char **bytes, size_t *length,
                              struct error *e) {
    int fd;
    enum status status = regular_file_open(path, &fd, length, e);
    if (status != STATUS_OK) return status;
    status = read_open_file(fd, path, *length, bytes_max, bytes, e);
    close(fd);
    if (status == STATUS_OK && regular_file_is_lfs_pointer(*bytes, *length, path, e)) {
        free(*bytes);
        *bytes = NULL;
        status = STATUS_MALFORMED;
    }
    return status;
}
