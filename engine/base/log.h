/* Lines on stderr, each in one write: log lines, "2026-01-31T12:00:00.123Z info  text", and plain ones. Any
 * thread. What is not printable UTF-8 becomes '?' (engine/base/printable.h), and what is longer than 2 KiB is
 * cut and ends in "...".
 *
 * Nobody waits for the reader of a pipe, a socket or a terminal (one that is stopped, or that of a container
 * whose output nobody fetches): a line that it has no room for is dropped, and how many there were is said
 * before the next line that it takes. Files are written to as they are. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* For main, once, before any thread starts: gives a pipe or a terminal on stderr a second description that
 * does not block, where the system allows that. Without it a write could wait after all when another process
 * fills the same pipe at the same moment, or when a terminal has room for a part of a line. */
void log_open(void);

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A line without time and level, whatever the level: what a command has to say to whom started it. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that stays the last one of a terminal, and is drawn again behind each line that is written
 * meanwhile;
 * "" wipes it. For terminals alone; at most LOG_STATUS_BYTES_MAX bytes, printable ASCII. */
#define LOG_STATUS_BYTES_MAX 160
void log_status(const char *text);

/* Lines that were dropped since the start. */
uint64_t log_lines_dropped(void);

/* Says how many lines were dropped since that was last said, if there were any and stderr takes lines again. */
void log_tell_dropped(void);

/* For signal handlers: the text as it is, which brings its own line end; whatever level, and without waiting. */
void log_from_handler(const char *text);
