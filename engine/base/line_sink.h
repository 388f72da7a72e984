/* A descriptor that takes lines, and that nobody waits for: stderr for the log, a file or stdout for the access log.
 *
 * Nobody waits for the reader of a pipe, a socket or a terminal (one that is stopped, or that of a container whose
 * output nobody fetches): what it has no room for is not taken. Files are written to as they are: what finds the disk
 * full is not taken either. What was taken in part goes on before anything else does, so that no line is torn. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* One write; so much goes into a pipe as a whole or not at all. */
#define LINE_SINK_BYTES_MAX 4096

struct line_sink {
    int fd; /* what is written to; whose it is the user says */
    /* What fd was at line_sink_open if somebody may have to read it: a pipe or a terminal; zero: it was neither.
     * reader_fd: a description of it of our own, which does not block; -1: none. */
    int reader_fd;
    struct stat reader_info;
    size_t rest_length; /* of a line that was taken in part */
    char rest[LINE_SINK_BYTES_MAX];
};

/* Of one that has not been opened: lines go to fd all the same. */
#define LINE_SINK_OF(descriptor)                                                                             \
    { .fd = (descriptor), .reader_fd = -1 }

/* Gives a pipe or a terminal a second description that does not block, where the system allows that. Without it a
 * write could wait after all when another process fills the same pipe at the same moment, or when a terminal has room
 * for a part of a line. (O_NONBLOCK on the description that we were given would change it for every other process that
 * has it.) */
void line_sink_open(struct line_sink *sink, int fd);

/* The description of our own; fd stays open. */
void line_sink_close(struct line_sink *sink);

/* At most LINE_SINK_BYTES_MAX bytes. Whether they were taken, or will be: errno says why not. One caller at a time. */
bool line_sink_write(struct line_sink *sink, const char *bytes, size_t length);

/* One attempt, past what was taken in part, by async-signal-safe calls alone; as write(2). */
ssize_t line_sink_write_some(const struct line_sink *sink, const char *bytes, size_t length);
