/* Lines on stderr, each in one write: log lines, "2026-01-31T12:00:00.123Z info  text", and plain ones. Any
 * thread. What is not printable UTF-8 becomes '?' (engine/base/printable.h), and what is longer than 2 KiB is
 * cut and ends in "...". As JSON a line is {"time":"...","level":"info","message":"text"}. Where stderr is the
 * journal's (JOURNAL_STREAM), a line begins with its priority, "<6>", in both forms.
 *
 * Nobody waits for a reader (engine/base/line_sink.h): a line that it has no room for is dropped, and how many there
 * were is said before the next line that it takes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* For main, once, before any thread starts: line_sink_open for stderr, and whether it is the journal's. */
void log_open(void);

/* Before other threads write, so that no two lines differ in their form. */
void log_set_format(enum log_format format);

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A line without time and level, whatever the level: what a command has to say to whom started it. As JSON, and for
 * the journal, it is an error. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that stays the last one of a terminal, and is drawn again behind each line that is written
 * meanwhile;
 * "" wipes it. For terminals alone; at most LOG_STATUS_BYTES_MAX bytes, printable ASCII. */
#define LOG_STATUS_BYTES_MAX 160
void log_status(const char *text);

/* "2026-01-31T12:00:00.123Z": returns its length, LOG_TIME_BYTES with the terminator. */
#define LOG_TIME_BYTES 25
size_t log_write_time(char *out, size_t size);

/* Whether the descriptor is the stream that systemd connected to its journal: JOURNAL_STREAM names it. */
bool log_is_journal(int fd);

/* Lines that were dropped since the start. */
uint64_t log_lines_dropped(void);

/* Says how many lines were dropped since that was last said, if there were any and stderr takes lines again. */
void log_tell_dropped(void);

/* For signal handlers: the text as it is, which brings its own line end; whatever level, and without waiting. */
void log_from_handler(const char *text);
