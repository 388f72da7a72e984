#include "engine/base/line_sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(LINE_SINK_BYTES_MAX <= PIPE_BUF, "lines would be torn");

static bool is_same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

void line_sink_open(struct line_sink *sink, int fd) {
    struct stat info, opened;
    char path[32];
    *sink = (struct line_sink)LINE_SINK_OF(fd);
    if (fstat(fd, &info) != 0 || (!S_ISFIFO(info.st_mode) && !isatty(fd))) return;
    sink->reader_info = info;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0) return;
    if (fstat(own, &opened) == 0 && is_same_file(&opened, &info))
        sink->reader_fd = own;
    else
        close(own);
}

void line_sink_close(struct line_sink *sink) {
    if (sink->reader_fd >= 0) close(sink->reader_fd);
    sink->reader_fd = -1;
}

/* Pipes always; of other devices (/dev/null) the terminal alone. */
static bool has_reader(const struct line_sink *sink, const struct stat *info) {
    return S_ISFIFO(info->st_mode) || (S_ISCHR(info->st_mode) && is_same_file(info, &sink->reader_info));
}

static ssize_t write_to_reader(const struct line_sink *sink, const struct stat *info, const char *bytes,
                               size_t length) {
    struct pollfd room = {.fd = sink->fd, .events = POLLOUT};
    if (sink->reader_fd >= 0 && is_same_file(info, &sink->reader_info))
        return write(sink->reader_fd, bytes, length);
    if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT)) return write(sink->fd, bytes, length);
    errno = EAGAIN;
    return -1;
}

ssize_t line_sink_write_some(const struct line_sink *sink, const char *bytes, size_t length) {
    struct stat info;
    ssize_t written;
    if (fstat(sink->fd, &info) != 0) return -1;
    do {
        if (has_reader(sink, &info))
            written = write_to_reader(sink, &info, bytes, length);
        else if (S_ISSOCK(info.st_mode))
            written = send(sink->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
            written = write(sink->fd, bytes, length);
    } while (written < 0 && errno == EINTR);
    return written;
}

static bool write_rest(struct line_sink *sink) {
    while (sink->rest_length) {
        ssize_t written = line_sink_write_some(sink, sink->rest, sink->rest_length);
        if (written <= 0) return false;
        sink->rest_length -= (size_t)written;
        memmove(sink->rest, sink->rest + written, sink->rest_length);
    }
    return true;
}

bool line_sink_write(struct line_sink *sink, const char *bytes, size_t length) {
    assert(length <= LINE_SINK_BYTES_MAX);
    if (!write_rest(sink)) return false;
    ssize_t written = line_sink_write_some(sink, bytes, length);
    if (written <= 0) return false;
    sink->rest_length = length - (size_t)written;
    memcpy(sink->rest, bytes + written, sink->rest_length);
    write_rest(sink);
    return true;
}
