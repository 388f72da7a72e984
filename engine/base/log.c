#include "engine/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/line_sink.h"
#include "engine/base/printable.h"

#define LINE_BYTES_MAX   2048
#define NOTICE_BYTES_MAX 200
/* A line, the notice before it, and the status line behind it. */
#define OUTPUT_BYTES_MAX (LINE_BYTES_MAX + NOTICE_BYTES_MAX + LOG_STATUS_BYTES_MAX + 16)
_Static_assert(OUTPUT_BYTES_MAX <= LINE_SINK_BYTES_MAX, "they go out in one write");

static _Atomic(enum log_level) log_level_max = LOG_LEVEL_INFO;
static _Atomic(enum log_format) format_of_lines = LOG_FORMAT_TEXT;
static atomic_bool goes_to_journal;
static atomic_uint_fast64_t dropped; /* lines, since the start */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all below, and over writing */
static struct line_sink sink = LINE_SINK_OF(STDERR_FILENO);
static uint64_t dropped_told;
static char status_line[LOG_STATUS_BYTES_MAX + 1];

/* priority: as syslog and the journal number it */
static const struct {
    const char *column, *name;
    int priority;
} levels[] = {[LOG_LEVEL_ERROR] = {"error", "error", 3},
              [LOG_LEVEL_WARN] = {"warn ", "warn", 4},
              [LOG_LEVEL_INFO] = {"info ", "info", 6},
              [LOG_LEVEL_DEBUG] = {"debug", "debug", 7}};

void log_set_level(enum log_level level) {
    atomic_store_explicit(&log_level_max, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level) {
    return level <= atomic_load_explicit(&log_level_max, memory_order_relaxed);
}

void log_set_format(enum log_format format) {
    atomic_store_explicit(&format_of_lines, format, memory_order_relaxed);
}

/* ---- where lines go ------------------------------------------------------------------------------------ */

bool log_is_journal(int fd) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat info;
    char own[64];
    if (!stream || fstat(fd, &info) != 0) return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)info.st_dev, (unsigned long long)info.st_ino);
    return strcmp(stream, own) == 0;
}

void log_open(void) {
    atomic_store(&goes_to_journal, log_is_journal(STDERR_FILENO));
    line_sink_open(&sink, STDERR_FILENO);
}

/* ---- lines --------------------------------------------------------------------------------------------- */

size_t log_write_time(char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return length + (size_t)snprintf(out + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

static bool is_json(void) {
    return atomic_load_explicit(&format_of_lines, memory_order_relaxed) == LOG_FORMAT_JSON;
}

/* What stands before the text: "2026-01-31T12:00:00.123Z info  ", or the beginning of an object; its length. has_time
 * false: for who has started the command, who sees when. */
static size_t write_prefix(char *line, size_t size, enum log_level level, bool has_time) {
    char time[LOG_TIME_BYTES];
    size_t length = 0;
    log_write_time(time, sizeof time);
    if (atomic_load_explicit(&goes_to_journal, memory_order_relaxed))
        length = (size_t)snprintf(line, size, "<%d>", levels[level].priority);
    if (is_json())
        length +=
            (size_t)snprintf(line + length, size - length, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"",
                             time, levels[level].name);
    else if (has_time)
        length += (size_t)snprintf(line + length, size - length, "%s %s ", time, levels[level].column);
    return length;
}

/* Text that is printable already, as part of a line of the format; more of it than there is room for ends in "...".
 * Returns its length. */
static size_t write_text(char *out, size_t room, const char *text, size_t length) {
    bool escapes = is_json();
    size_t used = 0, whole = 0; /* whole: where it can be cut for the dots */
    for (size_t i = 0; i < length; i++) {
        bool is_escaped = escapes && (text[i] == '"' || text[i] == '\\');
        bool begins_character = ((unsigned char)text[i] & 0xc0) != 0x80;
        if (begins_character && used + 3 <= room) whole = used;
        if (used + is_escaped + 1 > room) {
            // NOLINTNEXTLINE(bugprone-not-null-terminated-result): the length counts
            memcpy(out + whole, "...", 3);
            return whole + 3;
        }
        if (is_escaped) out[used++] = '\\';
        out[used++] = text[i];
    }
    return used;
}

static size_t write_end(char *out) {
    const char *end = is_json() ? "\"}\n" : "\n";
    size_t length = strlen(end);
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): the length counts
    memcpy(out, end, length);
    return length;
}

static size_t write_notice(char *out, size_t size, uint64_t count) {
    size_t length = write_prefix(out, size, LOG_LEVEL_WARN, true);
    int more = snprintf(out + length, size - length, "log: lines dropped because nobody read them: %llu",
                        (unsigned long long)count);
    length += (size_t)more;
    return length + write_end(out + length);
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
    if (line_sink_write(&sink, output, used))
        dropped_told = count;
    else if (length)
        atomic_fetch_add(&dropped, 1);
    pthread_mutex_unlock(&lock);
}

/* Of a line's end: "\"}\n". */
#define END_BYTES_MAX 3

static void emit_text(enum log_level level, bool has_time, const char *format, va_list args) {
    char line[LINE_BYTES_MAX], text[LINE_BYTES_MAX + 8]; /* what does not fit here does not fit there */
    size_t prefix = write_prefix(line, sizeof line, level, has_time);
    int wanted = vsnprintf(text, sizeof text, format, args);
    size_t length = wanted < 0 ? 0 : (size_t)wanted;
    if (length < sizeof text)
        printable_text(text, length);
    else
        length = printable_cut(text, sizeof text - 1);
    size_t end = is_json() ? END_BYTES_MAX : 1;
    size_t used = prefix + write_text(line + prefix, sizeof line - 1 - prefix - end, text, length);
    used += write_end(line + used);
    emit(line, used);
}

void log_write(enum log_level level, const char *format, ...) {
    if (!log_enabled(level)) return;
    va_list args;
    va_start(args, format);
    emit_text(level, true, format, args);
    va_end(args);
}

void log_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    emit_text(LOG_LEVEL_ERROR, false, format, args);
    va_end(args);
}

void log_status(const char *text) {
    char output[OUTPUT_BYTES_MAX];
    pthread_mutex_lock(&lock);
    snprintf(status_line, sizeof status_line, "%s", text);
    int length = snprintf(output, sizeof output, "%s\x1b[K\r", status_line);
    line_sink_write(&sink, output, (size_t)length); /* a lost one is not a failure */
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
    ssize_t ignored = status_line[0] ? line_sink_write_some(&sink, "\x1b[K", 3) : 0;
    ignored = line_sink_write_some(&sink, text, strlen(text));
    (void)ignored;
}
