#include "engine/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES_MAX 2048

static _Atomic(enum log_level) log_level_max = LOG_LEVEL_INFO;

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

/* "2026-01-31T12:00:00.123Z info  "; returns its length. */
static size_t write_prefix(char *line, size_t size, enum log_level level) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
    int rest =
        snprintf(line + length, size - length, ".%03ldZ %s ", now.tv_nsec / 1000000, level_names[level]);
    return length + (size_t)rest;
}

/* A line stays one line, and nothing in it can drive a terminal, whatever a client or a file put into it. */
static void make_printable(char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] > 0x7e) text[i] = '?';
}

void log_write(enum log_level level, const char *format, ...) {
    if (!log_enabled(level)) return;
    char line[LOG_LINE_BYTES_MAX];
    size_t prefix = write_prefix(line, sizeof line, level);
    size_t room = sizeof line - prefix - 1; /* for the newline */
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + prefix, room, format, args);
    va_end(args);
    size_t length = wanted < 0 ? 0 : (size_t)wanted;
    if (length >= room) {
        length = room - 1;
        memcpy(line + prefix + length - 3, "...", 3);
    }
    make_printable(line + prefix, length);
    line[prefix + length] = '\n';
    /* What a log cannot take is lost: there is nowhere to report it. */
    while (write(STDERR_FILENO, line, prefix + length + 1) < 0 && errno == EINTR) {
    }
}
