#include "server/service/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/utf8.h"
#include "server/json/bytes.h"
#include "server/json/write.h"

/* A new file is for its owner and the group: it says who asked when. */
#define FILE_MODE 0640

/* ---- the file ------------------------------------------------------------------------------------------ */

static int open_file(const char *path, int flags, struct error *e) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags, FILE_MODE);
    if (fd < 0) error_set(e, STATUS_IO, path, "cannot be opened for writing: %s", strerror(errno));
    return fd;
}

int access_log_open_file(const char *path, struct error *e) {
    return open_file(path, O_CREAT, e);
}

static enum status refuse(const struct error *cause, struct error *e) {
    return error_set(e, STATUS_OPTION, "access-log", "%s", cause->text);
}

enum status access_log_check(const char *path, struct error *e) {
    struct error cause;
    if (!path || strcmp(path, "-") == 0) return STATUS_OK;
    int fd = open_file(path, 0, &cause);
    bool is_new = fd < 0 && errno == ENOENT;
    if (is_new) fd = open_file(path, O_CREAT | O_EXCL, &cause);
    if (fd < 0) return refuse(&cause, e);
    close(fd);
    if (is_new) unlink(path);
    return STATUS_OK;
}

enum status access_log_open(struct access_log *log, const char *path, enum log_format format,
                            struct error *e) {
    struct error cause;
    *log = (struct access_log){.is_on = path != NULL, .is_json = format == LOG_FORMAT_JSON};
    line_sink_open(&log->sink, STDOUT_FILENO);
    if (!path || strcmp(path, "-") == 0) {
        log->is_journal = path && log_is_journal(STDOUT_FILENO);
        return STATUS_OK;
    }
    int fd = access_log_open_file(path, &cause);
    if (fd < 0) {
        access_log_close(log);
        return refuse(&cause, e);
    }
    access_log_use(log, fd);
    return STATUS_OK;
}

void access_log_close(struct access_log *log) {
    line_sink_close(&log->sink);
    if (log->owns_fd) close(log->sink.fd);
    log->is_on = log->owns_fd = false;
}

void access_log_use(struct access_log *log, int fd) {
    line_sink_close(&log->sink);
    if (log->owns_fd) close(log->sink.fd);
    line_sink_open(&log->sink, fd);
    log->owns_fd = true;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool is_plain(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           strchr("_./:@%+,~*-", c);
}

/* As one word of the line of text: as it is where that can be read back, else as a string of JSON. */
static bool is_word(const char *text) {
    if (strcmp(text, "-") == 0) return false;
    for (; *text; text++)
        if (!is_plain(*text)) return false;
    return true;
}

/* A string of JSON in printable ASCII alone: no terminal and no reader of lines can be misled by it. Bytes that are no
 * UTF-8 become U+FFFD. */
static void write_string(struct bytes *out, const char *text) {
    bytes_text(out, "\"");
    for (size_t i = 0, length = strlen(text), step; i < length; i += step ? step : 1) {
        const unsigned char *at = (const unsigned char *)text + i;
        uint32_t point = 0xfffd;
        step = utf8_sequence_length(text + i, length - i);
        if (step > 0) point = utf8_point(at, step);
        if (point == '"' || point == '\\')
            bytes_format(out, "\\%c", (char)point);
        else if (point >= 0x20 && point < 0x7f)
            bytes_append(out, at, 1);
        else if (point >= 0x10000)
            bytes_format(out, "\\u%04x\\u%04x", 0xd7c0 + (point >> 10), 0xdc00 + (point & 0x3ff));
        else
            bytes_format(out, "\\u%04x", point);
    }
    bytes_text(out, "\"");
}

static void begin(const struct access_log *log, struct bytes *out, const char *name) {
    bytes_format(out, log->is_json ? ",\"%s\":" : " %s=", name);
}

static void write_text(const struct access_log *log, struct bytes *out, const char *name, const char *text) {
    begin(log, out, name);
    if (!text[0])
        bytes_text(out, log->is_json ? "null" : "-");
    else if (!log->is_json && is_word(text))
        bytes_text(out, text);
    else
        write_string(out, text);
}

static void write_count(const struct access_log *log, struct bytes *out, const char *name, bool is_there,
                        uint64_t count) {
    begin(log, out, name);
    if (is_there)
        bytes_format(out, "%llu", (unsigned long long)count);
    else
        bytes_text(out, log->is_json ? "null" : "-");
}

static void write_seconds(const struct access_log *log, struct bytes *out, const char *name, double seconds) {
    begin(log, out, name);
    if (seconds >= 0)
        bytes_format(out, "%.6f", seconds);
    else
        bytes_text(out, log->is_json ? "null" : "-");
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static void format(const struct access_log *log, struct bytes *out, const struct access_record *r) {
    char time[LOG_TIME_BYTES];
    log_write_time(time, sizeof time);
    if (log->is_journal) bytes_text(out, "<6>");
    bytes_format(out, log->is_json ? "{\"time\":\"%s\"" : "%s", time);
    write_text(log, out, "id", r->id);
    write_text(log, out, "trace_id", r->trace_id);
    write_text(log, out, "client", r->client);
    write_text(log, out, "method", r->method);
    write_text(log, out, "path", r->path);
    write_count(log, out, "status", r->status != 0, r->status);
    write_text(log, out, "outcome", r->outcome);
    write_text(log, out, "reason", r->reason);
    write_count(log, out, "prompt_tokens", r->has_tokens, r->prompt_tokens);
    write_count(log, out, "cached_tokens", r->has_tokens, r->cached_tokens);
    write_count(log, out, "generated_tokens", r->has_tokens, r->generated_tokens);
    write_seconds(log, out, "queued_seconds", r->queued_seconds);
    write_seconds(log, out, "first_token_seconds", r->first_token_seconds);
    write_seconds(log, out, "total_seconds", r->total_seconds);
    bytes_text(out, log->is_json ? "}\n" : "\n");
}

/* Once when it begins, once when it is over. */
static void tell(struct access_log *log, bool is_taken, int cause) {
    if (!is_taken && log->dropped++ == log->dropped_told)
        log_warn("access-log: lines are dropped until it takes them again: %s", strerror(cause));
    if (!is_taken || log->dropped == log->dropped_told) return;
    log_warn("access-log: lines dropped: %llu", (unsigned long long)(log->dropped - log->dropped_told));
    log->dropped_told = log->dropped;
}

void access_log_write(struct access_log *log, const struct access_record *record) {
    struct bytes line = {0};
    if (!log->is_on) return;
    format(log, &line, record);
    errno = line.failed ? ENOMEM : EMSGSIZE;
    bool fits = !line.failed && line.length <= LINE_SINK_BYTES_MAX;
    bool is_taken = fits && line_sink_write(&log->sink, line.data, line.length);
    tell(log, is_taken, errno);
    bytes_deinit(&line);
}
