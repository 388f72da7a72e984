#include "engine/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/printable.h"

#define LINE_BYTES_MAX   2048
#define NOTICE_BYTES_MAX 160
/* A line, the notice before it, and the status line behind it. */
#define OUTPUT_BYTES_MAX (LINE_BYTES_MAX + NOTICE_BYTES_MAX + LOG_STATUS_BYTES_MAX + 16)

/* So much goes into a pipe as a whole or not at all. */
_Static_assert(OUTPUT_BYTES_MAX <= PIPE_BUF, "lines would be torn");

static _Atomic(enum log_level) log_level_max = LOG_LEVEL_INFO;
static atomic_uint_fast64_t dropped; /* lines, since the start */

/* What was stderr at log_open if somebody may have to read it: a pipe or a terminal; zero: it was neither.
 * reader_fd: a description of it of our own; -1: none. */
static int reader_fd = -1;
static struct stat reader_info;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all below, and over writing */
static uint64_t dropped_told;
static char status_line[LOG_STATUS_BYTES_MAX + 1];
static char rest[OUTPUT_BYTES_MAX]; /* of a line that was taken in part */
static size_t rest_length;

static const char *const level_names[] = {[LOG_LEVEL_ERROR] = "error",
                                          [LOG_LEVEL_WARN] = "warn ",
                                          [LOG_LEVEL_INFO] = "info ",
                                          [LOG_LEVEL_DEBUG] = "debug"};

void log_set_level(enum log_level level) {
    atomic_store_explicit(&log_level_max, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level) {
    return level <= atomic_load_explicit(&log_level_max, memory_order_relaxed);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static bool is_same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* O_NONBLOCK on the description that we were given would change it for every other process that has it. */
void log_open(void) {
    struct stat info, opened;
    if (fstat(STDERR_FILENO, &info) != 0 || (!S_ISFIFO(info.st_mode) && !isatty(STDERR_FILENO))) return;
    reader_info = info;
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return;
    if (fstat(fd, &opened) == 0 && is_same_file(&opened, &info))
        reader_fd = fd;
    else
        close(fd);
}

/* Pipes always; of other devices (/dev/null) the terminal alone. */
static bool has_reader(const struct stat *info) {
    return S_ISFIFO(info->st_mode) || (S_ISCHR(info->st_mode) && is_same_file(info, &reader_info));
}

static ssize_t write_to_reader(const struct stat *info, const char *bytes, size_t length) {
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (reader_fd >= 0 && is_same_file(info, &reader_info)) return write(reader_fd, bytes, length);
    if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT)) return write(STDERR_FILENO, bytes, length);
    errno = EAGAIN;
    return -1;
}

/* One attempt, by async-signal-safe calls alone. */
static ssize_t write_some(const char *bytes, size_t length) {
    struct stat info;
    ssize_t written;
    if (fstat(STDERR_FILENO, &info) != 0) return -1;
    do {
        if (has_reader(&info))
            written = write_to_reader(&info, bytes, length);
        else if (S_ISSOCK(info.st_mode))
            written = send(STDERR_FILENO, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
            written = write(STDERR_FILENO, bytes, length);
    } while (written < 0 && errno == EINTR);
    return written;
}

static bool write_rest(void) {
    while (rest_length) {
        ssize_t written = write_some(rest, rest_length);
        if (written <= 0) return false;
        rest_length -= (size_t)written;
        memmove(rest, rest + written, rest_length);
    }
    return true;
}

/* Whether the output was taken, or will be: what is taken in part goes on before anything else does. */
static bool write_output(const char *bytes, size_t length) {
    if (!write_rest()) return false;
    ssize_t written = write_some(bytes, length);
    if (written <= 0) return false;
    rest_length = length - (size_t)written;
    memcpy(rest, bytes + written, rest_length);
    write_rest();
    return true;
}

/* ---- lines --------------------------------------------------------------------------------------------- */

/* "2026-01-31T12:00:00.123Z info  "; returns its length. */
static size_t write_prefix(char *line, size_t size, enum log_level level) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
    int more =
        snprintf(line + length, size - length, ".%03ldZ %s ", now.tv_nsec / 1000000, level_names[level]);
    return length + (size_t)more;
}

static size_t write_notice(char *out, size_t size, uint64_t count) {
    size_t length = write_prefix(out, size, LOG_LEVEL_WARN);
    int more = snprintf(out + length, size - length, "log: lines dropped because nobody read them: %llu\n",
                        (unsigned long long)count);
    return length + (size_t)more;
}

/* The line, which has its line end, or nothing; the notice before it; the status line wiped and drawn again. */
static void emit(const char *line, size_t length) {
    char output[OUTPUT_BYTES_MAX];
    size_t used = 0;
    pthread_mutex_lock(&lock);
    uint64_t count = atomic_load(&dropped);
    if (status_line[0]) used += (size_t)snprintf(output, sizeof output, "\x1b[K");
    if (count > dropped_told) used += write_notice(output + used, NOTICE_BYTES_MAX, count - dropped_told);
    memcpy(output + used, line, length);
    used += length;
    if (status_line[0])
        used += (size_t)snprintf(output + used, sizeof output - used, "%s\x1b[K\r", status_line);
    if (write_output(output, used))
        dropped_told = count;
    else if (length)
        atomic_fetch_add(&dropped, 1);
    pthread_mutex_unlock(&lock);
}

/* line has room for size bytes, prefix of which are taken; the line end fits in. */
static void emit_text(char *line, size_t size, size_t prefix, const char *format, va_list args) {
    size_t room = size - prefix - 1; /* for the line end */
    int wanted = vsnprintf(line + prefix, room, format, args);
    size_t length = wanted < 0 ? 0 : (size_t)wanted;
    if (length < room) {
        printable_text(line + prefix, length);
    } else {
        length = printable_cut(line + prefix, room - 1 - 3);
        // NOLINTNEXTLINE(bugprone-not-null-terminated-result): the length counts
        memcpy(line + prefix + length, "...", 3);
        length += 3;
    }
    line[prefix + length] = '\n';
    emit(line, prefix + length + 1);
}

void log_write(enum log_level level, const char *format, ...) {
    if (!log_enabled(level)) return;
    char line[LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    emit_text(line, sizeof line, write_prefix(line, sizeof line, level), format, args);
    va_end(args);
}

void log_say(const char *format, ...) {
    char line[LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    emit_text(line, sizeof line, 0, format, args);
    va_end(args);
}

void log_status(const char *text) {
    char output[OUTPUT_BYTES_MAX];
    pthread_mutex_lock(&lock);
    snprintf(status_line, sizeof status_line, "%s", text);
    int length = snprintf(output, sizeof output, "%s\x1b[K\r", status_line);
    write_output(output, (size_t)length); /* a lost one is not a failure */
    pthread_mutex_unlock(&lock);
}

/* ---- dropped lines ------------------------------------------------------------------------------------- */

uint64_t log_lines_dropped(void) {
    return atomic_load(&dropped);
}

void log_tell_dropped(void) {
    pthread_mutex_lock(&lock);
    bool untold = atomic_load(&dropped) > dropped_told;
    pthread_mutex_unlock(&lock);
    if (untold) emit("", 0);
}

void log_from_handler(const char *text) {
    ssize_t ignored = status_line[0] ? write_some("\x1b[K", 3) : 0;
    ignored = write_some(text, strlen(text));
    (void)ignored;
}
